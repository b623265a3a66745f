"""Figures of signals show the numbers they are given."""

import numpy as np

from jaxseg import plots


def rows(arms, quantities, places):
    return [
        {
            "arm": arm,
            "quantity": q,
            "at": at,
            "mean": 0.5 / (i + at),
            "sd": 0.01,
            "theory": 0.4 / (i + at),
            "seeds": 4,
        }
        for i, arm in enumerate(arms, 1)
        for q in quantities
        for at in places
    ]


def test_profiles_are_drawn_with_their_theory(tmp_path):
    quantities = ("log_moment", "correlation", "log_gradient", "gradient_correlation")
    figure = plots.signal_profiles(rows(("plain", "residual"), quantities, range(4)), title="t")
    axes = [a for a in figure.axes if a.lines]
    assert [len(a.lines) for a in axes] == [4] * 5
    measured, theory = axes[0].lines[:2]
    np.testing.assert_allclose(measured.get_ydata() / theory.get_ydata(), 1.25)
    np.testing.assert_allclose(axes[3].lines[0].get_ydata(), 0.5 / (1 + np.arange(4)))
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_shattering_shows_depths_and_angles(tmp_path):
    arms = ("plain", "residual_norm")
    depths = rows(arms, ("gradient_correlation",), (1, 2, 4))
    angles = rows(arms, ("gradient_correlation",), (0.01, 1.0))
    figure = plots.shattering(depths, angles, layers=7, wide_to=3.0, title="t")
    left, right = figure.axes
    assert left.get_xscale() == left.get_yscale() == "log"
    assert right.get_title() == "two near inputs, 7 layers"
    dashed = [line for line in right.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(dashed[0].get_ydata(), [0.4 / 1.01, 0.2])
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_histograms_stand_beside_normals(tmp_path):
    logs = {"forward": np.linspace(-1, 1, 50), "gradient": np.array([0.0, 1, -np.inf])}
    figure = plots.log_growth(logs, {"theory": (0.0, 1.0)}, title="t")
    left, right = figure.axes
    (normal,) = left.lines
    assert normal.get_ydata().max() <= 1 / np.sqrt(2 * np.pi)
    assert "mean 0.50, variance 0.25" in right.get_legend().texts[0].get_text()
    figure.savefig(tmp_path / "f.png", dpi=40)
