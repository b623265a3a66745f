"""Figures of the depth study, divergence and vanished gradients included."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments.depth_scaling import claims, figures
from experiments.depth_scaling.config import ARMS

PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
IMAGES = np.linspace(-0.5, 1.5, 2 * 4 * 4).reshape(2, 4, 4, 1)
MASKS = np.array([0, 1, 2, 255] * 8).reshape(2, 4, 4)
CHANCE = float(np.log(3))


def draw(**changes):
    inf = np.inf
    arguments = {
        "losses": {
            "plain": {4: np.array([0.9, 1.0]), 8: np.array([1.2, inf]), 16: np.array([inf, inf])},
            "residual": {4: np.array([0.5, 0.6])},
        },
        "chance": CHANCE,
        "gradients": {"plain": np.array([[0, 0, 1e-30, 1.0], [1e-20, 1e-10, 1e-5, 2.0]])},
        "depth": 10,
        "theory": {"plain": np.array([-3.0, -2, -1, 0]), "unmeasured": np.zeros(4)},
        "strip": {"image": IMAGES, "mask": MASKS, "color": np.tile(IMAGES, 3)},
        "palette": PALETTE,
        "class_names": ("brick", "grass", "gravel"),
        "title": "a test",
    } | changes
    return figures.depth_scaling(**arguments)


def lines(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def test_depth_scaling_draws_divergence_and_zeros(tmp_path):
    drawn = draw()
    drawn.savefig(tmp_path / "f.png", dpi=40)
    assert (tmp_path / "f.png").stat().st_size > 1000
    upper, lower = (part.legends for part in drawn.subfigs)
    labels = [text.get_text() for legend in upper for text in legend.get_texts()]
    assert labels == [  # one legend for both panels
        "plain",
        "residual",
        "diverged",
        "chance, ln K",
        "trainable below ½ ln K",
        "theory, nothing fitted",
    ]
    keys = [text.get_text() for legend in lower for text in legend.get_texts()]
    assert keys == ["brick", "grass", "gravel"]
    assert plt.get_fignums() == []


def test_losses_are_medians_held_below_the_ceiling_with_a_cross_where_lost():
    left = draw().axes[0]
    ceiling = 1.25 * CHANCE
    x, y = lines(left, "plain").get_data()
    assert list(x) == [4, 8, 16]
    assert y[0] == pytest.approx(0.95)
    assert y[2] == pytest.approx(ceiling)
    assert np.all(np.asarray(y) <= ceiling + 1e-9)
    crosses = [line for line in left.lines if line.get_marker() == "x"]
    assert 16 in crosses[0].get_xdata()
    assert 4 not in crosses[0].get_xdata()
    assert not len(crosses[1].get_xdata())


def test_the_median_is_drawn_and_not_the_mean():
    left = draw(losses={"plain": {4: np.array([0.1, 0.2, 0.9])}}).axes[0]
    assert list(lines(left, "plain").get_ydata()) == [0.2]
    edges = left.collections[0].get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == (0.1, 0.9)


def test_a_finite_loss_above_the_axis_is_marked_and_explained_only_where_it_occurs():
    losses = {"plain": {4: np.array([0.9]), 8: np.array([7.0]), 16: np.array([np.inf])}}
    left = draw(losses=losses).axes[0]
    marked = {mark: [line for line in left.lines if line.get_marker() == mark] for mark in "^x"}
    assert list(marked["^"][0].get_xdata()) == [8]
    assert list(marked["^"][0].get_ydata()) == pytest.approx([1.25 * CHANCE])
    assert list(marked["x"][0].get_xdata()) == [16]
    labels = left.get_legend_handles_labels()[1]
    assert labels[:3] == ["plain", "above the axis", "diverged"]
    low = draw(losses={"plain": {4: np.array([0.9])}}).axes[0]
    assert not {"above the axis", "diverged"} & {*low.get_legend_handles_labels()[1]}


def test_the_levels_of_chance_are_drawn():
    left = draw().axes[0]
    assert lines(left, "chance, ln K").get_ydata()[0] == pytest.approx(CHANCE)
    assert lines(left, "trainable below ½ ln K").get_ydata()[0] == pytest.approx(CHANCE / 2)


def test_profile_is_relative_to_the_last_block():
    right = draw(gradients={"plain": np.array([[1e-3, 1e-1, 10.0]])}, theory={}).axes[1]
    np.testing.assert_allclose(lines(right, "plain").get_ydata(), [-4, -2, 0])


@pytest.mark.parametrize("last", [0.0, np.nan, np.inf])
def test_gradients_without_a_last_block_still_draw(last, tmp_path):
    gradients = {"plain": np.array([[0.0, 0.0, last], [0.0, 1.0, last]])}
    draw(gradients=gradients, theory={}).savefig(tmp_path / "f.png", dpi=20)


def test_one_seed_one_depth_and_no_run_that_was_not_lost(tmp_path):
    losses = {"plain": {8: np.array([np.inf])}}
    draw(losses=losses).savefig(tmp_path / "f.png", dpi=20)


def test_training_curves_of_runs_that_diverged(tmp_path):
    steps, losses = np.arange(0, 30, 10), np.array([1.1, 50.0, np.nan])
    curves = {
        ("plain", 8): [(steps, losses), (steps, losses[:1].repeat(3))],
        ("residual", 4): [(steps, losses)],
    }
    drawn = figures.training_curves(curves, CHANCE, title="a test")
    drawn.savefig(tmp_path / "f.png", dpi=30)
    (axes,) = drawn.axes
    labels = axes.get_legend_handles_labels()[1]
    assert labels[:2] == ["plain, 8 convolutions", "residual, 4 convolutions"]
    np.testing.assert_array_equal(axes.lines[0].get_data(), (steps, losses))


def test_responses_are_those_of_the_deepest_nets_and_shares_those_of_both_ends(tmp_path):
    blocks = {depth: np.array([[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]) * depth for depth in (4, 8, 16)}
    ones = {depth: np.ones((2, 2)) for depth in (4, 8)}
    drawn = figures.layer_responses(
        {"plain": blocks, "residual": blocks}, {"plain": ones, "residual": blocks}, title="t"
    )
    left, right = drawn.axes
    assert [line.get_label() for line in left.lines] == ["plain, 16", "residual, 16"]
    np.testing.assert_allclose(left.lines[0].get_ydata(), [48, 64])  # medians over the seeds
    assert [line.get_label() for line in right.lines] == ["residual, 16", "residual, 4"]
    assert [line.get_linestyle() for line in right.lines] == ["-", ":"]
    drawn.savefig(tmp_path / "f.png", dpi=30)


def test_gradient_table_has_a_row_a_seed():
    gradients = [
        {"arm": "plain", "depth": d, "seed": s, "layer": n + 1, "input_gradient_norm": 10.0 * s + n}
        for d in (6, 8)
        for s in range(2)
        for n in range(d // 2 - 1)
    ]
    table = claims.gradient_table(gradients, 6)
    np.testing.assert_array_equal(table["plain"], [[0, 1], [10, 11]])


def test_curves_are_those_of_the_deepest_net_at_its_best_rate():
    """Means over as many steps as make about fifty points."""
    asked = []

    def members(**names):
        asked.append(names)
        losses = np.arange(210.0)[None] + np.array([[0.0], [1000.0]])
        return SimpleNamespace(pick=lambda rows: losses[[row["seed"] for row in rows]])

    sweep = SimpleNamespace(config=SimpleNamespace(steps=210), members=members)
    best = {"plain": {4: [], 8: [{"seed": 1}, {"seed": 0}]}}
    curves = claims.curve_table(sweep, best)
    assert asked == [{"arm": "plain", "depth": 8}]
    assert [*curves] == [("plain", 8)]
    (steps, first), (_, second) = curves["plain", 8]
    assert steps[:3].tolist() == [0, 4, 8]
    assert len(steps) == 52
    assert first[:2].tolist() == [1001.5, 1005.5]
    assert second[:2].tolist() == [1.5, 5.5]


def test_seeds_of_a_single_arm_have_colors_of_their_own():
    runs = [(np.arange(2), np.full(2, value)) for value in (0.1, 0.2)]
    drawn = figures.training_curves({("residual", 1026): runs}, CHANCE, title="t")
    assert drawn.get_suptitle() == "residual, 1,026 convolutions\nt"
    (axes,) = drawn.axes
    assert len({line.get_color() for line in axes.lines[:2]}) == 2
    labels = axes.get_legend_handles_labels()[1]
    assert labels[:2] == ["seed 0", "seed 1"]


def test_two_ranges_are_bands_and_the_others_bars():
    table = {4: np.array([0.4, 0.5]), 8: np.array([0.6, 0.7])}
    left = draw(losses=dict.fromkeys(ARMS, table)).axes[0]
    kinds = [type(part).__name__ for part in left.collections]
    assert (kinds.count("FillBetweenPolyCollection"), kinds.count("LineCollection")) == (2, 3)


def test_a_strip_shows_the_deepest_nets_of_either_kind():
    labels = {("residual", 16): np.zeros((6, 4, 4)), ("plain", 8): np.ones((2, 4, 4))}
    sweep = SimpleNamespace(
        read_array=lambda kind, *, arm, depth: labels[arm, depth],
        validation=[
            {"image": np.full((4, 4, 1), 51, np.uint8), "label": np.full((4, 4), n)}
            for n in range(9)
        ],
    )
    best = {"plain": {4: [], 8: []}, "plain_norm": {8: []}, "residual": {8: [], 16: []}}
    strip = claims.prediction_strip(sweep, best)
    assert [*strip] == ["image", "mask", "residual,\n16 convolutions", "plain,\n8 convolutions"]
    assert strip["image"].shape == (2, 4, 4, 1)  # as many as all have
    assert strip["image"].max() == pytest.approx(0.2)
    assert strip["mask"][:, 0, 0].tolist() == [0, 1]


def test_every_arm_has_a_color():
    assert {*ARMS} <= {*figures.ARM_COLORS}
    assert {*ARMS} == {*figures.LABELS}
