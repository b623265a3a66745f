r"""Ratios of a confusion matrix: for each class, and over them.

With the pixels :math:`n_{ij}` of label i and prediction j,

.. math:: TP_c = n_{cc}, \quad FN_c = \sum_{j \ne c} n_{cj}, \quad FP_c = \sum_{i \ne c} n_{ic}

Every function takes one matrix or many, `(..., classes, classes)`. A NumPy array, of any integers,
is divided in float64 and gives NumPy; a JAX array is divided in float32, also inside `jit`. Where
there is nothing to divide by, a ratio is NaN, and a mean leaves it out; a mean of nothing is NaN.

Source: the accuracies and overlaps are those of Long et al., "Fully Convolutional Networks for
Semantic Segmentation" (arXiv:1411.4038), section 5.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

Matrix = Shaped[Any, "*n classes classes"]


def pixel_accuracy(confusion: Matrix) -> Float[Any, "*n"]:
    r"""Share of the counted pixels that are right, :math:`\sum_c TP_c / \sum_{ij} n_{ij}`."""
    right, labelled, _ = _sums(confusion)
    return _ratio(right.sum(-1), labelled.sum(-1))


def class_accuracy(confusion: Matrix) -> Float[Any, "*n classes"]:
    r"""Recall, :math:`TP / (TP + FN)`; NaN for a class that is not labelled."""
    right, labelled, _ = _sums(confusion)
    return _ratio(right, labelled)


def precision(confusion: Matrix) -> Float[Any, "*n classes"]:
    r""":math:`TP / (TP + FP)`; NaN for a class that is not predicted."""
    right, _, predicted = _sums(confusion)
    return _ratio(right, predicted)


def intersection_over_union(confusion: Matrix) -> Float[Any, "*n classes"]:
    r""":math:`TP / (TP + FP + FN)`; NaN for a class that is neither labelled nor predicted."""
    right, labelled, predicted = _sums(confusion)
    return _ratio(right, labelled + predicted - right)


def dice(confusion: Matrix) -> Float[Any, "*n classes"]:
    r""":math:`2 TP / (2 TP + FP + FN)`; NaN for a class neither labelled nor predicted."""
    right, labelled, predicted = _sums(confusion)
    return _ratio(2 * right, labelled + predicted)


def mean_class_accuracy(confusion: Matrix) -> Float[Any, "*n"]:
    """Mean of `class_accuracy` over the classes that are labelled."""
    return _mean(class_accuracy(confusion))


def mean_precision(confusion: Matrix) -> Float[Any, "*n"]:
    """Mean of `precision` over the classes that are predicted."""
    return _mean(precision(confusion))


def mean_iou(confusion: Matrix) -> Float[Any, "*n"]:
    """Mean of `intersection_over_union` over the classes that are labelled or predicted.

    A class that is predicted where it is never labelled counts, with 0; one that is absent from
    both is left out.
    """
    return _mean(intersection_over_union(confusion))


def mean_dice(confusion: Matrix) -> Float[Any, "*n"]:
    """Mean of `dice` over the classes that are labelled or predicted."""
    return _mean(dice(confusion))


def frequency_weighted_iou(confusion: Matrix) -> Float[Any, "*n"]:
    r"""Mean of `intersection_over_union` weighted by the labelled pixels of each class.

    .. math:: \sum_c (TP_c + FN_c)\, IoU_c \Big/ \sum_c (TP_c + FN_c)
    """
    right, labelled, predicted = _sums(confusion)
    overlap = _ratio(right, labelled + predicted - right)
    xp = _namespace(labelled)
    weighted = xp.where(labelled > 0, labelled * overlap, xp.zeros_like(labelled))
    return _ratio(weighted.sum(-1), labelled.sum(-1))


def _sums(confusion: Any) -> tuple[Any, Any, Any]:
    """(right, labelled, predicted) of every class, as floats: sums of int32 could overflow."""
    if confusion.ndim < 2 or confusion.shape[-1] != confusion.shape[-2]:
        raise ValueError(
            f"a confusion matrix has shape (..., classes, classes), not {confusion.shape}: give "
            "confusion_matrix(labels, predictions, classes) or Confusion.counts()."
        )
    xp = _namespace(confusion)
    counts = confusion.astype(xp.float64 if xp is np else xp.float32)
    right = xp.diagonal(counts, axis1=-2, axis2=-1)
    return right, counts.sum(-1), counts.sum(-2)


def _namespace(array: Any) -> Any:
    return jnp if isinstance(array, jax.Array) else np


def _ratio(part: Any, whole: Any) -> Any:
    xp = _namespace(whole)
    ratio = part / xp.where(whole > 0, whole, xp.ones_like(whole))
    return xp.where(whole > 0, ratio, xp.full_like(whole, xp.nan))


def _mean(ratios: Any) -> Any:
    xp = _namespace(ratios)
    known = ~xp.isnan(ratios)
    kept = xp.where(known, ratios, xp.zeros_like(ratios))
    return _ratio(kept.sum(-1), known.sum(-1).astype(ratios.dtype))
