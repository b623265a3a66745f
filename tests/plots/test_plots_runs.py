"""What the figures of a training run show."""

import numpy as np
import pytest

from jaxseg import plots
from jaxseg.plots.runs import _smooth

PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
NAMES = ("one", "two", "three")


def test_curves_show_losses_rates_and_the_validation():
    log = [
        {"event": "start", "step": 0},
        *(
            {"step": t, "loss": 1 / t, "gradient_norm": 2.0, "learning_rate": 0.1 * t}
            for t in range(1, 6)
        ),
        {"event": "validation", "step": 5, "mean_iou": 0.4, "pixel_accuracy": 0.7},
    ]
    left, middle, right, rate = plots.run_curves(log, title="a run").axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), [1 / t for t in range(1, 6)])
    np.testing.assert_allclose(rate.lines[0].get_ydata(), [0.1, 0.2, 0.3, 0.4, 0.5])
    assert middle.lines[0].get_ydata()[0] == 2
    assert {line.get_label(): line.get_ydata()[0] for line in right.lines} == {
        "mean IoU": 0.4,
        "pixel accuracy": 0.7,
    }


def test_a_run_without_a_step_has_empty_curves():
    assert len(plots.run_curves([{"event": "start", "step": 0}], title="").axes) == 4


def test_smoothing_keeps_lines_and_does_not_lag():
    line = np.arange(20.0)
    np.testing.assert_allclose(_smooth(line)[4:-4], line[4:-4])
    np.testing.assert_allclose(_smooth(np.ones(3)), 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_panel_has_a_row_an_image(channels):
    labels = np.array([[[0, 1], [2, 255]], [[0, 0], [1, 1]]])
    figure = plots.prediction_panel(
        np.full((2, 2, 2, channels), 7, np.uint8),
        labels,
        labels % 3,
        np.zeros((2, 2, 2)),
        palette=PALETTE,
        class_names=NAMES,
        title="",
    )
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(shown) >= 8
    np.testing.assert_allclose(shown[1], [[[1, 0, 0], [0, 1, 0]], [[0, 0, 1], [1, 1, 1]]])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(NAMES)


def test_confusion_is_in_shares_of_the_label():
    counts = np.array([[3, 1, 0], [0, 0, 0], [0, 5, 5]])
    image = plots.confusion_figure(counts, NAMES, title="").axes[0].images[0]
    np.testing.assert_allclose(image.get_array(), [[0.75, 0.25, 0], [0, 0, 0], [0, 0.5, 0.5]])


@pytest.mark.parametrize("channels", [1, 3])
def test_errors_are_where_counted_pixels_differ(channels):
    labels = [np.array([[0, 1], [2, 255]]), np.array([[1, 1, 1]])]
    predictions = [np.array([[0, 2], [2, 1]]), np.array([[1, 0, 1]])]
    figure = plots.error_panel(
        [np.full((*label.shape, channels), 7, np.uint8) for label in labels],
        labels,
        predictions,
        palette=PALETTE,
        class_names=NAMES,
        titles=["a", "b"],
        title="",
    )
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(shown) == 8
    np.testing.assert_array_equal(shown[3], [[0, 1], [0, 0]])
    np.testing.assert_array_equal(shown[7], [[0, 1, 0]])
    assert [axes.get_xlabel() for axes in figure.axes[:8:4]] == ["a", "b"]
