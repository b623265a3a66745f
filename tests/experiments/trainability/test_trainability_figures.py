"""The figures of the trainability study show the numbers that they are given."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.trainability import figures
from experiments.trainability.config import PHASES, PRESETS, SCALES, expected_depths

CHANCE = np.log(3)
CONFIG = replace(
    PRESETS["tiny"],
    depths=(4, 8, 16),
    weight_variances=(1.0, 2.0),
    block_depths=(4, 8),
    block_learning_rates=(0.5, 0.125, 0.25),
)


def test_phase_diagram(tmp_path):
    # Of three seeds at each depth: the median fails at 8 and nowhere.
    plain = np.zeros((3, 2, 3))
    plain[1:, 0, :2] = CHANCE
    residual = np.full((3, 2, 3), np.inf)
    figure = figures.phase_diagram(CONFIG, {"plain": plain, "residual": residual}, CHANCE)
    left, right, _ = figure.axes
    lines = {line.get_label(): line.get_xydata() for line in left.lines}
    boundary = lines["measured: loss reaches ½ ln K (range over seeds)"]
    np.testing.assert_allclose(boundary, [[1, 4 * 2**0.5]])
    assert lines["measured: all depths train"].tolist() == [[2, 16]]
    theory = lines[r"theory: $6\,\xi_c$"]
    np.testing.assert_allclose(theory[:, 1], expected_depths(CONFIG, theory[:, 0]))
    (edge,) = [x for label, x in lines.items() if "order | chaos" in label]
    assert edge[:, 0] == pytest.approx([1.761] * 2, abs=1e-3)
    # The theory is of the first arm only.
    assert not any("theory" in str(line.get_label()) for line in right.lines)
    medians = left.collections[0].get_array()
    np.testing.assert_allclose(medians.reshape(3, 2), [[0, 0], [CHANCE, 0], [CHANCE, 0]])
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_an_infinite_depth_is_drawn_far_above_the_axes(monkeypatch):
    monkeypatch.setattr(
        figures, "expected_depths", lambda config, where: np.full(len(where), np.inf)
    )
    figure = figures.phase_diagram(CONFIG, {"plain": np.zeros((3, 2, 3))}, CHANCE)
    (theory,) = [line for line in figure.axes[0].lines if line.get_label() == r"theory: $6\,\xi_c$"]
    assert theory.get_ydata().min() > 1e6
    assert figure.axes[0].get_ylim()[1] < 100


def test_one_depth_and_one_variance_have_a_cell():
    config = replace(CONFIG, depths=(8,), weight_variances=(1.5,))
    axes = figures.phase_diagram(config, {"plain": np.zeros((1, 1, 2))}, CHANCE).axes[0]
    assert axes.get_xlim() == (1.0, 2.0)
    assert axes.get_ylim() == pytest.approx((8 / 2**0.5, 8 * 2**0.5))


def test_depth_transfer(tmp_path):
    losses = np.array([[[0.5, 0.7], [0.2, 0.4], [0.3, np.inf]], [[np.inf] * 2] * 3])
    best = np.array([[-2.0, -1.0], [np.nan, np.nan]])
    figure = figures.depth_transfer(
        CONFIG, {"1-layer blocks": {"a": losses}}, {"1-layer blocks": {"a": best}}, CHANCE
    )
    rates, by_depth = figure.axes
    by_label = {line.get_label(): line for line in rates.lines}
    # The rates rise, whatever their order in the configuration.
    assert by_label["4 blocks"].get_xdata().tolist() == [-3, -2, -1]
    np.testing.assert_allclose(by_label["4 blocks"].get_ydata(), [0.6, 0.3, np.nan])
    assert np.isnan(by_label["8 blocks"].get_ydata()).all()
    crosses = [line for line in rates.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in crosses] == [[-1], [-3, -2, -1]]
    marks = [line for line in rates.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [line.get_xydata().tolist() for line in marks] == [[[-2, 0.30000000000000004]]]
    # A depth without a rate that trains has no point.
    assert by_depth.lines[0].get_ydata().tolist() == [-1.5]
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_every_arm_has_a_label_and_a_style():
    assert {*figures.LABELS} == {*PHASES, *SCALES}
    assert len(figures.ARM_STYLES) == len(SCALES)
