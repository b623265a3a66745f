"""Modules of plain variables, whatever Flax's default is."""

from collections.abc import Callable

from flax import nnx


def plain_variables(make: Callable[[nnx.Rngs], nnx.Module]) -> Callable[[nnx.Rngs], nnx.Module]:
    """Make a factory build modules whose variables are pytrees of arrays.

    Under `nnx.var_defaults(hijax=True)` Flax makes variables that are values of a type of their
    own. They have no rule for `vmap`, and cannot be written to inside `jit`, `scan` or `grad`.

    Args:
        make: Factory of a module.
    """

    def make_plain(rngs: nnx.Rngs) -> nnx.Module:
        with nnx.var_defaults(hijax=False):
            return make(rngs)

    return make_plain
