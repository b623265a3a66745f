"""Pictures of images and label maps, and gradients through depth."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxseg import plots

PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
IMAGES = np.linspace(-0.5, 1.5, 2 * 4 * 4).reshape(2, 4, 4, 1)
MASKS = np.array([0, 1, 2, 255] * 8).reshape(2, 4, 4)


def test_to_rgb():
    image = plots.to_rgb(IMAGES[0], PALETTE)
    assert image.shape == (4, 4, 3)
    assert image.min() == 0
    assert image.max() <= 1
    np.testing.assert_array_equal(
        plots.to_rgb(MASKS[0], PALETTE)[0], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
    )


def test_a_strip_has_a_row_a_name():
    figure = Figure()
    plots.image_strip(figure, {"image": IMAGES, "mask": MASKS}, PALETTE)
    assert len(figure.axes) == 4
    assert [axes.get_ylabel() for axes in figure.axes] == ["image", "", "mask", ""]


def profile(gradients, theory=None, colors=None):
    axes = Figure().subplots()
    plots.gradient_profile(axes, gradients, theory or {}, 10, colors or {})
    return {line.get_label(): line for line in axes.lines}


def test_a_profile_is_relative_to_the_last_block():
    lines = profile({"plain": np.array([[1e-3, 1e-1, 10.0]])}, colors={"plain": "#c1272d"})
    np.testing.assert_allclose(lines["plain"].get_ydata(), [-4, -2, 0])
    assert lines["plain"].get_color() == "#c1272d"


@pytest.mark.parametrize("last", [0.0, np.nan, np.inf])
def test_gradients_without_a_last_block_still_draw(last):
    lines = profile({"plain": np.array([[0.0, 0.0, last], [0.0, 1.0, last]])})
    assert lines["plain"].get_color() == plots.NEUTRAL
