"""The landscape study's figures: loss surfaces side by side, and their shape against depth."""

from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, Colormap
from matplotlib.figure import Figure

from experiments.arms import ARM_COLORS
from experiments.landscape.claims import Values
from experiments.landscape.config import LABELS
from jaxseg.plots import PAGE, headline, plain_log_scale, tidy

CAPTIONS = {
    "landscape.png": "The loss around trained nets along two random directions, each of whose "
    "filters is as long as the net's own. The net is in the middle; beyond the white line the loss "
    "is above chance. One seed.",
    "sharpness.png": "The shape of these surfaces against the depth of the nets, in numbers: a dot "
    "is a seed, and the line joins the medians.",
}
BEYOND = "#1a1a1a"
LEVELS = 2.0 ** np.arange(-3, 7)
"""Levels of the contours in nats; what is above the last one is black."""
SHOWN = {
    "basin": "share of the surface below chance",
    "negative": "share of that with\nnegative curvature",
    "filter_curvature": "curvature along filter-normalized\ndirections (nats)",
    "largest_eigenvalue": "largest eigenvalue of the Hessian",
    "concavity": "its most negative eigenvalue,\nmade positive",
    "border": "loss at the grid's border\n(nats, median)",
    "train_loss": "training loss (nats)",
}
"""Number -> title of its panel."""
LOGARITHMIC = ("largest_eigenvalue", "border")


def draw(
    surfaces: Mapping[str, Mapping[int, np.ndarray]],
    offsets: np.ndarray,
    values: Mapping[str, Values],
    *,
    chance: float,
    title: str,
) -> dict[str, Figure]:
    """Draw the study's figures: file name -> figure.

    Args:
        surfaces: Arm -> depth -> the surface around the net of seed 0.
        offsets: Offsets of the grid's points along either direction.
        values: From `claims.value_tables`.
        chance: The loss of knowing nothing, in nats.
        title: What the numbers hold for.
    """
    concavity = {
        arm: {depth: -seeds for depth, seeds in depths.items()}
        for arm, depths in values["smallest_eigenvalue"].items()
    }
    panels = {**values, "concavity": concavity}
    return {
        "landscape.png": loss_contours(surfaces, offsets, chance=chance, title=title),
        "sharpness.png": shape_against_depth({name: panels[name] for name in SHOWN}, title=title),
    }


def loss_contours(
    surfaces: Mapping[str, Mapping[int, np.ndarray]],
    offsets: np.ndarray,
    *,
    chance: float,
    title: str = "",
) -> Figure:
    """Draw contours of surfaces, a row an arm and a column a depth, all with the same levels.

    Args:
        surfaces: Arm -> depth in convolutions -> (n, n) losses in nats, rows along the first
            direction.
        offsets: (n,) of both directions, in units of the filters' norms.
        chance: The loss of knowing nothing, drawn as a white line.
        title: Title of the figure.
    """
    depths = sorted({depth for line in surfaces.values() for depth in line})
    wide = min(PAGE, max(4.8, 1.2 + 2.0 * len(depths)))
    figure = Figure(figsize=(wide, 0.9 + 2.1 * len(surfaces)), layout="constrained")
    headline(figure, title)
    grid = figure.subplots(len(surfaces), len(depths), squeeze=False, sharex=True, sharey=True)
    colors = colormaps["viridis"].with_extremes(over=BEYOND, bad=BEYOND)
    drawn = None
    for line, (arm, by_depth) in zip(grid, surfaces.items(), strict=True):
        for axes, depth in zip(line, depths, strict=True):
            if depth not in by_depth:
                axes.axis("off")
                continue
            drawn = _contours(axes, by_depth[depth], offsets, chance, colors)
            axes.set_title(f"{LABELS[arm]}, {depth} convolutions", fontsize=8)
        line[0].set_ylabel("second direction", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("first direction", fontsize=8)
    bar = figure.colorbar(drawn, ax=grid, shrink=0.8, ticks=LEVELS, extend="max")  # type: ignore[arg-type]
    bar.ax.set_yticklabels([f"{level:.3g}" for level in LEVELS], fontsize=7)
    bar.set_label(f"loss (nats); white line: chance, {chance:.3g}", fontsize=8)
    return figure


def _contours(
    axes: Axes, surface: np.ndarray, offsets: np.ndarray, chance: float, colors: Colormap
):
    # Transposed: contourf takes columns for the horizontal axis, which is the first direction.
    losses = np.nan_to_num(np.asarray(surface, float).T, nan=np.inf, posinf=1e30)
    scale = BoundaryNorm(LEVELS, colors.N, extend="max")
    drawn = axes.contourf(
        offsets, offsets, losses, levels=LEVELS, cmap=colors, norm=scale, extend="max"
    )
    axes.contour(offsets, offsets, losses, levels=LEVELS, colors="black", linewidths=0.3)
    axes.contour(offsets, offsets, losses, levels=[chance], colors="white", linewidths=1.2)
    axes.plot(0, 0, "+", color="white", markersize=7)
    axes.set_aspect("equal")
    axes.tick_params(labelsize=7)
    return drawn


def shape_against_depth(values: Mapping[str, Values], *, title: str = "") -> Figure:
    """Draw a panel a number: its values against depth, a dot a seed and a line of the medians.

    Args:
        values: Name, of those in `SHOWN` -> arm -> depth in convolutions -> one value a seed.
        title: Title of the figure.
    """
    columns = min(3, len(values))
    rows = -(-len(values) // columns)
    figure = Figure(figsize=(max(4.8, 2.4 * columns), 0.7 + 2.2 * rows), layout="constrained")
    headline(figure, title)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(values) :]:
        axes.remove()
    for axes, (name, arms) in zip(grid, values.items(), strict=False):
        _panel(axes, arms)
        if name in LOGARITHMIC:
            plain_log_scale(axes)
        else:
            axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.set_title(SHOWN[name], fontsize=8)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, fontsize=8, frameon=False, ncols=len(labels), loc="outside lower center"
    )
    return figure


def _panel(axes: Axes, arms: Values) -> None:
    for number, (arm, by_depth) in enumerate(arms.items()):
        depths, color = sorted(by_depth), ARM_COLORS[arm]
        at = np.array(depths) * 1.05 ** (number - (len(arms) - 1) / 2)
        axes.plot(
            at, [np.median(by_depth[depth]) for depth in depths], color=color, label=LABELS[arm]
        )
        for place, depth in zip(at, depths, strict=True):
            seeds = by_depth[depth]
            places = np.full(len(seeds), place)
            axes.plot(places, seeds, "o", color=color, markersize=4, alpha=0.7)
    depths = sorted({depth for by_depth in arms.values() for depth in by_depth})
    axes.set_xscale("log", base=2)
    axes.set_xticks(depths, [str(depth) for depth in depths])
    axes.minorticks_off()
    axes.set_xlabel("depth (convolutions)")
    tidy(axes, size=7.5)
