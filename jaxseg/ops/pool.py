"""Pooling: the largest value, or the mean, of what a window sees.

Forward plus gradient, median of 15 rounds on two cores shared with other work, in ms:

    maximum                                 2x2, stride 2           3x3, stride 2, padding 1
                                       (8, 128, 128, 32)                   (8, 112, 112, 64)
    all taps in one chain                            5.3                                 184
    one axis after the other                          16                                  84
    lax.reduce_window                                116                                 300
    torch 2.13, channels last                         34                                  45

    mean
    table of taps (`ops.resize`)                      26                                  34
    sums of slices, axis by axis                      16                                  67
    lax.reduce_window                                 16                                  56
    torch 2.13, channels last                         32                                  38

So the maximum goes in one chain where windows do not overlap, else axis by axis. Its gradient
written out by hand, in strided phases, came to 45 ms where that took 69: not worth a primitive.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Shaped

from jaxseg.ops.check import images, widened
from jaxseg.ops.geometry import Geometry, Padding, Sizes, conv_geometry, per_axis
from jaxseg.ops.taps import Taps, taps


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
    if jnp.issubdtype(x.dtype, jnp.floating):
        lowest = -np.inf
    elif jnp.issubdtype(x.dtype, jnp.integer):
        lowest = int(jnp.iinfo(x.dtype).min)
    else:
        raise ValueError(f"max_pool: x is {x.dtype}: convert it to a real or integer dtype first.")
    geometry = _geometry("max_pool", x, window, stride, padding, dilation)
    edges = [(0, 0, 0), *((*p, 0) for p in geometry.padding), (0, 0, 0)]
    y = lax.pad(x, jnp.asarray(lowest, x.dtype), edges)
    axes = range(1, x.ndim - 1)
    spans = [(k - 1) * d + 1 for k, d in zip(geometry.window, geometry.dilation, strict=True)]
    if all(s >= span for s, span in zip(geometry.stride, spans, strict=True)):
        return _largest(y, list(axes), geometry)
    # From the last axis, so that the first of equals is the first in row-major order.
    for axis in reversed(axes):
        y = _largest(y, [axis], geometry)
    return y


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
    geometry = _geometry("avg_pool", x, window, stride, padding, 1)
    y = widened(x)
    for axis, (i, k, o, s, low) in enumerate(
        zip(
            geometry.input, geometry.window, geometry.output, geometry.stride, geometry.low,
            strict=True,
        ),
        start=1,
    ):  # fmt: skip
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


def _largest(x: jax.Array, axes: list[int], geometry: Geometry) -> jax.Array:
    """Maximum over the taps of some axes of padded images; the other axes stay as they are."""
    parts = []
    for tap in itertools.product(*(range(geometry.window[a - 1]) for a in axes)):
        part = x
        for a, t in zip(axes, tap, strict=True):
            start, step = t * geometry.dilation[a - 1], geometry.stride[a - 1]
            stop = start + (geometry.output[a - 1] - 1) * step + 1
            part = lax.slice_in_dim(part, start, stop, step, axis=a)
        parts.append(part)
    return functools.reduce(_first_of_largest, parts)


def _first_of_largest(a: jax.Array, b: jax.Array) -> jax.Array:
    # jnp.maximum would give each of two equals half of the gradient.
    return jnp.where((a >= b) | (a != a), a, b)


def _geometry(name: str, x, window, stride, padding, dilation) -> Geometry:
    windows = per_axis("window", window, x.ndim - 2)
    geometry = conv_geometry(
        x.shape[1:-1], windows,
        stride=windows if stride is None else stride, padding=padding, dilation=dilation,
    )  # fmt: skip
    if not all(
        map(
            _sees_a_pixel, geometry.input, geometry.window, geometry.output,
            geometry.stride, geometry.dilation, geometry.low,
        )
    ):  # fmt: skip
        raise ValueError(
            f"{name}: a window of {windows} on images of {geometry.input} would see nothing but "
            f"padding with padding={padding!r}: pad less than a window on each side."
        )
    return geometry


def _sees_a_pixel(i: int, k: int, o: int, s: int, d: int, low: int) -> bool:
    """Whether every window of an axis has a tap on the image."""
    seen = np.arange(o)[:, None] * s + np.arange(k) * d - low
    return bool(((seen >= 0) & (seen < i)).any(axis=1).all())
