"""`receptive_field`: what each output pixel of a function sees of its input."""

from collections.abc import Callable
from typing import Any

import jax

from jaxseg.analysis.receptive.arrays import Value
from jaxseg.analysis.receptive.field import ReceptiveField
from jaxseg.analysis.receptive.tracing import interpret


def receptive_field(fn: Callable, x: Any, *, check_layout: bool = True) -> ReceptiveField:
    """The receptive field of any JAX function of one image batch.

    The function is traced, not run. Its jaxpr is interpreted with, in place of each array, the
    input positions that each of its positions can depend on. So residual branches, dilation,
    strides, upconvolutions, constant indices and the borders of the image are all exact.
    Parameters, convolution kernels and masks are taken to be nowhere zero. The entries of indices,
    conditions and matrices along an axis, such as those of a resize, are used as they are, zeros
    included, unless they are parameters of a module.

    Args:
        fn: Function of an image batch that returns an array (batch, *space, features): any JAX
            function or `flax.nnx` module. A module that updates statistics as it runs is given
            itself, or in a `functools.partial`, as in `partial(net, train=True)`; a lambda around
            it may not update it.
        x: Image batch (batch, *space, channels) with one to three spatial axes, an array or a
            `jax.ShapeDtypeStruct`. Only its shape and dtype matter.
        check_layout: Refuse a shape that looks like (batch, channels, *space): axes of at least 16
            pixels that are equal, behind a shorter second axis, or not very long, behind 3 or 4
            colors. Pass False if the channels are last all the same.

    Returns:
        A `ReceptiveField`. The size, stride and padding of a chain of layers with kernels k_l and
        strides s_l are those of

            r_0 = 1 + sum_l (k_l - 1) prod_{i<l} s_i;

        of several paths the largest counts. `window`, `coverage` and `counts` answer for single
        output pixels.

    Raises:
        ValueError: `x` is not an image batch, or looks like one whose channels come first; `fn`
            does not return one array with two axes or more; it uses a primitive that has no rule,
            or writes to an index that depends on the input.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxseg import ops
        >>> from jaxseg.analysis import receptive_field
        >>> def net(x):  # 3x3 with stride 2, then 3x3 with dilation 2
        ...     x = ops.conv(x, jnp.ones((3, 3, 1, 8)), stride=2)
        ...     return ops.conv(x, jnp.ones((3, 3, 8, 8)), dilation=2)
        >>> field = receptive_field(net, jax.ShapeDtypeStruct((1, 64, 64, 1), jnp.float32))
        >>> field
        ReceptiveField of (32, 32) pixels in (64, 64)
          axis 0: 11 pixels, stride 2, padding 4, offset 1
          axis 1: 11 pixels, stride 2, padding 4, offset 1
        >>> field.window((0, 16))
        ((0, 6), (28, 38))

    Source:
        Araujo, Norris & Sim, "Computing receptive fields of convolutional neural networks",
        Distill 2019, doi:10.23915/distill.00021, equations 2 and 4, whose chains are the simplest
        case.
    """
    interpreter, results, out = interpret(fn, x, check_layout=check_layout)
    if not hasattr(out, "shape") or len(out.shape) < 2:
        raise ValueError(
            f"receptive_field: the function returns {jax.tree.map(lambda a: a.shape, out)}, not "
            "one array (batch, ..., features): pick one, as in lambda x: fn(x)['out']."
        )
    value = results[0] if isinstance(results[0], Value) else None
    return ReceptiveField(interpreter.graph, value, out.shape)
