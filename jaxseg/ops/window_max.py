"""The largest value in each window, with a gradient that follows the first largest tap.

The maximum over a few taps that no two windows share is taken in one chain, any other by
`lax.reduce_window` axis by axis, with a gradient of its own: lax's is slow (`pool.py`) and splits
between equal values.
"""

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxseg.ops._memory import in_memory
from jaxseg.ops.geometry import Geometry


def max_over_windows(x: jax.Array, geometry: Geometry) -> jax.Array:
    """Take the maximum over windows: (batch, *input, channels) -> (batch, *output, channels)."""
    spans = [(k - 1) * d + 1 for k, d in zip(geometry.window, geometry.dilation, strict=True)]
    disjoint = all(s >= span for s, span in zip(geometry.stride, spans, strict=True))
    if disjoint and math.prod(geometry.window) <= _FEW_TAPS:
        return _max_over_taps(x, geometry)
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    max_along_axis = _max_along_axis if floating else _reduce_max_along_axis
    # From the last axis, so that the first of equals is the first in row-major order.
    for axis in reversed(range(1, x.ndim - 1)):
        x = max_along_axis(x, axis, geometry)
    return x


def lowest(dtype: Any) -> np.ndarray:
    """Return the value that is below or equal to every other of the dtype."""
    floating = jnp.issubdtype(dtype, jnp.floating)
    return np.asarray(-np.inf if floating else jnp.iinfo(dtype).min, dtype)


# In one chain or axis by axis: 1.8 and 2.9 ms for 2x2 windows side by side, 3.5 and 2.5 for 2x3,
# 6.4 and 2.1 for 3x3.
_FEW_TAPS = 4


def _max_over_taps(x: jax.Array, geometry: Geometry) -> jax.Array:
    g = geometry
    x = lax.pad(x, lowest(x.dtype), [(0, 0, 0), *((*edge, 0) for edge in g.padding), (0, 0, 0)])
    parts = []
    for tap in itertools.product(*map(range, g.window)):
        start = [t * d for t, d in zip(tap, g.dilation, strict=True)]
        stop = [a + (n - 1) * s + 1 for a, n, s in zip(start, g.output, g.stride, strict=True)]
        steps = (1, *g.stride, 1)
        parts.append(lax.slice(x, (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), steps))
    return functools.reduce(_larger, parts)


def _larger(a: jax.Array, b: jax.Array) -> jax.Array:
    # jnp.maximum would give each of two equals half of the gradient.
    return jnp.where((a >= b) | (a != a), a, b)


def _reduce_max_along_axis(x: jax.Array, axis: int, geometry: Geometry) -> jax.Array:
    """Take the maximum over the windows of one axis."""

    def on_axis(value, elsewhere):
        return [value if a == axis else elsewhere for a in range(x.ndim)]

    k, s, d, _, low = _axis_options(geometry, axis)
    after = max(geometry.padding[axis - 1][1], 0)  # what a stride leaves over needs no crop
    return lax.reduce_window(
        x,
        lowest(x.dtype),
        lax.max,
        window_dimensions=on_axis(k, 1),
        window_strides=on_axis(s, 1),
        window_dilation=on_axis(d, 1),
        padding=on_axis((low, after), (0, 0)),
    )


_max_along_axis = jax.custom_jvp(_reduce_max_along_axis, nondiff_argnums=(1, 2))


@_max_along_axis.defjvp
def _max_along_axis_jvp(axis: int, geometry: Geometry, primals, tangents):
    (x,), (dx,) = primals, tangents
    y = _max_along_axis(x, axis, geometry)
    return y, _select_tap(dx, _argmax_tap(x, y, axis, geometry), axis, geometry)


def _argmax_tap(x: jax.Array, y: jax.Array, axis: int, geometry: Geometry) -> jax.Array:
    """Find the first tap of each window along one axis that equals its maximum y, or is NaN."""
    k, s, d, n, low = _axis_options(geometry, axis)
    tap = jnp.full(y.shape, k - 1, jnp.int8 if k <= 128 else jnp.int32)
    for t in reversed(range(k - 1)):
        skipped, phase = divmod(t * d - low, s)
        part = lax.slice_in_dim(x, min(phase, x.shape[axis]), None, s, axis=axis)
        edges = (-skipped, n + skipped - part.shape[axis], 0)
        value = lax.pad(part, lowest(x.dtype), _pad_config(axis, edges, x.ndim))
        tap = jnp.where((value == y) | (value != value), jnp.asarray(t, tap.dtype), tap)
    # Else it is computed anew in the loops of the gradient, pixel by pixel (55 ms, not 39).
    return in_memory(tap, axis)


def _select_tap(x: jax.Array, tap: jax.Array, axis: int, geometry: Geometry) -> jax.Array:
    """Select from each window along one axis the pixel of the given tap; linear in x.

    The pixels are taken phase by phase, since the transpose of strided slices is a sum of images
    full of holes.
    """
    k, s, d, n, low = _axis_options(geometry, axis)
    blocks = -(-max(x.shape[axis] + low, (n - 1) * s + (k - 1) * d + 1) // s)
    zero = jnp.zeros((), x.dtype)
    edges = (low, blocks * s - low - x.shape[axis], 0)
    split = lax.pad(x, zero, _pad_config(axis, edges, x.ndim)).reshape(
        *x.shape[:axis], blocks, s, *x.shape[axis + 1 :]
    )
    phases = [lax.squeeze(p, [axis + 1]) for p in lax.split(split, [1] * s, axis=axis + 1)]
    parts = []
    for t in range(k):
        skipped, phase = divmod(t * d, s)
        value = lax.slice_in_dim(phases[phase], skipped, skipped + n, axis=axis)
        parts.append(jnp.where(tap == t, value, zero))
    return functools.reduce(jnp.add, parts)


def _axis_options(geometry: Geometry, axis: int) -> tuple[int, int, int, int, int]:
    """Return window, stride, dilation, output size and padding in front of one array axis."""
    g, a = geometry, axis - 1
    return g.window[a], g.stride[a], g.dilation[a], g.output[a], g.low[a]


def _pad_config(axis: int, edges: tuple[int, int, int], ndim: int) -> list[tuple[int, int, int]]:
    """Make the argument of `lax.pad` that pads one axis."""
    return [edges if a == axis else (0, 0, 0) for a in range(ndim)]
