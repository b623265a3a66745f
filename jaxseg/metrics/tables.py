"""Tables of the scores of every class."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxseg.metrics import ratios

COLUMNS = ("class", "pixels", "accuracy", "iou", "dice", "precision")
HEADINGS = ("class", "labeled pixels", "accuracy", "IoU", "Dice", "precision")


def per_class_rows(confusion: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    """Tabulate the scores of every class, and of all of them.

    `accuracy` is the recall of a class. The row "mean of classes" has the means over the classes
    for which a ratio is defined: mean class accuracy, mean IoU, mean Dice, mean precision. The row
    "all pixels" has the pixel accuracy and the frequency-weighted IoU; its other ratios are NaN.

    Args:
        confusion: Number of pixels by label (row) and prediction (column), (classes, classes).
        names: Names of the classes, in their order.

    Returns:
        One row for each class and two for all of them, each a dictionary with the keys `COLUMNS`.

    Raises:
        ValueError: There are not as many names as classes.

    Example:
        >>> import numpy as np
        >>> from jaxseg import metrics
        >>> rows = metrics.per_class_rows(np.array([[3, 1], [1, 3]]), ("road", "sky"))
        >>> [row["class"] for row in rows]
        ['road', 'sky', 'mean of classes', 'all pixels']
        >>> rows[1]["pixels"], rows[1]["iou"]
        (4, 0.6)
    """
    counts = np.asarray(confusion)
    if counts.shape != (len(names), len(names)):
        raise ValueError(
            f"per_class_rows: {len(names)} names for a confusion matrix of shape {counts.shape}: "
            "give one name a class, and one matrix (classes, classes)."
        )
    columns = (ratios.class_accuracy, ratios.intersection_over_union, ratios.dice, ratios.precision)
    by_class = np.stack([ratio(counts) for ratio in columns], -1)
    pixels = counts.sum(1, dtype=np.int64)
    means = (ratios.mean_class_accuracy, ratios.mean_iou, ratios.mean_dice, ratios.mean_precision)
    total = int(pixels.sum())
    overall = [ratios.pixel_accuracy(counts), ratios.frequency_weighted_iou(counts)]
    rows = [
        *zip(names, pixels.tolist(), by_class, strict=True),
        ("mean of classes", total, [mean(counts) for mean in means]),
        ("all pixels", total, [*overall, np.nan, np.nan]),
    ]
    return [
        dict(zip(COLUMNS, (name, n, *map(float, values)), strict=True)) for name, n, values in rows
    ]


def per_class_table(confusion: Any, names: Sequence[str]) -> str:
    """Format `per_class_rows` as a Markdown table, with pixel accuracy and mean IoU below it.

    A ratio that is not defined is a hyphen.

    Args:
        confusion: Number of pixels by label (row) and prediction (column), (classes, classes).
        names: Names of the classes, in their order.

    Raises:
        ValueError: There are not as many names as classes.
    """
    rows = per_class_rows(confusion, names)
    lines = [f"| {' | '.join(HEADINGS)} |", "|---" + "|---:" * (len(COLUMNS) - 1) + "|"]
    for row in rows:
        cells = ["-" if np.isnan(row[c]) else f"{row[c]:.3f}" for c in COLUMNS[2:]]
        name = row["class"].replace("|", "\\|")
        lines.append(f"| {name} | {row['pixels']:,} | {' | '.join(cells)} |")
    defined = sum(not np.isnan(row["iou"]) for row in rows[:-2])
    lines += [
        "",
        f"Pixel accuracy {rows[-1]['accuracy']:.3f}, mean IoU {rows[-2]['iou']:.3f}, over "
        f"{defined} of {len(names)} classes.",
    ]
    return "\n".join(lines) + "\n"
