"""The dilation study's figures: outcomes against cost, effective fields, gridding."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from experiments.dilation.claims import Best, field_values
from experiments.dilation.nets import ARMS, GRIDS, LABELS
from jaxseg.plots import CYCLE, NEUTRAL, PAGE, class_key, headline, plain_log_scale, tidy, to_rgb
from jaxseg.studies import Row, Sweep, columns

BEFORE, AFTER, THEORY = "#9aa5b1", CYCLE[3], CYCLE[0]
CAPTIONS = {
    "outcomes.png": "Training loss, mean IoU on validation images, and width of the effective "
    "field: each seed of each arm at its best rate, with the median and the range. Beside the arms "
    "their multiply-adds an image, in millions.",
    "effective_fields.png": "Where the gradient of a logit in the middle lies in the image, before "
    "training and after. Dashed: the theoretical field.",
    "gridding.png": "Above: what each net predicts. Middle: the logit of the most frequent class. "
    "Below: the spectrum of all logits, mean and range over the seeds. Rates that share a factor "
    "leave a checkerboard, whose frequency is ½.",
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
    title = f"Where the gradient of a logit in the middle lies\n{about}"
    figures["effective_fields.png"] = effective_fields(*stages, title=title)
    if "cascade" in best:
        arms = [arm for arm in (*GRIDS, "dilated") if arm in best]
        figures["gridding.png"] = gridding(sweep, arms, title=f"Gridding: {about}")
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
    figure = Figure(figsize=(PAGE, 1.5 + 0.36 * len(losses)), layout="constrained")
    headline(figure, title)
    left, middle, right = figure.subplots(1, 3, sharey=True)
    rows = np.arange(len(losses))
    _ranges(left, losses, "training loss (nats)")
    _ranges(middle, ious, "mean IoU")
    for arm, row in zip(losses, rows, strict=True):
        for values, color, mark, shift in zip(
            widths[arm], (BEFORE, AFTER), ("s", "o"), (-0.14, 0.14), strict=True
        ):
            right.plot([min(values), max(values)], [row + shift] * 2, color=color, linewidth=2)
            right.plot(np.median(values), row + shift, mark, color=color, markersize=5)
        right.plot(
            [ARMS[arm].walk] * 2, [row - 0.36, row + 0.36], "--", color=THEORY, linewidth=1.4
        )
    right.set(xlabel="width of the effective field\n(pixels)", xlim=(0, None))
    right.grid(axis="x", linewidth=0.3)
    tidy(right)
    names = [f"{LABELS[arm]}, {multiply_adds[arm] / 1e6:.1f} M" for arm in losses]
    left.set_yticks(rows, names)
    left.invert_yaxis()
    handles = [
        Line2D([], [], color=BEFORE, marker="s", label="before training"),
        Line2D([], [], color=AFTER, marker="o", label="after: median, range, seeds"),
        Line2D(
            [], [], color=THEORY, linestyle="--", label=r"theory before, $\sqrt{2/3\,\sum d^2}$"
        ),
    ]
    figure.legend(handles=handles, fontsize=8, frameon=False, ncols=3, loc="outside lower center")
    return figure


def _ranges(axes: Axes, table: Mapping[str, np.ndarray], label: str) -> None:
    """Draw a row an arm: median, range and seeds."""
    for row, values in enumerate(table.values()):
        finite = [v for v in values if np.isfinite(v)]
        axes.plot(finite, [row] * len(finite), "|", color=NEUTRAL, markersize=9)
        if finite:
            axes.plot([min(finite), max(finite)], [row] * 2, color=AFTER, linewidth=2)
            axes.plot(np.median(finite), row, "o", color=AFTER, markersize=5)
    axes.set_xlabel(label)
    axes.grid(axis="x", linewidth=0.3)
    tidy(axes)


def effective_fields(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], *, title: str
) -> Figure:
    """Draw every arm's effective field before and after training, inside the theoretical one.

    Args:
        before: Arm -> (height, width) shares of the energy of a middle logit's gradient.
        after: Likewise, after training.
        title: Title of the figure.
    """
    columns = min(4, len(before))
    blocks = -(-len(before) // columns)
    figure = Figure(figsize=(PAGE, 0.5 + 3.6 * blocks * min(1, 4 / columns)), layout="constrained")
    headline(figure, title)
    grid = figure.subplots(2 * blocks, columns, squeeze=False)
    for number, arm in enumerate(before):
        block, column = divmod(number, columns)
        pair = grid[2 * block : 2 * block + 2, column]
        for axes, maps, stage in zip(pair, (before, after), ("before", "after"), strict=True):
            _effective_field(axes, np.nan_to_num(maps[arm]), ARMS[arm].coverage.size)
            if column == 0:
                axes.set_ylabel(f"{stage} training", fontsize=8)
        pair[0].set_title(LABELS[arm], fontsize=8.5)
        pair[1].set_xlabel(f"field of {ARMS[arm].coverage.size} pixels", fontsize=8)
    for axes in grid[-2:, 1 + (len(before) - 1) % columns :].flat:
        axes.axis("off")
    return figure


def _effective_field(axes: Axes, energy: np.ndarray, size: int) -> None:
    """Draw a map of energy, and the theoretical field of so many pixels."""
    axes.imshow(energy, cmap="Purples", norm=PowerNorm(0.4, 0, energy.max() or 1))
    middle, half = np.array([n // 8 * 4 for n in energy.shape]), size / 2
    corner = middle[1] - half, middle[0] - half
    style = {"fill": False, "edgecolor": THEORY, "linestyle": "--"}
    axes.add_patch(Rectangle(corner, 2 * half, 2 * half, **style))
    axes.set(xticks=[], yticks=[])
    axes.set(xlim=(-0.5, energy.shape[1] - 0.5), ylim=(energy.shape[0] - 0.5, -0.5))


def gridding(sweep: Sweep, arms: Sequence[str], *, title: str) -> Figure:
    """Draw predictions, one class's logits, and spectra before and after training.

    Args:
        sweep: The study's sweep, which keeps the arms' arrays.
        arms: The arms to draw.
        title: Title of the figure.
    """
    info = sweep.dataset.info
    palette = info.palette
    example = sweep.validation[0]
    image, mask = example["image"] / 255, example["label"]
    logits = {arm: sweep.read_array("logits", stage="after", arm=arm)[0, 0] for arm in arms}
    spectra = {
        arm: [sweep.read_array("spectrum", stage=stage, arm=arm) for stage in ("before", "after")]
        for arm in arms
    }
    columns = 1 + len(logits)
    wide = min(PAGE, max(4.8, 1.4 * columns))
    figure = Figure(figsize=(wide, 1.1 + 3.1 * wide / columns), layout="constrained")
    headline(figure, title)
    grid = figure.subplots(3, columns, squeeze=False)
    most_frequent = int(np.bincount(mask[mask < len(palette)], minlength=1).argmax())
    for axes, picture, name in zip(grid[:, 0], (image, mask), ("image", "mask"), strict=False):
        axes.imshow(to_rgb(picture, palette), interpolation="nearest")
        axes.set_title(name, fontsize=8.5)
    grid[2, 0].axis("off")
    for column, (arm, scores) in enumerate(logits.items(), 1):
        shown = scores[..., most_frequent]
        limits = np.quantile(shown, (0.02, 0.98))
        grid[0, column].imshow(to_rgb(scores.argmax(-1), palette), interpolation="nearest")
        grid[0, column].set_title(LABELS[arm], fontsize=8.5)
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
    for axes, name in zip(grid[:, 1], ("prediction", "a class's logit", "power"), strict=True):
        axes.set_ylabel(name, fontsize=8)
    handles = [
        *class_key(palette, info.class_names),
        Line2D([], [], color=BEFORE, label="before training"),
        Line2D([], [], color=AFTER, label="after"),
        Line2D([], [], color=THEORY, linestyle="--", label=f"frequency 1/{GRIDDING_PERIOD}"),
    ]
    each = min(6, int(wide / 1.2))
    figure.legend(
        handles=handles, fontsize=8, frameon=False, ncols=each, loc="outside lower center"
    )
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
    plain_log_scale(axes, most=4)
    axes.set_xlabel("cycles a pixel")
    axes.set_xticks((0, 0.25, 0.5), ("0", "¼", "½"))
    tidy(axes, size=7.5)
