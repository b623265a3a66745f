"""The dilation study's figures: outcomes against cost, effective fields, gridding."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from experiments.dilation.claims import Best, field_values
from experiments.dilation.nets import ARMS, GRIDS
from jaxseg.plots import NEUTRAL, to_rgb
from jaxseg.studies import Row, Sweep, columns

BEFORE, AFTER, THEORY = "#9aa5b1", "#0b5fa5", "#c1272d"
CAPTIONS = {
    "outcomes.png": "Training loss and mean IoU of each arm at its best rate, over the seeds, and "
    "the width of the effective field before and after training",
    "effective_fields.png": "The energy of a middle logit's gradient in the image, before and "
    "after training; dashed: the theoretical field",
    "gridding.png": "Predictions, a class's logits and their spectra: rates that share a factor "
    "leave their period",
}
GRIDDING_PERIOD = 2


def draw(sweep: Sweep, best: Best, fields: Sequence[Row], about: str) -> dict[str, Figure]:
    """Draw the study's figures: file name -> figure.

    Args:
        sweep: The study's sweep, which keeps the arms' arrays.
        best: Arm -> its rows at its best rate.
        fields: Rows of fields.csv.
        about: What the numbers hold for.
    """
    figures = {
        "outcomes.png": outcomes(
            columns(best, "train_loss"),
            columns(best, "mean_iou"),
            {arm: rows[0]["multiply_adds"] for arm, rows in best.items()},
            {
                arm: (
                    field_values(fields, best, "width", arm, "before"),
                    field_values(fields, best, "width", arm),
                )
                for arm in best
            },
            title=about,
        )
    }
    stages = [
        {arm: sweep.read_array("energy", stage=stage, arm=arm).mean(axis=0) for arm in best}
        for stage in ("before", "after")
    ]
    title = f"Where the gradient of a middle logit lies ({about})"
    figures["effective_fields.png"] = effective_fields(*stages, title=title)
    if "cascade" in best:
        arms = [arm for arm in (*GRIDS, "dilated") if arm in best]
        figures["gridding.png"] = gridding(sweep, arms, title=f"Gridding ({about})")
    return figures


def outcomes(
    losses: Mapping[str, np.ndarray],
    ious: Mapping[str, np.ndarray],
    multiply_adds: Mapping[str, int],
    widths: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    title: str,
) -> Figure:
    """Draw training loss and IoU against cost, and the width of the effective field.

    Args:
        losses: Arm -> training loss of each seed, in nats.
        ious: Arm -> mean IoU of each seed.
        multiply_adds: Arm -> multiply-adds of an image.
        widths: Arm -> (before, after) training, in pixels, one value a seed.
        title: Title of the figure.
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
        for values, color, mark, shift in zip(
            widths[arm], (BEFORE, AFTER), ("s", "o"), (-0.14, 0.14), strict=True
        ):
            right.plot([min(values), max(values)], [row + shift] * 2, color=color, linewidth=2)
            right.plot(np.median(values), row + shift, mark, color=color, markersize=6)
        right.plot(
            [ARMS[arm].walk] * 2, [row - 0.36, row + 0.36], "--", color=THEORY, linewidth=1.4
        )
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


def _ranges(axes: Axes, table: Mapping[str, np.ndarray], costs: Mapping[str, int]) -> None:
    """Draw a column an arm: median, range and seeds."""
    for column, values in enumerate(table.values()):
        finite = [v for v in values if np.isfinite(v)]
        axes.plot([column] * len(finite), finite, "_", color=NEUTRAL, markersize=12)
        if finite:
            axes.plot([column] * 2, [min(finite), max(finite)], color=AFTER, linewidth=2)
            axes.plot(column, np.median(finite), "o", color=AFTER, markersize=6)
    labels = [f"{arm} ({costs[arm] / 1e6:.1f})" for arm in table]
    axes.set_xticks(range(len(table)), labels, rotation=40, ha="right", fontsize=8)
    axes.grid(axis="y", linewidth=0.3)


def effective_fields(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], *, title: str
) -> Figure:
    """Draw every arm's effective field before and after training, inside the theoretical one.

    Args:
        before: Arm -> (height, width) shares of the energy of a middle logit's gradient.
        after: Likewise, after training.
        title: Title of the figure.
    """
    figure = Figure(figsize=(0.6 + 1.55 * len(before), 3.9), layout="constrained")
    figure.suptitle(title, fontsize=9)
    grid = figure.subplots(2, len(before), squeeze=False)
    for column, arm in enumerate(before):
        for row, (stage, maps) in enumerate((("before", before), ("after", after))):
            axes, energy = grid[row, column], np.nan_to_num(maps[arm])
            axes.imshow(energy, cmap="Purples", norm=PowerNorm(0.4, 0, energy.max() or 1))
            middle, half = np.array([n // 8 * 4 for n in energy.shape]), ARMS[arm].coverage.size / 2
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
                axes.set_xlabel(f"field {ARMS[arm].coverage.size}", fontsize=8)
            if column == 0:
                axes.set_ylabel(stage, fontsize=9)
    return figure


def gridding(sweep: Sweep, arms: Sequence[str], *, title: str) -> Figure:
    """Draw predictions, one class's logits, and spectra before and after training.

    Args:
        sweep: The study's sweep, which keeps the arms' arrays.
        arms: The arms to draw.
        title: Title of the figure.
    """
    palette = sweep.dataset.info.palette
    example = sweep.validation[0]
    image, mask = example["image"] / 255, example["label"]
    logits = {arm: sweep.read_array("logits", stage="after", arm=arm)[0, 0] for arm in arms}
    spectra = {
        arm: [sweep.read_array("spectrum", stage=stage, arm=arm) for stage in ("before", "after")]
        for arm in arms
    }
    figure = Figure(figsize=(1.9 + 2.1 * len(logits), 6.4), layout="constrained")
    figure.suptitle(title, fontsize=9)
    grid = figure.subplots(3, 1 + len(logits), squeeze=False)
    most_frequent = int(np.bincount(mask[mask < len(palette)], minlength=1).argmax())
    for axes, picture, name in zip(grid[:, 0], (image, mask), ("image", "mask"), strict=False):
        axes.imshow(to_rgb(picture, palette), interpolation="nearest")
        axes.set_title(name, fontsize=9)
    grid[2, 0].axis("off")
    for column, (arm, scores) in enumerate(logits.items(), 1):
        shown = scores[..., most_frequent]
        limits = np.quantile(shown, (0.02, 0.98))
        grid[0, column].imshow(to_rgb(scores.argmax(-1), palette), interpolation="nearest")
        grid[0, column].set_title(arm, fontsize=9)
        grid[1, column].imshow(
            shown, cmap="gray", vmin=limits[0], vmax=limits[1], interpolation="nearest"
        )
        _spectrum(grid[2, column], *spectra[arm])
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
        Line2D([], [], color=THEORY, linestyle="--", label=f"the frequency 1/{GRIDDING_PERIOD}"),
    ]
    grid[2, 0].legend(handles=handles, fontsize=8, frameon=False, loc="center")
    return figure


def _spectrum(axes: Axes, before: np.ndarray, after: np.ndarray) -> None:
    """Draw spectra relative to the whole power: the mean over the seeds and their range."""
    for lines, color in ((before, BEFORE), (after, AFTER)):
        shares = lines / lines.sum(axis=1, keepdims=True)
        frequency = np.linspace(0, 0.5, lines.shape[1])
        axes.fill_between(
            frequency, shares.min(0), shares.max(0), color=color, alpha=0.2, linewidth=0
        )
        axes.plot(frequency, shares.mean(0), color=color, linewidth=1.4)
    axes.axvline(1 / GRIDDING_PERIOD, color=THEORY, linestyle="--", linewidth=1)
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter("")
    axes.set_xlabel("cycles a pixel", fontsize=8)
    axes.set_xticks((0, 0.25, 0.5), ("0", "1/4", "1/2"))
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
