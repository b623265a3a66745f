"""Gradient norms that neither overflow nor vanish in float32."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class LayerNorms(NamedTuple):
    """Norms of a loss's gradient, an entry a layer, first layer first."""

    inputs: Float[Array, "layers"]
    weights: Float[Array, "layers"]


def layer_gradient_norms(
    loss: Callable[[Any, jax.Array], jax.Array], layers: Any, nudges: jax.Array
) -> LayerNorms:
    """Gradient norm of every layer of a stack, in one backward pass.

    Args:
        loss: `loss(layers, nudges)`, a scalar.
        layers: the stacked parameters, a pytree whose leaves have a leading axis of layers.
        nudges: (layers, *shape), zeros that `loss` adds to each layer's input.

    Returns:
        the norms of dE/dx_l and of dE/dw_l.
    """
    by_layer, by_input = jax.grad(loss, (0, 1))(layers, nudges)
    return LayerNorms(leading_norms(by_input), leading_norms(by_layer))


def leading_norms(tree: Any) -> Float[Array, "layers"]:
    """Euclidean norm over all leaves and all axes but the leading one.

    The largest entry is divided out first: the square of a gradient of 1e-20 is no float32, and a
    deep plain net has such gradients.
    """
    leaves = [a.reshape(a.shape[0], -1).astype(jnp.float32) for a in jax.tree.leaves(tree)]
    flat = jnp.concatenate(leaves, axis=1)
    largest = jnp.max(jnp.abs(flat), axis=1)
    divisor = jnp.where(largest > 0, largest, jnp.ones_like(largest))
    return largest * jnp.sqrt(jnp.sum((flat / divisor[:, None]) ** 2, axis=1))
