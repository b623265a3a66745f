"""Curves: random nets beside theory, shares, training losses, medians and ranges over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxseg.plots.style import CYCLE, GHOST, MEASURED, NEUTRAL, THEORY, plain_axes


def nets_and_theory(
    axes: Axes,
    nets: np.ndarray,
    theory: np.ndarray,
    *,
    before: np.ndarray | None = None,
    label: str = "random nets",
    formula: str = "theory",
    marker: str = "-",
) -> None:
    """Draw a quantity layer by layer in some random nets, with the theory dashed.

    Args:
        axes: Where to draw; the x axis counts layers from 0.
        nets: (nets, layers) measured values.
        theory: (layers,) expected values.
        before: (layers,) theory for the settings before these, drawn as a ghost.
        label: Name of the nets.
        formula: Name of the theory.
        marker: Matplotlib's line or marker of the nets.
    """
    if before is not None:
        axes.plot(before, "--", color=GHOST, linewidth=1.6, label="theory, one setting before")
    for number, net in enumerate(nets):
        axes.plot(
            net,
            marker,
            color=MEASURED,
            linewidth=0.9,
            markersize=4,
            label=None if number else label,
        )
    axes.plot(theory, "--", color=THEORY, linewidth=1.6, label=formula)
    plain_axes(axes)
    axes.legend(fontsize=8, frameon=False, loc="upper left")


def shares(
    offsets: np.ndarray,
    bars: Mapping[str, np.ndarray],
    *,
    curve: tuple[np.ndarray, np.ndarray, str] | None = None,
    limits: tuple[tuple[float, float], tuple[float, float]],
    xlabel: str,
    title: str = "",
) -> Figure:
    """Draw shares as bars, of which the second kind is narrower and lies on the first.

    Args:
        offsets: (n,) places of the bars.
        bars: Name -> (n,) shares, one or two kinds.
        curve: Places, values and name of a dashed curve.
        limits: Limits of the x and the y axis.
        xlabel: What the places are.
        title: Title of the figure.
    """
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    axes = figure.subplots()
    step = float(np.min(np.diff(offsets)))
    styles = ((1.0, "#9ecae1" if len(bars) == 1 else "#cfcfcf"), (0.5, MEASURED))
    for (name, values), (width, color) in zip(bars.items(), styles, strict=False):
        axes.bar(offsets, values, width=width * step, color=color, label=name)
    if curve is not None:
        axes.plot(*curve[:2], "--", color=THEORY, label=curve[2])
    axes.set(xlim=limits[0], ylim=limits[1], xlabel=xlabel, ylabel="share")
    axes.set_title(title, fontsize=9)
    plain_axes(axes)
    axes.legend(fontsize=8, frameon=False, loc="upper right")
    return figure


def profiles(
    offsets: np.ndarray,
    lines: Mapping[str, np.ndarray],
    *,
    limits: tuple[tuple[float, float], tuple[float, float]],
    xlabel: str,
    title: str = "",
) -> Figure:
    """Draw shares of several kinds as steps, one on the other.

    Args:
        offsets: (n,) places, such as pixels from the middle of a field.
        lines: Name -> (n,) shares.
        limits: Limits of the x and the y axis.
        xlabel: What the places are.
        title: Title of the figure.
    """
    figure = Figure(figsize=(7.4, 3.0), layout="constrained")
    axes = figure.subplots()
    for (name, line), color in zip(lines.items(), (CYCLE[1], MEASURED, *CYCLE), strict=False):
        axes.step(offsets, line, where="mid", color=color, label=name, linewidth=1.6)
    axes.set(xlim=limits[0], ylim=limits[1], xlabel=xlabel, ylabel="share")
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="upper right")
    plain_axes(axes)
    return figure


def training_curves(
    panels: Mapping[str, Mapping[str, np.ndarray]],
    *,
    steps_per_value: int = 1,
    chance: float | None = None,
    ylim: tuple[float, float] | None = None,
) -> Figure:
    """Draw training losses, one panel a setting, a color a kind of net, a line a seed.

    Args:
        panels: Title -> name of the net -> (seeds, values) losses in nats.
        steps_per_value: Steps that each value averages.
        chance: Loss of a net that knows nothing, as a dotted line.
        ylim: Limits of the y axis.
    """
    figure = Figure(figsize=(max(4.4, 2.9 * len(panels)), 3.5), layout="constrained")
    row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, nets) in zip(row, panels.items(), strict=True):
        for (name, losses), color in zip(nets.items(), CYCLE, strict=False):
            steps = steps_per_value * (np.arange(losses.shape[1]) + 1)
            for number, line in enumerate(losses):
                label = None if number else name
                axes.plot(steps, line, color=color, linewidth=1.2, label=label)
        if chance is not None:
            axes.axhline(chance, color="black", linestyle=":", linewidth=1, label="chance")
        axes.set(xlabel="step", ylim=ylim)
        axes.set_title(title, fontsize=9)
        plain_axes(axes)
    row[0].set_ylabel("training loss (nats)")
    handles, labels = row[-1].get_legend_handles_labels()
    columns = 3 if len(panels) == 1 else 5
    figure.legend(
        handles, labels, fontsize=8, frameon=False, ncols=columns, loc="outside lower center"
    )
    return figure


def medians(
    x: Sequence[float],
    nets: Mapping[str, np.ndarray],
    *,
    xlabel: str,
    ylabel: str,
    log_x: bool = False,
    chance: float | None = None,
    title: str = "",
) -> Figure:
    """Draw the median over seeds of each kind of net, with the range as bars.

    Args:
        x: (n,) places.
        nets: Name -> (seeds, n) values; values that are not finite are left out.
        xlabel: What the places are.
        ylabel: What the values are.
        log_x: Whether the x axis is logarithmic, with each place labeled.
        chance: Value of a net that knows nothing, as a dotted line.
        title: Title of the figure.
    """
    figure = Figure(figsize=(7.4, 3.5), layout="constrained")
    axes = figure.subplots()
    style: dict[str, Any] = {"fmt": "o-", "markersize": 4, "linewidth": 1.6, "capsize": 2}
    for (name, values), color in zip(nets.items(), CYCLE, strict=False):
        values = np.where(np.isfinite(values), values, np.nan)
        middle = np.nanmedian(values, axis=0)
        below, above = middle - np.nanmin(values, axis=0), np.nanmax(values, axis=0) - middle
        axes.errorbar(x, middle, [below, above], color=color, label=name, **style)
    if chance is not None:
        axes.axhline(chance, color="black", linestyle=":", linewidth=1, label="chance")
    if log_x:
        axes.set_xscale("log")
        axes.set_xticks(x, [f"{value:g}" for value in x], fontsize=8)
        axes.minorticks_off()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title, fontsize=9)
    plain_axes(axes)
    figure.legend(fontsize=8, frameon=False, ncols=5, loc="outside lower center")
    return figure


def points_by_layer(layers: Mapping[str, np.ndarray], *, ylabel: str, title: str = "") -> Figure:
    """Draw one point an example in a column a layer, with the median as a bar, on a log scale.

    Args:
        layers: Name of the layer -> (examples,) positive values.
        ylabel: What the values are.
        title: Title of the figure.
    """
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    axes = figure.subplots()
    for number, values in enumerate(layers.values(), 1):
        jitter = np.random.default_rng(number).uniform(-0.2, 0.2, len(values))
        axes.plot(number + jitter, values, ".", color=MEASURED, alpha=0.6, markersize=4)
        axes.hlines(np.median(values), number - 0.3, number + 0.3, color=THEORY)
    axes.plot([], [], color=THEORY, label="median")
    axes.set_xticks(range(1, len(layers) + 1), [*layers])
    axes.set(yscale="log", ylabel=ylabel)
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    plain_axes(axes)
    return figure


def against_share(
    shares: np.ndarray, lines: Mapping[str, np.ndarray], *, at: float, xlabel: str, title: str = ""
) -> Figure:
    """Draw quantities in 0..1 against a share, with their values at one share written beside.

    Args:
        shares: (n,) places.
        lines: Name -> (n,) values.
        at: The share to mark.
        xlabel: What the share is.
        title: Title of the figure.
    """
    figure = Figure(figsize=(7.0, 3.5), layout="constrained")
    axes = figure.subplots()
    for (name, line), color in zip(lines.items(), (NEUTRAL, MEASURED, *CYCLE), strict=False):
        axes.plot(shares, line, color=color, linewidth=1.8, label=name)
        value = float(np.interp(at, shares, line))
        axes.plot([at], [value], "o", color=THEORY)
        axes.annotate(
            f"{value:.3f}", (at, value), xytext=(7, -12), textcoords="offset points", fontsize=9
        )
    axes.axvline(at, color=THEORY, linewidth=1)
    axes.set(xlabel=xlabel, ylim=(0, 1.05), xlim=(0, 1.04 * shares.max()))
    axes.set_title(title, fontsize=9)
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=len(lines))
    plain_axes(axes)
    return figure
