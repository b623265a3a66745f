"""The figure of the output_stride study shows the numbers that it is given."""

import numpy as np

from experiments.output_stride import figures


def test_each_arm_is_shown_once_with_the_median_of_its_seeds(tmp_path):
    rows = [
        {"arm": arm, "mean_iou": iou, "multiply_adds": cost}
        for arm, iou, cost in (
            ("stride 8", 0.2, 4e6),
            ("stride 8", 0.3, 4e6),
            ("stride 8", 0.7, 4e6),
            ("fcn8s", 0.5, 2e6),
        )
    ]
    classes = [
        {"arm": "stride 8", "class": "one", "iou": 0.1},
        {"arm": "stride 8", "class": "one", "iou": float("nan")},
        {"arm": "fcn8s", "class": "two", "iou": 0.6},
        {"arm": "fcn8s", "class": "two", "iou": 0.7},
        {"arm": "fcn8s", "class": "two", "iou": 1.0},
    ]
    drawn = figures.draw(rows, classes, title="")
    assert list(drawn) == list(figures.CAPTIONS)
    (figure,) = drawn.values()
    left, right = figure.axes[:2]
    medians = {line.get_label(): line for line in left.lines if line.get_marker() == "o"}
    np.testing.assert_allclose(medians["dilated encoder"].get_xydata(), [[4, 0.3]])
    np.testing.assert_allclose(medians["FCN with skips"].get_xydata(), [[2, 0.5]])
    seeds = [list(line.get_ydata()) for line in left.lines if line.get_marker() == "_"]
    assert seeds == [[0.2, 0.3, 0.7], [0.5]]
    # The best class is above; a class that an arm has no pixel of has no dot of it.
    assert [tick.get_text() for tick in right.get_yticklabels()] == ["two", "one"]
    dots = {line.get_label(): line.get_xdata() for line in right.lines}
    np.testing.assert_allclose(dots["stride 8"], [np.nan, 0.1])
    np.testing.assert_allclose(dots["FCN-8s"], [0.7, np.nan])
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_a_line_goes_from_the_finest_to_the_coarsest_stride():
    arms = {"stride 32": 1e6, "stride 4": 8e6, "stride 8": 4e6}
    rows = [{"arm": arm, "mean_iou": 0.1, "multiply_adds": cost} for arm, cost in arms.items()]
    classes = [{"arm": "stride 4", "class": "one", "iou": 0.1}]
    (figure,) = figures.draw(rows, classes, title="").values()
    line = figure.axes[0].lines[0]
    assert list(line.get_xdata()) == [8, 4, 1]
