"""What differs between output pixels, between a rule and the truth, and between width and size."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxseg.plots.fields import GAUSSIAN, GROWTH, HOLE

KINDS = {
    "uniform": ("#5b6f8f", "s"),
    "dilated": (GROWTH["dilation"]["color"], "o"),
    "residual": (GAUSSIAN, "^"),
}
VERDICTS = {
    "passes, no hole": "#b7dcd3",
    "passes, with holes": HOLE,
    "fails, yet no hole": "#1f6fb2",
    "fails, with holes": "#dedede",
}


def output_phases(intervals: np.ndarray, *, title: str = "") -> Figure:
    """Receptive fields that differ between neighbouring output pixels.

    Args:
        intervals: (phases, 2) first and last input pixel that each phase of an axis sees, counted
            from the output pixel's own place; the same along both axes.
        title: of the figure.
    """
    intervals = np.asarray(intervals)
    figure = Figure(figsize=(9.4, 4.3), layout="constrained")
    figure.suptitle(title, fontsize=10)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.35))
    sizes = intervals[:, 1] - intervals[:, 0] + 1
    _squares(left, sizes)
    _bars(right, intervals, sizes)
    return figure


def _shades(number: int) -> np.ndarray:
    return colormaps["GnBu"](np.linspace(0.2, 0.65, number))


def _squares(axes: Axes, sizes: np.ndarray) -> None:
    """Height × width of the field of each output pixel of a period."""
    ticks = np.arange(0, len(sizes), max(1, len(sizes) // 4))
    axes.tick_params(length=0)
    pairs = {(h, w): h * w for h in sizes.tolist() for w in sizes.tolist()}
    areas = sorted(set(pairs.values()))
    colours = _shades(len(areas))
    ranks = np.searchsorted(areas, np.multiply.outer(sizes, sizes))
    axes.imshow(ranks, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(areas) - 0.5)
    edges = np.arange(len(sizes) + 1) - 0.5
    axes.hlines(edges, -0.5, len(sizes) - 0.5, color="white", linewidth=0.8)
    axes.vlines(edges, -0.5, len(sizes) - 0.5, color="white", linewidth=0.8)
    axes.spines[:].set_visible(False)
    axes.set(xticks=ticks, yticks=ticks, xlabel="column's phase", ylabel="row's phase")
    axes.set_title("field of each output pixel of a period", fontsize=9)
    handles = []
    for area, colour in zip(areas, colours, strict=True):
        shapes = sorted(pair for pair, found in pairs.items() if found == area)
        number = int(np.sum(ranks == areas.index(area)))
        label = " or ".join(rf"${h} \times {w}$" for h, w in shapes)
        handles.append(Patch(color=colour, label=f"{label}\n({number} of {ranks.size})"))
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
    """The interval that each phase sees, about the output pixel, and its middle."""
    areas = sorted({h * w for h in sizes.tolist() for w in sizes.tolist()})
    phases, shades = np.arange(len(sizes)), _shades(len(areas))
    colours = [shades[areas.index(int(n) ** 2)] for n in sizes]
    axes.barh(phases, sizes, left=intervals[:, 0] - 0.5, height=0.72, color=colours)
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
    """How many paths lead to each of some output pixels, written into it.

    Args:
        counts: name -> (height, width) positive integers, each shaded from 0 to its own largest.
        title: of the figure.
    """
    figure = Figure(figsize=(0.4 + 2.6 * len(counts), 3.3), layout="constrained")
    figure.suptitle(title, fontsize=10)
    row = figure.subplots(1, len(counts), squeeze=False)[0]
    for axes, (name, paths) in zip(row, counts.items(), strict=True):
        paths = np.asarray(paths)
        axes.imshow(paths, cmap="Blues", vmin=0, vmax=1.25 * paths.max())
        for (i, j), number in np.ndenumerate(paths):
            colour = "white" if number > 0.7 * paths.max() else "black"
            axes.text(j, i, f"{number}", ha="center", va="center", fontsize=7, color=colour)
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(rf"most over fewest: {paths.max() / paths.min():g}", fontsize=8)
    return figure


def rule_of_triples(kinds: np.ndarray, *, title: str = "") -> Figure:
    """A rule about three rates beside the truth, a panel a first rate.

    Args:
        kinds: (n, n, n) of rates 1 to n: 0 passes and has no hole, 1 passes with holes, 2 fails
            without one, 3 fails with holes.
        title: of the figure.
    """
    kinds = np.asarray(kinds)
    largest, columns = len(kinds), min(5, len(kinds))
    rows = -(-largest // columns)
    figure = Figure(figsize=(1 + 1.75 * columns, 1.3 + 1.85 * rows), layout="constrained")
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    palette = ListedColormap([*VERDICTS.values()])
    ends = (0.5, largest + 0.5)
    edges = np.arange(largest + 1) + 0.5
    ticks = [1, (largest + 1) // 2, largest]
    for number, axes in enumerate(grid.flat):
        if number >= largest:
            axes.axis("off")
            continue
        axes.imshow(
            kinds[number], cmap=palette, vmin=-0.5, vmax=3.5, origin="lower", extent=(*ends, *ends)
        )
        axes.hlines(edges, *ends, color="white", linewidth=0.6)
        axes.vlines(edges, *ends, color="white", linewidth=0.6)
        axes.spines[:].set_visible(False)
        axes.tick_params(labelsize=7, length=0, labelbottom=number + columns >= largest)
        axes.set(xticks=ticks, yticks=ticks)
        axes.set_title(rf"$r_1 = {number + 1}$", fontsize=9)
        if number % columns == 0:
            axes.set_ylabel(r"$r_2$", fontsize=9)
        if number + columns >= largest:
            axes.set_xlabel(r"$r_3$", fontsize=9)
    handles = [
        Patch(color=colour, label=f"{name}: {np.sum(kinds == kind)}")
        for kind, (name, colour) in enumerate(VERDICTS.items())
    ]
    if rows * columns > largest:
        grid.flat[-1].legend(handles=handles, fontsize=8, frameon=False, loc="center")
    else:
        figure.legend(
            handles=handles, fontsize=8, frameon=False, ncols=2, loc="outside lower center"
        )
    return figure


def width_growth(
    depths: Mapping[str, Sequence[int]],
    widths: Mapping[str, Sequence[float]],
    theory: Mapping[str, Sequence[float]],
    sizes: Mapping[str, Sequence[int]],
    *,
    title: str = "",
) -> Figure:
    """Width of the effective field and size of the theoretical one against depth.

    Args:
        depths: kind of net -> layers; "uniform", "dilated" and "residual" have colours.
        widths: kind -> standard deviation as measured, in pixels.
        theory: kind -> the same as expected.
        sizes: kind -> theoretical field, in pixels.
        title: of the figure.
    """
    figure = Figure(figsize=(5.6, 4), layout="constrained")
    axes = figure.subplots()
    for number, (kind, line) in enumerate(widths.items()):
        colour, mark = KINDS.get(kind, (f"C{number}", "D"))
        at = depths[kind]
        axes.plot(at, sizes[kind], ":", color=colour, linewidth=1.6)
        axes.plot(at, theory[kind], "--", color=colour, linewidth=1.2)
        axes.plot(at, line, mark, color=colour, markersize=6)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    ticks = sorted({d for line in depths.values() for d in line})
    axes.set_xticks(ticks, [f"{t}" for t in ticks])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(axis="y", linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xlabel="depth (convolutions)", ylabel="pixels an axis")
    axes.set_title(title, fontsize=9)
    kinds = [KINDS.get(kind, (f"C{n}", "D")) for n, kind in enumerate(widths)]
    handles = [
        Line2D([], [], color=c, marker=m, linestyle="", label=kind)
        for kind, (c, m) in zip(widths, kinds, strict=True)
    ]
    handles += [
        Line2D([], [], color="black", linestyle=":", label="theoretical field"),
        Line2D([], [], color="black", linestyle="--", label=r"width by theory, $\sim \sqrt{n}$"),
        Line2D([], [], color="black", marker="D", linestyle="", label="width as measured"),
    ]
    axes.legend(handles=handles, fontsize=8, frameon=False, ncols=2, loc="upper left")
    return figure


BLOCKS = (("#0b5fa5", "s"), ("#d55e00", "^"))


def field_by_block(
    sizes: Mapping[str, Sequence[int]],
    published: Mapping[str, Mapping[int, int]],
    *,
    title: str = "",
    stages: Sequence[str] | None = None,
) -> Figure:
    """Receptive field after each stage of variants of a net, published sizes circled.

    Args:
        sizes: variant -> pixels an axis after each stage.
        published: variant -> number of a stage, from 0 -> pixels.
        title: of the figure.
        stages: their names; None: stage 1, 2, ...
    """
    figure = Figure(figsize=(5.6, 4), layout="constrained")
    axes = figure.subplots()
    count = len(next(iter(sizes.values())))
    names = stages or [f"stage {n}" for n in range(1, count + 1)]
    for number, (name, line) in enumerate(sizes.items()):
        colour, mark = BLOCKS[number % len(BLOCKS)]
        axes.plot(range(count), line, color=colour, marker=mark, linewidth=1.6, label=name)
        known = published.get(name, {})
        axes.plot(
            [*known],
            [*known.values()],
            "o",
            markersize=13,
            fillstyle="none",
            color="black",
            markeredgewidth=1,
        )
        above = line[-1] == max(other[-1] for other in sizes.values())
        others = [*sizes.values()][:number]
        for place, size in enumerate(line):
            if any(other[place] == size for other in others):
                continue  # one label for both
            axes.annotate(
                f"{size}",
                (place, size),
                fontsize=8,
                color=colour,
                ha="center",
                xytext=(0, 11 if above else -17),
                textcoords="offset points",
            )
    axes.plot([], [], "o", markersize=11, fillstyle="none", color="black", label="published")
    axes.set_xticks(range(count), names)
    axes.margins(x=0.08, y=0.12)
    axes.set_ylim(0, None)
    axes.grid(axis="y", linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(ylabel="receptive field (pixels an axis)")
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    return figure
