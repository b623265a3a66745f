"""The long_skips study's figures: curves of training, and where in a net learning happens."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from experiments.long_skips.claims import Best, Updates
from experiments.long_skips.config import Config
from experiments.long_skips.nets import convolutions, stack_borders
from jaxseg.plots import CYCLE, PAGE, headline, plain_log_ticks, tidy
from jaxseg.studies import columns

CAPTIONS = {
    "long_skips.png": "Left: the training loss of the four nets, median and range over the seeds. "
    "Right: the mean IoU of each seed's net on validation images at the end, and their median.",
    "updates.png": "Where learning happens: how far each layer's kernel moves in each epoch, "
    "relative to its length. Layers run from the image, above, to the logits.",
}
STYLES = {
    "no skips": (CYCLE[0], "s"),
    "long skips": (CYCLE[1], "D"),
    "short skips": (CYCLE[4], "^"),
    "both": (CYCLE[3], "o"),
}
"""Arm -> color and marker."""


def draw(
    config: Config, best: Best, losses: Mapping[str, np.ndarray], updates: Updates, chance: float
) -> dict[str, Figure]:
    """Draw the study's figures: file name -> figure.

    Args:
        config: The study's configuration.
        best: Arm -> its rows at its best rate.
        losses: Arm -> (seeds, steps) training losses at that rate.
        updates: Arm -> (seeds, epochs, layers) relative updates.
        chance: The loss of knowing nothing, in nats.
    """
    depth = convolutions(config.levels, config.blocks)
    return {
        "long_skips.png": skip_curves(
            losses,
            columns(best, "mean_iou"),
            chance=chance,
            every=config.epoch_steps,
            title=f"{depth} convolutions, each arm at its own best rate",
        ),
        "updates.png": update_maps(
            updates,
            stack_borders(config.levels, config.blocks),
            title="Update of each layer's kernel over an epoch, relative to the kernel",
        ),
    }


def skip_curves(
    losses: Mapping[str, np.ndarray],
    ious: Mapping[str, np.ndarray],
    *,
    chance: float,
    every: int,
    title: str = "",
) -> Figure:
    """Draw training loss against the epoch, and the mean IoU at the end.

    Args:
        losses: Arm -> (seeds, steps) training losses.
        ious: Arm -> (seeds,) mean IoU.
        chance: The loss of knowing nothing, in nats.
        every: Steps of an epoch, over which losses are averaged.
        title: Title of the figure.
    """
    figure = Figure(figsize=(PAGE, 3.5), layout="constrained")
    headline(figure, title)
    left, right = figure.subplots(1, 2, width_ratios=(1.7, 1))
    for arm, runs in losses.items():
        color, mark = STYLES[arm]
        epochs = runs.shape[1] // every
        means = runs[:, : epochs * every].reshape(len(runs), epochs, every).mean(axis=2)
        at = np.arange(1, epochs + 1)
        left.plot(at, np.median(means, axis=0), color=color, marker=mark, markersize=5, label=arm)
        left.fill_between(
            at, means.min(axis=0), means.max(axis=0), color=color, alpha=0.15, linewidth=0
        )
    left.axhline(chance, color="black", linestyle="--", linewidth=1, label="chance, ln K")
    left.set(xlabel="epoch", ylabel="training loss (nats)", ylim=(0, 1.25 * chance))
    left.set_title("median and range over the seeds")
    left.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(fontsize=8, frameon=False, ncols=5, loc="outside lower center")
    _dots(right, ious)
    for axes in (left, right):
        tidy(axes)
    return figure


def _dots(axes: Axes, ious: Mapping[str, np.ndarray]) -> None:
    for at, (arm, values) in enumerate(ious.items()):
        color, mark = STYLES[arm]
        axes.plot(np.full(len(values), at), values, mark, color=color, markersize=5, alpha=0.8)
        axes.plot([at - 0.25, at + 0.25], [np.median(values)] * 2, color=color, linewidth=2)
    axes.set_xticks(range(len(ious)), [arm.replace(" ", "\n") for arm in ious])
    axes.set(ylabel="mean IoU (validation)", ylim=(0, 1), xlim=(-0.6, len(ious) - 0.4))
    axes.set_title("each seed, and the median")


def update_maps(
    updates: Updates, stacks: Mapping[str, tuple[int, int]], *, title: str = ""
) -> Figure:
    """Draw the size of updates by layer and epoch, a panel an arm, all on one scale.

    Args:
        updates: Arm -> (seeds, epochs, layers) relative updates; their geometric mean is drawn.
        stacks: Name of a stack -> its first layer and the first one behind it.
        title: Title of the figure.
    """
    wide = min(PAGE, max(4.8, 1.6 + 1.5 * len(updates)))
    figure = Figure(figsize=(wide, 4.6), layout="constrained")
    headline(figure, title)
    row = figure.subplots(1, len(updates), squeeze=False, sharey=True)[0]
    maps = {
        arm: np.exp(np.log(np.maximum(table, 1e-12)).mean(axis=0)) for arm, table in updates.items()
    }
    known = np.concatenate([table[np.isfinite(table)] for table in maps.values()])
    low, high = np.quantile(known, (0.02, 0.995)).tolist() if known.size else (1e-3, 1.0)
    scale = LogNorm(low, high)
    shown = None
    for axes, (arm, table) in zip(row, maps.items(), strict=True):
        epochs, layers = table.shape
        shown = axes.imshow(
            table.T,
            aspect="auto",
            cmap="viridis",
            norm=scale,
            extent=(0.5, epochs + 0.5, layers + 0.5, 0.5),
            interpolation="nearest",
        )
        for first, last in stacks.values():
            axes.axhline(first + 0.5, color="white", linewidth=0.6)
            axes.axhline(last + 0.5, color="white", linewidth=0.6)
        axes.set(title=arm, xlabel="epoch")
        tidy(axes)
        axes.xaxis.get_major_locator().set_params(integer=True)
    row[0].set_yticks(
        [(first + last + 1) / 2 for first, last in stacks.values()], list(stacks), fontsize=7.5
    )
    row[0].set_ylabel("layer, from the image (above) to the logits", fontsize=8)
    if shown is not None:
        bar = figure.colorbar(shown, ax=list(row), extend="both")
        bar.set_label("update over kernel (norms)", fontsize=8)
        plain_log_ticks(bar.ax.yaxis)
        bar.ax.tick_params(labelsize=7.5)
    return figure
