"""Metrics from counts: sums first, divided last.

`Confusion` counts a whole data set exactly, inside `jit`; its `counts()`, or the matrix of one
batch, go into the ratios. Accuracy alone flatters: `per_class_table` shows the overlap beside it.
Pixels labelled `ignore_index` are counted nowhere.
"""

from jaxseg.metrics.boundary import BoundaryCounts, boundary_counts, boundary_f_score
from jaxseg.metrics.confusion import Confusion, confusion_matrix
from jaxseg.metrics.ratios import (
    class_accuracy,
    dice,
    frequency_weighted_iou,
    intersection_over_union,
    mean_class_accuracy,
    mean_dice,
    mean_iou,
    mean_precision,
    pixel_accuracy,
    precision,
)
from jaxseg.metrics.tables import COLUMNS, per_class_rows, per_class_table

__all__ = [
    "COLUMNS",
    "BoundaryCounts",
    "Confusion",
    "boundary_counts",
    "boundary_f_score",
    "class_accuracy",
    "confusion_matrix",
    "dice",
    "frequency_weighted_iou",
    "intersection_over_union",
    "mean_class_accuracy",
    "mean_dice",
    "mean_iou",
    "mean_precision",
    "per_class_rows",
    "per_class_table",
    "pixel_accuracy",
    "precision",
]
