"""Recompute a module in the backward pass instead of keeping what it computed."""

from typing import Any

import jax
from flax import nnx


def rematerialised(module: nnx.Module, *args: Any, **options: Any) -> Any:
    """`module(*args, **options)`, of which the backward pass keeps the arguments alone.

    Costs one more forward pass of the module (Chen et al. 2016, arXiv:1604.06174). Values,
    gradients and the update of its batch statistics are those of the plain call.

    Args:
        module: called once forward, and once more when its gradient is taken.
        args: arrays, or None.
        options: static, such as `train=True`.

    Returns:
        What the module returns; its variables are updated in place, as the call would.
    """
    graphdef, params, rest = nnx.split(module, nnx.Param, ...)

    @jax.checkpoint
    def run(params, rest, args):
        # A copy: merge would otherwise hand out the very variables of `module`.
        copy = nnx.merge(graphdef, params, rest, copy=True)
        out = copy(*args, **options)  # type: ignore[operator]
        return out, nnx.state(copy, nnx.Not(nnx.Param))

    out, rest = run(params, rest, args)
    nnx.update(module, rest)
    return out
