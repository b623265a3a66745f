"""The study of paths: gradients by their length, and what lesions do to a net."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxseg.plots.style import CYCLE, NEUTRAL

BEFORE, AFTER = "#e08214", "#0b5fa5"

COLORS = dict(
    zip(("plain", "plain_norm", "plain_isometric", "residual", "residual_norm"), CYCLE, strict=True)
)


class ByLength(NamedTuple):
    """Curves over the lengths of paths, 0 to L.

    Attributes:
        begun: (seeds, L + 1) at initialisation.
        theory: (L + 1,) what is expected then.
        trained: as `begun`, after training; None where nothing was trained.
    """

    begun: np.ndarray
    theory: np.ndarray
    trained: np.ndarray | None = None


def gradient_by_length(
    rows: Mapping[str, Mapping[str, ByLength]],
    *,
    published: tuple[float, float] | None = None,
    source: str = "",
    title: str = "",
) -> Figure:
    """A row of panels a quantity, a column a net; medians and ranges over seeds, theory dashed.

    Args:
        rows: what is drawn -> net -> its curves.
        published: a range of lengths to be marked in every panel.
        source: who published it.
        title: of the figure.
    """
    nets = list(next(iter(rows.values())))
    figure = Figure(
        figsize=(max(6.0, 1.2 + 3.4 * len(nets)), 1 + 2.3 * len(rows)), layout="constrained"
    )
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(len(rows), len(nets), squeeze=False, sharex="col", sharey="row")
    for line, (name, curves) in zip(grid, rows.items(), strict=True):
        for axes, net in zip(line, nets, strict=True):
            if published:
                axes.axvspan(*published, color="#dddddd", linewidth=0)
            _curves(axes, curves[net])
        line[0].set_ylabel(name, fontsize=8)
    for axes, net in zip(grid[0], nets, strict=True):
        axes.set_title(net, fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("length of the path (branches)", fontsize=8)
    handles = [
        *grid[0, 0].plot([], [], ".-", color=BEFORE, label="at initialisation"),
        *grid[0, 0].plot([], [], ".-", color=AFTER, label="after training"),
        *grid[0, 0].plot(
            [], [], "--", color="black", linewidth=1, label="theory at initialisation"
        ),
    ]
    if published:
        handles.append(grid[0, 0].axvspan(0, 0, color="#dddddd", label=source))
    figure.legend(handles=handles, fontsize=8, frameon=False, ncols=4, loc="outside lower center")
    return figure


def _curves(axes: Axes, curves: ByLength) -> None:
    lengths = np.arange(len(curves.theory))
    for values, colour in ((curves.begun, BEFORE), (curves.trained, AFTER)):
        if values is not None:
            axes.plot(lengths, np.median(values, 0), ".-", color=colour, markersize=4, linewidth=1)
            axes.fill_between(
                lengths, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0
            )
    axes.plot(lengths, curves.theory, "--", color="black", linewidth=1, zorder=4)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
    axes.margins(x=0.01)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


class Lesions(NamedTuple):
    """Losses of one kind of net, in nats.

    Attributes:
        whole: (seeds,) untouched.
        block: (seeds, L) without each block.
        delete: k -> losses without k blocks, of all seeds and draws.
        shuffle: k -> losses with k blocks changed about.
    """

    whole: np.ndarray
    block: np.ndarray
    delete: Mapping[int, np.ndarray]
    shuffle: Mapping[int, np.ndarray]


def lesions(rows: Sequence[Mapping[str, Lesions]], *, chance: float, title: str = "") -> Figure:
    """Loss without one block, without k, and with k in another order; a row of panels a depth.

    Args:
        rows: for each depth, arm -> its losses.
        chance: the loss of knowing nothing, in nats.
        title: of the figure.
    """
    figure = Figure(figsize=(10.5, 0.8 + 2.7 * len(rows)), layout="constrained")
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(len(rows), 3, squeeze=False, sharey="row")
    for line, arms in zip(grid, rows, strict=True):
        for number, (arm, found) in enumerate(arms.items()):
            colour = COLORS.get(arm, NEUTRAL)
            _single(line[0], found, colour, arm)
            shift = 1.07 ** (number - (len(arms) - 1) / 2)
            _many(line[1], found.whole, found.delete, colour, shift)
            _many(line[2], found.whole, found.shuffle, colour, shift)
        depth = next(iter(arms.values())).block.shape[1]
        for axes, name, unit in zip(
            line,
            ("without one block", "without k blocks at random", "k blocks change places"),
            ("block removed (1 is next to the image)", "k", "k"),
            strict=True,
        ):
            axes.axhline(chance, color="black", linestyle=":", linewidth=1)
            axes.set_title(f"{depth} blocks: {name}", fontsize=9)
            axes.set_xlabel(unit, fontsize=8)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=7)
        line[0].xaxis.set_major_locator(MaxNLocator(integer=True))
        line[0].plot([], [], ":", color="black", linewidth=1, label="chance, ln K")
        line[0].plot([], [], "--", color=NEUTRAL, linewidth=1, label="whole net")
        line[0].set_ylabel("loss on unseen images (nats)", fontsize=8)
        line[2].legend(
            *line[0].get_legend_handles_labels(),
            fontsize=8,
            frameon=False,
            loc="center left",
            bbox_to_anchor=(1, 0.5),
        )
        # A net that fails can lose by any amount: what matters is seen up to five times chance.
        line[0].set_yscale("symlog", linthresh=2 * chance)
        line[0].set_ylim(0, None)
        ticks = [t for t in (0, 0.5, 1, 2, 10, 100, 1000) if t <= line[0].get_ylim()[1]]
        line[0].set_yticks(ticks, [f"{t:g}" for t in ticks])
    return figure


def _single(axes: Axes, found: Lesions, colour: str, arm: str) -> None:
    blocks = np.arange(1, found.block.shape[1] + 1)
    axes.plot(
        blocks, np.median(found.block, 0), ".-", color=colour, markersize=4, linewidth=1, label=arm
    )
    axes.fill_between(
        blocks, found.block.min(0), found.block.max(0), color=colour, alpha=0.15, linewidth=0
    )
    axes.axhline(float(np.median(found.whole)), color=colour, linestyle="--", linewidth=0.8)


def _many(
    axes: Axes, whole: np.ndarray, losses: Mapping[int, np.ndarray], colour: str, shift: float
) -> None:
    sizes = sorted(losses)
    middle = [np.median(losses[k]) for k in sizes]
    ends = np.array([np.quantile(losses[k], (0.1, 0.9)) for k in sizes]).reshape(-1, 2)
    at = np.array(sizes) * shift
    axes.plot(at, middle, "o-", color=colour, markersize=4, linewidth=1)
    axes.vlines(at, ends[:, 0], ends[:, 1], color=colour, linewidth=0.8)
    axes.axhline(float(np.median(whole)), color=colour, linestyle="--", linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(k) for k in sizes])
    axes.minorticks_off()
