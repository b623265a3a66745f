"""The call of the library inside a lowering: what it can compute, and how devices may share it."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import mlir

from jaxseg.ops.check import to_float32
from jaxseg.ops.geometry import Geometry
from jaxseg.ops.native.loader import MODES, TARGET, implementation, is_available, options_of

_FLOATS = ("float32", "bfloat16", "float16")
_SLOW = "ref"  # how the names of oneDNN's implementations without any optimization begin

call_p = Primitive("jaxseg_native")


# --- what can be computed ------------------------------------------------------------------------


def can_compute(mode: str, geometry: Geometry, lhs: Any, rhs: Any) -> bool:
    """Tell whether oneDNN computes one mode here, other than by plain loops.

    Args:
        mode: "y", "x" or "k".
        geometry: geometry of the convolution.
        lhs: left operand of the mode, with an ensemble axis in front; not empty.
        rhs: right operand of the mode, with an ensemble axis in front; not empty.
    """
    if lhs.dtype.name not in _FLOATS or not all(isinstance(n, int) for n in lhs.shape + rhs.shape):
        return False  # float64, or exported for any batch
    if not _is_within_reach(geometry) or not is_available():
        return False
    inputs = lhs.shape[-1] if mode != "x" else rhs.shape[-2] * geometry.groups
    features = rhs.shape[-1]
    name = implementation(mode, geometry, lhs.shape[1], inputs, features)
    return name is not None and not name.startswith(_SLOW)


def _is_within_reach(geometry: Geometry) -> bool:
    """Tell whether every window sees the input, and oneDNN knows such a padding.

    `without_excess` ensures all of it but that no pixels behind the last window are left over
    which a further window could see.
    """
    g = geometry
    return all(
        0 <= low <= (k - 1) * d and -s < high <= (k - 1) * d
        for (low, high), k, s, d in zip(g.padding, g.window, g.stride, g.dilation, strict=True)
    )


# --- the call ------------------------------------------------------------------------------------


def compute(
    mode: str, geometry: Geometry, lhs: jax.Array, rhs: jax.Array, *, devices: int
) -> jax.Array:
    """Compute one mode by oneDNN.

    16-bit operands are converted to float32, so that sums are rounded once.

    Args:
        mode: "y", "x" or "k".
        geometry: geometry of the convolution.
        lhs: left operand of the mode, with an ensemble axis in front.
        rhs: right operand of the mode, with an ensemble axis in front.
        devices: number of devices that XLA may share the arrays out over. Their batch is cut into
            parts, so that a sharded batch stays where it is; the weight gradient is then a sum
            over the parts.
    """
    dtype, lhs, rhs = lhs.dtype, to_float32(lhs), to_float32(rhs)
    parts = math.gcd(lhs.shape[1], devices)
    lhs = _split_batch(lhs, parts)
    rhs = _split_batch(rhs, parts) if mode == "k" else _repeat(rhs, parts)
    out = call_p.bind(lhs, rhs, mode=mode, geometry=geometry, sharded=devices > 1)
    if mode == "k":
        out = out.sum(1) if parts > 1 else out.reshape(out.shape[0], *out.shape[2:])
    else:
        out = out.reshape(out.shape[0], -1, *out.shape[3:])
    return out.astype(dtype)


def _split_batch(a: jax.Array, parts: int) -> jax.Array:
    """Cut the batch into parts: (S, N, ...) -> (S, parts, N / parts, ...)."""
    return a.reshape(a.shape[0], parts, a.shape[1] // parts, *a.shape[2:])


def _repeat(k: jax.Array, parts: int) -> jax.Array:
    """Give every part of the batch the kernel: (S, ...) -> (S, parts, ...)."""
    return jnp.broadcast_to(k[:, None], (k.shape[0], parts, *k.shape[1:]))


def _abstract(lhs: Any, rhs: Any, *, mode: str, geometry: Geometry, sharded: bool) -> Any:
    del sharded
    g, ensemble = geometry, lhs.shape[:2]
    if mode == "y":
        shape = (*ensemble, lhs.shape[2], *g.output, rhs.shape[-1])
    elif mode == "x":
        shape = (*ensemble, lhs.shape[2], *g.input, rhs.shape[-2] * g.groups)
    else:
        shape = (*ensemble, *g.window, lhs.shape[-1] // g.groups, rhs.shape[-1])
    return lhs.update(shape=shape, weak_type=False)


def _lower(context: Any, lhs: Any, rhs: Any, *, mode: str, geometry: Geometry, sharded: bool):
    avals = (*context.avals_in, *context.avals_out)
    rule = jax.ffi.ffi_lowering(
        TARGET, extra_attributes=_sharding(*(a.shape for a in avals)) if sharded else None
    )
    options = np.array(options_of(geometry), np.int64)
    return rule(context, lhs, rhs, mode=np.int64(MODES[mode]), options=options)


def _sharding(lhs: tuple[int, ...], rhs: tuple[int, ...], out: tuple[int, ...]) -> dict[str, Any]:
    """Build the attributes that let XLA shard the two ensemble axes, and nothing else.

    The first is read by the partitioner of calls registered as batch partitionable, the second by
    Shardy, which moves shardings along: the factors i and j are shared, every other axis has a
    factor of its own. JAX attaches the same two to its calls of LAPACK.
    """
    letters = iter("klmnopqrstuvwxyz")  # Shardy's own names, in its order
    sizes = {"i": out[0], "j": out[1]}
    mappings = []
    for shape in (lhs, rhs, out):
        factors = ["i", "j", *(next(letters) for _ in shape[2:])]
        sizes.update(zip(factors, shape, strict=True))
        mappings.append(f"[{', '.join(factors)}]")
    listed = ", ".join(f"{factor}={size}" for factor, size in sizes.items())
    rule = f"#sdy.op_sharding_rule<({mappings[0]}, {mappings[1]})->({mappings[2]}) {{{listed}}}>"
    return {
        "mhlo.frontend_attributes": mlir.ir_attribute({"num_batch_dims": "2"}),
        "sdy.sharding_rule": mlir.ir.Attribute.parse(rule),
    }


# The primitive stands inside the lowering of the trilinear one alone, after all transformations.
call_p.def_abstract_eval(_abstract)
mlir.register_lowering(call_p, _lower, platform="cpu")
