"""The figure of a chain of layers shows what its matrices say."""

import numpy as np
import pytest

from jaxseg import plots


def band(size, taps, dilation=1):
    """Who sees whom in a convolution of stride 1 that keeps the size."""
    away = np.subtract.outer(np.arange(size), np.arange(size))
    reach = dilation * (taps - 1) // 2
    return (np.abs(away) <= reach) & (away % dilation == 0)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_extent_and_paths_of_two_layers():
    size = 11
    figure = plots.chain(
        [band(size, 3)] * 2, [np.arange(size)] * 3, ["image", "first", "second"], index=5, title="t"
    )
    # Two kernels of ones, one upon the other: 1 2 3 2 1.
    assert texts(figure) == ["5 pixels", "1", "2", "3", "2", "1"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "image",
        "first",
        "second",
    ]
    figure.canvas.draw()


def test_holes_are_marked():
    size = 13
    figure = plots.chain([band(size, 3, 2)] * 2, [np.arange(size)] * 3, ["a", "b", "c"], index=6)
    assert texts(figure)[0] == "9 pixels"
    crosses = figure.axes[0].collections[-1].get_offsets()
    np.testing.assert_array_equal(crosses[:, 0], [3, 5, 7, 9])


def test_an_output_that_sees_nothing_has_no_field():
    links = [np.zeros((2, 3), bool)]
    assert texts(plots.chain(links, [np.arange(3), np.arange(2)], ["a", "b"], index=0)) == []


@pytest.mark.parametrize(
    ("sizes", "names", "index", "said"),
    [((3, 3), "ab", 3, "index=3"), ((3, 2), "ab", 0, "shapes"), ((3, 3), "abc", 0, "3 names")],
)
def test_what_does_not_fit_is_refused(sizes, names, index, said):
    places = [np.arange(size) for size in sizes]
    with pytest.raises(ValueError, match=said):
        plots.chain([np.eye(3, dtype=bool)], places, names, index=index)
