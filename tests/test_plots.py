"""Figures draw what a study can hand them, divergence and vanished gradients included."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from jaxseg import plots

PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
IMAGES = np.linspace(-0.5, 1.5, 2 * 4 * 4).reshape(2, 4, 4, 1)
MASKS = np.array([0, 1, 2, 255] * 8).reshape(2, 4, 4)


def figure(**changes):
    inf = np.inf
    arguments = {
        "losses": {
            "plain": {4: np.array([0.9, 1.0]), 8: np.array([1.2, inf]), 16: np.array([inf, inf])},
            "other": {4: np.array([0.5, 0.6])},
        },
        "chance": float(np.log(3)),
        "gradients": {"plain": np.array([[0, 0, 1e-30, 1.0], [1e-20, 1e-10, 1e-5, 2.0]])},
        "depth": 10,
        "theory": {"plain": np.array([-3.0, -2, -1, 0]), "unmeasured": np.zeros(4)},
        "strip": {"image": IMAGES, "mask": MASKS, "colour": np.tile(IMAGES, 3)},
        "palette": PALETTE,
        "title": "a test",
    } | changes
    return plots.depth_scaling(**arguments)


def test_depth_scaling_draws_divergence_and_zeros(tmp_path):
    drawn = figure()
    drawn.savefig(tmp_path / "f.png", dpi=40)
    assert (tmp_path / "f.png").stat().st_size > 1000
    axes = drawn.axes
    labels = [ax.get_legend_handles_labels()[1] for ax in axes[:2]]
    labels[0] = labels[0][:2]
    assert labels == [["plain", "other"], ["plain", "theory, nothing fitted"]]
    assert plt.get_fignums() == []


def lines(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def test_losses_are_medians_held_below_the_ceiling_with_a_cross_where_lost():
    left = figure().axes[0]
    ceiling = 1.25 * np.log(3)
    x, y = lines(left, "plain").get_data()
    assert list(x) == [4, 8, 16]
    assert y[2] == pytest.approx(ceiling)
    assert np.all(np.asarray(y) <= ceiling + 1e-9)
    crosses = [line for line in left.lines if line.get_marker() == "x"]
    assert 16 in crosses[0].get_xdata()
    assert 4 not in crosses[0].get_xdata()
    assert not len(crosses[1].get_xdata())


def test_a_finite_loss_above_the_axis_is_marked_and_explained_only_where_it_occurs():
    losses = {"plain": {4: np.array([0.9]), 8: np.array([7.0]), 16: np.array([np.inf])}}
    left = figure(losses=losses).axes[0]
    marked = {mark: [line for line in left.lines if line.get_marker() == mark] for mark in "^x"}
    assert list(marked["^"][0].get_xdata()) == [8]
    assert list(marked["^"][0].get_ydata()) == pytest.approx([1.25 * np.log(3)])
    assert list(marked["x"][0].get_xdata()) == [16]
    labels = left.get_legend_handles_labels()[1]
    assert labels[:3] == ["plain", "above the axis", "diverged"]
    low = figure(losses={"plain": {4: np.array([0.9])}}).axes[0]
    assert not {"above the axis", "diverged"} & {*low.get_legend_handles_labels()[1]}


def test_profile_is_relative_to_the_last_block():
    right = figure(gradients={"plain": np.array([[1e-3, 1e-1, 10.0]])}, theory={}).axes[1]
    np.testing.assert_allclose(lines(right, "plain").get_ydata(), [-4, -2, 0])


@pytest.mark.parametrize("last", [0.0, np.nan, np.inf])
def test_gradients_without_a_last_block_still_draw(last, tmp_path):
    gradients = {"plain": np.array([[0.0, 0.0, last], [0.0, 1.0, last]])}
    figure(gradients=gradients, theory={}).savefig(tmp_path / "f.png", dpi=20)


def test_one_seed_one_depth_and_no_run_that_was_not_lost(tmp_path):
    losses = {"plain": {8: np.array([np.inf])}}
    figure(losses=losses).savefig(tmp_path / "f.png", dpi=20)


def test_to_rgb():
    image = plots.to_rgb(IMAGES[0], PALETTE)
    assert image.shape == (4, 4, 3)
    assert image.min() == 0
    assert image.max() <= 1
    np.testing.assert_array_equal(
        plots.to_rgb(MASKS[0], PALETTE)[0], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
    )


def test_training_curves_of_runs_that_diverged(tmp_path):
    steps, losses = np.arange(0, 30, 10), np.array([1.1, 50.0, np.nan])
    curves = {
        "plain, 8": [(steps, losses), (steps, losses[:1].repeat(3))],
        "x, 4": [(steps, losses)],
    }
    drawn = plots.training_curves(curves, float(np.log(3)), title="a test")
    drawn.savefig(tmp_path / "f.png", dpi=30)
    labels = drawn.axes[0].get_legend_handles_labels()[1]
    assert labels[:2] == ["plain, 8 convolutions", "x, 4 convolutions"]


def test_ratios_draws_a_dot_a_case_and_the_reference_as_a_line():
    rows = [
        {"case": case, "way": way, "ratio": ratio}
        for case, ratio in (("small", 0.5), ("large", 40.0))
        for way, ratio in (("jaxseg", ratio), ("plain lax", 2 * ratio), ("PyTorch", 1.0))
    ]
    figure = plots.ratios(rows)
    (axes,) = figure.axes
    drawn = {line.get_label(): line.get_xdata().tolist() for line in axes.lines[:-1]}
    assert drawn == {"jaxseg": [0.5, 40.0], "plain lax": [1.0, 80.0]}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["small", "large"]
