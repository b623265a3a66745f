"""Normalization, precision and rematerialization as the nets and encoders share them."""

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.models._arguments import ComputeDtype
from jaxseg.nn import BatchNorm, GroupNorm, rematerialize
from jaxseg.nn.norm import NormFactory

NORMS: dict[str, NormFactory] = {"batch": BatchNorm, "group": GroupNorm}


def to_compute_dtype(images: jax.Array, dtype: ComputeDtype | None) -> jax.Array:
    """Cast images to the dtype that a net computes in; None keeps their own."""
    return images if dtype is None else images.astype(dtype)


def to_float32(logits: jax.Array, images: jax.Array) -> jax.Array:
    """Cast logits to float32, or to float64 where the images are float64."""
    return logits.astype(jnp.promote_types(jnp.float32, images.dtype))


def run_block(
    block: nnx.Module, x: jax.Array, *more: jax.Array | None, train: bool, remat: bool
) -> jax.Array:
    """Call a block, and with `remat` recompute its inside in the backward pass."""
    if remat:
        return rematerialize(block, x, *more, train=train)
    return block(x, *more, train=train)  # type: ignore[operator]
