"""Figures of trainability show the numbers they are given."""

import numpy as np

from jaxseg import plots

CHANCE = np.log(3)


def test_phase_diagram(tmp_path):
    depths, variances = (4, 8, 16), (1.0, 2.0)
    middle = np.array([8.0, 16.0])
    figure = plots.phase_diagram(
        losses={"plain": np.zeros((3, 2)), "residual": np.full((3, 2), np.inf)},
        weight_variances=variances,
        depths=depths,
        chance=CHANCE,
        boundary=dict.fromkeys(("plain", "residual"), np.array([middle / 2, middle, middle])),
        theory=(np.array([1.0, 1.5, 2.0]), np.array([6.0, np.inf, 9.0])),
        critical=1.5,
        title="t",
    )
    plain, residual, _ = figure.axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in plain.lines}
    assert lines["measured: loss reaches ½ ln K (range over seeds)"] == [[1, 8]]
    assert lines["measured: all depths train"] == [[2, 16]]
    theory = lines[r"theory: $6\,\xi_c$"]
    assert theory[0] == [1, 6]
    assert theory[1][1] > 1e6
    # The theory is of the first arm only.
    assert not any("theory" in str(line.get_label()) for line in residual.lines)
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_depth_transfer(tmp_path):
    losses = np.array([[[0.5, 0.7], [0.2, 0.4], [0.3, np.inf]], [[np.inf] * 2] * 3])
    figure = plots.depth_transfer(
        losses={"1-layer blocks": {"a": losses}},
        best={"1-layer blocks": {"a": np.array([[-2.0, -1.0], [np.nan, np.nan]])}},
        log2_rates=(-3, -2, -1),
        depths=(4, 8),
        chance=CHANCE,
        title="t",
    )
    rates, best = figure.axes
    by_label = {line.get_label(): line for line in rates.lines}
    np.testing.assert_allclose(by_label["4 blocks"].get_ydata(), [0.6, 0.3, np.nan])
    assert np.isnan(by_label["8 blocks"].get_ydata()).all()
    crosses = [line for line in rates.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in crosses] == [[-1], [-3, -2, -1]]
    marks = [line for line in rates.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [line.get_xydata().tolist() for line in marks] == [[[-2, 0.30000000000000004]]]
    # A depth without a rate that trains has no point.
    assert best.lines[0].get_ydata().tolist() == [-1.5]
    figure.savefig(tmp_path / "f.png", dpi=40)
