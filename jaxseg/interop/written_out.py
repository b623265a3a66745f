"""Functions written out in plain `lax`, for converters that know no primitives but its own.

A function is traced and run again, equation by equation. Calls are run through, loops over layers
unrolled, and what depends on no input is computed on the way. Of the primitives that stay, those in
`RULES` are put as others.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax
from jax.extend import core

from jaxseg.interop.optional import pure
from jaxseg.ops import canonical, rewrites
from jaxseg.ops.geometry import Geometry
from jaxseg.ops.sparse_axis import taps_p, write_taps
from jaxseg.ops.trilinear import trilinear_p


def written_out(fn: Callable, images: jax.ShapeDtypeStruct) -> Callable:
    """The function of such images, in equations of plain `lax` alone.

    Raises:
        ValueError: `fn` returns something other than one array.
    """
    traced = jax.make_jaxpr(pure(fn))(images)
    if len(traced.jaxpr.outvars) != 1:
        raise ValueError(
            f"fn returns {len(traced.jaxpr.outvars)} arrays, and an export is of one: the logits."
        )
    for _ in range(2):  # what is put otherwise may hold what is to be put otherwise
        traced = jax.make_jaxpr(functools.partial(_run, traced.jaxpr, traced.consts))(images)
    run = core.jaxpr_as_fun(traced)
    return lambda x: run(x)[0]


def _run(jaxpr: Any, consts: Sequence[Any], *args: Any) -> list[Any]:
    # What is known is an array of NumPy throughout, and what is not a tracer of JAX.
    consts = [np.asarray(a) for a in consts]
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))
    for equation in jaxpr.eqns:
        operands = [v.val if isinstance(v, core.Literal) else values[v] for v in equation.invars]
        shapes = [n for v in equation.outvars for n in v.aval.shape]
        if operands and all(map(_known, (*operands, *shapes))):
            with jax.ensure_compile_time_eval():
                results = [np.asarray(a) for a in _equation(equation, operands)]
        else:
            results = _equation(equation, operands)
        values.update(zip(equation.outvars, results, strict=True))
    return [v.val if isinstance(v, core.Literal) else values[v] for v in jaxpr.outvars]


def _known(value: Any) -> bool:
    """Whether a value is there already, or a size is a number."""
    return not isinstance(value, jax.Array) and not export.is_symbolic_dim(value)


def _equation(equation: Any, operands: list[Any]) -> Sequence[Any]:
    primitive, params = equation.primitive, equation.params
    if primitive.name == "scan":
        return _unrolled(params, operands)
    inner = params.get("jaxpr", params.get("call_jaxpr"))
    if inner is not None and primitive.name in _CALLS:
        closed = hasattr(inner, "jaxpr")
        return _run(inner.jaxpr, inner.consts, *operands) if closed else _run(inner, (), *operands)
    if primitive.name in RULES:
        return [RULES[primitive.name](*operands, **params)]
    results = primitive.bind(*operands, **params)
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


def _unrolled(params: Any, operands: list[Any]) -> list[Any]:
    """The results of `lax.scan`, its steps one after the other."""
    fixed, carried = params["num_consts"], params["num_carry"]
    consts, carry = operands[:fixed], operands[fixed : fixed + carried]
    steps = range(params["length"])
    rows = []
    for step in reversed(steps) if params["reverse"] else steps:
        inputs = [a[step] for a in operands[fixed + carried :]]
        out = _run(params["jaxpr"].jaxpr, params["jaxpr"].consts, *consts, *carry, *inputs)
        carry, row = out[:carried], out[carried:]
        rows.append(row)
    if params["reverse"]:
        rows.reverse()
    return [*carry, *(jnp.stack(column) for column in zip(*rows, strict=True))]


# --- what is put otherwise -----------------------------------------------------------------------


def _trilinear(lhs, rhs, *, mode: str, geometry: Geometry):
    if mode == "y":
        out = canonical.convolution(lhs[0], rhs[0], geometry=geometry)
    elif mode == "x":
        out = _upconvolution(lhs[0], rhs[0], geometry)
    else:
        raise ValueError("a net that takes the weight gradient of a convolution is not exported.")
    return out[None]


def _upconvolution(y: jax.Array, k: jax.Array, geometry: Geometry) -> jax.Array:
    """Without `lhs_dilation` and interior padding, which jax2onnx gets wrong or refuses."""
    if geometry.groups == 1 and max(geometry.dilation) == 1:
        return rewrites.block_input_gradient(y, k, geometry=geometry)
    for axis, stride in enumerate(geometry.stride, start=1):
        y = _spread(y, axis, stride)
    ones = (1,) * len(geometry.stride)
    dense = dataclasses.replace(geometry, output=y.shape[1:-1], stride=ones)
    return canonical.input_gradient(y, k, geometry=dense)


def _spread(y: jax.Array, axis: int, stride: int) -> jax.Array:
    """Put stride - 1 zeros between the entries of an axis."""
    count = y.shape[axis]
    split = lax.expand_dims(y, [axis + 1])
    zeros = jnp.zeros((*y.shape[: axis + 1], stride - 1, *y.shape[axis + 1 :]), y.dtype)
    spread = lax.concatenate([split, zeros], axis + 1) if stride > 1 else split
    flat = spread.reshape(*y.shape[:axis], count * stride, *y.shape[axis + 1 :])
    return lax.slice_in_dim(flat, 0, (count - 1) * stride + 1, axis=axis)


def _largest(x, *, window_dimensions, window_strides, padding, base_dilation, window_dilation):
    """A maximum over windows as one of strided slices, axis by axis."""
    del base_dilation
    for axis, (k, s, p, d) in enumerate(
        zip(window_dimensions, window_strides, padding, window_dilation, strict=True)
    ):
        if k > 1:
            x = _largest_along(x, axis, k, s, p, d)
    return x


def _largest_along(x: jax.Array, axis: int, k: int, s: int, padding, d: int) -> jax.Array:
    edges = [(*padding, 0) if a == axis else (0, 0, 0) for a in range(x.ndim)]
    x = _padded(x, jnp.full((), -jnp.inf, x.dtype), padding_config=edges)
    count = (x.shape[axis] - (k - 1) * d - 1) // s + 1
    parts = [
        lax.slice_in_dim(x, t * d, t * d + (count - 1) * s + 1, s, axis=axis) for t in range(k)
    ]
    return functools.reduce(lax.max, parts)


def _padded(x: jax.Array, value: jax.Array, *, padding_config) -> jax.Array:
    """Padding as concatenation, which is converted for any batch; negative is a slice."""
    if any(interior for _, _, interior in padding_config):
        return lax.pad(x, value, padding_config)
    for axis, (before, after, _) in enumerate(padding_config):
        start, stop = max(-before, 0), x.shape[axis] - max(-after, 0)
        if before < 0 or after < 0:
            x = lax.slice_in_dim(x, start, stop, axis=axis)
        sides = [
            lax.broadcast(value, (*x.shape[:axis], max(n, 0), *x.shape[axis + 1 :]))
            for n in (before, after)
        ]
        parts = [p for p in (sides[0], x, sides[1]) if p.shape[axis] != 0]
        x = lax.concatenate(parts, axis) if len(parts) > 1 else x
    return x


def _gather(x, start, *, dimension_numbers, slice_sizes, **params) -> jax.Array:
    """One block at a known place, which is how JAX indexes up to an unknown size, as a slice."""
    if start.ndim != 1 or len(dimension_numbers.offset_dims) != x.ndim or not _known(start):
        return lax.gather_p.bind(
            x, start, dimension_numbers=dimension_numbers, slice_sizes=slice_sizes, **params
        )
    first = [0] * x.ndim
    for axis, place in zip(dimension_numbers.start_index_map, start, strict=True):
        first[axis] = int(place)
    return lax.slice(x, first, [a + n for a, n in zip(first, slice_sizes, strict=True)])


RULES: dict[str, Callable[..., jax.Array]] = {
    trilinear_p.name: _trilinear,
    taps_p.name: write_taps,
    "reduce_window_max": _largest,
    "pad": _padded,
    "optimization_barrier": lambda x: x,
    "gather": _gather,
}
