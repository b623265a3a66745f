"""The output_stride study's figure: IoU against cost, and by class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.output_stride.claims import by_arm
from experiments.output_stride.config import SKIPS, STRIDES
from jaxseg.studies import Row, column

CAPTIONS = {"output_stride.png": "Mean IoU against cost, and the IoU of each class, by arm"}
KINDS = (
    (STRIDES, "#0b5fa5", "dilated encoder, by output stride"),
    (SKIPS, "#f08c2e", "FCN with skips"),
)
"""Arms of a kind, color, label."""


def draw(rows: Sequence[Row], classes: Sequence[Row], *, title: str) -> dict[str, Figure]:
    """Draw the study's figure: file name -> figure.

    Args:
        rows: Rows of results.csv: "arm", "mean_iou" and "multiply_adds" of each run.
        classes: Rows of classes.csv: "arm", "class" and "iou" of each run and class.
        title: Title of the figure.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle(title, fontsize=9)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _against_cost(left, rows)
    _by_class(right, rows, classes)
    return {"output_stride.png": figure}


def _against_cost(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw the median IoU over the seeds and each seed's against the cost."""
    runs = by_arm(rows)
    for arms, color, label in KINDS:
        shown = [arm for arm in arms if arm in runs]
        cost = [runs[arm][0]["multiply_adds"] / 1e6 for arm in shown]
        ious = [column(runs[arm], "mean_iou") for arm in shown]
        medians = [float(np.median(values)) for values in ious]
        axes.plot(cost, medians, "o-", color=color, label=label)
        for arm, x, median, values in zip(shown, cost, medians, ious, strict=True):
            axes.plot([x] * len(values), values, "_", color=color, markersize=9)
            axes.annotate(
                arm.removeprefix("stride "),
                (x, median),
                xytext=(5, 5),
                textcoords="offset points",
                fontsize=8,
                color=color,
            )
    axes.set_xscale("log")
    axes.set(xlabel="multiply-adds an image, in millions", ylabel="mean IoU")
    axes.grid(alpha=0.2)
    axes.legend(fontsize=8, frameon=False)


def _by_class(axes: Axes, rows: Sequence[Row], classes: Sequence[Row]) -> None:
    """Draw the median over the seeds of each class's IoU; classes without pixels stay blank."""
    arms, names = list(by_arm(rows)), list(dict.fromkeys(row["class"] for row in classes))
    table = np.full((len(names), len(arms)), np.nan)
    for i, name in enumerate(names):
        for j, arm in enumerate(arms):
            ious = [r["iou"] for r in classes if (r["class"], r["arm"]) == (name, arm)]
            if not np.all(np.isnan(ious)):
                table[i, j] = np.nanmedian(ious)
    image = axes.imshow(table, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(arms)), arms, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    for (i, j), value in np.ndenumerate(table):
        if np.isfinite(value):
            color = "white" if value < 0.6 else "#222222"
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=color)
    axes.figure.colorbar(image, ax=axes, label="IoU", shrink=0.9)
