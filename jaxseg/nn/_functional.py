"""From a module to a pair of pure functions, which `vmap` over seeds and `jit` take as they are."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

Init = Callable[[jax.Array], tuple[nnx.State, nnx.State]]
Apply = Callable[..., tuple[Any, nnx.State]]


def functional(make: Callable[[nnx.Rngs], nnx.Module]) -> tuple[Init, Apply]:
    """Split what `make` builds into `init` and `apply`.

    Args:
        make: builds the module from its `nnx.Rngs`.

    Returns:
        `init(key) -> (params, stats)` and `apply(params, stats, *args, method=None, **kwargs) ->
        (output, stats)`. `params` are the module's `nnx.Param`s, `stats` its other variables
        (batch statistics), returned as the call left them. `method` names another method than the
        call itself.
    """
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: make(nnx.Rngs(0))))

    def init(key: jax.Array) -> tuple[nnx.State, nnx.State]:
        _, params, stats = nnx.split(make(nnx.Rngs(key)), nnx.Param, ...)
        return params, stats

    def apply(params, stats, *args, method: str | None = None, **kwargs):
        module = nnx.merge(graphdef, params, stats, copy=True)
        called = module if method is None else getattr(module, method)
        out = called(*args, **kwargs)
        return out, nnx.state(module, nnx.Not(nnx.Param))

    return init, apply
