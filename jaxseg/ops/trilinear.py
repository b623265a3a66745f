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
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxseg.ops import dispatch, native
from jaxseg.ops._lowering import form_of_equation, is_export, sharing_devices
from jaxseg.ops._varying import match_varying
from jaxseg.ops.canonical import transposed_kernel
from jaxseg.ops.geometry import Geometry

Mode = Literal["y", "x", "k"]

trilinear_p = Primitive("jaxseg_trilinear")


def convolution(x: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Convolve; operands and result as those of `canonical.convolution`."""
    return _bind("y", x, k, geometry)


def upconvolution(y: jax.Array, kernel: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Upconvolve; operands and result as those of `canonical.upconvolution`."""
    return _bind("x", y, transposed_kernel(kernel, geometry.groups), geometry)


def _bind(mode: Mode, lhs: jax.Array, rhs: jax.Array, geometry: Geometry) -> jax.Array:
    """Apply one mode to operands without the ensemble axis."""
    lhs, rhs = match_varying(lhs, rhs)
    return trilinear_p.bind(lhs[None], rhs[None], mode=mode, geometry=geometry)[0]


# --- shapes ------------------------------------------------------------------------------------


def _result_shape(lhs: Any, rhs: Any, mode: Mode, geometry: Geometry) -> tuple[int, ...]:
    ensemble = lhs.shape[0]
    if mode == "y":
        return (ensemble, lhs.shape[1], *geometry.output, rhs.shape[-1])
    if mode == "x":
        return (ensemble, lhs.shape[1], *geometry.input, rhs.shape[-2] * geometry.groups)
    return (ensemble, *geometry.window, lhs.shape[-1] // geometry.groups, rhs.shape[-1])


def _abstract(lhs: Any, rhs: Any, *, mode: Mode, geometry: Geometry) -> Any:
    return lhs.update(shape=_result_shape(lhs, rhs, mode, geometry), weak_type=False)


# --- derivatives -------------------------------------------------------------------------------


def _transpose_lhs(cotangent, lhs, rhs, *, mode: Mode, geometry: Geometry):
    del lhs
    if mode == "y":
        return trilinear_p.bind(cotangent, rhs, mode="x", geometry=geometry)
    if mode == "x":
        return trilinear_p.bind(cotangent, rhs, mode="y", geometry=geometry)
    return trilinear_p.bind(rhs, cotangent, mode="x", geometry=geometry)


def _transpose_rhs(cotangent, lhs, rhs, *, mode: Mode, geometry: Geometry):
    del rhs
    if mode == "y":
        return trilinear_p.bind(lhs, cotangent, mode="k", geometry=geometry)
    if mode == "x":
        return trilinear_p.bind(cotangent, lhs, mode="k", geometry=geometry)
    return trilinear_p.bind(lhs, cotangent, mode="y", geometry=geometry)


# --- batching ----------------------------------------------------------------------------------

# mode -> for the left and the right operand: the axis that it does not share with the other
# operand, and the axis of the result that it becomes; each with whether it holds channels that
# are laid out group by group.
_FREE_AXES = {
    "y": (((1, False), (1, False)), ((-1, True), (-1, True))),
    "x": (((1, False), (1, False)), ((-2, False), (-1, True))),
    "k": (((-1, True), (-2, False)), ((-1, True), (-1, True))),
}


def _batch(args, dims, *, mode: Mode, geometry: Geometry):
    bind = functools.partial(trilinear_p.bind, mode=mode, geometry=geometry)
    operands = [a if d is None else jnp.moveaxis(a, d, 0) for a, d in zip(args, dims, strict=True)]
    if None not in dims:
        count, ensemble = operands[0].shape[:2]
        out = bind(*(a.reshape(count * ensemble, *a.shape[2:]) for a in operands))
        return out.reshape(count, ensemble, *out.shape[1:]), 0
    which = 0 if dims[0] is not None else 1
    count = operands[which].shape[0]
    (axis, grouped), (out_axis, out_grouped) = _FREE_AXES[mode][which]
    operands[which], size = _fold(operands[which], axis, geometry.groups if grouped else 1)
    out = bind(*operands)
    return _unfold(out, out_axis, count, geometry.groups if out_grouped else 1, size), 0


def _fold(a: jax.Array, axis: int, groups: int) -> tuple[jax.Array, int]:
    """Fold the axis in front into another one, group by group.

    Returns:
        (N, ..., groups * size, ...) as (..., groups * N * size, ...), and the size.
    """
    axis = axis + 1 if axis >= 0 else a.ndim + axis
    count, size = a.shape[0], a.shape[axis] // groups
    split = a.reshape(*a.shape[:axis], groups, size, *a.shape[axis + 1 :])
    moved = jnp.moveaxis(split, 0, axis)  # now (..., groups, N, size, ...)
    return moved.reshape(*a.shape[1:axis], groups * count * size, *a.shape[axis + 1 :]), size


def _unfold(a: jax.Array, axis: int, count: int, groups: int, size: int) -> jax.Array:
    """Invert `_fold`: (..., groups * N * size, ...) -> (N, ..., groups * size, ...)."""
    axis %= a.ndim
    split = a.reshape(*a.shape[:axis], groups, count, size, *a.shape[axis + 1 :])
    moved = jnp.moveaxis(split, axis + 1, 0)
    return moved.reshape(count, *a.shape[:axis], groups * size, *a.shape[axis + 1 :])


# --- lowering ----------------------------------------------------------------------------------


def _lower(context, lhs, rhs, *, mode: Mode, geometry: Geometry, on_cpu: bool):
    """Write the form that was chosen, or that is the platform's own."""
    form = form_of_equation(context)
    may_be_native = on_cpu and form in ("auto", "native") and not is_export(context)
    devices = sharing_devices(context)

    def write(lhs, rhs):
        shape = _result_shape(lhs, rhs, mode, geometry)
        if any(0 in s for s in (lhs.shape, rhs.shape, shape)):  # no form copes with empty arrays
            return jnp.zeros(shape, lhs.dtype)
        chosen = form == "native" or not native.prefers_pure(mode, geometry)
        if may_be_native and chosen and native.can_compute(mode, geometry, lhs, rhs):
            return native.compute(mode, geometry, lhs, rhs, devices=devices)
        rewrite = on_cpu or form in ("fast", "native")
        return (dispatch.rewritten if rewrite else dispatch.plain)(mode, geometry, lhs, rhs)

    return mlir.lower_fun(write, multiple_results=False)(context, lhs, rhs)


@functools.lru_cache(maxsize=4096)
def _compiled(mode: Mode, geometry: Geometry):
    return jax.jit(functools.partial(trilinear_p.bind, mode=mode, geometry=geometry))


trilinear_p.def_impl(lambda lhs, rhs, *, mode, geometry: _compiled(mode, geometry)(lhs, rhs))
trilinear_p.def_abstract_eval(_abstract)
ad.defbilinear(trilinear_p, _transpose_lhs, _transpose_rhs)
batching.primitive_batchers[trilinear_p] = _batch
mlir.register_lowering(trilinear_p, functools.partial(_lower, on_cpu=False))
mlir.register_lowering(trilinear_p, functools.partial(_lower, on_cpu=True), platform="cpu")
