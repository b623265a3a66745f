"""Losses of dense prediction: unreduced first, one `ignore_index` for all."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

IGNORE_INDEX = 255


def cross_entropy(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    *,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "*pixels"]:
    r"""Softmax cross-entropy of every pixel, in nats and float32; 0 where the label is ignored.

    .. math:: \ell_i = \log \sum_k e^{z_{ik}} - z_{i y_i}

    A label that is neither a class nor `ignore_index` gives NaN rather than a wrong number:
    `data.check_labels` finds such labels on the host.

    Raises:
        ValueError: the shapes do not fit, or the labels are no integers.
    """
    if logits.ndim < 1 or logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"cross_entropy: logits {logits.shape} need labels of shape {logits.shape[:-1]}, "
            f"not {labels.shape}: labels are one integer a pixel, logits have the classes last."
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"cross_entropy: labels are {labels.dtype}: give integers.")
    valid = labels != ignore_index
    safe = jnp.where(valid, labels, jnp.zeros_like(labels))
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(
        logits.astype(jnp.float32), safe
    )
    known = (safe >= 0) & (safe < logits.shape[-1])
    return jnp.where(valid, jnp.where(known, losses, jnp.float32(jnp.nan)), jnp.float32(0))


def mean_over_valid(
    losses: Float[Array, "*pixels"],
    labels: Int[Array, "*pixels"],
    *,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, ""]:
    """Mean over the pixels that are not ignored; 0, with zero gradient, where all are."""
    count = jnp.sum(labels != ignore_index)
    return jnp.sum(losses) / jnp.maximum(count, 1).astype(losses.dtype)


def mean_cross_entropy(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    *,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, ""]:
    """`cross_entropy` averaged over the pixels that are not ignored."""
    losses = cross_entropy(logits, labels, ignore_index=ignore_index)
    return mean_over_valid(losses, labels, ignore_index=ignore_index)
