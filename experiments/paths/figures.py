"""The figures of the study of paths: gradients by their length, and what lesions do to a net."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.arms import ARM_COLORS
from experiments.paths.claims import PUBLISHED, ByLength, Curves, Losses
from experiments.paths.config import LABELS
from jaxseg.plots import CYCLE, NEUTRAL, PAGE, headline, tidy

CAPTIONS = {
    "paths.png": "How the gradient at the image is shared among paths of each length, before "
    "training and after: median and range over the seeds, with theory dashed. The published range "
    "of lengths is gray.",
    "lesions.png": "The loss on validation images after one block was removed, after k blocks were "
    "removed, and after k blocks changed places. Left: median and range over the seeds. Others: "
    "median, and from the first tenth to the last.",
}
BEFORE, AFTER, RANGE = CYCLE[1], CYCLE[3], "#dddddd"
QUANTITIES = {
    "exact": "share of the squared\ngradient, through all\npaths of a length",
    "single": "log₁₀ of a single path's\ngradient over that\nof length 0 (sampled)",
    "sampled": "share of the sum of\nnorms (sampled, times\nnumber of paths)",
}


def draw(
    curves: Mapping[str, Curves],
    losses: Sequence[Mapping[str, Losses]],
    *,
    chance: float,
    title: str,
) -> dict[str, Figure]:
    """Draw the study's figures: file name -> figure.

    Args:
        curves: Arm -> its gradient by path length.
        losses: For each depth, arm -> its losses after lesions.
        chance: The loss of knowing nothing, in nats.
        title: What the numbers hold for.
    """
    return {
        "paths.png": gradient_by_length(curves, title=title),
        "lesions.png": lesions(losses, chance=chance, title=f"Lesions. {title}"),
    }


def gradient_by_length(curves: Mapping[str, Curves], *, title: str = "") -> Figure:
    """Draw a row of panels a quantity, a column a net; medians and ranges over seeds.

    The range of lengths that was published is marked in nets of as many blocks.

    Args:
        curves: Arm -> its gradient by path length.
        title: Title of the figure.
    """
    blocks = len(next(iter(curves.values())).exact.theory) - 1
    wide = min(PAGE, max(4.8, 1.2 + 2.4 * len(curves)))
    figure = Figure(figsize=(wide, 6.6), layout="constrained")
    headline(figure, f"Gradient by path length, {blocks} blocks\n{title}")
    grid = figure.subplots(len(QUANTITIES), len(curves), squeeze=False, sharex="col", sharey="row")
    for line, (quantity, label) in zip(grid, QUANTITIES.items(), strict=True):
        for axes, by_length in zip(line, curves.values(), strict=True):
            if blocks == 54:
                label_range = "published for CIFAR, ResNet-110"
                axes.axvspan(*PUBLISHED, color=RANGE, linewidth=0, label=label_range)
            _curves(axes, getattr(by_length, quantity))
        line[0].set_ylabel(label, fontsize=8)
    for axes, arm in zip(grid[0], curves, strict=True):
        axes.set_title(LABELS.get(arm, arm), fontsize=8.5)
    for axes in grid[-1]:
        axes.set_xlabel("length of the path (branches)", fontsize=8)
    entries = {
        label: handle
        for axes in grid.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        entries.values(),
        entries.keys(),
        fontsize=8,
        frameon=False,
        ncols=2,
        loc="outside lower center",
    )
    return figure


def _curves(axes: Axes, curves: ByLength) -> None:
    lengths = np.arange(len(curves.theory))
    for values, color, label in (
        (curves.before, BEFORE, "before training"),
        (curves.after, AFTER, "after training"),
    ):
        if values is not None:
            line = {"color": color, "markersize": 4, "linewidth": 1, "label": label}
            axes.plot(lengths, np.median(values, 0), ".-", **line)
            axes.fill_between(
                lengths, values.min(0), values.max(0), color=color, alpha=0.2, linewidth=0
            )
    label = "theory before training"
    axes.plot(lengths, curves.theory, "--", color="black", linewidth=1, zorder=4, label=label)
    tidy(axes, size=7.5)
    axes.margins(x=0.01)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def lesions(rows: Sequence[Mapping[str, Losses]], *, chance: float, title: str = "") -> Figure:
    """Draw the loss without one block, without k, and with k in another order; a row a depth.

    Args:
        rows: For each depth, arm -> its losses.
        chance: The loss of knowing nothing, in nats.
        title: Title of the figure.
    """
    figure = Figure(figsize=(PAGE, 1.3 + 2.2 * len(rows)), layout="constrained")
    headline(figure, title)
    grid = figure.subplots(len(rows), 3, squeeze=False, sharey="row")
    for line, arms in zip(grid, rows, strict=True):
        for number, (arm, losses) in enumerate(arms.items()):
            color = ARM_COLORS[arm]
            _one_block(line[0], losses, color, arm)
            shift = 1.07 ** (number - (len(arms) - 1) / 2)
            _many_blocks(line[1], losses.whole, losses.delete, color, shift)
            _many_blocks(line[2], losses.whole, losses.shuffle, color, shift)
        depth = next(iter(arms.values())).block.shape[1]
        _label_panels(line, depth, chance)
        # A net that fails can lose by any amount: what matters lies below a few times chance.
        line[0].set_yscale("symlog", linthresh=2 * chance)
        line[0].set_ylim(0, None)
        ticks = [t for t in (0, 0.5, 1, 2, 10, 100, 1000) if t <= line[0].get_ylim()[1]]
        line[0].set_yticks(ticks, [f"{t:g}" for t in ticks])
    entries = {
        label: handle
        for axes in grid[:, 0]
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        entries.values(),
        entries.keys(),
        fontsize=8,
        frameon=False,
        ncols=4,
        loc="outside lower center",
    )
    return figure


def _label_panels(line: Sequence[Axes], depth: int, chance: float) -> None:
    panels = {
        "without one block": "block removed\n(1 is next to the image)",
        "without k blocks at random": "k (blocks)",
        "k blocks change places": "k (blocks)",
    }
    for axes, (name, unit) in zip(line, panels.items(), strict=True):
        axes.axhline(chance, color="black", linestyle=":", linewidth=1)
        axes.set(title=f"{depth} blocks:\n{name}", xlabel=unit)
        tidy(axes, size=7.5)
    line[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    line[0].plot([], [], ":", color="black", linewidth=1, label="chance, ln K")
    line[0].plot([], [], "--", color=NEUTRAL, linewidth=1, label="whole net")
    line[0].set_ylabel("loss on validation images\n(nats)", fontsize=7.5)


def _one_block(axes: Axes, losses: Losses, color: str, arm: str) -> None:
    blocks, block = np.arange(1, losses.block.shape[1] + 1), losses.block
    line = {"color": color, "markersize": 4, "linewidth": 1, "label": LABELS[arm]}
    axes.plot(blocks, np.median(block, 0), ".-", **line)
    axes.fill_between(blocks, block.min(0), block.max(0), color=color, alpha=0.15, linewidth=0)
    axes.axhline(float(np.median(losses.whole)), color=color, linestyle="--", linewidth=0.8)


def _many_blocks(
    axes: Axes, whole: np.ndarray, losses: Mapping[int, np.ndarray], color: str, shift: float
) -> None:
    """Draw medians and the range from the first to the last tenth."""
    sizes = sorted(losses)
    middle = [np.median(losses[k]) for k in sizes]
    ends = np.array([np.quantile(losses[k], (0.1, 0.9)) for k in sizes]).reshape(-1, 2)
    at = np.array(sizes) * shift
    axes.plot(at, middle, "o-", color=color, markersize=4, linewidth=1)
    axes.vlines(at, ends[:, 0], ends[:, 1], color=color, linewidth=0.8)
    axes.axhline(float(np.median(whole)), color=color, linestyle="--", linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(k) for k in sizes])
    axes.minorticks_off()
