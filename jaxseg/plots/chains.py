"""A chain of layers along one axis: its pixels, and the paths that lead to one output pixel."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from jaxseg.plots.fields import HOLE, WINDOW

_SEEN = "#0b5fa5"
_IDLE = "#d9d9d9"


def chain(
    links: Sequence[np.ndarray],
    places: Sequence[np.ndarray],
    names: Sequence[str],
    *,
    index: int,
    title: str = "",
    most_rows: int = 0,
    xlim: tuple[float, float] | None = None,
) -> Figure:
    """Draw the rows of pixels of a chain, the input lowest, and what one output pixel sees of each.

    The more paths lead from a pixel to the output, the darker it is, on one scale for all rows. The
    numbers of paths from the pixels of the input are written below; a pixel inside the field
    without a path is a hole.

    Args:
        links: One matrix a layer, (outputs, inputs), true where the output sees the input.
        places: Positions of the pixels of each row, in pixels of the input, the input's row first;
            one entry more than `links`.
        names: Names of the rows.
        index: Index of the output pixel.
        title: Title of the figure.
        most_rows: The figure has room for this many rows, so that the lowest ones keep still when
            others come or go.
        xlim: Limits of the x axis; by default what the rows span.

    Raises:
        ValueError: Numbers of rows or pixels do not fit, or the index is outside of the output.
    """
    _check(links, places, names, index)
    counts = [np.zeros(len(places[-1]))]
    counts[0][index] = 1
    for matrix in reversed(links):
        counts.insert(0, counts[0] @ np.asarray(matrix, float))
    room = max(most_rows, len(places))
    figure = Figure(figsize=(8.4, 1.0 + 0.85 * room), layout="constrained")
    axes = figure.subplots()
    for row, matrix in enumerate(links):
        _lines(axes, matrix, counts[row + 1] > 0, places[row], places[row + 1], row)
    most = max(count.max(initial=1) for count in counts)
    for row, (place, count) in enumerate(zip(places, counts, strict=True)):
        shade = np.where(count > 0, 0.35 + 0.65 * count / most, 0)
        colors = np.where((count > 0)[:, None], colormaps["Blues"](shade), colormaps["Greys"](0.1))
        edges = [_SEEN if seen else "#bbbbbb" for seen in count > 0]
        axes.scatter(
            place,
            np.full(len(place), row),
            s=_area(places),
            c=colors,
            edgecolors=edges,
            linewidths=0.8,
            zorder=3,
        )
    _field(axes, np.asarray(places[0]), counts[0])
    axes.set_yticks(range(len(places)), names)
    axes.set_ylim(-0.85, room - 0.65)
    axes.set_xlim(xlim)
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("place (pixels of the input)", fontsize=8)
    axes.set_title(title, fontsize=9)
    return figure


def _area(places: Sequence[np.ndarray]) -> float:
    """Choose the area of a marker so that the pixels of the densest row do not touch."""
    span = max(float(np.ptp(place)) for place in places) + 1
    closest = min((float(np.diff(place).min()) for place in places if len(place) > 1), default=1.0)
    return float(np.clip((420 * closest / span) ** 2, 3, 90))


def _lines(axes: Axes, matrix, used: np.ndarray, low, high, row: int) -> None:
    """Draw what every pixel of a row sees, in gray, and what those on a path see, in blue."""
    outputs, inputs = np.nonzero(matrix)
    ends = np.stack(
        [
            np.stack([np.asarray(low)[inputs], np.full(len(inputs), row)], -1),
            np.stack([np.asarray(high)[outputs], np.full(len(outputs), row + 1)], -1),
        ],
        axis=1,
    )
    on_path = used[outputs]
    axes.add_collection(LineCollection([*ends[~on_path]], colors=_IDLE, linewidths=0.5, zorder=1))
    axes.add_collection(LineCollection([*ends[on_path]], colors=_SEEN, linewidths=0.9, zorder=2))


def _field(axes: Axes, place: np.ndarray, count: np.ndarray) -> None:
    """Draw the field below the input: its extent, its holes, and the numbers of paths if few."""
    seen = np.flatnonzero(count)
    if not len(seen):
        return
    first, last = seen[0], seen[-1]
    axes.hlines(-0.62, place[first] - 0.4, place[last] + 0.4, color=WINDOW, linewidth=2.5)
    axes.annotate(
        f"{last - first + 1} pixel{'s' if last > first else ''}",
        ((place[first] + place[last]) / 2, -0.62),
        xytext=(0, -4),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=8,
        color=WINDOW,
    )
    holes = first + np.flatnonzero(count[first : last + 1] == 0)
    axes.scatter(place[holes], np.zeros(len(holes)), marker="x", s=22, color=HOLE, zorder=4)
    if len(place) <= 48:
        # A digit is about 0.65 of the font size wide, and the axes are about 7.2 inches.
        digits = len(f"{count.max():g}")
        largest = 7.2 * 72 / (np.ptp(place) + 1) / (0.65 * digits)
        for p, n in zip(place[seen], count[seen], strict=True):
            axes.annotate(
                f"{n:g}",
                (p, 0),
                xytext=(0, -8),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=min(8.0, largest),
            )


def _check(links, places, names, index: int) -> None:
    sizes = [len(place) for place in places]
    shapes = [np.shape(matrix) for matrix in links]
    if len(names) != len(places) or shapes != list(zip(sizes[1:], sizes[:-1], strict=True)):
        raise ValueError(
            f"links of shapes {shapes}, rows of {sizes} pixels and {len(names)} names do not fit: "
            "give a matrix (outputs, inputs) a layer, and a row and a name more than layers."
        )
    if not 0 <= index < sizes[-1]:
        raise ValueError(
            f"index={index} is no pixel of an output of {sizes[-1]}: give one from 0 and below."
        )
