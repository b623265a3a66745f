"""How well predicted and labelled borders lie on each other."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxseg.losses import IGNORE_INDEX, squared_distance


class BoundaryCounts(NamedTuple):
    """Border pixels, int32; those of several batches or images add up.

    Attributes:
        right: predicted ones that have a labelled one within the tolerance.
        predicted: all predicted ones.
        found: labelled ones that have a predicted one within the tolerance.
        labelled: all labelled ones.
    """

    right: Int[Array, "*n classes"]
    predicted: Int[Array, "*n classes"]
    found: Int[Array, "*n classes"]
    labelled: Int[Array, "*n classes"]


def boundary_counts(
    labels: Int[Array, "batch *space"],
    predictions: Int[Array, "batch *space"],
    classes: int,
    *,
    tolerance: float = 2.0,
    ignore_index: int = IGNORE_INDEX,
) -> BoundaryCounts:
    """Compare the borders of every image and class, `(batch, classes)`.

    A class's border pixels are its own pixels of which a neighbour along an axis is another class.
    The image's edge is no border, and neither is that of the ignored pixels: what is predicted
    there does not matter.

    Args:
        labels: one a pixel.
        predictions: likewise.
        classes: how many.
        tolerance: greatest Euclidean distance, in pixels, between border pixels that match.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: the shapes differ, there is no class, or `tolerance` is negative.
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
    near = math.floor(tolerance * tolerance + 1e-6)
    drawn, wanted = (_borders(a, valid, classes) for a in (predictions, labels))
    space = tuple(range(2, drawn.ndim))

    def count(borders, others=None):
        if others is not None:
            flat = others.reshape(-1, *others.shape[2:])
            borders &= squared_distance(flat).reshape(others.shape) <= near
        return jnp.sum(borders, space, dtype=jnp.int32)

    return BoundaryCounts(count(drawn, wanted), count(drawn), count(wanted, drawn), count(wanted))


def boundary_f_score(counts: BoundaryCounts) -> Float[Array, "*n classes"]:
    r"""Harmonic mean of the borders' precision and recall.

    .. math:: F = \frac{2 P R}{P + R}, \qquad
              P = \frac{\mathrm{right}}{\mathrm{predicted}}, \quad
              R = \frac{\mathrm{found}}{\mathrm{labelled}}

    0 where a border is only predicted or only labelled, NaN where there is neither. Of the counts
    of every image, `jnp.nanmean` over the images is the measure of the paper; of counts summed
    over the images, long borders weigh more.

    Source: Csurka et al., "What is a good evaluation measure for semantic segmentation?" (BMVC
    2013), section 3.2; the same measure is F in Perazzi et al., "A Benchmark Dataset and
    Evaluation Methodology for Video Object Segmentation" (CVPR 2016), section 4.
    """
    right, predicted, found, labelled = (c.astype(jnp.float32) for c in counts)
    precision = right / jnp.maximum(predicted, 1)
    recall = found / jnp.maximum(labelled, 1)
    total = precision + recall
    score = 2 * precision * recall / jnp.where(total > 0, total, 1)
    return jnp.where(predicted + labelled > 0, score, jnp.full_like(score, jnp.nan))


def _borders(
    classes_of: Int[Array, "batch *space"], valid: Bool[Array, "batch *space"], classes: int
) -> Bool[Array, "batch classes *space"]:
    """The border pixels of every class, each class an image of its own."""
    edge = jnp.zeros_like(valid)
    for axis in range(1, valid.ndim):
        length = valid.shape[axis]
        first, second = (
            [jax.lax.slice_in_dim(a, lo, lo + length - 1, axis=axis) for a in (classes_of, valid)]
            for lo in (0, 1)
        )
        change = (first[0] != second[0]) & first[1] & second[1]
        before, after = ([(0, 0)] * valid.ndim for _ in range(2))
        before[axis], after[axis] = (1, 0), (0, 1)
        edge |= jnp.pad(change, before) | jnp.pad(change, after)
    index = jnp.arange(classes, dtype=jnp.int32).reshape(1, classes, *[1] * (valid.ndim - 1))
    return (classes_of[:, None] == index) & edge[:, None]
