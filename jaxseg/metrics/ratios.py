r"""Ratios of confusion matrices, for each class and over all of them.

With the pixels :math:`n_{ij}` of label i and prediction j,

.. math:: TP_c = n_{cc}, \quad FN_c = \sum_{j \ne c} n_{cj}, \quad FP_c = \sum_{i \ne c} n_{ic}

The functions take one matrix or several, `(..., classes, classes)`. Those of a
`multilabel_confusion_matrix` are (2, 2) for each class, and the entry 1 of a ratio is that of the
class; a mean over such a matrix would include the absence of the class.

NumPy arrays of any integers are divided in float64, and the result is a NumPy array; JAX arrays are
divided in float32, also inside `jit`. A ratio whose denominator is 0 is NaN. Means leave NaN out; a
mean over no class is NaN.

Source: Long et al., "Fully Convolutional Networks for
Semantic Segmentation" (arXiv:1411.4038), section 5, for the accuracies and overlaps.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

Matrix = Shaped[Any, "*n classes classes"]


def pixel_accuracy(confusion: Matrix) -> Float[Any, "*n"]:
    r"""Compute the share of correct pixels, :math:`\sum_c TP_c / \sum_{ij} n_{ij}`.

    Args:
        confusion: Number of pixels by label (row) and prediction (column).

    Example:
        >>> import numpy as np
        >>> from jaxseg import metrics
        >>> print(metrics.pixel_accuracy(np.array([[3, 1], [2, 4]])))
        0.7
    """
    correct, labeled, _ = _sums(confusion)
    return _ratio(correct.sum(-1), labeled.sum(-1))


def class_accuracy(confusion: Matrix) -> Float[Any, "*n classes"]:
    r"""Compute the recall of each class, :math:`TP / (TP + FN)`; NaN for one without labels.

    Args:
        confusion: Number of pixels by label (row) and prediction (column).
    """
    correct, labeled, _ = _sums(confusion)
    return _ratio(correct, labeled)


def precision(confusion: Matrix) -> Float[Any, "*n classes"]:
    r"""Compute the precision of each class, :math:`TP / (TP + FP)`; NaN for one never predicted.

    Args:
        confusion: Number of pixels by label (row) and prediction (column).
    """
    correct, _, predicted = _sums(confusion)
    return _ratio(correct, predicted)


def intersection_over_union(confusion: Matrix) -> Float[Any, "*n classes"]:
    r"""Compute the intersection over union of each class, :math:`TP / (TP + FP + FN)`.

    It is NaN for a class that is neither labeled nor predicted.

    Args:
        confusion: Number of pixels by label (row) and prediction (column).

    Example:
        >>> import numpy as np
        >>> from jaxseg import metrics
        >>> print(metrics.intersection_over_union(np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]])))
        [0.5        0.57142857        nan]
    """
    correct, labeled, predicted = _sums(confusion)
    return _ratio(correct, labeled + predicted - correct)


def dice(confusion: Matrix) -> Float[Any, "*n classes"]:
    r"""Compute the Dice coefficient of each class, :math:`2 TP / (2 TP + FP + FN)`.

    It is NaN for a class that is neither labeled nor predicted.

    Args:
        confusion: Number of pixels by label (row) and prediction (column).
    """
    correct, labeled, predicted = _sums(confusion)
    return _ratio(2 * correct, labeled + predicted)


def mean_class_accuracy(confusion: Matrix) -> Float[Any, "*n"]:
    """Average the `class_accuracy` over the classes that are labeled.

    Args:
        confusion: Number of pixels by label (row) and prediction (column).
    """
    return _mean(class_accuracy(confusion))


def mean_precision(confusion: Matrix) -> Float[Any, "*n"]:
    """Average the `precision` over the classes that are predicted.

    Args:
        confusion: Number of pixels by label (row) and prediction (column).
    """
    return _mean(precision(confusion))


def mean_iou(confusion: Matrix) -> Float[Any, "*n"]:
    """Average the `intersection_over_union` over the classes that are labeled or predicted.

    A class that is predicted but never labeled counts, with 0. One that is neither is left out.

    Args:
        confusion: Number of pixels by label (row) and prediction (column).

    Example:
        >>> import numpy as np
        >>> from jaxseg import metrics
        >>> print(metrics.mean_iou(np.array([[3, 1, 0], [1, 3, 0], [0, 0, 0]])))
        0.6
    """
    return _mean(intersection_over_union(confusion))


def mean_dice(confusion: Matrix) -> Float[Any, "*n"]:
    """Average the `dice` coefficient over the classes that are labeled or predicted.

    Args:
        confusion: Number of pixels by label (row) and prediction (column).
    """
    return _mean(dice(confusion))


def frequency_weighted_iou(confusion: Matrix) -> Float[Any, "*n"]:
    r"""Average the `intersection_over_union`, weighted by the labeled pixels of each class.

    .. math:: \sum_c (TP_c + FN_c)\, IoU_c \Big/ \sum_c (TP_c + FN_c)

    Args:
        confusion: Number of pixels by label (row) and prediction (column).
    """
    correct, labeled, predicted = _sums(confusion)
    overlap = _ratio(correct, labeled + predicted - correct)
    xp = _namespace(labeled)
    weighted = xp.where(labeled > 0, labeled * overlap, xp.zeros_like(labeled))
    return _ratio(weighted.sum(-1), labeled.sum(-1))


def average_precision(confusion: Shaped[Any, "*n thresholds classes 2 2"]) -> Float[Any, "..."]:
    r"""Sum the precision of each class over the steps of its recall, from one threshold to another.

    .. math:: AP_c = \sum_t (R_{ct} - R_{c,t+1})\, P_{ct}

    with the recall :math:`R` and the precision :math:`P` of the increasing thresholds, and a recall
    of 0 beyond the last. With every probability as a threshold this is the average precision of
    scikit-learn; with fewer it is an approximation. Let the first threshold be 0, since labels
    below it add nothing. The average precision of a class without labels is NaN.

    Args:
        confusion: Counts of `multilabel_confusion_matrix` with several thresholds.

    Returns:
        One number for each class.

    Raises:
        ValueError: The counts have no axis of thresholds, or more than two outcomes.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import metrics
        >>> labels, probabilities = jnp.array([[0], [1], [1]]), jnp.array([[0.6], [0.5], [0.9]])
        >>> counts = metrics.multilabel_confusion_matrix(
        ...     labels, probabilities, thresholds=(0.0, 0.5, 0.6, 0.9)
        ... )
        >>> print(metrics.average_precision(counts))  # (1 + 2/3) / 2
        [0.8333334]
    """
    if confusion.ndim < 4 or confusion.shape[-2:] != (2, 2):
        raise ValueError(
            f"average_precision: counts {confusion.shape} must be (..., thresholds, classes, 2, "
            "2): give multilabel_confusion_matrix several thresholds."
        )
    recall, certain = class_accuracy(confusion)[..., 1], precision(confusion)[..., 1]
    xp = _namespace(recall)
    after = xp.concatenate([recall[..., 1:, :], 0 * recall[..., :1, :]], -2)
    # Where nothing is predicted the precision is NaN, and the recall does not change.
    return xp.where(recall == after, 0 * recall, (recall - after) * certain).sum(-2)


def _sums(confusion: Any) -> tuple[Any, Any, Any]:
    """Sum the correct, labeled and predicted pixels of every class, as floats.

    Sums of int32 could overflow.
    """
    if confusion.ndim < 2 or confusion.shape[-1] != confusion.shape[-2]:
        raise ValueError(
            f"a confusion matrix has shape (..., classes, classes), not {confusion.shape}: give "
            "confusion_matrix(labels, predictions, classes) or Confusion.counts()."
        )
    xp = _namespace(confusion)
    counts = confusion.astype(xp.float64 if xp is np else xp.float32)
    return xp.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1), counts.sum(-2)


def _namespace(array: Any) -> Any:
    return jnp if isinstance(array, jax.Array) else np


def _ratio(numerator: Any, denominator: Any) -> Any:
    xp = _namespace(denominator)
    defined = denominator > 0
    ratio = numerator / xp.where(defined, denominator, xp.ones_like(denominator))
    return xp.where(defined, ratio, xp.full_like(denominator, xp.nan))


def _mean(ratios: Any) -> Any:
    xp = _namespace(ratios)
    defined = ~xp.isnan(ratios)
    kept = xp.where(defined, ratios, xp.zeros_like(ratios))
    return _ratio(kept.sum(-1), defined.sum(-1).astype(ratios.dtype))
