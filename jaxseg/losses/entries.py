"""The contract of losses and metrics of several labels a pixel: which entries count.

An entry is one pixel and one class. Its label is 0 or 1, a boolean, or a probability.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxseg.losses.contract import (
    Mask,
    Pixels,
    at_least_float32,
    check_mask,
    is_probability,
    refuse_unknown,
    remove_ignored,
)

Entries = (
    Int[Array, "*pixels classes"] | Bool[Array, "*pixels classes"] | Float[Array, "*pixels classes"]
)
"""One label for each pixel and class: 0, 1 or ignored; booleans; or probabilities."""


def prepare_multilabel(
    name: str,
    logits: Float[Array, "*pixels classes"],
    labels: Entries,
    ignore_index: int,
    *,
    mask: Mask = None,
    min_axes: int = 1,
) -> Pixels:
    """Check shapes and dtypes of several labels a pixel, and remove the ignored ones.

    Args:
        name: Name of the calling function, for messages.
        logits: Logits, with the classes last.
        labels: One label for each pixel and class.
        ignore_index: Label of the entries that do not count.
        mask: True where the pixel, or the entry, counts; None for all.
        min_axes: Smallest number of axes that the logits may have.

    Returns:
        Logits, labels as floats, and what counts, each with one entry for each pixel and class.

    Raises:
        ValueError: The shapes do not fit each other, or a dtype is wrong; outside `jit` also if a
            label is out of range.
    """
    if logits.ndim < min_axes or logits.shape != labels.shape:
        shape = "(batch, *space, classes)" if min_axes > 1 else "(..., classes)"
        raise ValueError(
            f"{name}: logits {logits.shape} need labels of the same shape, not {labels.shape}: "
            f"labels and logits {shape} have one entry for each class, the classes last; with a "
            "single class give labels[..., None]."
        )
    valid = valid_entries(name, labels, ignore_index, mask)
    logits = remove_ignored(name, logits, valid)
    labels, known = known_entries(name, labels, valid, ignore_index)
    labels = jnp.where(valid & known, jnp.clip(labels, 0, 1), jnp.zeros_like(labels))
    return Pixels(logits, labels.astype(logits.dtype), valid, known)


def known_entries(
    name: str, labels: Entries, valid: Bool[Array, "*pixels classes"], ignore_index: int
) -> tuple[Entries, Bool[Array, "*pixels classes"]]:
    """Find the entries whose label is 0 or 1, or a probability, or does not count.

    Args:
        name: Name of the calling function, for messages.
        labels: One label for each pixel and class.
        valid: True where the entry counts.
        ignore_index: Label of the entries that do not count, for the message.

    Returns:
        Labels, int32 or at least float32, and True where they are known.

    Raises:
        ValueError: A label is out of range, outside `jit`.
    """
    labels = jnp.asarray(labels)
    if jnp.issubdtype(labels.dtype, jnp.floating):
        labels = at_least_float32(labels)
        known = is_probability(labels) | ~valid
        expected = "a probability from 0 to 1 (no logit)"
    else:
        labels = labels.astype(jnp.int32)
        known = (labels == 0) | (labels == 1) | ~valid
        expected = f"0, 1 or ignore_index={ignore_index}"
    refuse_unknown(labels, known, f"{name}: the label {{value}} at {{index}} is not {expected}.")
    return labels, known


def valid_entries(
    name: str, labels: Entries, ignore_index: int, mask: Mask = None
) -> Bool[Array, "*pixels classes"]:
    """Find the entries that count, of several labels a pixel.

    Args:
        name: Name of the calling function, for messages.
        labels: One label for each pixel and class: integers, booleans, or floats.
        ignore_index: Label of the entries that do not count; it has no meaning for floats.
        mask: True where the pixel, or the entry, counts; None for all.

    Raises:
        ValueError: The labels have no classes or a wrong dtype, or the mask is not one boolean a
            pixel or an entry.
    """
    if not labels.ndim:
        raise ValueError(f"{name}: labels of shape () have no axis of classes: give one.")
    if jnp.issubdtype(labels.dtype, jnp.integer):
        valid = labels.astype(jnp.int32) != ignore_index
    elif labels.dtype == jnp.bool_ or jnp.issubdtype(labels.dtype, jnp.floating):
        valid = jnp.ones(labels.shape, jnp.bool_)
    else:
        raise ValueError(
            f"{name}: labels are {labels.dtype}: give integers, booleans, or probabilities."
        )
    if mask is None:
        return valid
    if mask.ndim < labels.ndim:
        return valid & check_mask(name, mask, labels.shape[:-1])[..., None]
    return valid & check_mask(name, mask, labels.shape)
