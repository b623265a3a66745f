"""Checks of the operands that all operations share."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def check_operands(name: str, x: jax.Array, kernel: jax.Array, groups: int) -> None:
    """Refuse images and a kernel that do not fit together, before XLA does in its own words.

    Args:
        name: name of the operation, for the error message.
        x: images, (batch, *space, in).
        kernel: (*window, in / groups, out).
        groups: number of channel groups.

    Raises:
        ValueError: an operand that is not an array, a wrong rank, number of channels, dtype or
            number of groups, or an empty axis other than the batch.
    """
    for operand, value in (("x", x), ("kernel", kernel)):
        if not isinstance(value, jax.Array | np.ndarray):
            kind = type(value).__name__
            raise ValueError(f"{name}: {operand} is a {kind}: convert it with jnp.asarray.")
    if x.ndim not in (3, 4, 5):
        raise ValueError(
            f"{name}: x has shape {x.shape}, but images are (batch, *space, channels) with 1, 2 or "
            "3 spatial axes: add the missing axis, for example x[None] for a single image."
        )
    if kernel.ndim != x.ndim:
        raise ValueError(
            f"{name}: kernel has shape {kernel.shape}, but x of shape {x.shape} needs "
            f"(*window, in, out) with {x.ndim - 2} window axes."
        )
    if x.dtype != kernel.dtype:
        raise ValueError(
            f"{name}: x is {x.dtype} and kernel is {kernel.dtype}: cast one of them "
            "with .astype so that they agree."
        )
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"{name}: x is {x.dtype}: convert images to a floating dtype first.")
    if isinstance(groups, bool) or not hasattr(groups, "__index__") or groups < 1:
        raise ValueError(f"{name}: groups={groups!r} must be an integer >= 1.")
    if x.shape[-1] != kernel.shape[-2] * groups:
        raise ValueError(
            f"{name}: x has {x.shape[-1]} channels, but a kernel of shape {kernel.shape} with "
            f"groups={groups} takes {kernel.shape[-2] * groups}: kernels are "
            "(*window, in / groups, out)."
        )
    if kernel.shape[-1] % groups:
        raise ValueError(f"{name}: {kernel.shape[-1]} features do not divide into groups={groups}.")
    if 0 in x.shape[1:] or 0 in kernel.shape:
        raise ValueError(
            f"{name}: x {x.shape} or kernel {kernel.shape} has an empty axis: only the batch may "
            "be empty."
        )


def as_images(name: str, x: Any) -> jax.Array:
    """Convert images to a JAX array and check its shape.

    Args:
        name: name of the operation, for the error message.
        x: images, (batch, *space, channels).

    Raises:
        ValueError: a wrong rank, or an empty axis other than the batch.
    """
    x = jnp.asarray(x)
    if x.ndim not in (3, 4, 5):
        raise ValueError(
            f"{name}: x has shape {x.shape}, but images are (batch, *space, channels) with 1, 2 or "
            "3 spatial axes: add the missing axis, for example x[None] for a single image or "
            "x[..., None] for label maps."
        )
    if 0 in x.shape[1:]:
        raise ValueError(f"{name}: x {x.shape} has an empty axis: only the batch may be empty.")
    return x


def to_float32(x: jax.Array) -> jax.Array:
    """Convert 16-bit floats to float32, in which sums are exact enough; keep wider ones."""
    return x if jnp.finfo(x.dtype).bits >= 32 else x.astype(jnp.float32)
