"""Curves, shares and signals: what is drawn, and limits that keep still."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxseg import plots


def labels(axes):
    return [line.get_label() for line in axes.lines if not line.get_label().startswith("_")]


@pytest.mark.parametrize("before", [None, np.ones(5)])
def test_nets_are_named_once_and_the_setting_before_is_a_ghost(before):
    axes = Figure().subplots()
    plots.nets_and_theory(axes, np.arange(10).reshape(2, 5), np.zeros(5), before=before)
    ghost = [] if before is None else ["theory, one setting before"]
    assert labels(axes) == [*ghost, "random nets", "theory"]
    assert len(axes.lines) == 3 + len(ghost)


def test_limits_hold_what_is_drawn_and_change_by_powers_of_two():
    for low, high in ((-0.1, 2.9), (-50.0, 0.0), (0.5, 13.0), (-3.0, 3.0)):
        bottom, top = plots.steady_limits(low, high, least=3.0)
        assert bottom <= low <= high <= top
        assert np.log2(-bottom / 3) % 1 == np.log2(top / 3) % 1 == 0


def test_shares_profiles_and_points():
    figure = plots.shares(
        np.arange(3),
        {"a": np.array([0.2, 0.5, 0.3]), "b": np.array([0.1, 0.8, 0.1])},
        curve=(np.arange(3), np.ones(3), "c"),
        limits=((-1, 3), (0, 1)),
        xlabel="x",
    )
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == [0.2, 0.5, 0.3, 0.1, 0.8, 0.1]
    figure = plots.profiles(
        np.arange(2), {"a": np.ones(2)}, limits=((0, 1), (0, 2)), xlabel="x", title="t"
    )
    assert labels(figure.axes[0]) == ["a"]
    figure = plots.points_by_layer({"conv": np.array([1.0, 2, 4])}, ylabel="norm")
    assert figure.axes[0].get_yscale() == "log"


def test_training_curves_have_a_panel_a_setting_and_a_line_a_seed():
    nets = {"plain": np.ones((2, 4)), "residual": np.zeros((3, 4))}
    figure = plots.training_curves({"8": nets, "16": nets}, steps_per_value=10, chance=1.1)
    for axes in figure.axes:
        assert len(axes.lines) == 6
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), [10, 20, 30, 40])
    assert figure.axes[0].get_ylabel() == "training loss (nats)"


def test_medians_leave_out_what_diverged():
    values = np.array([[1.0, 2], [3, np.inf], [2, 4]])
    figure = plots.medians(
        [0.001, 0.01], {"net": values}, xlabel="rate", ylabel="loss", log_x=True, chance=5
    )
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [2, 3])
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.001", "0.01"]


def test_values_are_written_where_the_share_is_marked():
    figure = plots.against_share(
        np.array([0.0, 0.5]), {"a": np.array([0.0, 1.0])}, at=0.25, xlabel="share"
    )
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.500"]


def test_signals_and_gradients():
    signal = np.array([1.0, 2, 4]), np.array([0.3, 0.6, 0.9])
    left, right = plots.signal_propagation(signal, signal, before=signal, most_layers=9).axes
    for axes, values in ((left, signal[0]), (right, signal[1])):
        assert axes.get_xlim() == (-1, 10)
        for line in axes.lines:
            np.testing.assert_array_equal(line.get_ydata(), values)
    circle = {"plain": np.array([1.0, -2, 0, 1]), "residual": np.array([1.0, 1, 2, 2])}
    cosines = {name: np.array([1.0, 0.5]) for name in circle}
    figure = plots.shattering(circle, cosines, title="t")
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == [*circle]
