"""Receptive fields that differ between output pixels, and paths that lead to each of them."""

from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from jaxseg.plots.effective_fields import GAUSSIAN
from jaxseg.plots.printed import PAGE


def output_phases(intervals: np.ndarray, *, title: str = "") -> Figure:
    """Draw receptive fields that differ between neighboring output pixels.

    Args:
        intervals: (phases, 2) first and last input pixel that each phase of an axis sees, counted
            from the output pixel's own place; the same along both axes.
        title: Title of the figure.
    """
    intervals = np.asarray(intervals)
    figure = Figure(figsize=(PAGE, 4.2), layout="constrained")
    figure.suptitle(title, fontsize=10)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.35))
    sizes = intervals[:, 1] - intervals[:, 0] + 1
    _squares(left, sizes)
    _bars(right, intervals, sizes)
    return figure


def _shades(number: int) -> np.ndarray:
    return colormaps["GnBu"](np.linspace(0.2, 0.65, number))


def _squares(axes: Axes, sizes: np.ndarray) -> None:
    """Draw the field of each output pixel of a period, height × width."""
    ticks = np.arange(0, len(sizes), max(1, len(sizes) // 4))
    axes.tick_params(length=0)
    pairs = {(h, w): h * w for h in sizes.tolist() for w in sizes.tolist()}
    areas = sorted(set(pairs.values()))
    colors = _shades(len(areas))
    ranks = np.searchsorted(areas, np.multiply.outer(sizes, sizes))
    axes.imshow(ranks, cmap=ListedColormap(colors), vmin=-0.5, vmax=len(areas) - 0.5)
    edges = np.arange(len(sizes) + 1) - 0.5
    axes.hlines(edges, -0.5, len(sizes) - 0.5, color="white", linewidth=0.8)
    axes.vlines(edges, -0.5, len(sizes) - 0.5, color="white", linewidth=0.8)
    axes.spines[:].set_visible(False)
    axes.set(xticks=ticks, yticks=ticks, xlabel="column's phase", ylabel="row's phase")
    axes.set_title("field of each output pixel of a period", fontsize=9)
    handles = []
    for area, color in zip(areas, colors, strict=True):
        shapes = sorted(pair for pair, product in pairs.items() if product == area)
        number = int(np.sum(ranks == areas.index(area)))
        label = " or ".join(rf"${h} \times {w}$" for h, w in shapes)
        handles.append(Patch(color=color, label=f"{label}\n({number} of {ranks.size})"))
    axes.legend(
        handles=handles,
        fontsize=8,
        frameon=False,
        loc="upper center",
        ncols=3,
        bbox_to_anchor=(0.5, -0.16),
        handlelength=1,
        columnspacing=1.2,
    )


def _bars(axes: Axes, intervals: np.ndarray, sizes: np.ndarray) -> None:
    """Draw the interval that each phase sees, about the output pixel, and its middle."""
    areas = sorted({h * w for h in sizes.tolist() for w in sizes.tolist()})
    phases, shades = np.arange(len(sizes)), _shades(len(areas))
    colors = [shades[areas.index(int(n) ** 2)] for n in sizes]
    axes.barh(phases, sizes, left=intervals[:, 0] - 0.5, height=0.72, color=colors)
    axes.plot(
        intervals.mean(axis=1),
        phases,
        "|",
        color="black",
        markersize=9,
        markeredgewidth=1.6,
        label="middle of the field",
    )
    axes.axvline(0, color=GAUSSIAN, linewidth=1.2, label="the output pixel")
    for phase, (size, last) in enumerate(zip(sizes, intervals[:, 1], strict=True)):
        axes.annotate(
            f"{size}",
            (last + 0.5, phase),
            xytext=(3, 0),
            va="center",
            fontsize=7,
            textcoords="offset points",
        )
    axes.spines[["top", "right", "left"]].set_visible(False)
    ticks = phases[:: max(1, len(phases) // 4)]
    axes.set(yticks=ticks, ylabel="phase", xlabel="input pixel, from the output pixel")
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.margins(y=0.02)
    axes.set_xlim(intervals.min() - 0.04 * sizes.max(), intervals.max() + 0.12 * sizes.max())
    axes.set_title("what each phase sees along an axis", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="upper center", ncols=2, bbox_to_anchor=(0.5, -0.16))


def overlaps(counts: Mapping[str, np.ndarray], *, title: str = "") -> Figure:
    """Write into each of some output pixels how many paths lead to it.

    Args:
        counts: Name -> (height, width) integers, none negative; each map is shaded from 0 to its
            largest.
        title: Title of the figure.
    """
    figure = Figure(figsize=(min(PAGE, 0.4 + 2.6 * len(counts)), 3.1), layout="constrained")
    figure.suptitle(title, fontsize=10)
    row = figure.subplots(1, len(counts), squeeze=False)[0]
    for axes, (name, paths) in zip(row, counts.items(), strict=True):
        paths = np.asarray(paths)
        axes.imshow(paths, cmap="Blues", vmin=0, vmax=1.25 * paths.max())
        for (i, j), number in np.ndenumerate(paths):
            color = "white" if number > 0.7 * paths.max() else "black"
            axes.text(j, i, f"{number}", ha="center", va="center", fontsize=7, color=color)
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=9)
        fewest, most = paths.min(), paths.max()
        ratio = f"{most / fewest:g}" if fewest else f"{most} / 0, some outputs have none"
        axes.set_xlabel(f"most over fewest: {ratio}", fontsize=8)
    return figure
