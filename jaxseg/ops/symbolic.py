"""The operations on images of a height or width not known yet, as `jax.export` traces them.

Such a size is an expression of `jax.export.symbolic_shape`, by which no form of a convolution can
be chosen, no table of taps made, and no padding beyond a window's reach told from other padding. So
each operation is written here as plainly as it can be, its sizes left to `lax`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax

from jaxseg.ops import canonical, rewrites
from jaxseg.ops.check import widened
from jaxseg.ops.geometry import Geometry, Padding, Sizes, padding_pairs, per_axis

Size = Any  # an integer, or an expression of `jax.export.symbolic_shape`


def symbolic(sizes: Sequence[Size]) -> bool:
    """Whether any of the sizes is not known yet."""
    return any(export.is_symbolic_dim(n) for n in sizes)


def sizes(name: str, value: Any, axes: int) -> tuple[Size, ...]:
    """`geometry.per_axis` of sizes, some of which may not be known yet."""
    entries = tuple(value) if isinstance(value, Sequence) else (value,) * axes
    if not symbolic(entries):
        return per_axis(name, value, axes)
    known = per_axis(name, [1 if symbolic([n]) else n for n in entries], axes)
    return tuple(n if symbolic([n]) else k for n, k in zip(entries, known, strict=True))


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
    """`ops.conv`, operands and options as there."""
    strides, dilations, pairs = _windows(
        x, kernel.shape[:-2], stride=stride, dilation=dilation, padding=padding
    )
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=strides,
        padding=pairs,
        rhs_dilation=dilations,
        dimension_numbers=canonical.labels(len(strides)),
        feature_group_count=groups,
    )


def upconv(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """`ops.upconv`, operands as there, in the geometry that it is the input gradient of."""
    g = geometry
    before = [(k - 1) * d - lo for k, d, lo in zip(g.window, g.dilation, g.low, strict=True)]
    after = [
        i + lo - (o - 1) * s - 1
        for i, o, s, lo in zip(g.input, g.output, g.stride, g.low, strict=True)
    ]  # numbers, since the size is stride times the unknown one, and a number more
    if g.groups == 1 and max(g.dilation) == 1 and min(*before, *after) >= 0:
        return rewrites.block_input_gradient(x, canonical.turned(kernel, 1), geometry=g)
    # Zeros put between pixels by themselves and not by the convolution, for the reason that
    # `canonical.upconvolution` gives; what would be negative padding in front, where XLA for CPU
    # reads outside its operand, is cut off the result.
    y = lax.pad(
        x, jnp.zeros((), x.dtype), [(0, 0, 0), *((0, 0, s - 1) for s in g.stride), (0, 0, 0)]
    )
    edges = list(zip(before, after, strict=True))
    y = lax.conv_general_dilated(
        lax.optimization_barrier(y),
        kernel,
        window_strides=(1,) * len(edges),
        padding=[(max(lo, 0), max(hi, 0)) for lo, hi in edges],
        rhs_dilation=g.dilation,
        dimension_numbers=canonical.labels(len(edges)),
        feature_group_count=g.groups,
    )
    return canonical.padded(y, [(min(lo, 0), min(hi, 0)) for lo, hi in edges])


def _windows(x, window: Sequence[int], *, stride: Sizes, dilation: Sizes, padding: Padding):
    """Strides, dilations and integer pairs of padding, one entry per axis."""
    axes = len(window)
    strides = per_axis("stride", stride, axes)
    dilations = per_axis("dilation", dilation, axes)
    if not (isinstance(padding, str) and padding == "same"):
        return strides, dilations, padding_pairs(padding, axes)
    pairs = [
        _same(n, d * (k - 1) + 1, s)
        for n, k, d, s in zip(x.shape[1:-1], window, dilations, strides, strict=True)
    ]
    return strides, dilations, pairs


def _same(size: Size, span: int, stride: int) -> tuple[int, int]:
    """Padding before and after that leaves ceil(size / stride) windows, the odd pixel behind.

    Behind lies as much as the windows could reach: what a stride leaves over is not looked at.

    Raises:
        ValueError: what lies before depends on the size, which is not known.
    """
    last = (size - 1) % stride
    low = {max(span - 1 - n, 0) // 2 for n in (range(stride) if symbolic([last]) else [last])}
    if len(low) > 1:
        raise ValueError(
            f'padding="same" for a window that spans {span} pixels and a stride of {stride} '
            f"depends on the size {size}, which is not known: give the padding as integers, or "
            "export at sizes that are multiples of the stride."
        )
    (before,) = low
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
    """`ops.max_pool`, operands and options as there; `lowest` is below every value."""
    return _reduced(x, window, stride, padding, dilation, lowest, lax.max)


def avg_pool(
    x: jax.Array, window: Sizes, *, stride: Sizes | None, padding: Padding, count_include_pad: bool
) -> jax.Array:
    """`ops.avg_pool`, operands and options as there."""
    windows = per_axis("window", window, x.ndim - 2)
    y = widened(x)
    zero = np.zeros((), y.dtype)
    total = _reduced(y, windows, stride, padding, 1, zero, lax.add)
    if count_include_pad:
        return (total / int(np.prod(windows))).astype(x.dtype)
    ones = jnp.ones((1, *x.shape[1:-1], 1), y.dtype)
    return (total / _reduced(ones, windows, stride, padding, 1, zero, lax.add)).astype(x.dtype)


def _reduced(x, window, stride, padding, dilation, start, reduction) -> jax.Array:
    windows = per_axis("window", window, x.ndim - 2)
    strides, dilations, pairs = _windows(
        x, windows, stride=windows if stride is None else stride, dilation=dilation, padding=padding
    )
    spans = [d * (k - 1) + 1 for k, d in zip(windows, dilations, strict=True)]
    if any(max(p) >= span for p, span in zip(pairs, spans, strict=True)):
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


def linear(x: jax.Array, axis: int, size: Size, *, align_corners: bool) -> jax.Array:
    """Bilinear resizing along one axis of floating x, as `ops.resize`.

    Positions are quotients of integers, exact in int32 where 2 * size * x.shape[axis] < 2**31.
    """
    i = x.shape[axis]
    inputs, outputs = _value(i), _value(size)
    pixel = jnp.arange(size, dtype=jnp.int32)
    if align_corners:
        above, below = pixel * (inputs - 1), jnp.maximum(outputs - 1, 1)
    else:
        above, below = jnp.maximum((2 * pixel + 1) * inputs - outputs, 0), 2 * outputs
    low = jnp.minimum(lax.div(above, jnp.broadcast_to(below, above.shape)), inputs - 1)
    part = jnp.where(low < inputs - 1, above - low * below, 0).astype(x.dtype)
    part = (part / below.astype(x.dtype)).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    first, second = _taken(x, low, axis), _taken(x, jnp.minimum(low + 1, inputs - 1), axis)
    # A weight of zero brings in no infinity from elsewhere.
    return first * (1 - part) + jnp.where(part == 0, 0, second) * part


def nearest(x: jax.Array, axis: int, size: Size) -> jax.Array:
    """Nearest pixels along one axis, in float32 as `ops.resize`."""
    inputs, outputs = _value(x.shape[axis]), _value(size)
    step = inputs.astype(jnp.float32) / outputs.astype(jnp.float32)
    position = jnp.floor(jnp.arange(size, dtype=jnp.float32) * step).astype(jnp.int32)
    return _taken(x, jnp.minimum(position, inputs - 1), axis)


def mirrored(x: jax.Array, axis: int, before: Size, after: Size) -> jax.Array:
    """Mirroring beyond the edges of one axis, as `ops.mirror_pad`."""
    reach = _value(x.shape[axis]) - 1
    position = jnp.arange(x.shape[axis] + before + after, dtype=jnp.int32) - _value(before)
    period = jnp.broadcast_to(jnp.maximum(2 * reach, 1), position.shape)
    around = jnp.abs(position) - lax.div(jnp.abs(position), period) * period
    return _taken(x, jnp.minimum(around, 2 * reach - around), axis)


def _taken(x: jax.Array, index: jax.Array, axis: int) -> jax.Array:
    return jnp.take(x, index, axis=axis, mode="clip")


def _value(size: Size) -> jax.Array:
    """A size as a number of the program."""
    return jnp.asarray(size).astype(jnp.int32)
