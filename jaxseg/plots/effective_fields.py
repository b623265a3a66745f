"""Effective receptive fields in their theoretical windows, with the Gaussians fitted to them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, Patch
from matplotlib.ticker import MaxNLocator

from jaxseg.plots.fields import PAPER, WINDOW, Window, frame, look_at
from jaxseg.plots.printed import PAGE

GAUSSIAN = "#e76f2c"
ENERGY = "#6a51a3"
DASHES = (0, (4, 2))


def effective_field(
    energy: Sequence[np.ndarray],
    windows: Sequence[Window],
    center: Sequence[np.ndarray],
    width: Sequence[np.ndarray],
    *,
    labels: Sequence[str],
    title: str = "",
) -> Figure:
    """Draw effective fields in their theoretical windows, and below them their sums over rows.

    The Gaussian that was fitted is drawn too: ellipses of one and two standard deviations, and its
    density along the columns. (A cut along a single row may lie in the holes of a dilated net.)

    Args:
        energy: (rows, columns) shares of each panel, such as `EffectiveField.energy`.
        windows: The theoretical field of each panel.
        center: (row, column) of each fitted Gaussian, in pixels.
        width: Its standard deviation along rows and columns, in pixels.
        labels: One name a panel.
        title: Title of the figure.

    Raises:
        ValueError: An energy does not have two axes.
    """
    figure = Figure(figsize=(min(PAGE, 0.8 + 2.6 * len(energy)), 4.9), layout="constrained")
    figure.suptitle(title, fontsize=10)
    upper, lower = figure.subplots(2, len(energy), squeeze=False, height_ratios=(2, 1))
    for n, (map_, label) in enumerate(zip(energy, labels, strict=True)):
        map_ = np.nan_to_num(np.asarray(map_, float))
        if map_.ndim != 2:
            raise ValueError(
                f"The energy of {label!r} has shape {map_.shape}, but only (rows, columns) can be "
                "drawn: sum over the other axes, or take an entry of them."
            )
        gaussian = np.asarray(center[n], float), np.asarray(width[n], float)
        _heat(upper[n], map_, windows[n], *gaussian)
        _profile(lower[n], map_.sum(axis=0), windows[n], *gaussian)
        upper[n].set_title(label, fontsize=9)
        for axis in (upper[n].xaxis, upper[n].yaxis, lower[n].xaxis):
            axis.set_major_locator(MaxNLocator(5, integer=True))
            axis.set_tick_params(labelsize=7)
    upper[0].set_ylabel("row (pixels)", fontsize=8)
    lower[0].set_ylabel("share of energy", fontsize=8)
    handles = [
        Patch(fill=False, edgecolor=WINDOW, linewidth=1.5, label="theoretical field"),
        Patch(color=ENERGY, alpha=0.6, label="energy of the gradient"),
        Line2D([], [], color=GAUSSIAN, label=r"Gaussian; above, 1$\sigma$"),
        Line2D([], [], color=GAUSSIAN, linestyle=DASHES, label=r"2$\sigma$"),
    ]
    columns = 4 if len(energy) > 1 else 2
    figure.legend(
        handles=handles, fontsize=8, frameon=False, ncols=columns, loc="outside lower center"
    )
    return figure


def _heat(
    axes: Axes, map_: np.ndarray, window: Window, center: np.ndarray, width: np.ndarray
) -> None:
    """Draw a map of energy, the window, and ellipses of one and two standard deviations."""
    axes.set_facecolor(PAPER)
    axes.imshow(map_, cmap="Purples", norm=PowerNorm(0.5, 0, map_.max() or 1))
    axes.add_patch(frame(window, fill=False, edgecolor=WINDOW, linewidth=1.5))
    for deviations, line in ((1, "-"), (2, DASHES)):
        rows, columns = 2 * deviations * width
        axes.add_patch(
            Ellipse(
                (center[1], center[0]),
                columns,
                rows,
                fill=False,
                edgecolor=GAUSSIAN,
                linewidth=1.2,
                linestyle=line,
            )
        )
    low, high = np.transpose(window)
    look_at(axes, low, high)


def _profile(
    axes: Axes, shares: np.ndarray, window: Window, center: np.ndarray, width: np.ndarray
) -> None:
    """Draw the map's share of each column, and the Gaussian's."""
    columns = np.arange(len(shares))
    axes.fill_between(columns, shares, step="mid", color=ENERGY, alpha=0.35, linewidth=0)
    axes.step(columns, shares, where="mid", color=ENERGY, linewidth=1)
    left, right = window[1]
    if width[1] > 0:
        along = np.linspace(left - 0.5, right + 0.5, 400)
        bell = np.exp(-0.5 * ((along - center[1]) / width[1]) ** 2) / width[1] / np.sqrt(2 * np.pi)
        axes.plot(along, bell, color=GAUSSIAN, linewidth=1.4)
        axes.text(
            0.06,
            0.97,
            rf"$\sigma$ = {width[1]:.1f} of {right - left + 1} pixels",
            transform=axes.transAxes,
            va="top",
            fontsize=8,
        )
    for edge in (left - 0.5, right + 0.5):
        axes.axvline(edge, color=WINDOW, linewidth=1.5)
    margin = 0.5 + 0.03 * (right - left + 1)
    axes.set(xlim=(left - margin, right + margin), yticks=[])
    axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
    axes.set_xlabel("column (pixels)", fontsize=8)
