"""The output_stride study's claims and table, from its rows."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.output_stride.config import SKIPS, STRIDES
from jaxseg.studies import Row, Table, Verdict, column, order, spread


def by_arm(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Collect the runs of each arm, in the order of the rows."""
    runs: dict[str, list[Row]] = {}
    for row in rows:
        runs.setdefault(row["arm"], []).append(row)
    return runs


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Judge both orders, over the arms that were run."""
    runs = by_arm(rows)
    return [
        order(
            "Dilation",
            "At equal parameters the mean IoU falls as the output stride rises",
            "Chen et al. 2017, Yu et al. 2017",
            "mean IoU",
            _ious(runs, STRIDES),
        ),
        order(
            "Segmentation",
            "The mean IoU rises with each skip from encoder to scores",
            "Long et al. 2015",
            "mean IoU",
            _ious(runs, SKIPS),
        ),
    ]


def _ious(runs: Mapping[str, Sequence[Row]], arms: Sequence[str]) -> dict[str, np.ndarray]:
    return {arm: column(runs[arm], "mean_iou") for arm in arms if arm in runs}


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
                arm,
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
