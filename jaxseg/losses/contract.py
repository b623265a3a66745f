"""What every loss does with its labels: which pixels count, and what an unknown label is."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

IGNORE_INDEX = 255


class Pixels(NamedTuple):
    """Logits and labels in which nothing is left that could spoil a sum.

    Attributes:
        logits: in float32 at least; 0 where the label is ignored.
        labels: int32, all of them classes; 0 where they were not.
        valid: the pixel counts.
        known: the pixel's label was a class, or it does not count.
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
    least: int = 1,
) -> Pixels:
    """Check shapes and types, and take the ignored pixels out of the logits.

    The logits of an ignored pixel are replaced before anything is computed from them: were only
    the result replaced, an infinite one would still give a gradient of NaN.

    Args:
        name: of the caller, for messages.
        logits: of the classes, last.
        labels: one a pixel.
        ignore_index: the label of pixels that do not count.
        least: axes that the logits must have.

    Raises:
        ValueError: the shapes do not fit, or the types are wrong.
    """
    if logits.ndim < least or logits.shape[:-1] != labels.shape:
        shape = "(batch, *space, classes)" if least > 1 else "(..., classes)"
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
    logits = _at_least_float32(logits)
    logits = jnp.where(valid[..., None], logits, jnp.zeros_like(logits))
    safe = jnp.where(valid & known, labels, jnp.zeros_like(labels))
    return Pixels(logits, safe, valid, known | ~valid)


def valid_pixels(
    name: str, labels: Int[Array, "*pixels"], ignore_index: int
) -> Bool[Array, "*pixels"]:
    """The pixels that count.

    Raises:
        ValueError: the labels are no integers.
    """
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"{name}: labels are {labels.dtype}: give integers.")
    # In the labels' own type an ignore_index beyond its range would wrap around to a class.
    return labels.astype(jnp.int32) != ignore_index


def is_label(
    labels: Int[Array, "*pixels"], valid: Bool[Array, "*pixels"], classes: int
) -> Bool[Array, "*pixels classes"]:
    """One-hot labels; all false where the pixel does not count."""
    shape = (*labels.shape, classes)
    index = jnp.broadcast_to(jnp.arange(classes, dtype=labels.dtype), shape)
    return (labels[..., None] == index) & valid[..., None]


def weigh_classes(
    name: str, class_weights: Float[Array, "classes"] | np.ndarray | None, classes: int | None
) -> Float[Array, "classes"] | None:
    """The weights as an array of floats.

    Raises:
        ValueError: they are not one number a class.
    """
    if class_weights is None:
        return None
    weights = jnp.asarray(class_weights)
    if weights.ndim != 1 or classes not in (None, weights.shape[0]):
        raise ValueError(
            f"{name}: class_weights has shape {weights.shape}: give one number for each of the "
            f"{'' if classes is None else f'{classes} '}classes."
        )
    return _at_least_float32(weights)


def _at_least_float32(values: Array) -> Float[Array, "..."]:
    return values if values.dtype == jnp.float64 else values.astype(jnp.float32)
