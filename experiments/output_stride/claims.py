"""The output_stride study's claims and table, from its rows."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.output_stride.config import LABELS, SKIPS, STRIDES
from jaxseg.studies import Row, Table, Verdict, column, order, shown_in, spread


def by_arm(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Collect the runs of each arm, in the order of the rows."""
    runs: dict[str, list[Row]] = {}
    for row in rows:
        runs.setdefault(row["arm"], []).append(row)
    return runs


def verdicts(rows: Sequence[Row], classes: int) -> list[Verdict]:
    """Judge both orders, over the arms that were run.

    Args:
        rows: Rows of results.csv.
        classes: Number of classes.
    """
    runs = by_arm(rows)
    asked = (
        (
            "Dilation",
            "At equal parameters the mean IoU falls as the output stride rises",
            "Chen et al. 2017, Yu et al. 2017",
            STRIDES,
        ),
        (
            "Segmentation",
            "The mean IoU rises with each skip from encoder to scores",
            "Long et al. 2015",
            SKIPS,
        ),
    )
    judged = []
    for heading, claim, source, arms in asked:
        ious = _ious(runs, arms)
        verdict = order(heading, claim, source, "mean IoU", ious)
        judged.append(verdict.unless(_no_better_than_constant(ious, classes)))
    return shown_in("output_stride.png", judged)


def _no_better_than_constant(ious: Mapping[str, np.ndarray], classes: int) -> str:
    """Say that no net beats the mean IoU that one class everywhere can have; "" if one does."""
    most = max((float(np.median(values)) for values in ious.values()), default=0.0)
    constant = f"one class everywhere can have {1 / classes:.3f}"
    return "" if most > 1 / classes else f"no net has learned: {constant}"


def _ious(runs: Mapping[str, Sequence[Row]], arms: Sequence[str]) -> dict[str, np.ndarray]:
    return {LABELS[arm]: column(runs[arm], "mean_iou") for arm in arms if arm in runs}


def arm_table(rows: Sequence[Row]) -> Table:
    """Tabulate what the arms bring and cost."""
    return Table.of(
        "Each arm",
        (
            "arm",
            "mean IoU",
            "pixel accuracy",
            "M multiply-adds an image",
            "parameters",
            "receptive field (pixels)",
            "images a second in training",
        ),
        [
            [
                LABELS[arm],
                spread(column(runs, "mean_iou")),
                spread(column(runs, "pixel_accuracy")),
                f"{runs[0]['multiply_adds'] / 1e6:,.1f}",
                f"{runs[0]['parameters']:,}",
                runs[0]["field"],
                f"{np.median(column(runs, 'images_per_second')):.1f}",
            ]
            for arm, runs in by_arm(rows).items()
        ],
    )
