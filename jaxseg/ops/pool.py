"""Pooling: the largest value, or the mean, of what a window sees.

Forward plus gradient (forward alone), in ms, medians of 15 rounds.

    maximum, one core's time of work      2x2, stride 2         3x3, stride 2, padding 1
                                        (8, 128, 128, 32)           (8, 112, 112, 64)
    all taps in one chain                     6.1 (1.7)                   24 (8.5)
    taps of one axis after the other           16 (1.7)                   52 (8.5)
    windows of one axis after the other        13 (3.6)                   15 (5.1)
    lax.reduce_window, its gradient            80 (2.6)                  187 (9.6)
    torch 2.13, channels last                 8.7 (3.4)                   15 (6.4)

    mean, two cores shared with other work
    table of taps (`ops.resize`)                     26                         34
    sums of slices, axis by axis                     16                         67
    lax.reduce_window                                16                         56
    torch 2.13, channels last                        32                         38

So the maximum of a few taps that no two windows share goes in one chain; any other by
`lax.reduce_window` axis by axis, whose gradient is not lax's but follows the first largest tap.
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Shaped

from jaxseg.ops import symbolic
from jaxseg.ops.check import images, widened
from jaxseg.ops.geometry import Geometry, Padding, Sizes, conv_geometry, per_axis
from jaxseg.ops.sparse_axis import Taps, taps


def max_pool(
    x: Shaped[Array, "batch *space channels"],
    window: Sizes,
    *,
    stride: Sizes | None = None,
    padding: Padding = 0,
    dilation: Sizes = 1,
) -> Shaped[Array, "batch *size channels"]:
    r"""Largest value in each window, channel by channel; PyTorch's `max_pool`.

    .. math:: y_{o} = \max_{t} x_{o s + t d - p}

    Of equal values the first, row by row, takes the whole gradient. NaN wins over any value.

    Args:
        x: images, (batch, *space, channels), with 1, 2 or 3 spatial axes, floating or integer.
        window: size in pixels; one integer or one per axis.
        stride: step between output pixels, in input pixels; that of the window if not given.
        padding: as for `conv`, except that it is lower than any value.
        dilation: distance between the taps of a window, in input pixels.

    Returns:
        (batch, *size, channels), of the dtype of `x`, with `size` as `conv_output_size` says.

    Raises:
        ValueError: a rank, dtype or option that is not as above, or a window of nothing but
            padding. (PyTorch refuses any padding of more than half a window.)
    """
    x = images("max_pool", x)
    if not jnp.issubdtype(x.dtype, jnp.floating) and not jnp.issubdtype(x.dtype, jnp.integer):
        raise ValueError(f"max_pool: x is {x.dtype}: convert it to a real or integer dtype first.")
    if symbolic.symbolic(x.shape[1:-1]):
        return symbolic.max_pool(
            x, window, stride=stride, padding=padding, dilation=dilation, lowest=_lowest(x.dtype)
        )
    geometry = _geometry("max_pool", x, window, stride, padding, dilation)
    spans = [(k - 1) * d + 1 for k, d in zip(geometry.window, geometry.dilation, strict=True)]
    apart = all(s >= span for s, span in zip(geometry.stride, spans, strict=True))
    if apart and math.prod(geometry.window) <= _FEW_TAPS:
        return _in_one_chain(x, geometry)
    along = _along if jnp.issubdtype(x.dtype, jnp.floating) else _largest_along
    # From the last axis, so that the first of equals is the first in row-major order.
    for axis in reversed(range(1, x.ndim - 1)):
        x = along(x, axis, geometry)
    return x


def avg_pool(
    x: Float[Array, "batch *space channels"],
    window: Sizes,
    *,
    stride: Sizes | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
) -> Float[Array, "batch *size channels"]:
    r"""Mean of each window, channel by channel; PyTorch's `avg_pool`.

    .. math:: y_{o} = \frac{1}{n_o} \sum_{t} x_{o s + t - p}

    Args:
        x: images, (batch, *space, channels), with 1, 2 or 3 spatial axes.
        window: size in pixels; one integer or one per axis.
        stride: step between output pixels, in input pixels; that of the window if not given.
        padding: as for `conv`.
        count_include_pad: n is the whole window, padding included; else what lies in the image.

    Returns:
        (batch, *size, channels), of the dtype of `x`, with `size` as `conv_output_size` says;
        16-bit images are summed in float32.

    Raises:
        ValueError: a rank, dtype or option that is not as above, or a window of nothing but
            padding.
    """
    x = images("avg_pool", x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"avg_pool: x is {x.dtype}: convert images to a floating dtype first.")
    if symbolic.symbolic(x.shape[1:-1]):
        return symbolic.avg_pool(
            x, window, stride=stride, padding=padding, count_include_pad=bool(count_include_pad)
        )
    geometry = _geometry("avg_pool", x, window, stride, padding, 1)
    y = widened(x)
    for axis, (i, k, o, s, low) in enumerate(
        zip(
            geometry.input,
            geometry.window,
            geometry.output,
            geometry.stride,
            geometry.low,
            strict=True,
        ),
        start=1,
    ):
        y = taps(y, _mean(i, k, o, s, low, bool(count_include_pad)), axis)
    return y.astype(x.dtype)


@functools.lru_cache(maxsize=1024)
def _mean(i: int, k: int, o: int, stride: int, low: int, count_include_pad: bool) -> Taps:
    """The mean along one axis; that of several axes is their product, the counts' included."""
    columns = np.arange(o)[:, None] * stride + np.arange(k) - low
    inside = (columns >= 0) & (columns < i)
    count = k if count_include_pad else inside.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(o)[:, None], columns.shape)
    return Taps(o, i, rows[inside], columns[inside], (inside / count)[inside])


# --- the largest value ----------------------------------------------------------------------------

# In one chain or axis by axis: 1.8 and 2.9 ms for 2x2 windows side by side, 3.5 and 2.5 for 2x3,
# 6.4 and 2.1 for 3x3.
_FEW_TAPS = 4


def _in_one_chain(x: jax.Array, geometry: Geometry) -> jax.Array:
    g = geometry
    x = lax.pad(x, _lowest(x.dtype), [(0, 0, 0), *((*p, 0) for p in g.padding), (0, 0, 0)])
    parts = []
    for tap in itertools.product(*map(range, g.window)):
        start = [t * d for t, d in zip(tap, g.dilation, strict=True)]
        stop = [a + (n - 1) * s + 1 for a, n, s in zip(start, g.output, g.stride, strict=True)]
        edges = (0, *start, 0), (x.shape[0], *stop, x.shape[-1])
        parts.append(lax.slice(x, *edges, (1, *g.stride, 1)))
    return functools.reduce(_first_of_largest, parts)


def _first_of_largest(a: jax.Array, b: jax.Array) -> jax.Array:
    # jnp.maximum would give each of two equals half of the gradient.
    return jnp.where((a >= b) | (a != a), a, b)


def _largest_along(x: jax.Array, axis: int, geometry: Geometry) -> jax.Array:
    """Maximum over the windows of one axis."""

    def here(value, elsewhere):
        return [value if a == axis else elsewhere for a in range(x.ndim)]

    k, s, d, _, low = _entries(geometry, axis)
    after = max(geometry.padding[axis - 1][1], 0)  # what a stride leaves over needs no crop
    return lax.reduce_window(
        x,
        _lowest(x.dtype),
        lax.max,
        window_dimensions=here(k, 1),
        window_strides=here(s, 1),
        window_dilation=here(d, 1),
        padding=here((low, after), (0, 0)),
    )


_along = jax.custom_jvp(_largest_along, nondiff_argnums=(1, 2))


@_along.defjvp
def _along_jvp(axis: int, geometry: Geometry, primals, tangents):
    (x,), (dx,) = primals, tangents
    y = _along(x, axis, geometry)
    return y, _chosen(dx, _first_largest(x, y, axis, geometry), axis, geometry)


def _first_largest(x: jax.Array, y: jax.Array, axis: int, geometry: Geometry) -> jax.Array:
    """Which tap of its window along one axis each entry of y is: the first that equals it."""
    k, s, d, n, low = _entries(geometry, axis)
    tap = jnp.full(y.shape, k - 1, jnp.int8 if k <= 128 else jnp.int32)
    for t in reversed(range(k - 1)):
        skipped, phase = divmod(t * d - low, s)
        part = lax.slice_in_dim(x, min(phase, x.shape[axis]), None, s, axis=axis)
        edges = (-skipped, n + skipped - part.shape[axis], 0)
        seen = lax.pad(part, _lowest(x.dtype), _at(axis, edges, x.ndim))
        tap = jnp.where((seen == y) | (seen != seen), jnp.asarray(t, tap.dtype), tap)
    # XLA for CPU would compute this anew in the loops of the gradient, pixel by pixel (55 ms, not
    # 39). An update in place, here of entries by themselves, is where its fusions end.
    one = lax.slice_in_dim(tap, 0, 1, axis=axis)
    return lax.dynamic_update_slice(tap, one, [0] * tap.ndim)


def _chosen(x: jax.Array, tap: jax.Array, axis: int, geometry: Geometry) -> jax.Array:
    """What the given taps along one axis see; linear.

    Phase by phase, since the transpose of strided slices is a sum of images full of holes.
    """
    k, s, d, n, low = _entries(geometry, axis)
    blocks = -(-max(x.shape[axis] + low, (n - 1) * s + (k - 1) * d + 1) // s)
    zero = jnp.zeros((), x.dtype)
    edges = (low, blocks * s - low - x.shape[axis], 0)
    split = lax.pad(x, zero, _at(axis, edges, x.ndim)).reshape(
        *x.shape[:axis], blocks, s, *x.shape[axis + 1 :]
    )
    phases = [lax.squeeze(p, [axis + 1]) for p in lax.split(split, [1] * s, axis=axis + 1)]
    parts = []
    for t in range(k):
        skipped, phase = divmod(t * d, s)
        seen = lax.slice_in_dim(phases[phase], skipped, skipped + n, axis=axis)
        parts.append(jnp.where(tap == t, seen, zero))
    return functools.reduce(jnp.add, parts)


def _entries(geometry: Geometry, axis: int) -> tuple[int, int, int, int, int]:
    """Window, stride, dilation, output and padding before of one axis."""
    g, a = geometry, axis - 1
    return g.window[a], g.stride[a], g.dilation[a], g.output[a], g.low[a]


def _at(axis: int, edges: tuple[int, int, int], ndim: int) -> list[tuple[int, int, int]]:
    """The argument of `lax.pad` that pads one axis."""
    return [edges if a == axis else (0, 0, 0) for a in range(ndim)]


def _lowest(dtype) -> np.ndarray:
    """What is below every value."""
    floating = jnp.issubdtype(dtype, jnp.floating)
    return np.asarray(-np.inf if floating else jnp.iinfo(dtype).min, dtype)


# --- sizes ----------------------------------------------------------------------------------------


def _geometry(name: str, x, window, stride, padding, dilation) -> Geometry:
    windows = per_axis("window", window, x.ndim - 2)
    geometry = conv_geometry(
        x.shape[1:-1],
        windows,
        stride=windows if stride is None else stride,
        padding=padding,
        dilation=dilation,
    )
    if not all(
        map(
            _sees_a_pixel,
            geometry.input,
            geometry.window,
            geometry.output,
            geometry.stride,
            geometry.dilation,
            geometry.low,
        )
    ):
        raise ValueError(
            f"{name}: a window of {windows} on images of {geometry.input} would see nothing but "
            f"padding with padding={padding!r}: pad less than a window on each side."
        )
    return geometry


def _sees_a_pixel(i: int, k: int, o: int, s: int, d: int, low: int) -> bool:
    """Whether every window of an axis has a tap on the image."""
    seen = np.arange(o)[:, None] * s + np.arange(k) * d - low
    return bool(((seen >= 0) & (seen < i)).any(axis=1).all())
