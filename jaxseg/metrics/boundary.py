"""Agreement of predicted and labeled borders."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxseg.losses import IGNORE_INDEX, squared_distance


class BoundaryCounts(NamedTuple):
    """Numbers of border pixels, int32. Those of several batches or images can be added.

    Attributes:
        matched_predictions: Predicted border pixels with a labeled one within the tolerance.
        predicted: All predicted border pixels.
        matched_labels: Labeled border pixels with a predicted one within the tolerance.
        labeled: All labeled border pixels.
    """

    matched_predictions: Int[Array, "*n classes"]
    predicted: Int[Array, "*n classes"]
    matched_labels: Int[Array, "*n classes"]
    labeled: Int[Array, "*n classes"]


def boundary_counts(
    labels: Int[Array, "batch *space"],
    predictions: Int[Array, "batch *space"],
    classes: int,
    *,
    tolerance: float = 2.0,
    ignore_index: int = IGNORE_INDEX,
) -> BoundaryCounts:
    """Count the border pixels of every image and class, and those that match.

    The border pixels of a class are its pixels with a neighbor of another class along an axis. The
    edge of the image is not a border, and neither is the edge of the ignored pixels. Predictions at
    ignored pixels have no effect.

    Args:
        labels: Label of every pixel.
        predictions: Predicted class of every pixel.
        classes: Number of classes.
        tolerance: Largest Euclidean distance, in pixels, between border pixels that match.
        ignore_index: Label of the pixels that do not count.

    Returns:
        Counts of shape (batch, classes).

    Raises:
        ValueError: The shapes differ, `classes` is below 1, or `tolerance` is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import metrics
        >>> labels = jnp.array([[0, 0, 1, 1, 1, 1]])
        >>> predictions = jnp.array([[0, 0, 0, 0, 1, 1]])  # the border is off by two pixels
        >>> counts = metrics.boundary_counts(labels, predictions, 2, tolerance=1)
        >>> print(counts.matched_predictions, counts.predicted)
        [[0 0]] [[1 1]]
    """
    if labels.shape != predictions.shape or labels.ndim < 1:
        raise ValueError(
            f"boundary_counts: labels {labels.shape} and predictions {predictions.shape} must both "
            "be (batch, *space): take the argmax of the logits over the classes."
        )
    if classes < 1:
        raise ValueError(f"boundary_counts: classes={classes} must be at least 1.")
    if not 0 <= tolerance < 1 << 14:
        raise ValueError(
            f"boundary_counts: tolerance={tolerance!r} is a distance in pixels: give 0 or more, "
            "and no more than an image is long."
        )
    labels, predictions = labels.astype(jnp.int32), predictions.astype(jnp.int32)
    valid = labels != ignore_index
    # The square of a rounded root may lie just below the integer that was meant.
    squared_tolerance = math.floor(tolerance * tolerance + 1e-6)
    predicted, labeled = (_borders(a, valid, classes) for a in (predictions, labels))

    def count(borders):
        return jnp.sum(borders, tuple(range(2, borders.ndim)), dtype=jnp.int32)

    def near(borders):
        masks = borders.reshape(-1, *borders.shape[2:])
        return squared_distance(masks).reshape(borders.shape) <= squared_tolerance

    return BoundaryCounts(
        count(predicted & near(labeled)),
        count(predicted),
        count(labeled & near(predicted)),
        count(labeled),
    )


def boundary_f_score(counts: BoundaryCounts) -> Float[Array, "*n classes"]:
    r"""Compute the harmonic mean of the precision and the recall of borders.

    .. math:: F = \frac{2 P R}{P + R}, \qquad
              P = \frac{\mathrm{matched\ predictions}}{\mathrm{predicted}}, \quad
              R = \frac{\mathrm{matched\ labels}}{\mathrm{labeled}}

    It is 0 where a border is only predicted or only labeled, and NaN where there is neither. The
    paper's measure is `jnp.nanmean`, over the images, of each image's score. A score of counts that
    are summed over the images gives long borders more weight.

    Args:
        counts: Counts of `boundary_counts`, or sums of them.

    Returns:
        Scores from 0 to 1, float32.

    Source: Csurka et al., "What is a good evaluation measure for semantic segmentation?" (BMVC
    2013), section 3.2; the same measure is F in Perazzi et al., "A Benchmark Dataset and
    Evaluation Methodology for Video Object Segmentation" (CVPR 2016), section 4.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import metrics
        >>> counts = metrics.BoundaryCounts(*(jnp.array([n]) for n in (3, 4, 2, 4)))
        >>> print(metrics.boundary_f_score(counts))  # precision 3/4, recall 1/2
        [0.6]
    """
    matched_predictions, predicted, matched_labels, labeled = (
        count.astype(jnp.float32) for count in counts
    )
    precision = matched_predictions / jnp.maximum(predicted, 1)
    recall = matched_labels / jnp.maximum(labeled, 1)
    total = precision + recall
    score = 2 * precision * recall / jnp.where(total > 0, total, 1)
    return jnp.where(predicted + labeled > 0, score, jnp.full_like(score, jnp.nan))


def _borders(
    classes_of: Int[Array, "batch *space"], valid: Bool[Array, "batch *space"], classes: int
) -> Bool[Array, "batch classes *space"]:
    """Find the border pixels of every class, as one mask for each image and class."""
    border = jnp.zeros_like(valid)
    for axis in range(1, valid.ndim):
        class_before, class_after = _neighbors(classes_of, axis)
        valid_before, valid_after = _neighbors(valid, axis)
        change = (class_before != class_after) & valid_before & valid_after
        before, after = ([(0, 0)] * valid.ndim for _ in range(2))
        before[axis], after[axis] = (1, 0), (0, 1)
        border |= jnp.pad(change, before) | jnp.pad(change, after)
    index = jnp.arange(classes, dtype=jnp.int32).reshape(1, classes, *[1] * (valid.ndim - 1))
    return (classes_of[:, None] == index) & border[:, None]


def _neighbors(array: Array, axis: int) -> tuple[Array, Array]:
    """Split an array into all entries but the last of an axis, and all but the first."""
    length = array.shape[axis]
    return (
        jax.lax.slice_in_dim(array, 0, length - 1, axis=axis),
        jax.lax.slice_in_dim(array, 1, length, axis=axis),
    )
