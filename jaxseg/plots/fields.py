"""Receptive fields: windows, paths and holes, and growth with depth.

A window is ((top, bottom), (left, right)), the first and the last pixel of each axis, both
included. It may leave the image: what it sees there is padding.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from jaxseg.plots.printed import PAGE

Window = Sequence[Sequence[int]]
"""((top, bottom), (left, right)), inclusive."""
HOLE = "#e4572e"
WINDOW = "#2a9d8f"
PAPER = "#e4e4e4"
"""Background outside of the image."""
GROWTH = {
    "plain": {"color": "#777777", "marker": "s", "markersize": 4, "linewidth": 1.6},
    "striding": {"color": "#e39aa0", "marker": "^", "markersize": 9, "linewidth": 5},
    "dilation": {"color": "#0b5fa5", "marker": "o", "markersize": 4, "linewidth": 1.6},
}
"""Line styles. Striding is wide and pale because dilation may lie on top of it."""


def windows(
    image: np.ndarray | tuple[int, int],
    windows: Sequence[Window],
    labels: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Draw receptive fields as frames on an image.

    Args:
        image: (height, width) or (height, width, channels) in 0..1; or a size (height, width),
            whose pixels are drawn as a grid.
        windows: Windows, such as those of one output pixel at each layer, drawn in this order. One
            that equals an earlier one is dashed, so that both can be seen.
        labels: One name a window, shown beside its height × width.
        title: Title of the figure.
    """
    figure = Figure(figsize=(6.6, 4.6), layout="constrained")
    axes = figure.subplots()
    size = image if isinstance(image, tuple) else image.shape[:2]
    _backdrop(axes, image, size)
    colors = colormaps["plasma"](np.linspace(0, 0.9, len(windows)))
    handles = []
    for window, label, color in zip(windows, labels, colors, strict=True):
        height, width = (high - low + 1 for low, high in window)
        again = any(np.array_equal(window, w) for w in windows[: len(handles)])
        style = {
            "fill": False,
            "edgecolor": color,
            "linewidth": 1.8,
            "linestyle": (0, (3, 3)) if again else "-",
        }
        # The white rims lie below all frames, so that none hides the frame next to its own.
        axes.add_patch(frame(window, fill=False, edgecolor="white", linewidth=3.2, zorder=0.9))
        axes.add_patch(frame(window, **style))
        handles.append(Patch(label=rf"{label}: ${height} \times {width}$", **style))
    whole = [*windows, tuple((0, n - 1) for n in size)]
    look_at(axes, np.min(whole, axis=0)[:, 0], np.max(whole, axis=0)[:, 1])
    axes.set(xlabel="column (pixels)", ylabel="row (pixels)")
    axes.set_title(title, fontsize=9)
    axes.legend(
        handles=handles, fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5)
    )
    return figure


def _backdrop(axes: Axes, image: Any, size: tuple[int, ...]) -> None:
    """Draw the image, or empty pixels, on a gray background."""
    axes.set_facecolor(PAPER)
    height, width = size
    if isinstance(image, tuple):
        axes.add_patch(frame(((0, height - 1), (0, width - 1)), facecolor="white", zorder=0.5))
        step = max(1, max(size) // 32)
        grid: dict[str, Any] = {"color": "#dddddd", "linewidth": 0.5, "zorder": 0.6}
        axes.hlines(np.arange(0, height + 1, step) - 0.5, -0.5, width - 0.5, **grid)
        axes.vlines(np.arange(0, width + 1, step) - 0.5, -0.5, height - 0.5, **grid)
    else:
        pixels = np.clip(image, 0, 1).reshape(height, width, -1)
        axes.imshow(np.broadcast_to(pixels, (height, width, 3)), interpolation="nearest")


def frame(window: Window, **style: Any) -> Rectangle:
    """Frame pixels, whose centers are at integers.

    Args:
        window: Their first and last rows and columns.
        **style: What matplotlib's `Rectangle` takes.
    """
    (top, bottom), (left, right) = window
    return Rectangle((left - 0.5, top - 0.5), right - left + 1, bottom - top + 1, **style)


def look_at(axes: Axes, low: np.ndarray, high: np.ndarray) -> None:
    """Show everything from pixel `low` to pixel `high`, with a margin around it.

    Args:
        axes: The axes.
        low: The first row and column.
        high: The last ones.
    """
    margin = 0.5 + 0.03 * np.max(high - low + 1)
    axes.set(
        xlim=(low[1] - margin, high[1] + margin),
        ylim=(high[0] + margin, low[0] - margin),
        aspect="equal",
    )


def path_counts(
    counts: Mapping[str, np.ndarray], *, title: str = "", side: int | None = None
) -> Figure:
    """Draw how many paths lead from each pixel to one output, on one log scale, and the holes.

    Args:
        counts: Name -> (height, width) counts, such as `np.outer(c, c)` of
            `hybrid_dilation(...).counts` or the sums of an upconvolution's overlaps. Each is shown
            relative to its largest; a count of zero is a hole.
        title: Title of the figure.
        side: Pixels along an axis for which there is room, so that a pixel keeps its size; by
            default those of the counts.

    Raises:
        ValueError: Counts do not have two axes, or are nowhere positive.
    """
    for name, count in counts.items():
        if np.ndim(count) != 2 or not np.max(count, initial=0) > 0:
            raise ValueError(
                f"The counts of {name!r}, of shape {np.shape(count)}, must be (height, width) with "
                "a positive one among them: of an axis's counts c draw np.outer(c, c)."
            )
    shares = {name: np.asarray(c, float) / np.max(c) for name, c in counts.items()}
    lowest = min(share[share > 0].min() for share in shares.values())
    norm = LogNorm(min(lowest, 0.5), 1)
    palette = colormaps["Blues"].with_extremes(bad=HOLE)
    larger = 1.0 if side is None else 1.5
    size = (min(PAGE, 0.9 + 2.5 * larger * len(counts)), 0.6 + 2.5 * larger)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, fontsize=10)
    row = figure.subplots(1, len(counts), squeeze=False)[0]
    for axes, (name, share) in zip(row, shares.items(), strict=True):
        seen = int(np.sum(share > 0))
        axes.imshow(np.where(share > 0, share, np.nan), cmap=palette, norm=norm)
        axes.set(xticks=[], yticks=[])
        if side is not None:
            (bottom, top), (left, right) = axes.get_ylim(), axes.get_xlim()
            more_rows, more_columns = ((side - n) / 2 for n in share.shape)
            axes.set_ylim(bottom + more_rows, top - more_rows)
            axes.set_xlim(left - more_columns, right + more_columns)
            axes.set_facecolor(PAPER)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(f"{seen} of {share.size} pixels seen", fontsize=8)
    if any((share == 0).any() for share in shares.values()):
        figure.legend(
            handles=[Patch(color=HOLE, label="hole: no path")],
            fontsize=8,
            frameon=False,
            loc="outside lower right",
        )
    bar = figure.colorbar(ScalarMappable(norm, palette), ax=[*row], shrink=0.75, pad=0.02)
    bar.set_label("paths / most paths", fontsize=8)
    ticks = [t for t in (1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 1e-3, 1e-4, 1e-6, 1e-9) if t >= lowest]
    bar.set_ticks(ticks, labels=[f"{t:g}" for t in ticks], fontsize=7)
    bar.ax.minorticks_off()
    return figure


def field_growth(
    depths: Sequence[int],
    sizes: Mapping[str, Sequence[int]],
    *,
    layers: str = "convolutions",
    title: str = "",
) -> Figure:
    """Draw the size of the receptive field against depth, on a log scale.

    Args:
        depths: Numbers of layers, the same for every line.
        sizes: Name -> pixels along an axis, one entry a depth; "plain", "striding" and "dilation"
            have line styles of their own.
        layers: What depth counts.
        title: Title of the figure.
    """
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    for number, (name, line) in enumerate(sizes.items()):
        style = GROWTH.get(name, {"color": f"C{number}", "marker": "D", "linewidth": 1.6})
        axes.plot(depths, line, label=name, zorder=2 + 1 / style["linewidth"], **style)
    for last in {line[-1] for line in sizes.values()}:
        axes.annotate(
            f"{last}",
            (depths[-1], last),
            fontsize=8,
            va="center",
            xytext=(7, 0),
            textcoords="offset points",
        )
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(depths)
    axes.margins(x=0.1)
    axes.grid(axis="y", linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xlabel=f"depth ({layers})", ylabel="receptive field (pixels)")
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    return figure
