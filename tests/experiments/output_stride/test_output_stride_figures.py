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
    np.testing.assert_allclose(
        medians["dilated encoder, by output stride"].get_xydata(), [[4, 0.3]]
    )
    np.testing.assert_allclose(medians["FCN with skips"].get_xydata(), [[2, 0.5]])
    seeds = [list(line.get_ydata()) for line in left.lines if line.get_marker() == "_"]
    assert seeds == [[0.2, 0.3, 0.7], [0.5]]
    table = np.ma.filled(right.images[0].get_array(), np.nan)
    np.testing.assert_allclose(table, [[0.1, np.nan], [np.nan, 0.7]])
    assert [text.get_text() for text in right.texts] == ["0.10", "0.70"]
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_a_line_goes_from_the_finest_to_the_coarsest_stride():
    arms = {"stride 32": 1e6, "stride 4": 8e6, "stride 8": 4e6}
    rows = [{"arm": arm, "mean_iou": 0.1, "multiply_adds": cost} for arm, cost in arms.items()]
    classes = [{"arm": "stride 4", "class": "one", "iou": 0.1}]
    (figure,) = figures.draw(rows, classes, title="").values()
    line = figure.axes[0].lines[0]
    assert list(line.get_xdata()) == [8, 4, 1]
