"""One trilinear form, <y, conv(x, k)>, as one JAX primitive with three modes.

Fixing two of the three operands leaves a linear map to the third:

    mode "y"   (x, k) -> y    the convolution
    mode "x"   (y, k) -> x    its input gradient, which is the upconvolution
    mode "k"   (x, y) -> k    its weight gradient

The derivative of each mode in each operand is another mode, so two transposition rules give
every derivative of every order, and how a mode is written for the compiler is a matter of its
lowering alone. Shapes, with S an ensemble axis that all three share:

    x (S, batch, *input, in)    k (S, *window, in / groups, out)    y (S, batch, *output, out)

Batching (`vmap`) closes over the modes too: an operand batched alone folds the new axis into the
axis that it does not share with the other operand; two batched operands fold it into S.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxseg.ops import dispatch
from jaxseg.ops.geometry import Geometry

Mode = Literal["y", "x", "k"]

trilinear_p = Primitive("jaxseg_trilinear")


def trilinear(mode: Mode, lhs: jax.Array, rhs: jax.Array, geometry: Geometry, form: str):
    """Apply one mode to operands without the ensemble axis; see the module for the shapes."""
    lhs, rhs = _match_varying(lhs, rhs)
    out = trilinear_p.bind(lhs[None], rhs[None], mode=mode, geometry=geometry, form=form)
    return out[0]


def _match_varying(*operands: jax.Array) -> list[jax.Array]:
    """Inside `shard_map`: mark every operand as varying over the axes that any of them varies on.

    The transpose of that mark is the sum over devices that the gradient of a shared kernel needs.
    """
    # Undocumented as yet, though public by name; tests/ops/test_sharding.py guards it.
    axes = [jax.typeof(a).manual_axis_type.varying for a in operands]
    wanted = frozenset().union(*axes)
    return [
        lax.pcast(a, tuple(wanted - own), to="varying") if wanted - own else a
        for a, own in zip(operands, axes, strict=True)
    ]


# --- shapes ------------------------------------------------------------------------------------


def _abstract(lhs: Any, rhs: Any, *, mode: Mode, geometry: Geometry, form: str) -> Any:
    del form
    ensemble = lhs.shape[0]
    if mode == "y":
        shape = (ensemble, lhs.shape[1], *geometry.output, rhs.shape[-1])
    elif mode == "x":
        shape = (ensemble, lhs.shape[1], *geometry.input, rhs.shape[-2] * geometry.groups)
    else:
        channels = lhs.shape[-1] // geometry.groups
        shape = (ensemble, *geometry.window, channels, rhs.shape[-1])
    return lhs.update(shape=shape, weak_type=False)


# --- derivatives -------------------------------------------------------------------------------


def _transpose_lhs(cotangent, lhs, rhs, *, mode, geometry, form):
    del lhs
    bind = functools.partial(trilinear_p.bind, geometry=geometry, form=form)
    if mode == "y":
        return bind(cotangent, rhs, mode="x")
    if mode == "x":
        return bind(cotangent, rhs, mode="y")
    return bind(rhs, cotangent, mode="x")


def _transpose_rhs(cotangent, lhs, rhs, *, mode, geometry, form):
    del rhs
    bind = functools.partial(trilinear_p.bind, geometry=geometry, form=form)
    if mode == "y":
        return bind(lhs, cotangent, mode="k")
    if mode == "x":
        return bind(cotangent, lhs, mode="k")
    return bind(lhs, cotangent, mode="y")


# --- batching ----------------------------------------------------------------------------------

# mode -> for the left and the right operand: (its own free axis, the output's), and whether the
# channels on each are laid out group by group.
_FREE = {
    "y": (((1, False), (1, False)), ((-1, True), (-1, True))),
    "x": (((1, False), (1, False)), ((-2, False), (-1, True))),
    "k": (((-1, True), (-2, False)), ((-1, True), (-1, True))),
}


def _batch(args, dims, *, mode, geometry, form):
    if any(math.prod(a.shape) == 0 for a in args):  # `_unfold` could not tell the sizes apart
        members = [
            jax.ShapeDtypeStruct(a.shape if d is None else a.shape[:d] + a.shape[d + 1 :], a.dtype)
            for a, d in zip(args, dims, strict=True)
        ]
        (count,) = {a.shape[d] for a, d in zip(args, dims, strict=True) if d is not None}
        shape = _abstract(*members, mode=mode, geometry=geometry, form=form).shape
        return jnp.zeros((count, *shape), args[0].dtype), 0
    bind = functools.partial(trilinear_p.bind, mode=mode, geometry=geometry, form=form)
    batched = [a if d is None else jnp.moveaxis(a, d, 0) for a, d in zip(args, dims, strict=True)]
    if None not in dims:
        count = batched[0].shape[0]
        out = bind(*(a.reshape(-1, *a.shape[2:]) for a in batched))
        return out.reshape(count, -1, *out.shape[1:]), 0
    which = 0 if dims[0] is not None else 1
    count = batched[which].shape[0]
    (axis, grouped), (out_axis, out_grouped) = _FREE[mode][which]
    batched[which] = _fold(batched[which], axis, geometry.groups if grouped else 1)
    out = bind(*batched)
    return _unfold(out, out_axis, count, geometry.groups if out_grouped else 1), 0


def _fold(a: jax.Array, axis: int, groups: int) -> jax.Array:
    """(N, ..., C at `axis`, ...) -> (..., groups * N * C / groups, ...), group-major."""
    axis = axis + 1 if axis >= 0 else a.ndim + axis
    split = a.reshape(*a.shape[:axis], groups, -1, *a.shape[axis + 1 :])
    moved = jnp.moveaxis(split, 0, axis)  # now (..., groups, N, C / groups, ...)
    return moved.reshape(*a.shape[1:axis], -1, *a.shape[axis + 1 :])


def _unfold(a: jax.Array, axis: int, count: int, groups: int) -> jax.Array:
    """The inverse of `_fold`: the batch axis comes back in front."""
    axis %= a.ndim
    split = a.reshape(*a.shape[:axis], groups, count, -1, *a.shape[axis + 1 :])
    moved = jnp.moveaxis(split, axis + 1, 0)
    return moved.reshape(count, *a.shape[:axis], -1, *a.shape[axis + 1 :])


# --- lowering ----------------------------------------------------------------------------------


def _write(rewrite: Callable[[str], bool]) -> Callable[..., jax.Array]:
    def written(lhs, rhs, *, mode, geometry, form):
        if math.prod(lhs.shape) == 0 or math.prod(rhs.shape) == 0:
            shape = _abstract(
                jax.typeof(lhs), jax.typeof(rhs), mode=mode, geometry=geometry, form=form
            ).shape
            return jnp.zeros(shape, lhs.dtype)
        if rewrite(form):
            return dispatch.fast(mode, geometry, lhs, rhs)
        return dispatch.plain(mode, geometry, lhs, rhs)

    return written


@functools.lru_cache(maxsize=4096)
def _eager(**params):
    return jax.jit(functools.partial(trilinear_p.bind, **params))


trilinear_p.def_impl(lambda lhs, rhs, **params: _eager(**params)(lhs, rhs))
trilinear_p.def_abstract_eval(_abstract)
ad.defbilinear(trilinear_p, _transpose_lhs, _transpose_rhs)
batching.primitive_batchers[trilinear_p] = _batch
mlir.register_lowering(
    trilinear_p, mlir.lower_fun(_write(lambda form: form == "fast"), multiple_results=False)
)
mlir.register_lowering(
    trilinear_p, mlir.lower_fun(_write(lambda _: True), multiple_results=False), platform="cpu"
)
