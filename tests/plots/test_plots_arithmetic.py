"""Figures of a convolution's arithmetic show what they are given, cell by cell."""

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from jaxseg import plots
from jaxseg.plots.arithmetic import EDGE, TAPS


def rectangles(axes):
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def test_taps_are_marked_where_they_read():
    figure = plots.convolution(np.zeros((9, 9)), np.zeros((4, 4)), [3, 5], [2, 4])
    left, right = figure.axes
    assert {patch.get_xy() for patch in rectangles(left)} == {
        (1.5, 2.5),
        (3.5, 2.5),
        (1.5, 4.5),
        (3.5, 4.5),
    }
    assert [patch.get_xy() for patch in rectangles(right)] == [(1.5, 1.5)]
    assert np.ptp(left.get_xlim()) == np.ptp(right.get_xlim()) == 9  # one scale


def test_the_image_keeps_still_when_its_padding_grows():
    frames = {
        plots.kernel_on_pixels(5, padding, np.array([0, 2, 4]), most_padding=3).axes[0].get_xlim()
        for padding in range(4)
    }
    assert frames == {(-3.5, 8.5)}


def test_overlaps_are_written_and_a_cell_keeps_its_size():
    counts = np.array([[1, 2], [2, 4]])
    pixels = np.eye(3, dtype=bool)
    figure = plots.dilated_input(pixels, 2, counts, cells=10, titles=("a", "b"))
    left, right = figure.axes
    assert [text.get_text() for text in right.texts] == ["1", "2", "2", "4"]
    assert np.ptp(left.get_xlim()) == np.ptp(right.get_xlim())


def test_stamps_the_matrix_and_its_transpose_hold_the_same_taps():
    stamps = np.array([[1, 2, 3, 0, 0], [0, 0, 1, 2, 3]])
    left, middle, right = plots.transposed_convolution(stamps).axes
    shown = [text.get_text() for text in left.texts]
    assert shown[:6] == ["w₀x₀", "w₁x₀", "w₂x₀", "w₀x₁", "w₁x₁", "w₂x₁"]
    assert shown[6:11] == ["1", "1", "2", "1", "1"]  # stamps summed
    for axes, matrix in ((middle, stamps), (right, stamps.T)):
        texts = [text.get_text() for text in axes.texts]
        assert texts == [["", "w₀", "w₁", "w₂"][t] for t in matrix.ravel() if t]
        colors = [to_hex(patch.get_facecolor()) for patch in rectangles(axes)]
        assert colors == [TAPS[t - 1] if t else "#ffffff" for t in matrix.ravel()]
    assert to_hex(rectangles(middle)[0].get_edgecolor()) == EDGE
