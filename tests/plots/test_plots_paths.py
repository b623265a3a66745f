"""Figures of loss surfaces show the numbers they are given."""

import numpy as np
import pytest

from jaxseg import plots


def test_contours_share_their_levels_and_stand_what_is_not_finite(tmp_path):
    offsets = np.linspace(-1, 1, 5)
    surface = offsets[:, None] ** 2 + 3 * offsets**2 + 0.1
    broken = surface.copy()
    broken[0, 0], broken[0, 1] = np.nan, np.inf
    figure = plots.loss_contours(
        {"plain": {8: surface, 16: broken}, "residual": {8: surface}},
        offsets,
        levels=[0.125, 1.0, 2.0],
        chance=1.1,
        title="t",
    )
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:3] == [
        "plain, 8 convolutions",
        "plain, 16 convolutions",
        "residual, 8 convolutions",
    ]
    # The first direction, along which the surface rises least, lies to the right.
    chance = figure.axes[0].collections[-1].get_paths()[0].vertices
    assert np.ptp(chance[:, 0]) > np.ptp(chance[:, 1])
    figure.savefig(tmp_path / "f.png", dpi=40)


@pytest.mark.parametrize("logarithmic", [(), ("sharp",)])
def test_shapes_are_a_dot_a_seed(logarithmic, tmp_path):
    values = {"sharp": {"plain": {8: np.array([1.0, 2.0, 6.0]), 16: np.array([3.0])}}}
    figure = plots.shape_against_depth(values, logarithmic=logarithmic, title="t")
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [2, 3])
    np.testing.assert_allclose(axes.lines[1].get_ydata(), [1, 2, 6])
    assert axes.get_yscale() == ("log" if logarithmic else "linear")
    figure.savefig(tmp_path / "f.png", dpi=40)
