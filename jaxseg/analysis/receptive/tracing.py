"""From a function to its jaxpr, and through the interpreter."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxseg.analysis.receptive.arrays import Operand
from jaxseg.analysis.receptive.constants import constant
from jaxseg.analysis.receptive.graph import Graph
from jaxseg.analysis.receptive.interpreter import Interpreter


def interpret(
    fn: Callable,
    x: Any,
    *,
    check_layout: bool = True,
    prepare: Callable[[Any], Callable] = lambda module: module,
) -> tuple[Interpreter, list[Operand], Any]:
    """Interpret a function of one image batch.

    Args:
        fn: Function or `flax.nnx` module, as in `receptive_field`.
        x: Image batch (batch, *space, channels), an array or a `jax.ShapeDtypeStruct`.
        check_layout: Refuse an `x` that looks like (batch, channels, *space).
        prepare: What to do to a module, a copy made for this trace, before it is called.

    Returns:
        The interpreter, the arrays that the function returns, and their abstract values, nested as
        the function returns them.

    Raises:
        ValueError: `x` is not an image batch, or looks like one whose channels come first.
    """
    shape = tuple(getattr(x, "shape", ()))
    if not hasattr(x, "dtype") or not 3 <= len(shape) <= 5 or math.prod(shape) == 0:
        raise ValueError(
            f"receptive_field: x of shape {shape} is no image batch: give an array or a "
            "jax.ShapeDtypeStruct (batch, *space, channels) with 1, 2 or 3 spatial axes."
        )
    if check_layout and _looks_channels_first(shape):
        raise ValueError(
            f"receptive_field: x of shape {shape} looks like (batch, channels, *space), but is "
            "read as (batch, *space, channels): move the channels to the end, as in lambda x: "
            "jnp.moveaxis(fn(jnp.moveaxis(x, -1, 1)), 1, -1) of jnp.moveaxis(x, 1, -1); or pass "
            "check_layout=False if the channels are last."
        )
    arrays, constants, call = _arrays_of(fn, prepare)
    closed_jaxpr, out = jax.make_jaxpr(call, return_shape=True)(
        arrays, jax.ShapeDtypeStruct(shape, x.dtype)
    )
    graph = Graph(shape[1:-1])
    interpreter = Interpreter(graph)
    results = interpreter.run(closed_jaxpr, [*constants, graph.input(shape)], "")
    return interpreter, results, out


_SMALLEST_IMAGE = 16  # pixels; smaller axes are as likely features
_COLOR_CHANNELS = (3, 4)


def _looks_channels_first(shape: tuple[int, ...]) -> bool:
    """Tell if the second axis looks like channels, and those behind it like rows and columns.

    In two and three dimensions that is so if the axes behind the second are equal and longer than
    it, or if it has 3 or 4 entries, as colors do, and the others an aspect ratio of 2 at most. Of
    a line, (batch, n, m), no one can tell.
    """
    second, *space = shape[1:]
    shortest, longest = min(space), max(space)
    if len(space) < 2 or shortest < _SMALLEST_IMAGE:
        return False
    if shortest == longest:
        return second < shortest
    return second in _COLOR_CHANNELS and longest <= 2 * shortest


def _arrays_of(
    fn: Callable, prepare: Callable[[Any], Callable]
) -> tuple[dict[int, Any], list[Operand], Callable]:
    """The arrays that a function holds: as they are, as constants, and a call that takes them."""
    given = fn if isinstance(fn, functools.partial) else functools.partial(fn)
    is_module = isinstance(given.func, nnx.Module)
    # Split, as the shared parts of a module are shared in the merged one, too.
    graphdef, held = nnx.split(given.func) if is_module else (None, given.func)
    variables = jax.tree.leaves(held, is_leaf=_is_variable)
    is_param = [isinstance(v, nnx.Param) for v in variables for _ in jax.tree.leaves(v)]
    leaves, tree = jax.tree.flatten((held, given.args, given.keywords))
    is_param += [not is_module] * (len(leaves) - len(is_param))
    arrays = {
        i: leaf
        for i, leaf in enumerate(leaves)
        if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct)
        or (is_module and isinstance(leaf, np.ndarray))
    }
    constants: list[Operand] = [
        constant(
            array,
            i if is_param[i] or not is_module else None,
            learned=(is_param[i] and is_module) or isinstance(array, jax.ShapeDtypeStruct),
        )
        for i, array in arrays.items()
    ]

    def call(arrays, image):
        func, args, keywords = jax.tree.unflatten(
            tree, [arrays.get(i, leaf) for i, leaf in enumerate(leaves)]
        )
        if graphdef is not None:
            func = prepare(nnx.merge(graphdef, func))
        return func(*args, image, **keywords)

    return arrays, constants, call


def _is_variable(leaf: Any) -> bool:
    return isinstance(leaf, nnx.Variable)
