"""Scores of single images, on the host: they have any size, and no two need have the same."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from jaxseg import metrics

_PIXELS = 1 << 22


@dataclass
class ImageScores:
    """The scores of one image.

    Attributes:
        split: Its split.
        image: Its file, or its number where there is none.
        mask: Its mask's file, or nothing.
        size: Height and width.
        confusion: Number of pixels by label (row) and prediction (column), (classes, classes).
        boundary: F-score of the boundary of every class, (classes,); NaN where there is none.
    """

    split: str
    image: str
    mask: str
    size: tuple[int, int]
    confusion: np.ndarray = field(repr=False)
    boundary: np.ndarray = field(repr=False)

    @property
    def mean_iou(self) -> float:
        """The mean IoU over the classes that the image or its prediction has."""
        return float(metrics.mean_iou(self.confusion))


def columns(class_names: Sequence[str]) -> list[str]:
    """Name the columns of the table of images.

    Args:
        class_names: Names of the classes.
    """
    head = ["split", "image", "mask", "height", "width", "pixels", "accuracy", "mean_iou"]
    return [*head, "boundary_f", *(f"iou {name}" for name in class_names)]


def row(scores: ImageScores, class_names: Sequence[str]) -> dict[str, Any]:
    """Tabulate an image: a row with the keys `columns`.

    Args:
        scores: Scores of the image.
        class_names: Names of the classes.
    """
    height, width = scores.size
    overlaps = metrics.intersection_over_union(scores.confusion)
    known = scores.boundary[~np.isnan(scores.boundary)]
    values = [
        *(scores.split, scores.image, scores.mask, height, width),
        int(scores.confusion.sum()),
        float(metrics.pixel_accuracy(scores.confusion)),
        scores.mean_iou,
        float(known.mean()) if len(known) else float("nan"),
        *map(float, overlaps),
    ]
    return dict(zip(columns(class_names), values, strict=True))


def confusion(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Count pixels by label (row) and prediction (column), int64; as `metrics.confusion_matrix`.

    Args:
        labels: Label of every pixel; what is no class is not counted.
        predictions: Predicted class of every pixel.
        classes: Number of classes.
    """
    total = np.zeros(classes * classes, np.int64)
    flat = labels.ravel(), predictions.ravel()
    for start in range(0, labels.size, _PIXELS):  # in parts, for the memory's sake
        label, prediction = (a[start : start + _PIXELS].astype(np.int64) for a in flat)
        counted = (label >= 0) & (label < classes)
        cells = label[counted] * classes + prediction[counted]
        total += np.bincount(cells, minlength=classes * classes)
    return total.reshape(classes, classes)


def boundary_f_scores(
    labels: np.ndarray,
    predictions: np.ndarray,
    classes: int,
    *,
    tolerance: float,
    ignore_index: int = 255,
) -> np.ndarray:
    """Compute the F-score of every class's boundary; as `metrics.boundary_f_score` of one image.

    The work grows with the length of the boundaries rather than with the image and the number of
    classes, and nothing is compiled for the size of an image.

    Args:
        labels: Label of every pixel, (height, width).
        predictions: Predicted class of every pixel.
        classes: Number of classes.
        tolerance: Largest distance, in pixels, between border pixels that match.
        ignore_index: Label of the pixels that do not count.

    Returns:
        (classes,); 0 where a border is only labeled or only predicted, NaN where it is neither.
    """
    valid = labels != ignore_index
    labeled, predicted = (_borders(array, valid, classes) for array in (labels, predictions))
    counts = [
        [_near(p, t, tolerance), len(p), _near(t, p, tolerance), len(t)]
        for p, t in zip(predicted, labeled, strict=True)
    ]
    matched_predictions, predicted, matched_labels, labeled = np.array(counts, np.float64).T
    precision = matched_predictions / np.maximum(predicted, 1)
    recall = matched_labels / np.maximum(labeled, 1)
    total = precision + recall
    scores = 2 * precision * recall / np.where(total > 0, total, 1)
    return np.where(predicted + labeled > 0, scores, np.nan)


def _borders(array: np.ndarray, valid: np.ndarray, classes: int) -> list[np.ndarray]:
    """The row and column of every class's pixels with a valid neighbor of another class."""
    border = np.zeros(array.shape, bool)
    for before, after in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        change = (array[before] != array[after]) & valid[before] & valid[after]
        border[before] |= change
        border[after] |= change
    points = np.argwhere(border)
    kinds = array[border]
    return [points[kinds == number] for number in range(classes)]


def _near(points: np.ndarray, others: np.ndarray, tolerance: float) -> int:
    """The number of points that have another one within the tolerance."""
    if not len(points) or not len(others):
        return 0
    distance, _ = KDTree(others).query(points, distance_upper_bound=tolerance + 1e-3)
    # The square of a rounded root may lie just below the integer that was meant.
    return int((distance**2 <= np.floor(tolerance**2 + 1e-6) + 1e-6).sum())
