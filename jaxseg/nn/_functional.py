"""From a module to a pair of pure functions, which `vmap` over seeds and `jit` take as they are."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from jaxseg.nn._plain_variables import build_plain

Init = Callable[[jax.Array], tuple[nnx.State, nnx.State]]
Apply = Callable[..., tuple[Any, nnx.State]]


def functional(make: Callable[[nnx.Rngs], nnx.Module]) -> tuple[Init, Apply]:
    """Split the module that a factory builds into the pure functions `init` and `apply`.

    Args:
        make: builds the module from its `nnx.Rngs`.

    Returns:
        `init(key) -> (params, stats)` and `apply(params, stats, *args, method=None, **kwargs) ->
        (output, stats)`. `params` are the module's `nnx.Param`s and `stats` its other variables
        (batch statistics), which `apply` returns as the call left them. `method` is the name of
        the method to call instead of `__call__`; other arguments are passed on to it.

    Raises:
        ValueError: `make` is not a factory but a module, or does not return a module.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxseg import nn
        >>> init, apply = nn.functional(lambda rngs: nn.Conv(3, 8, rngs=rngs))
        >>> params, stats = init(jax.random.key(0))
        >>> y, stats = apply(params, stats, jnp.ones((2, 16, 16, 3)))
        >>> y.shape
        (2, 16, 16, 8)
    """
    if isinstance(make, nnx.Module) or not callable(make):
        kind = type(make).__name__
        raise ValueError(
            f"functional: make is a {kind}, but a factory is needed, which builds the module from "
            f"its nnx.Rngs: give for example `lambda rngs: {kind}(..., rngs=rngs)`."
        )
    module = nnx.eval_shape(lambda: build_plain(make, 0))
    if not isinstance(module, nnx.Module):
        raise ValueError(
            "functional: make does not return an nnx.Module: it must build the module from its "
            "nnx.Rngs and return it."
        )
    graphdef = nnx.graphdef(module)

    def init(key: jax.Array) -> tuple[nnx.State, nnx.State]:
        _, params, stats = nnx.split(build_plain(make, key), nnx.Param, ...)
        return params, stats

    def apply(
        params: nnx.State, stats: nnx.State, *args: Any, method: str | None = None, **kwargs: Any
    ) -> tuple[Any, nnx.State]:
        module = nnx.merge(graphdef, params, stats, copy=True)
        call = module if method is None else getattr(module, method)
        out = call(*args, **kwargs)
        return out, nnx.state(module, nnx.Not(nnx.Param))

    return init, apply
