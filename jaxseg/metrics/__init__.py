"""Metrics of dense prediction, as ratios of exact counts.

`Confusion` counts a whole data set exactly, inside `jit`. Its `counts()`, or the
`confusion_matrix` of one batch, are the argument of the ratios. Pixel accuracy is high where one
class dominates, so `per_class_table` shows the overlap of every class beside it. Pixels labeled
`ignore_index` are not counted.
"""

from jaxseg.metrics.boundary import BoundaryCounts, boundary_counts, boundary_f_score
from jaxseg.metrics.confusion import Confusion, confusion_matrix
from jaxseg.metrics.multilabel import multilabel_confusion_matrix
from jaxseg.metrics.ratios import (
    average_precision,
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
    "average_precision",
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
    "multilabel_confusion_matrix",
    "per_class_rows",
    "per_class_table",
    "pixel_accuracy",
    "precision",
]
