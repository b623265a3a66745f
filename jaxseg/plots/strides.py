"""What an output stride costs and brings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

DILATED, SKIPS = "#0b5fa5", "#f08c2e"


def output_strides(
    rows: Sequence[Mapping[str, Any]], classes: Sequence[Mapping[str, Any]], *, title: str
) -> Figure:
    """Mean IoU against multiply-adds, and each class's IoU by arm.

    Args:
        rows: "arm" ("stride N" or "fcnNs"), "mean_iou" and "multiply_adds" of each run.
        classes: "arm", "class" and "iou" of each run and class.
        title: of the figure.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle(title, fontsize=9)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    for kind, colour, label in (
        ("stride", DILATED, "dilated encoder, by output stride"),
        ("fcn", SKIPS, "FCN with skips"),
    ):
        own = [arm for arm in arms if arm.startswith(kind)]
        cost = [next(r["multiply_adds"] for r in rows if r["arm"] == arm) / 1e6 for arm in own]
        runs = [[r["mean_iou"] for r in rows if r["arm"] == arm] for arm in own]
        left.plot(cost, [np.mean(r) for r in runs], "o-", color=colour, label=label)
        for arm, x, values in zip(own, cost, runs, strict=True):
            left.plot([x] * len(values), values, "_", color=colour, markersize=9)
            left.annotate(
                arm.removeprefix("stride "),
                (x, float(np.mean(values))),
                xytext=(5, 5),
                textcoords="offset points",
                fontsize=8,
                color=colour,
            )
    left.set_xscale("log")
    left.set_xlabel("multiply-adds an image, in millions")
    left.set_ylabel("mean IoU")
    left.grid(alpha=0.2)
    left.legend(fontsize=8, frameon=False)
    _by_class(right, figure, arms, classes)
    return figure


def _by_class(axes, figure, arms, classes) -> None:
    names = list(dict.fromkeys(row["class"] for row in classes))
    table = np.full((len(names), len(arms)), np.nan)
    for i, name in enumerate(names):
        for j, arm in enumerate(arms):
            values = [r["iou"] for r in classes if (r["class"], r["arm"]) == (name, arm)]
            if values and not np.all(np.isnan(values)):
                table[i, j] = np.nanmean(values)
    shown = axes.imshow(table, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(arms)), arms, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    for (i, j), value in np.ndenumerate(table):
        if np.isfinite(value):
            colour = "white" if value < 0.6 else "#222222"
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    figure.colorbar(shown, ax=axes, label="IoU", shrink=0.9)
