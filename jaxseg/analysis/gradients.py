"""Gradient norms by layer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

from jaxseg.numerics import safe_norm


class StackNorms(NamedTuple):
    """Norms of a loss's gradient, an entry a layer, first layer first."""

    inputs: Float[Array, "layers"]
    weights: Float[Array, "layers"]


def stack_gradient_norms(
    loss: Callable[[Any, jax.Array], jax.Array], layers: Any, perturbations: jax.Array
) -> StackNorms:
    """Gradient norm of every layer of a stack, in one backward pass.

    Args:
        loss: `loss(layers, perturbations)`, a scalar.
        layers: the stacked parameters, a pytree whose leaves have a leading axis of layers.
        perturbations: (layers, *shape), zeros that `loss` adds to each layer's input.

    Returns:
        the norms of dE/dx_l and of dE/dw_l.
    """
    by_layer, by_input = jax.grad(loss, (0, 1))(layers, perturbations)
    return StackNorms(leading_norms(by_input), leading_norms(by_layer))


def leading_norms(tree: Any) -> Float[Array, "layers"]:
    """Euclidean norm over all leaves and all axes but the leading one; see `safe_norm`."""
    return jax.vmap(safe_norm)(tree)
