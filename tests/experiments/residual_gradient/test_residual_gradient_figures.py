"""The figures of the residual_gradient study show the numbers that they are given."""

import numpy as np
import pytest

from experiments.residual_gradient import figures
from experiments.residual_gradient.config import ARMS


def rows(arms, quantities, places):
    return [
        {
            "arm": arm,
            "quantity": quantity,
            "at": at,
            "mean": 0.5 / (number + at),
            "sd": 0.01,
            "theory": 0.4 / (number + at),
            "seeds": 4,
        }
        for number, arm in enumerate(arms, 1)
        for quantity in quantities
        for at in places
    ]


def test_every_arm_has_a_style():
    assert list(figures.STYLES) == list(ARMS)


def test_profiles_are_drawn_with_their_theory(tmp_path):
    quantities = ("log_moment", "correlation", "log_gradient", "gradient_correlation")
    table = rows(("plain", "residual"), quantities, range(4))
    figure = figures.signal_profiles(table, title="t")
    axes = [a for a in figure.axes if a.lines]
    assert [len(a.lines) for a in axes] == [4] * 5
    measured, theory = axes[0].lines[:2]
    np.testing.assert_allclose(measured.get_ydata() / theory.get_ydata(), 1.25)
    # Natural logarithms are drawn to base 10, cosines as they are.
    np.testing.assert_allclose(measured.get_ydata(), 0.5 / (1 + np.arange(4)) / np.log(10))
    np.testing.assert_allclose(axes[3].lines[0].get_ydata(), 0.5 / (1 + np.arange(4)))
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_shattering_shows_depths_and_angles(tmp_path):
    arms = ("plain", "residual_norm")
    depths = rows(arms, ("gradient_correlation",), (1, 2, 4))
    angles = rows(arms, ("gradient_correlation",), (0.01, 1.0))
    figure = figures.shattering(depths, angles, layers=7, wide_to=3.0, title="t")
    left, right = figure.axes
    assert left.get_xscale() == left.get_yscale() == right.get_xscale() == "log"
    assert right.get_title() == "two near inputs, 7 layers"
    dashed = [line for line in right.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(dashed[0].get_ydata(), [0.4 / 1.01, 0.2])
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_means_that_noise_hides_are_left_out_on_the_logarithmic_axis_alone():
    table = rows(("plain",), ("gradient_correlation",), (1, 2))
    table[1]["mean"] = 0.0099  # two standard errors are 0.01
    figure = figures.shattering(table, table, layers=7, title="t")
    drawn = [axes.containers[0].lines[0].get_xdata().tolist() for axes in figure.axes]
    assert drawn == [[1], [1, 2]]


def test_histograms_stand_beside_normals(tmp_path):
    logs = {"forward": np.linspace(-1, 1, 50), "gradient": np.array([0.0, 1, -np.inf])}
    figure = figures.log_growth(logs, {"theory": (0.5, 4.0)}, title="t")
    left, right = figure.axes
    (normal,) = left.lines
    at, density = normal.get_data()
    assert density.max() == pytest.approx(1 / np.sqrt(2 * np.pi * 4), rel=1e-3)
    assert at[density.argmax()] == pytest.approx(0.5, abs=0.01)
    assert "mean 0.50, variance 0.25" in right.get_legend().texts[0].get_text()
    figure.savefig(tmp_path / "f.png", dpi=40)
