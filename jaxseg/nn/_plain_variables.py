"""Modules of plain variables, whatever Flax's default is."""

from collections.abc import Callable
from typing import Any

from flax import nnx


def build_plain(make: Callable[[nnx.Rngs], Any], seed: Any) -> Any:
    """Build a module whose variables are pytrees of arrays.

    Under `nnx.var_defaults(hijax=True)` Flax makes variables that are values of a type of their
    own. They have no rule for `vmap`, and cannot be written to inside `jit`, `scan` or `grad`; the
    counters of the random number generators are variables too.

    Args:
        make: Factory of a module.
        seed: An integer or a JAX PRNG key, for its `nnx.Rngs`.
    """
    with nnx.var_defaults(hijax=False):
        return make(nnx.Rngs(seed))
