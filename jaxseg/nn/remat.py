"""Rematerialization: recompute a module in the backward pass instead of storing its inside."""

from typing import Any

import jax
from flax import nnx


def rematerialize(module: nnx.Module, *inputs: jax.Array | None, train: bool = False) -> Any:
    """Call a module so that the backward pass keeps only its inputs and recomputes the rest.

    This costs one more forward pass of the module. Values, gradients and the update of its batch
    statistics are those of the plain call.

    Args:
        module: the module, called as `module(*inputs, train=train)`.
        inputs: arrays, or None where the module takes it.
        train: passed on to the module.

    Returns:
        What the module returns; its variables are updated in place, as the call would.

    Source:
        Chen et al., "Training deep nets with sublinear memory cost", 2016 (arXiv:1604.06174).

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import nn
        >>> block = nn.PreActivation(4, rngs=nnx.Rngs(0))
        >>> x = jnp.ones((1, 5, 5, 4))
        >>> bool((nn.rematerialize(block, x) == block(x)).all())
        True
    """
    graphdef, params, rest = nnx.split(module, nnx.Param, ...)

    @jax.checkpoint
    def run(params, rest, inputs):
        # A copy: merge would otherwise hand out the very variables of `module`.
        copy = nnx.merge(graphdef, params, rest, copy=True)
        out = copy(*inputs, train=train)  # type: ignore[operator]
        return out, nnx.state(copy, nnx.Not(nnx.Param))

    out, rest = run(params, rest, inputs)
    nnx.update(module, rest)
    return out
