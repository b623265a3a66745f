"""The contract of all losses: which pixels count, and what an unknown label does."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

IGNORE_INDEX = 255
"""Label of pixels that count in no loss and no metric, unless another is asked for."""


class Pixels(NamedTuple):
    """Logits and labels from which everything that could spoil a sum has been removed.

    Attributes:
        logits: Logits, at least float32; 0 where the label is ignored.
        labels: Labels, int32, all of them classes; 0 where they were not.
        valid: True where the pixel counts.
        known: True where the label was a class, or the pixel does not count.
    """

    logits: Float[Array, "*pixels classes"]
    labels: Int[Array, "*pixels"]
    valid: Bool[Array, "*pixels"]
    known: Bool[Array, "*pixels"]


def prepare(
    name: str,
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    ignore_index: int,
    *,
    min_axes: int = 1,
) -> Pixels:
    """Check shapes and dtypes, and remove the ignored pixels from the logits.

    The logits of an ignored pixel are replaced before anything is computed from them. If only the
    result were replaced, an infinite logit would still give a gradient of NaN.

    Args:
        name: Name of the calling function, for messages.
        logits: Logits, with the classes last.
        labels: Label of every pixel.
        ignore_index: Label of the pixels that do not count.
        min_axes: Smallest number of axes that the logits may have.

    Raises:
        ValueError: The shapes do not fit each other, or a dtype is wrong.
    """
    if logits.ndim < min_axes or logits.shape[:-1] != labels.shape:
        shape = "(batch, *space, classes)" if min_axes > 1 else "(..., classes)"
        raise ValueError(
            f"{name}: logits {logits.shape} need labels of shape {logits.shape[:-1]}, "
            f"not {labels.shape}: labels are one integer a pixel, logits {shape} have the "
            "classes last."
        )
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"{name}: logits are {logits.dtype}: give floats, before any softmax.")
    valid = valid_pixels(name, labels, ignore_index)
    labels = labels.astype(jnp.int32)
    known = (labels >= 0) & (labels < logits.shape[-1])
    logits = at_least_float32(logits)
    logits = jnp.where(valid[..., None], logits, jnp.zeros_like(logits))
    classes = jnp.where(valid & known, labels, jnp.zeros_like(labels))
    return Pixels(logits, classes, valid, known | ~valid)


def valid_pixels(
    name: str, labels: Int[Array, "*pixels"], ignore_index: int
) -> Bool[Array, "*pixels"]:
    """Find the pixels that count.

    Args:
        name: Name of the calling function, for messages.
        labels: Label of every pixel.
        ignore_index: Label of the pixels that do not count.

    Raises:
        ValueError: The labels are not integers.
    """
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"{name}: labels are {labels.dtype}: give integers.")
    # In the labels' own dtype, an ignore_index beyond its range would wrap around to a class.
    return labels.astype(jnp.int32) != ignore_index


def one_hot(
    labels: Int[Array, "*pixels"], valid: Bool[Array, "*pixels"], classes: int
) -> Bool[Array, "*pixels classes"]:
    """Encode labels as one boolean for each class, all false where the pixel does not count."""
    shape = (*labels.shape, classes)
    index = jnp.broadcast_to(jnp.arange(classes, dtype=labels.dtype), shape)
    return (labels[..., None] == index) & valid[..., None]


def check_class_weights(
    name: str, class_weights: Float[Array, "classes"] | np.ndarray | None, classes: int | None
) -> Float[Array, "classes"] | None:
    """Convert class weights to an array of at least float32; None stays None.

    Args:
        name: Name of the calling function, for messages.
        class_weights: Weight of each class, or None.
        classes: Number of classes, or None where it is not known.

    Raises:
        ValueError: The weights are not one number for each class.
    """
    if class_weights is None:
        return None
    weights = jnp.asarray(class_weights)
    if weights.ndim != 1 or classes not in (None, weights.shape[0]):
        raise ValueError(
            f"{name}: class_weights has shape {weights.shape}: give one number for each of the "
            f"{'' if classes is None else f'{classes} '}classes."
        )
    return at_least_float32(weights)


def at_least_float32(values: Array) -> Float[Array, "..."]:
    """Cast to float32, in which counts and sums over images stay exact enough; keep float64."""
    return values if values.dtype == jnp.float64 else values.astype(jnp.float32)
