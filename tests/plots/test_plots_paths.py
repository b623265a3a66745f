"""Figures of paths, lesions and loss surfaces show the numbers they are given."""

import numpy as np
import pytest

from jaxseg import plots


def test_gradients_by_length_are_drawn_with_their_theory(tmp_path):
    begun, theory = np.array([[0.1, 0.9], [0.3, 0.7], [0.2, 0.8]]), np.array([0.25, 0.75])
    curves = {"a": plots.ByLength(begun, theory), "b": plots.ByLength(begun, theory, begun[::-1])}
    figure = plots.gradient_by_length(
        {"share": curves, "norm": curves}, published=(0.2, 0.6), source="theirs", title="t"
    )
    assert len(figure.axes) == 4
    first, second = figure.axes[:2]
    drawn = [line.get_ydata() for line in first.lines if len(line.get_xdata())]
    np.testing.assert_allclose(drawn[0], [0.2, 0.8])
    np.testing.assert_allclose(drawn[-1], theory)
    assert len(second.lines) == 3
    said = [text.get_text() for text in figure.legends[0].texts]
    assert said[-1] == "theirs"
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_lesions_show_medians_and_chance(tmp_path):
    found = plots.Lesions(
        np.array([0.5, 0.7]),
        np.array([[0.6, 0.8, 1.0], [0.8, 1.0, 1.2]]),
        {1: np.array([0.6, 0.8]), 2: np.array([1.0, 3.0])},
        {2: np.array([0.9])},
    )
    figure = plots.lesions([{"plain": found}, {"residual": found}], chance=1.1, title="t")
    single, many, moved = figure.axes[:3]
    np.testing.assert_allclose(single.lines[0].get_ydata(), [0.7, 0.9, 1.1])
    np.testing.assert_allclose(many.lines[0].get_ydata(), [0.7, 2.0])
    assert any(list(line.get_ydata()) == [1.1, 1.1] for line in moved.lines)
    assert single.get_title() == "3 blocks: without one block"
    figure.savefig(tmp_path / "f.png", dpi=40)


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
