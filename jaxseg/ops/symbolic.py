"""The operations on images whose height or width is not known yet, as `jax.export` traces them.

Such a size is an expression of `jax.export.symbolic_shape`. From it no form of a convolution can be
chosen, no table of taps made, and padding beyond a window's reach cannot be told from other
padding. So each operation is written here as plainly as possible, with its sizes left to `lax`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax

from jaxseg.ops import canonical, rewrites
from jaxseg.ops.check import to_float32
from jaxseg.ops.geometry import Geometry
from jaxseg.ops.options import Padding, Sizes, is_same, padding_pairs, per_axis

Size = Any  # an integer, or an expression of `jax.export.symbolic_shape`


def is_symbolic(sizes: Sequence[Size]) -> bool:
    """Tell whether any of the sizes is not known yet."""
    return any(export.is_symbolic_dim(n) for n in sizes)


def sizes_per_axis(name: str, value: Any, axes: int) -> tuple[Size, ...]:
    """Spell out sizes as `options.per_axis` does; some of them may be symbolic.

    Args:
        name: name of the option, for the error message.
        value: one size, or a sequence with one per axis.
        axes: number of spatial axes.

    Raises:
        ValueError: `value` has the wrong length, or a known entry is not an integer >= 1.
    """
    entries = tuple(value) if isinstance(value, Sequence) else (value,) * axes
    if not is_symbolic(entries):
        return per_axis(name, value, axes)
    known = per_axis(name, [1 if is_symbolic([n]) else n for n in entries], axes)
    return tuple(n if is_symbolic([n]) else k for n, k in zip(entries, known, strict=True))


# --- convolutions --------------------------------------------------------------------------------


def conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: Sizes,
    dilation: Sizes,
    padding: Padding,
    groups: int,
) -> jax.Array:
    """Convolve; operands and options are those of `ops.conv`."""
    strides, dilations, pairs = _window_options(
        x, kernel.shape[:-2], stride=stride, dilation=dilation, padding=padding
    )
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=strides,
        padding=pairs,
        rhs_dilation=dilations,
        dimension_numbers=canonical.dimension_numbers(len(strides)),
        feature_group_count=groups,
    )


def upconvolution(y: jax.Array, kernel: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Upconvolve without `lhs_dilation` or interior padding, at any sizes.

    That is what symbolic sizes, and converters to other formats, can take. Operands and result are
    those of `canonical.upconvolution`.
    """
    g, padding = geometry, canonical.upconvolution_padding(geometry)
    if g.groups == 1 and max(g.dilation) == 1 and min(map(min, padding)) >= 0:
        k = canonical.transposed_kernel(kernel, g.groups)
        return rewrites.block_input_gradient(y, k, geometry=g)
    return canonical.upconvolution(y, kernel, geometry=g, dilate_first=True)


def _window_options(
    x: jax.Array, window: Sequence[int], *, stride: Sizes, dilation: Sizes, padding: Padding
) -> tuple[tuple[int, ...], tuple[int, ...], Sequence[tuple[int, int]]]:
    """Spell out strides, dilations and pairs of padding, one entry per axis."""
    axes = len(window)
    strides = per_axis("stride", stride, axes)
    dilations = per_axis("dilation", dilation, axes)
    if not is_same(padding):
        return strides, dilations, padding_pairs(padding, axes)
    pairs = [
        _same_padding(n, d * (k - 1) + 1, s)
        for n, k, d, s in zip(x.shape[1:-1], window, dilations, strides, strict=True)
    ]
    return strides, dilations, pairs


def _same_padding(size: Size, span: int, stride: int) -> tuple[int, int]:
    """Compute the padding (before, after) that leaves ceil(size / stride) windows.

    An odd pixel goes behind. As much lies behind as any window could reach: what a stride leaves
    over is ignored.

    Raises:
        ValueError: the padding in front depends on the size, which is not known.
    """
    remainder = (size - 1) % stride
    remainders = range(stride) if is_symbolic([remainder]) else [remainder]
    choices = {max(span - 1 - n, 0) // 2 for n in remainders}
    if len(choices) > 1:
        raise ValueError(
            f'padding="same" for a window that spans {span} pixels and a stride of {stride} '
            f"depends on the size {size}, which is not known: give the padding as integers, or "
            "export at sizes that are multiples of the stride."
        )
    (before,) = choices
    return before, span - 1 - before


# --- pooling -------------------------------------------------------------------------------------


def max_pool(
    x: jax.Array,
    window: Sizes,
    *,
    stride: Sizes | None,
    padding: Padding,
    dilation: Sizes,
    lowest: Any,
) -> jax.Array:
    """Pool as `ops.max_pool` does, whose arguments these are; `lowest` is below every value."""
    return _reduce_windows(x, window, stride, padding, dilation, lowest, lax.max)


def avg_pool(
    x: jax.Array, window: Sizes, *, stride: Sizes | None, padding: Padding, count_include_pad: bool
) -> jax.Array:
    """Pool as `ops.avg_pool` does, whose arguments these are."""
    windows = per_axis("window", window, x.ndim - 2)
    y = to_float32(x)
    zero = np.zeros((), y.dtype)
    total = _reduce_windows(y, windows, stride, padding, 1, zero, lax.add)
    if count_include_pad:
        return (total / int(np.prod(windows))).astype(x.dtype)
    ones = jnp.ones((1, *x.shape[1:-1], 1), y.dtype)
    count = _reduce_windows(ones, windows, stride, padding, 1, zero, lax.add)
    return (total / count).astype(x.dtype)


def _reduce_windows(x, window, stride, padding, dilation, start, reduction) -> jax.Array:
    windows = per_axis("window", window, x.ndim - 2)
    strides, dilations, pairs = _window_options(
        x, windows, stride=windows if stride is None else stride, dilation=dilation, padding=padding
    )
    spans = [d * (k - 1) + 1 for k, d in zip(windows, dilations, strict=True)]
    if any(max(pair) >= span for pair, span in zip(pairs, spans, strict=True)):
        raise ValueError(
            f"a window of {windows} would see nothing but padding with padding={padding!r}: pad "
            "less than a window on each side."
        )
    return lax.reduce_window(
        x,
        start,
        reduction,
        window_dimensions=(1, *windows, 1),
        window_strides=(1, *strides, 1),
        window_dilation=(1, *dilations, 1),
        padding=[(0, 0), *pairs, (0, 0)],
    )


# --- resizing ------------------------------------------------------------------------------------


def resize_axis(
    x: jax.Array, axis: int, size: Size, *, method: str, align_corners: bool
) -> jax.Array:
    """Resize along one axis, as `ops.resize` does.

    Positions are quotients of integers, exact in int32 where 2 * size * x.shape[axis] < 2**31;
    those of "nearest" are rounded to float32, as there.

    Args:
        x: images, (batch, *space, channels), floating for "bilinear".
        axis: axis to resize.
        size: size of the output along it, in pixels.
        method: "bilinear", "nearest-exact" or "nearest".
        align_corners: keep the centers of the corner pixels where they are ("bilinear" only).
    """
    inputs, outputs = _runtime_value(x.shape[axis]), _runtime_value(size)
    pixel = jnp.arange(size, dtype=jnp.int32)
    if method == "bilinear":
        return _linear(x, axis, pixel, inputs, outputs, align_corners)
    if method == "nearest-exact":
        position = _divide((2 * pixel + 1) * inputs, 2 * outputs)
    else:
        step = inputs.astype(jnp.float32) / outputs.astype(jnp.float32)
        position = jnp.floor(pixel.astype(jnp.float32) * step).astype(jnp.int32)
    return _take(x, jnp.minimum(position, inputs - 1), axis)


def _linear(x, axis: int, pixel, inputs, outputs, align_corners: bool) -> jax.Array:
    if align_corners:
        numerator, denominator = pixel * (inputs - 1), jnp.maximum(outputs - 1, 1)
    else:
        numerator = jnp.maximum((2 * pixel + 1) * inputs - outputs, 0)
        denominator = 2 * outputs
    low = jnp.minimum(_divide(numerator, denominator), inputs - 1)
    remainder = jnp.where(low < inputs - 1, numerator - low * denominator, 0)
    weight = remainder.astype(x.dtype) / denominator.astype(x.dtype)
    weight = weight.reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    first, second = _take(x, low, axis), _take(x, jnp.minimum(low + 1, inputs - 1), axis)
    # 0 * inf is NaN: a pixel of weight zero is left out.
    return first * (1 - weight) + jnp.where(weight == 0, 0, second) * weight


def mirror(x: jax.Array, axis: int, before: Size, after: Size) -> jax.Array:
    """Mirror beyond the edges of one axis, as `ops.mirror_pad` does.

    Args:
        x: images, (batch, *space, channels).
        axis: axis to pad.
        before: pixels in front.
        after: pixels behind.
    """
    reach = _runtime_value(x.shape[axis]) - 1
    position = jnp.arange(x.shape[axis] + before + after, dtype=jnp.int32) - _runtime_value(before)
    period = jnp.maximum(2 * reach, 1)
    phase = jnp.abs(position) - _divide(jnp.abs(position), period) * period
    return _take(x, jnp.minimum(phase, 2 * reach - phase), axis)


def _take(x: jax.Array, index: jax.Array, axis: int) -> jax.Array:
    return jnp.take(x, index, axis=axis, mode="clip")


def _divide(numerators: jax.Array, denominator: jax.Array) -> jax.Array:
    return lax.div(numerators, jnp.broadcast_to(denominator, numerators.shape))


def _runtime_value(size: Size) -> jax.Array:
    """Return a size as a number that the program computes."""
    return jnp.asarray(size).astype(jnp.int32)
