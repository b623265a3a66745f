"""What rates and strides bring, where nets look before and after training, and gridding."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from jaxseg.plots.depth import OTHER, to_rgb

BEFORE, AFTER, THEORY = "#9aa5b1", "#0b5fa5", "#c1272d"


def rates_brought(
    losses: Mapping[str, Sequence[float]],
    ious: Mapping[str, Sequence[float]],
    multiply_adds: Mapping[str, int],
    widths: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    walks: Mapping[str, float],
    *,
    title: str,
) -> Figure:
    """Training loss and IoU against cost, and the width of the effective field.

    Args:
        losses: arm -> training loss of each seed, in nats.
        ious: arm -> mean IoU of each seed.
        multiply_adds: arm -> of an image.
        widths: arm -> (before, after) training, in pixels, a value a seed.
        walks: arm -> the width of a random walk, in pixels.
        title: of the figure.
    """
    figure = Figure(figsize=(12.5, 4.3), layout="constrained")
    figure.suptitle(title, fontsize=9)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.15))
    arms = list(losses)
    for axes, table, label in ((left, losses, "training loss (nats)"), (middle, ious, "mean IoU")):
        _ranges(axes, table, multiply_adds)
        axes.set(xlabel="arm (multiply-adds an image, in millions)", ylabel=label)
    rows = np.arange(len(arms))
    for arm, row in zip(arms, rows, strict=True):
        for values, colour, mark, shift in zip(
            widths[arm], (BEFORE, AFTER), ("s", "o"), (-0.14, 0.14), strict=True
        ):
            right.plot([min(values), max(values)], [row + shift] * 2, color=colour, linewidth=2)
            right.plot(np.mean(values), row + shift, mark, color=colour, markersize=6)
        right.plot([walks[arm]] * 2, [row - 0.36, row + 0.36], "--", color=THEORY, linewidth=1.4)
    right.set_yticks(rows, arms)
    right.invert_yaxis()
    right.set(xlabel="width of the effective field (pixels)", xlim=(0, None))
    right.grid(axis="x", linewidth=0.3)
    right.legend(
        handles=[
            Line2D([], [], color=BEFORE, marker="s", label="before training"),
            Line2D([], [], color=AFTER, marker="o", label="after"),
            Line2D([], [], color=THEORY, linestyle="--", label=r"$\sqrt{2/3\,\sum d^2}$"),
        ],
        fontsize=8,
        frameon=False,
        ncols=3,
        loc="upper center",
        bbox_to_anchor=(0.45, -0.14),
    )
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _ranges(axes: Axes, table: Mapping[str, Sequence[float]], costs: Mapping[str, int]) -> None:
    """A column an arm: mean, range and seeds."""
    for column, values in enumerate(table.values()):
        finite = [v for v in values if np.isfinite(v)]
        axes.plot([column] * len(finite), finite, "_", color=OTHER, markersize=12)
        if finite:
            axes.plot([column] * 2, [min(finite), max(finite)], color=AFTER, linewidth=2)
            axes.plot(column, np.mean(finite), "o", color=AFTER, markersize=6)
    labels = [f"{arm} ({costs[arm] / 1e6:.1f})" for arm in table]
    axes.set_xticks(range(len(table)), labels, rotation=40, ha="right", fontsize=8)
    axes.grid(axis="y", linewidth=0.3)


def looked_at(
    before: Mapping[str, np.ndarray],
    after: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
    *,
    title: str,
) -> Figure:
    """Effective fields of every arm before and after training, in their theoretical ones.

    Args:
        before: arm -> (height, width) shares of the gradient's energy of a middle pixel.
        after: likewise.
        sizes: arm -> theoretical field of a score in pixels, the frame about the middle.
        title: of the figure.
    """
    figure = Figure(figsize=(0.6 + 1.55 * len(before), 3.9), layout="constrained")
    figure.suptitle(title, fontsize=9)
    grid = figure.subplots(2, len(before), squeeze=False)
    for column, arm in enumerate(before):
        for row, (stage, maps) in enumerate((("before", before), ("after", after))):
            axes, energy = grid[row, column], np.nan_to_num(maps[arm])
            axes.imshow(energy, cmap="Purples", norm=PowerNorm(0.4, 0, energy.max() or 1))
            middle, half = np.array([n // 8 * 4 for n in energy.shape]), sizes[arm] / 2
            axes.add_patch(
                Rectangle(
                    (middle[1] - half, middle[0] - half),
                    2 * half,
                    2 * half,
                    fill=False,
                    edgecolor=THEORY,
                    linestyle="--",
                )
            )
            axes.set(xticks=[], yticks=[])
            axes.set(xlim=(-0.5, energy.shape[1] - 0.5), ylim=(energy.shape[0] - 0.5, -0.5))
            if row == 0:
                axes.set_title(arm, fontsize=9)
            else:
                axes.set_xlabel(f"field {sizes[arm]}", fontsize=8)
            if column == 0:
                axes.set_ylabel(stage, fontsize=9)
    return figure


def gridding(
    image: np.ndarray,
    mask: np.ndarray,
    logits: Mapping[str, np.ndarray],
    spectra: Mapping[str, tuple[np.ndarray, np.ndarray]],
    palette: Sequence[tuple[int, int, int]],
    *,
    period: int,
    title: str,
) -> Figure:
    """Predictions, a feature map of one class, and spectra before and after training.

    Args:
        image: (height, width, channels) in 0..1.
        mask: (height, width) labels.
        logits: arm -> (height, width, classes), trained.
        spectra: arm -> (before, after), each (seeds, frequencies) from 0 to 1/2 cycles a pixel.
        palette: a colour a class.
        period: whose frequency is marked, in pixels.
        title: of the figure.
    """
    figure = Figure(figsize=(1.9 + 2.1 * len(logits), 6.4), layout="constrained")
    figure.suptitle(title, fontsize=9)
    grid = figure.subplots(3, 1 + len(logits), squeeze=False)
    named = int(np.bincount(mask[mask < len(palette)], minlength=1).argmax())
    for axes, picture, name in zip(grid[:, 0], (image, mask), ("image", "mask"), strict=False):
        axes.imshow(to_rgb(picture, palette), interpolation="nearest")
        axes.set_title(name, fontsize=9)
    grid[2, 0].axis("off")
    for column, (arm, found) in enumerate(logits.items(), 1):
        shown = found[..., named]
        limits = np.quantile(shown, (0.02, 0.98))
        grid[0, column].imshow(to_rgb(found.argmax(-1), palette), interpolation="nearest")
        grid[0, column].set_title(arm, fontsize=9)
        grid[1, column].imshow(
            shown, cmap="gray", vmin=limits[0], vmax=limits[1], interpolation="nearest"
        )
        _spectrum(grid[2, column], *spectra[arm], period)
        if column > 1:
            grid[2, column].tick_params(labelleft=False)
    limits = np.array([axes.get_ylim() for axes in grid[2, 1:]])
    for axes in grid[2, 1:]:
        axes.set_ylim(limits.min(), limits.max())
    for axes in grid[:2].flat:
        axes.set(xticks=[], yticks=[])
    grid[0, 1].set_ylabel("prediction", fontsize=9)
    grid[1, 1].set_ylabel("a class's logit", fontsize=9)
    grid[2, 1].set_ylabel("share of the logits' power", fontsize=9)
    handles = [
        Line2D([], [], color=BEFORE, label="before training"),
        Line2D([], [], color=AFTER, label="after"),
        Line2D([], [], color=THEORY, linestyle="--", label=f"the frequency 1/{period}"),
    ]
    grid[2, 0].legend(handles=handles, fontsize=8, frameon=False, loc="center")
    return figure


def _spectrum(axes: Axes, before: np.ndarray, after: np.ndarray, period: int) -> None:
    """Relative to the whole power, the mean over the seeds and their range."""
    for lines, colour in ((before, BEFORE), (after, AFTER)):
        shares = lines / lines.sum(axis=1, keepdims=True)
        frequency = np.linspace(0, 0.5, lines.shape[1])
        axes.fill_between(
            frequency, shares.min(0), shares.max(0), color=colour, alpha=0.2, linewidth=0
        )
        axes.plot(frequency, shares.mean(0), color=colour, linewidth=1.4)
    axes.axvline(1 / period, color=THEORY, linestyle="--", linewidth=1)
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter("")
    axes.set_xlabel("cycles a pixel", fontsize=8)
    axes.set_xticks((0, 0.25, 0.5), ("0", "1/4", "1/2"))
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
