"""Functions rewritten in plain `lax`, for converters that know no other primitives.

A function is traced and run again, equation by equation. Calls are inlined, scans unrolled, and
what does not depend on the input is computed on the way. Of the remaining primitives, those in
`RULES` are replaced by others.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax
from jax.extend import core

from jaxseg.interop.export_support import pure
from jaxseg.interop.plain_convolutions import plain_trilinear
from jaxseg.ops.sparse_axis import taps_p, write_taps
from jaxseg.ops.sums import sums_p
from jaxseg.ops.trilinear import trilinear_p


def to_plain_lax(fn: Callable, images: jax.ShapeDtypeStruct) -> Callable:
    """Rewrite a function of images in equations of plain `lax`.

    Args:
        fn: Function of images that returns one array, or a module.
        images: Shape and dtype of the images; sizes may be symbolic.

    Returns:
        Function of such images with the same result.

    Raises:
        ValueError: `fn` returns something other than one array.
    """
    traced = jax.make_jaxpr(pure(fn))(images)
    if len(traced.jaxpr.outvars) != 1:
        raise ValueError(
            f"fn returns {len(traced.jaxpr.outvars)} arrays, and an export is of one: the logits."
        )
    for _ in range(2):  # the replacements can contain primitives that have to be replaced
        traced = jax.make_jaxpr(functools.partial(_run, traced.jaxpr, traced.consts))(images)
    run = core.jaxpr_as_fun(traced)
    return lambda x: run(x)[0]


def _run(jaxpr: Any, consts: Sequence[Any], *args: Any) -> list[Any]:
    # Throughout, known values are arrays of NumPy, and unknown ones tracers of JAX.
    consts = [np.asarray(a) for a in consts]
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))
    for equation in jaxpr.eqns:
        operands = [v.val if isinstance(v, core.Literal) else values[v] for v in equation.invars]
        sizes = [n for v in equation.outvars for n in v.aval.shape]
        if operands and all(map(_is_known, (*operands, *sizes))):
            with jax.ensure_compile_time_eval():
                results = [np.asarray(a) for a in _apply(equation, operands)]
        else:
            results = _apply(equation, operands)
        values.update(zip(equation.outvars, results, strict=True))
    return [v.val if isinstance(v, core.Literal) else values[v] for v in jaxpr.outvars]


def _is_known(value: Any) -> bool:
    """Tell whether an operand has been computed, or a size is a number."""
    return not isinstance(value, jax.Array) and not export.is_symbolic_dim(value)


def _apply(equation: Any, operands: list[Any]) -> Sequence[Any]:
    primitive, params = equation.primitive, equation.params
    if primitive.name == "scan":
        return unroll(params, operands)
    inner = params.get("jaxpr", params.get("call_jaxpr"))
    if inner is not None and primitive.name in _CALLS:
        closed = hasattr(inner, "jaxpr")
        return _run(inner.jaxpr, inner.consts, *operands) if closed else _run(inner, (), *operands)
    rewritten = RULES.get(primitive.name)
    results = rewritten(*operands, **params) if rewritten else primitive.bind(*operands, **params)
    return results if primitive.multiple_results else [results]


_CALLS = (
    "jit",
    "pjit",
    "closed_call",
    "core_call",
    "remat2",
    "checkpoint",
    "custom_jvp_call",
    "custom_vjp_call",
)


def unroll(params: Mapping[str, Any], operands: list[Any]) -> list[Any]:
    """Run the steps of a scan one after the other.

    Args:
        params: Parameters of the scan's equation.
        operands: Constants, carried arrays and inputs, in this order.

    Returns:
        Carried arrays and stacked outputs.
    """
    num_consts, num_carry = scan_counts(params)
    consts, carry = operands[:num_consts], operands[num_consts : num_consts + num_carry]
    steps = range(params["length"])
    rows = []
    for step in reversed(steps) if params["reverse"] else steps:
        inputs = [a[step] for a in operands[num_consts + num_carry :]]
        out = _run(params["jaxpr"].jaxpr, params["jaxpr"].consts, *consts, *carry, *inputs)
        carry, row = out[:num_carry], out[num_carry:]
        rows.append(row)
    if params["reverse"]:
        rows.reverse()
    return [*carry, *(jnp.stack(column) for column in zip(*rows, strict=True))]


def scan_counts(params: Mapping[str, Any]) -> tuple[int, int]:
    """Read the numbers of a scan's constants and of its carried arrays from its parameters.

    JAX before 0.12 has them as `num_consts` and `num_carry`. JAX 0.12 has a tree of the scan's
    constants, carry and inputs instead, as `ft_in`.

    Args:
        params: Parameters of a scan's equation.

    Raises:
        ValueError: The parameters have neither form.
    """
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    if "ft_in" in params:
        consts, carry, _ = params["ft_in"].unpack()
        return len(consts), len(carry)
    raise ValueError(
        f"a scan of JAX {jax.__version__} has the parameters {sorted(params)}, of which the "
        "number of carried arrays cannot be read: export with JAX 0.10 to 0.12."
    )


# --- rules -----------------------------------------------------------------------------------


def _max_pool(x, *, window_dimensions, window_strides, padding, base_dilation, window_dilation):
    """Take a maximum over windows as maxima of strided slices, axis by axis."""
    del base_dilation
    for axis, (window, stride, pad, dilation) in enumerate(
        zip(window_dimensions, window_strides, padding, window_dilation, strict=True)
    ):
        if window > 1:
            x = _max_pool_axis(x, axis, window, stride, pad, dilation)
    return x


def _max_pool_axis(
    x: jax.Array, axis: int, window: int, stride: int, padding: tuple[int, int], dilation: int
) -> jax.Array:
    edges = [(*padding, 0) if a == axis else (0, 0, 0) for a in range(x.ndim)]
    x = _pad(x, jnp.full((), -jnp.inf, x.dtype), padding_config=edges)
    reach = (window - 1) * dilation
    last = (x.shape[axis] - reach - 1) // stride * stride
    taps = [
        lax.slice_in_dim(x, start, start + last + 1, stride, axis=axis)
        for start in range(0, reach + 1, dilation)
    ]
    return functools.reduce(lax.max, taps)


def _pad(x: jax.Array, value: jax.Array, *, padding_config) -> jax.Array:
    """Pad by concatenation, which is converted for any batch, and crop by a slice."""
    if any(interior for _, _, interior in padding_config):
        return lax.pad(x, value, padding_config)
    for axis, (before, after, _) in enumerate(padding_config):
        if before < 0 or after < 0:
            start, stop = max(-before, 0), x.shape[axis] - max(-after, 0)
            x = lax.slice_in_dim(x, start, stop, axis=axis)
        sides = [
            lax.broadcast(value, (*x.shape[:axis], max(n, 0), *x.shape[axis + 1 :]))
            for n in (before, after)
        ]
        parts = [part for part in (sides[0], x, sides[1]) if part.shape[axis] != 0]
        x = lax.concatenate(parts, axis) if len(parts) > 1 else x
    return x


def _gather(x, start, *, dimension_numbers, slice_sizes, **params) -> jax.Array:
    """Take one block at a known place as a slice. JAX indexes so up to a size that is unknown."""
    if start.ndim != 1 or len(dimension_numbers.offset_dims) != x.ndim or not _is_known(start):
        return lax.gather_p.bind(
            x, start, dimension_numbers=dimension_numbers, slice_sizes=slice_sizes, **params
        )
    first = [0] * x.ndim
    for axis, place in zip(dimension_numbers.start_index_map, start, strict=True):
        first[axis] = int(place)
    return lax.slice(x, first, [a + n for a, n in zip(first, slice_sizes, strict=True)])


def _sums(*arrays, axes):
    """Sum without the blocks, which only make a processor's loops faster."""
    return [jnp.sum(a, axes, keepdims=True) for a in arrays]


RULES: dict[str, Callable[..., Any]] = {
    trilinear_p.name: plain_trilinear,
    taps_p.name: write_taps,
    sums_p.name: _sums,
    "reduce_window_max": _max_pool,
    "pad": _pad,
    "optimization_barrier": lambda *arrays: arrays,
    "gather": _gather,
}
"""Replacement of every primitive that is replaced, by its name."""
