"""Gradient norms by layer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

from jaxseg.numerics import safe_norm


class StackNorms(NamedTuple):
    """Euclidean norms of a loss's gradient, one entry for each layer, the first layer first.

    Attributes:
        inputs: |dE/dx_l|, over the whole batch.
        weights: |dE/dw_l|, over all parameters of the layer.
    """

    inputs: Float[Array, "layers"]
    weights: Float[Array, "layers"]


def stack_gradient_norms(
    loss: Callable[[Any, jax.Array], jax.Array], layers: Any, perturbations: jax.Array
) -> StackNorms:
    """Gradient norms of every layer of a stack, in one backward pass.

    Args:
        loss: `loss(layers, perturbations)`, a scalar.
        layers: Stacked parameters, a pytree whose leaves have a leading axis of layers.
        perturbations: (layers, *shape) zeros that `loss` adds to the input of each layer.

    Returns:
        A `StackNorms`, float32.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxseg.analysis import stack_gradient_norms
        >>> def loss(layers, perturbations):  # x_{l+1} = w_l x_l, so that E = w_1 w_2 w_3 x_0
        ...     x = jnp.ones(1)
        ...     for w, perturbation in zip(layers, perturbations):
        ...         x = w * (x + perturbation)
        ...     return x.sum()
        >>> norms = stack_gradient_norms(loss, jnp.array([2.0, 3.0, 4.0]), jnp.zeros((3, 1)))
        >>> norms.inputs.tolist(), norms.weights.tolist()
        ([24.0, 12.0, 4.0], [12.0, 8.0, 6.0])
    """
    by_layer, by_input = jax.grad(loss, (0, 1))(layers, perturbations)
    return StackNorms(leading_norms(by_input), leading_norms(by_layer))


def leading_norms(tree: Any) -> Float[Array, "n"]:
    """Euclidean norm of each entry along the leading axis, over all leaves together.

    The squares need not fit into float32: the largest entry is divided out first.

    Args:
        tree: Pytree whose leaves have a leading axis of one length n: layers or examples.

    Returns:
        Norms in float32; infinite or NaN if an entry is.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.analysis import leading_norms
        >>> norms = leading_norms({"w": jnp.array([[3e-30], [1.0]]), "b": jnp.array([4e-30, 0.0])})
        >>> [f"{norm:.3g}" for norm in norms]
        ['5e-30', '1']
    """
    return jax.vmap(safe_norm)(tree)
