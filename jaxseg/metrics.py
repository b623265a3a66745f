"""Metrics from a confusion matrix: sums first, divided last."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxseg.losses import IGNORE_INDEX


def confusion_matrix(
    labels: Int[Array, "*pixels"],
    predictions: Int[Array, "*pixels"],
    classes: int,
    *,
    ignore_index: int = IGNORE_INDEX,
) -> Int[Array, "classes classes"]:
    """Count pixels by label (row) and prediction (column), as exact int32.

    Matrices of several batches add up. Pixels labelled `ignore_index` are counted nowhere.

    Raises:
        ValueError: the shapes differ, or there is no class.
    """
    if labels.shape != predictions.shape:
        raise ValueError(
            f"confusion_matrix: labels {labels.shape} and predictions {predictions.shape} differ: "
            "take the argmax of the logits over the classes."
        )
    if classes < 1:
        raise ValueError(f"confusion_matrix: classes={classes} must be at least 1.")
    # uint8 labels times the number of classes would wrap around.
    labels, predictions = labels.astype(jnp.int32), predictions.astype(jnp.int32)
    inside = (labels >= 0) & (labels < classes) & (labels != ignore_index)
    inside &= (predictions >= 0) & (predictions < classes)
    outside = classes * classes
    cells = jnp.where(inside, labels * classes + predictions, outside)
    counts = jnp.bincount(cells.ravel(), length=outside + 1)[:outside]
    return counts.reshape(classes, classes).astype(jnp.int32)


def pixel_accuracy(confusion: Int[Array, "*n classes classes"]) -> Float[Array, "*n"]:
    """Share of the counted pixels that are right; NaN where none was counted."""
    right = jnp.trace(confusion, axis1=-2, axis2=-1)
    return _ratio(right, jnp.sum(confusion, (-2, -1)))


def intersection_over_union(
    confusion: Int[Array, "*n classes classes"],
) -> Float[Array, "*n classes"]:
    """tp / (tp + fp + fn); NaN for a class that is neither labelled nor predicted."""  # noqa: D403
    right = jnp.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(right, jnp.sum(confusion, -1) + jnp.sum(confusion, -2) - right)


def mean_iou(confusion: Int[Array, "*n classes classes"]) -> Float[Array, "*n"]:
    """Mean of `intersection_over_union` over the classes that are labelled or predicted."""
    return jnp.nanmean(intersection_over_union(confusion), axis=-1)


def _ratio(part: Int[Array, "*n"], whole: Int[Array, "*n"]) -> Float[Array, "*n"]:
    dtype = jnp.float32
    ratio = part.astype(dtype) / jnp.maximum(whole, 1).astype(dtype)
    return jnp.where(whole > 0, ratio, jnp.asarray(jnp.nan, dtype))
