"""Loss surfaces side by side, and numbers of their shape against depth."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from jaxseg.plots.style import CYCLE, NEUTRAL

BEYOND = "#1a1a1a"

COLORS = dict(
    zip(("plain", "plain_norm", "plain_isometric", "residual", "residual_norm"), CYCLE, strict=True)
)


def loss_contours(
    surfaces: Mapping[str, Mapping[int, np.ndarray]],
    offsets: np.ndarray,
    *,
    levels: Sequence[float],
    chance: float,
    title: str = "",
) -> Figure:
    """Contours of surfaces, a row an arm and a column a depth, all with the same levels.

    Args:
        surfaces: arm -> depth in convolutions -> (n, n) losses in nats, rows along the first
            direction.
        offsets: (n,) of both directions, in units of the filters' own norms.
        levels: ascending, of all panels; what is above the last one is black.
        chance: the loss of knowing nothing, drawn as a white line.
        title: of the figure.
    """
    depths = sorted({d for line in surfaces.values() for d in line})
    figure = Figure(
        figsize=(1.6 + 2.6 * len(depths), 0.7 + 2.5 * len(surfaces)), layout="constrained"
    )
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(len(surfaces), len(depths), squeeze=False, sharex=True, sharey=True)
    colours = colormaps["viridis"].with_extremes(over=BEYOND, bad=BEYOND)
    scale, drawn = BoundaryNorm(levels, colours.N, extend="max"), None
    for line, (arm, by_depth) in zip(grid, surfaces.items(), strict=True):
        for axes, depth in zip(line, depths, strict=True):
            if depth not in by_depth:
                axes.axis("off")
                continue
            drawn = _contours(axes, by_depth[depth], offsets, levels, chance, colours, scale)
            axes.set_title(f"{arm}, {depth} convolutions", fontsize=9)
        line[0].set_ylabel("second direction", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("first direction (1: as long as each filter)", fontsize=8)
    bar = figure.colorbar(drawn, ax=grid, shrink=0.8, ticks=levels, extend="max")  # type: ignore[arg-type]
    bar.ax.set_yticklabels([f"{level:.3g}" for level in levels], fontsize=7)
    bar.set_label(f"loss (nats); white line: chance, {chance:.3g}", fontsize=8)
    return figure


def _contours(axes: Axes, surface, offsets, levels, chance, colours, scale):
    # Transposed: contourf takes columns for the horizontal axis, which is the first direction.
    losses = np.nan_to_num(np.asarray(surface, float).T, nan=np.inf, posinf=1e30)
    drawn = axes.contourf(
        offsets, offsets, losses, levels=levels, cmap=colours, norm=scale, extend="max"
    )
    axes.contour(offsets, offsets, losses, levels=levels, colors="black", linewidths=0.3)
    axes.contour(offsets, offsets, losses, levels=[chance], colors="white", linewidths=1.2)
    axes.plot(0, 0, "+", color="white", markersize=7)
    axes.set_aspect("equal")
    axes.tick_params(labelsize=7)
    return drawn


def shape_against_depth(
    values: Mapping[str, Mapping[str, Mapping[int, np.ndarray]]],
    *,
    logarithmic: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """A panel a quantity: its values against depth, a dot a seed and a line through the medians.

    Args:
        values: quantity -> arm -> depth in convolutions -> values over seeds.
        logarithmic: quantities with a logarithmic axis.
        title: of the figure.
    """
    columns = min(4, len(values))
    rows = -(-len(values) // columns)
    figure = Figure(figsize=(max(5, 0.4 + 2.9 * columns), 0.6 + 2.5 * rows), layout="constrained")
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(values) :]:
        axes.remove()
    for axes, (name, arms) in zip(grid, values.items(), strict=False):
        for number, (arm, by_depth) in enumerate(arms.items()):
            depths = sorted(by_depth)
            colour = COLORS.get(arm, NEUTRAL)
            at = np.array(depths) * 1.05 ** (number - (len(arms) - 1) / 2)
            axes.plot(at, [np.median(by_depth[d]) for d in depths], color=colour, label=arm)
            for place, depth in zip(at, depths, strict=True):
                seeds = by_depth[depth]
                axes.plot(
                    np.full(len(seeds), place), seeds, "o", color=colour, markersize=4, alpha=0.7
                )
        depths = sorted({d for by_depth in arms.values() for d in by_depth})
        axes.set_xscale("log", base=2)
        axes.set_xticks(depths, [str(d) for d in depths])
        axes.minorticks_off()
        axes.set_xlabel("depth (convolutions)", fontsize=8)
        if name in logarithmic:
            axes.set_yscale("log")
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.set_title(name, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, fontsize=8, frameon=False, ncols=len(labels), loc="outside lower center"
    )
    return figure
