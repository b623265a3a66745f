"""What a confusion matrix says of every class, to be read."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxseg.metrics import ratios

COLUMNS = ("class", "pixels", "accuracy", "iou", "dice", "precision")
HEADINGS = ("class", "labelled pixels", "accuracy", "IoU", "Dice", "precision")


def per_class_rows(confusion: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    """One row of `COLUMNS` for every class, and two for all of them, as `write_csv` takes them.

    `accuracy` is the class's recall. The row "mean of classes" holds the means over the classes
    for which a ratio is defined: mean class accuracy, mean IoU, mean Dice, mean precision. The row
    "all pixels" holds the pixel accuracy and the frequency-weighted IoU, and no other.

    Args:
        confusion: (classes, classes) counts, by label and prediction.
        names: of the classes, in their order.

    Raises:
        ValueError: there are not as many names as classes.
    """
    counts = np.asarray(confusion)
    if counts.shape != (len(names), len(names)):
        raise ValueError(
            f"per_class_rows: {len(names)} names for a confusion matrix of shape {counts.shape}: "
            "give one name a class, and one matrix (classes, classes)."
        )
    columns = (ratios.class_accuracy, ratios.intersection_over_union, ratios.dice, ratios.precision)
    each = np.stack([f(counts) for f in columns], -1)
    pixels = counts.sum(1, dtype=np.int64)
    means = (ratios.mean_class_accuracy, ratios.mean_iou, ratios.mean_dice, ratios.mean_precision)
    total = int(pixels.sum())
    overall = [ratios.pixel_accuracy(counts), ratios.frequency_weighted_iou(counts)]
    lines = [
        *zip(names, pixels.tolist(), each, strict=True),
        ("mean of classes", total, [f(counts) for f in means]),
        ("all pixels", total, [*overall, np.nan, np.nan]),
    ]
    return [
        dict(zip(COLUMNS, (name, n, *map(float, values)), strict=True)) for name, n, values in lines
    ]


def per_class_table(confusion: Any, names: Sequence[str]) -> str:
    """`per_class_rows` as Markdown, and below it pixel accuracy and mean IoU side by side.

    A ratio with nothing to divide by is a hyphen.

    Raises:
        ValueError: there are not as many names as classes.
    """
    rows = per_class_rows(confusion, names)
    lines = [f"| {' | '.join(HEADINGS)} |", "|---" + "|---:" * (len(COLUMNS) - 1) + "|"]
    for row in rows:
        cells = ["-" if np.isnan(row[c]) else f"{row[c]:.3f}" for c in COLUMNS[2:]]
        name = row["class"].replace("|", "\\|")
        lines.append(f"| {name} | {row['pixels']:,} | {' | '.join(cells)} |")
    known = sum(not np.isnan(row["iou"]) for row in rows[:-2])
    lines += [
        "",
        f"Pixel accuracy {rows[-1]['accuracy']:.3f}, mean IoU {rows[-2]['iou']:.3f}, over "
        f"{known} of {len(names)} classes.",
    ]
    return "\n".join(lines) + "\n"
