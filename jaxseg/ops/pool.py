"""Pooling: the largest value, or the mean, in a window.

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

So the maximum of a few taps that no two windows share is taken in one chain, any other by
`lax.reduce_window` axis by axis. Its gradient is not lax's but follows the first largest tap.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from jaxseg.ops import symbolic
from jaxseg.ops.check import as_images, to_float32
from jaxseg.ops.geometry import Geometry, conv_geometry
from jaxseg.ops.options import Padding, Sizes, per_axis
from jaxseg.ops.sparse_axis import Taps, taps
from jaxseg.ops.window_max import lowest, max_over_windows


def max_pool(
    x: Shaped[Array, "batch *space channels"],
    window: Sizes,
    *,
    stride: Sizes | None = None,
    padding: Padding = 0,
    dilation: Sizes = 1,
) -> Shaped[Array, "batch *size channels"]:
    r"""Take the largest value in each window, channel by channel; PyTorch's `max_pool`.

    .. math:: y_{o} = \max_{t} x_{o s + t d - p}

    Of equal values the first, in row-major order, receives the whole gradient. NaN counts as the
    largest value.

    Args:
        x: images, (batch, *space, channels), with 1, 2 or 3 spatial axes, floating or integer.
        window: size of the window, in taps; one integer or one per axis.
        stride: step between output pixels, in input pixels; one integer or one per axis. None
            means the size of the window.
        padding: "same" pads so that out = ceil(in / stride), an odd pixel behind; "valid" pads
            nothing; an integer pads both sides; or one integer or pair (before, after) per axis.
            The padding is lower than any value.
        dilation: distance between the taps of a window, in input pixels; one integer or one per
            axis.

    Returns:
        (batch, *size, channels), of the dtype of `x`, where `size` is what `conv_output_size`
        returns.

    Raises:
        ValueError: a wrong rank or dtype, a malformed option, or a window that sees nothing but
            padding. (PyTorch refuses any padding of more than half a window.)

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> x = jnp.array([1, 5, 2, 3]).reshape(1, 4, 1)
        >>> ops.max_pool(x, 2).ravel().tolist()
        [5, 3]
        >>> ops.max_pool(x, 3, stride=1, padding=1).ravel().tolist()
        [5, 5, 5, 3]
    """
    x = as_images("max_pool", x)
    if not jnp.issubdtype(x.dtype, jnp.floating) and not jnp.issubdtype(x.dtype, jnp.integer):
        raise ValueError(f"max_pool: x is {x.dtype}: convert it to a real or integer dtype first.")
    if symbolic.is_symbolic(x.shape[1:-1]):
        return symbolic.max_pool(
            x, window, stride=stride, padding=padding, dilation=dilation, lowest=lowest(x.dtype)
        )
    geometry = _pool_geometry("max_pool", x, window, stride, padding, dilation)
    return max_over_windows(x, geometry)


def avg_pool(
    x: Float[Array, "batch *space channels"],
    window: Sizes,
    *,
    stride: Sizes | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
) -> Float[Array, "batch *size channels"]:
    r"""Take the mean of each window, channel by channel; PyTorch's `avg_pool`.

    .. math:: y_{o} = \frac{1}{n_o} \sum_{t} x_{o s + t - p}

    Args:
        x: images, (batch, *space, channels), with 1, 2 or 3 spatial axes.
        window: size of the window, in pixels; one integer or one per axis.
        stride: step between output pixels, in input pixels; one integer or one per axis. None
            means the size of the window.
        padding: "same" pads so that out = ceil(in / stride), an odd pixel behind; "valid" pads
            nothing; an integer pads both sides; or one integer or pair (before, after) per axis.
        count_include_pad: divide by the number of pixels in the window, n, padding included;
            False divides by the number of those that lie in the image.

    Returns:
        (batch, *size, channels), of the dtype of `x`, where `size` is what `conv_output_size`
        returns; 16-bit images are summed in float32.

    Raises:
        ValueError: a wrong rank or dtype, a malformed option, or a window that sees nothing but
            padding.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> x = jnp.array([1.0, 5.0, 2.0, 4.0]).reshape(1, 4, 1)
        >>> ops.avg_pool(x, 2).ravel().tolist()
        [3.0, 3.0]
        >>> ops.avg_pool(x, 2, padding=1, count_include_pad=False).ravel().tolist()
        [1.0, 3.5, 4.0]
    """
    x = as_images("avg_pool", x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"avg_pool: x is {x.dtype}: convert images to a floating dtype first.")
    if symbolic.is_symbolic(x.shape[1:-1]):
        return symbolic.avg_pool(
            x, window, stride=stride, padding=padding, count_include_pad=bool(count_include_pad)
        )
    geometry = _pool_geometry("avg_pool", x, window, stride, padding, 1)
    y = to_float32(x)
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
        y = taps(y, _mean_table(i, k, o, s, low, bool(count_include_pad)), axis)
    return y.astype(x.dtype)


@functools.lru_cache(maxsize=1024)
def _mean_table(i: int, k: int, o: int, stride: int, low: int, count_include_pad: bool) -> Taps:
    """Make the table of the mean along one axis; means along several axes multiply."""
    columns = np.arange(o)[:, None] * stride + np.arange(k) - low
    inside = (columns >= 0) & (columns < i)
    count = k if count_include_pad else inside.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(o)[:, None], columns.shape)
    return Taps(o, i, rows[inside], columns[inside], (inside / count)[inside])


# --- sizes ----------------------------------------------------------------------------------------


def _pool_geometry(
    name: str, x: jax.Array, window: Sizes, stride: Sizes | None, padding: Padding, dilation: Sizes
) -> Geometry:
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
            _windows_see_data,
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


def _windows_see_data(i: int, k: int, o: int, s: int, d: int, low: int) -> bool:
    """Tell whether every window of an axis has a tap on the image."""
    position = np.arange(o)[:, None] * s + np.arange(k) * d - low
    return bool(((position >= 0) & (position < i)).any(axis=1).all())
