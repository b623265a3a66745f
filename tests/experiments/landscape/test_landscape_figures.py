"""Figures of loss surfaces show the numbers they are given."""

import numpy as np
import pytest

from experiments.landscape import figures
from experiments.landscape.claims import NUMBERS

OFFSETS = np.linspace(-1, 1, 5)
BOWL = OFFSETS[:, None] ** 2 + 3 * OFFSETS**2 + 0.1


def test_contours_share_their_levels_and_stand_what_is_not_finite(tmp_path):
    broken = BOWL.copy()
    broken[0, 0], broken[0, 1] = np.nan, np.inf
    figure = figures.loss_contours(
        {"plain": {8: BOWL, 16: broken}, "residual": {8: BOWL}}, OFFSETS, chance=1.1, title="t"
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
    # White is the level of chance: on the second axis 3 y^2 + .1 = 1.1.
    np.testing.assert_allclose(chance[:, 1].max(), (1 / 3) ** 0.5, atol=0.1)
    figure.savefig(tmp_path / "f.png", dpi=40)


@pytest.mark.parametrize("name", ["largest_eigenvalue", "basin"])
def test_shapes_are_a_dot_a_seed(name, tmp_path):
    values = {name: {"plain": {16: np.array([3.0]), 8: np.array([1.0, 2.0, 6.0])}}}
    figure = figures.shape_against_depth(values, title="t")
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [8, 16])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [2, 3])
    np.testing.assert_allclose(axes.lines[1].get_ydata(), [1, 2, 6])
    assert axes.get_yscale() == ("log" if name == "largest_eigenvalue" else "linear")
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_the_most_negative_eigenvalue_is_drawn_positive():
    values = {name: {"plain": {8: np.array([1.0, 2.0])}} for name in ("train_loss", *NUMBERS)}
    values["smallest_eigenvalue"] = {"plain": {8: np.array([-5.0, -7.0])}}
    drawn = figures.draw({"plain": {8: BOWL}}, OFFSETS, values, chance=1.1, title="t")
    assert {*drawn} == {*figures.CAPTIONS}
    panels = {axes.get_title(): axes for axes in drawn["sharpness.png"].axes}
    assert [*panels] == [*figures.SHOWN.values()]
    concavity = panels[figures.SHOWN["concavity"]]
    assert concavity.lines[1].get_ydata().tolist() == [5, 7]
