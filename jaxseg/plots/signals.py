"""Signals and gradients in random nets: their size, and what they still tell of the input."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from jaxseg.plots.curves import nets_and_theory
from jaxseg.plots.style import CYCLE, decimal_ticks, plain_axes


def signal_propagation(
    measured: tuple[np.ndarray, np.ndarray],
    theory: tuple[np.ndarray, np.ndarray],
    *,
    before: tuple[np.ndarray, np.ndarray] | None = None,
    most_layers: int,
) -> Figure:
    """Draw the variance of two signals and their correlation, layer by layer.

    Args:
        measured: (layers,) variances and (layers,) correlations in one random net.
        theory: The same as mean-field theory has them.
        before: The theory for the settings before these, drawn as a ghost.
        most_layers: Layers for which there is room.
    """
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, axes in enumerate((left, right)):
        ghost = None if before is None else before[number]
        nets = np.asarray(measured[number])[None]
        nets_and_theory(axes, nets, theory[number], before=ghost, label="a random net", marker=".")
        axes.set(xlabel="layer", xlim=(-1, most_layers + 1))
    left.set(yscale="log", title="variance $q_l$ (size)")
    values = np.concatenate([np.asarray(measured[0]), theory[0]])
    left.set_ylim(min(0.05, 0.5 * values.min()), max(20, 2 * values.max()))
    decimal_ticks(left.yaxis)
    right.set(ylim=(-0.1, 1.05), title="correlation $c_l$ of two images")
    left.get_legend().remove()
    right.legend(fontsize=8, frameon=False, loc="lower right")
    for axes in (left, right):
        axes.title.set_fontsize(9)
    return figure


def shattering(
    components: Mapping[str, np.ndarray], cosines: Mapping[str, np.ndarray], *, title: str = ""
) -> Figure:
    """Draw gradients along a circle of inputs, and how alike they are at two of its points.

    Args:
        components: Name of the net -> (points,) one component of the gradient on the circle.
        cosines: Name of the net -> (points / 2,) cosines of two gradients, by the number of points
            between them.
        title: Title of the figure.
    """
    names = list(components)
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    panels = figure.subplot_mosaic([[name, "cosine"] for name in names])
    for name, color in zip(names, (CYCLE[0], CYCLE[3], *CYCLE), strict=False):
        line = components[name] / np.abs(components[name]).max()
        degrees = np.arange(len(line)) * 360 / len(line)
        panels[name].plot(degrees, line, color=color, linewidth=1)
        panels[name].set(ylabel=name, yticks=[], ylim=(-1.1, 1.1), xticks=range(0, 361, 90))
        panels["cosine"].plot(degrees[: len(cosines[name])], cosines[name], color=color, label=name)
    panels[names[0]].set_title("one component of the gradient", fontsize=9)
    for name in names[:-1]:
        panels[name].set_xticklabels([])
    panels[names[-1]].set_xlabel("position on the circle of inputs (degrees)")
    panels["cosine"].axhline(0, color="black", linewidth=0.5)
    panels["cosine"].set(ylim=(-0.4, 1.05), xlabel="distance on the circle (degrees)")
    panels["cosine"].set_title("cosine between two gradients", fontsize=9)
    panels["cosine"].legend(fontsize=8, frameon=False)
    for axes in panels.values():
        plain_axes(axes)
    figure.suptitle(title, fontsize=9)
    return figure
