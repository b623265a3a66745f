"""The output_stride study's figure: IoU against cost, and by class."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.output_stride.claims import by_arm
from experiments.output_stride.config import LABELS, SKIPS, STRIDES
from jaxseg.plots import CYCLE, PAGE, headline, plain_log_scale, tidy
from jaxseg.studies import Row, column

CAPTIONS = {
    "output_stride.png": "Left: the mean IoU against the cost of an image, the median over the "
    "seeds and each seed. Right: the IoU of each class, which a row of dots spreads from the "
    "coarsest net to the finest; a class without a pixel is left out."
}
KINDS = ((STRIDES, CYCLE[3], "dilated encoder"), (SKIPS, CYCLE[1], "FCN with skips"))
"""Arms of a kind, color, label."""


def draw(rows: Sequence[Row], classes: Sequence[Row], *, title: str) -> dict[str, Figure]:
    """Draw the study's figure: file name -> figure.

    Args:
        rows: Rows of results.csv: "arm", "mean_iou" and "multiply_adds" of each run.
        classes: Rows of classes.csv: "arm", "class" and "iou" of each run and class.
        title: Title of the figure.
    """
    names = list(dict.fromkeys(row["class"] for row in classes))
    figure = Figure(figsize=(PAGE, max(3.8, 1.5 + 0.26 * len(names))), layout="constrained")
    headline(figure, title)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    _against_cost(left, rows)
    _by_class(right, rows, classes)
    _legend(figure, left, right)
    return {"output_stride.png": figure}


def _legend(figure: Figure, left: Axes, right: Axes) -> None:
    """Draw a legend with a row a kind: its line, then its arms."""
    entries = {
        label: handle
        for axes in (left, right)
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    rows = [
        [label, *(LABELS[arm] for arm in arms if LABELS[arm] in entries)]
        for arms, _, label in KINDS
        if label in entries
    ]
    # A legend is filled column by column.
    columns = itertools.zip_longest(*rows, fillvalue="")
    labels = [label for column in columns for label in column]
    blank = Line2D([], [], linestyle="")
    figure.legend(
        [entries.get(label, blank) for label in labels],
        labels,
        fontsize=7.5,
        frameon=False,
        ncols=max(map(len, rows)),
        loc="outside lower center",
    )


def _against_cost(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw the median IoU over the seeds and each seed's against the cost."""
    runs = by_arm(rows)
    for number, (arms, color, label) in enumerate(KINDS):
        shown = [arm for arm in arms if arm in runs]
        if not shown:
            continue
        cost = [runs[arm][0]["multiply_adds"] / 1e6 for arm in shown]
        ious = [column(runs[arm], "mean_iou") for arm in shown]
        medians = [float(np.median(values)) for values in ious]
        axes.plot(cost, medians, "o-", color=color, label=label, markersize=5)
        for arm, x, median, values in zip(shown, cost, medians, ious, strict=True):
            axes.plot([x] * len(values), values, "_", color=color, markersize=9)
            # Names stand below the line of the strides and left of that of the skips.
            place = {"xytext": (6, -4), "ha": "left", "va": "top"}
            if number:
                place = {"xytext": (-6, 0), "ha": "right", "va": "center"}
            axes.annotate(
                LABELS[arm].removeprefix("stride "),
                (x, median),
                textcoords="offset points",
                fontsize=7.5,
                color=color,
                **place,
            )
    plain_log_scale(axes, "x", most=5)
    axes.margins(x=0.4, y=0.12)
    axes.set(xlabel="multiply-adds an image (millions)", ylabel="mean IoU")
    axes.grid(alpha=0.2)
    tidy(axes)


def _by_class(axes: Axes, rows: Sequence[Row], classes: Sequence[Row]) -> None:
    """Draw a row a class, the best one above: the median IoU over the seeds of each arm."""
    arms, names = by_arm(rows), dict.fromkeys(row["class"] for row in classes)
    table = {name: {arm: _median(classes, name, arm) for arm in arms} for name in names}
    known = {
        name: [iou for iou in by_name.values() if np.isfinite(iou)]
        for name, by_name in table.items()
    }
    order = sorted((name for name in table if known[name]), key=lambda name: -max(known[name]))
    for (chosen, color, _), mark, shift in zip(KINDS, "os", (-0.13, 0.13), strict=True):
        shown = [arm for arm in chosen if arm in arms]
        for at, arm in enumerate(shown):
            # The finest net is the darkest.
            alpha = 1 - 0.75 * at / max(1, len(shown) - 1)
            ious = [table[name][arm] for name in order]
            axes.plot(
                ious,
                np.arange(len(order)) + shift,
                mark,
                color=color,
                alpha=alpha,
                markersize=5,
                markeredgewidth=0,
                label=LABELS[arm],
            )
    axes.set_yticks(range(len(order)), order)
    axes.set(xlabel="IoU of the class", xlim=(-0.03, 1.0))
    axes.invert_yaxis()
    axes.grid(axis="both", linewidth=0.3)
    tidy(axes)


def _median(classes: Sequence[Row], name: str, arm: str) -> float:
    """Return the median IoU of a class over the seeds; NaN for a class without pixels."""
    ious = [r["iou"] for r in classes if (r["class"], r["arm"]) == (name, arm)]
    known = [iou for iou in ious if np.isfinite(iou)]
    return float(np.median(known)) if known else np.nan
