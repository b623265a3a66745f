"""Each mode of the trilinear form as one XLA convolution, under the labels that run fast.

XLA's CPU backend reaches its fast convolution inside a loop body (`lax.scan`, `lax.map`) only with
the labels NHWC/HWIO/NHWC. The gradients that lax derives carry other labels and run 20 to 100
times slower there. The canonical forms keep those labels in every mode, at the price of a
transpose. They are exact for every geometry that `without_excess` returns. Shapes, for one member
of an ensemble:

    x (batch, *input, in)      k (*window, in / groups, out)      y (batch, *output, out)
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops.geometry import Geometry
from jaxseg.ops.options import Edges


def dimension_numbers(axes: int) -> tuple[str, str, str]:
    """Return channels-last dimension numbers: NHWC, HWIO, NHWC for two spatial axes."""
    space = "HWD"[:axes]
    return f"N{space}C", f"{space}IO", f"N{space}C"


def pad(x: jax.Array, edges: Edges) -> jax.Array:
    """Pad the spatial axes with zeros, (before, after) each; negative numbers crop."""
    if not any(map(any, edges)):
        return x
    config = [(0, 0, 0), *((*edge, 0) for edge in edges), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def crop(x: jax.Array, edges: Edges) -> jax.Array:
    """Crop the spatial axes, (before, after) each; the inverse of `pad`."""
    return pad(x, [(-before, -after) for before, after in edges])


def convolution(x: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode y: (batch, *input, in), (*window, in / groups, out) -> (batch, *output, out)."""
    # Pixels that a stride leaves over need no crop: 1x1 s2 over 64x64 takes .68 ms, not .88.
    padding = [
        (before, 0 if -s < after < 0 else after)
        for (before, after), s in zip(geometry.padding, geometry.stride, strict=True)
    ]
    return lax.conv_general_dilated(
        x,
        k,
        window_strides=geometry.stride,
        padding=padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=dimension_numbers(len(geometry.stride)),
        feature_group_count=geometry.groups,
    )


def upconvolution(
    y: jax.Array, kernel: jax.Array, *, geometry: Geometry, dilate_first: bool = False
) -> jax.Array:
    """Dilate y by the stride, then convolve with the kernel, which is not flipped.

    Args:
        y: (batch, *output, out) in the terms of the geometry, whose input gradient this is.
        kernel: (*window, out / groups, in), the `transposed_kernel` of the convolution's.
        geometry: geometry of the convolution; its sizes may be symbolic with `dilate_first`.
        dilate_first: put the zeros between pixels and around them by operations of their own,
            where `lhs_dilation` or negative padding is not to be relied on.

    Returns:
        (batch, *input, in).
    """
    dilation, padding = geometry.stride, upconvolution_padding(geometry)
    # XLA for CPU would swap a window larger than its input with the input, and aborts in doing so
    # where another axis has window 2, base dilation 2 and no padding.
    sizes = zip(geometry.window, geometry.output, strict=True)
    if dilate_first or (0 not in geometry.output and any(k > o for k, o in sizes)):
        # The barrier keeps XLA from folding the zeros back into the convolution.
        y = lax.optimization_barrier(pad(_dilate(y, dilation), padding))
        dilation, padding = (1,) * len(dilation), [(0, 0)] * len(dilation)
    return lax.conv_general_dilated(
        y,
        kernel,
        window_strides=(1,) * len(dilation),
        padding=padding,
        lhs_dilation=dilation,
        rhs_dilation=geometry.dilation,
        dimension_numbers=dimension_numbers(len(dilation)),
        feature_group_count=geometry.groups,
    )


def upconvolution_padding(geometry: Geometry) -> list[tuple[int, int]]:
    """Return the padding (before, after) of the dilated y per axis; negative numbers crop."""
    padding = []
    for i, k, o, s, d, low in zip(
        geometry.input,
        geometry.window,
        geometry.output,
        geometry.stride,
        geometry.dilation,
        geometry.low,
        strict=True,
    ):
        reach = (k - 1) * d
        padding.append((reach - low, i + low - _dilated_size(o, s)))
    return padding


def _dilated_size(size: int, stride: int) -> int:
    return 0 if size == 0 else (size - 1) * stride + 1


def _dilate(y: jax.Array, strides: Sequence[int]) -> jax.Array:
    """Put stride - 1 zeros between pixels, without interior padding, which converters lack."""
    for axis, stride in enumerate(strides, start=1):
        if stride > 1:
            size, zero = _dilated_size(y.shape[axis], stride), jnp.zeros((), y.dtype)
            y = lax.expand_dims(y, [axis + 1])
            edges = [(0, stride - 1 if a == axis + 1 else 0, 0) for a in range(y.ndim)]
            y = lax.collapse(lax.pad(y, zero, edges), axis, axis + 2)
            y = lax.slice_in_dim(y, 0, size, axis=axis)
    return y


def transposed_kernel(k: jax.Array, groups: int) -> jax.Array:
    """Reverse the window and swap the channels of each group; an involution.

    (*window, a / groups, b) -> (*window, b / groups, a): the kernel with which the upconvolution is
    the input gradient of the convolution, and the other way round.
    """
    axes = k.ndim - 2
    flipped = jnp.flip(k, range(axes))
    split = flipped.reshape(*k.shape[:-1], groups, k.shape[-1] // groups)
    return jnp.swapaxes(split, -1, -3).reshape(
        *k.shape[:axes], k.shape[-1] // groups, groups * k.shape[-2]
    )


def input_gradient(y: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode x: (batch, *output, out), (*window, in / groups, out) -> (batch, *input, in)."""
    return upconvolution(y, transposed_kernel(k, geometry.groups), geometry=geometry)


def weight_gradient(x: jax.Array, y: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode k: a convolution whose window is y, whose batch the channels, and the other way round.

    k[t] = sum_o y[o] x[o s + t d - low], so stride and dilation trade places. (batch, *input,
    in), (batch, *output, out) -> (*window, in / groups, out). The sum is taken over bands of rows,
    each of which fits into the cache of a core.
    """
    rows = geometry.output[0]
    band = _rows_per_band(x, y, geometry)
    parts = [
        _weight_gradient(*_band(x, y, geometry, first, min(band, rows - first)))
        for first in range(0, rows, band)
    ]
    return sum(parts[1:], parts[0])


# Floats of either operand in a band of rows, and how many bands there are at most. 8 images of
# 64x64x64, 3x3, two cores: 37 ms in one piece, 30, 19, 18, 25 ms in bands of 16, 8, 4, 2 rows
# (2^19 to 2^16 floats). Bands of rows rather than of images, which may be few, and are the axis
# that is sharded over devices.
_BAND_SIZE = 2**18
_MOST_BANDS = 16


def _rows_per_band(x: jax.Array, y: jax.Array, geometry: Geometry) -> int:
    """Return the number of rows of y in a band."""
    rows = geometry.output[0]
    if not isinstance(x.shape[0], int):  # exported for any batch
        return rows
    bands = min(_MOST_BANDS, -(-max(x.size, y.size) // _BAND_SIZE))
    halo = (geometry.window[0] - 1) * geometry.dilation[0] // geometry.stride[0]
    return min(rows, max(-(-rows // bands), halo)) if bands > 1 else rows


def _band(x, y, geometry: Geometry, first: int, count: int):
    """Cut out `count` rows of y from `first` on, and the rows of x that they see."""
    g = geometry
    if count == g.output[0]:
        return x, y, g
    begin = first * g.stride[0] - g.low[0]
    end = begin + (count - 1) * g.stride[0] + (g.window[0] - 1) * g.dilation[0] + 1
    start = min(max(begin, 0), g.input[0])
    stop = max(min(end, g.input[0]), start)
    part = dataclasses.replace(
        g,
        input=(stop - start, *g.input[1:]),
        output=(count, *g.output[1:]),
        low=(start - begin, *g.low[1:]),
    )
    return x[:, start:stop], y[:, first : first + count], part


def _weight_gradient(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    axes = len(geometry.stride)
    padding = geometry.padding
    spans = [(o - 1) * s + 1 for o, s in zip(geometry.output, geometry.stride, strict=True)]
    if any(span > i for span, i in zip(spans, geometry.input, strict=True)):
        # A window larger than its input makes XLA swap the two and fall back to plain loops.
        x, padding = pad(x, padding), ((0, 0),) * axes
    out = lax.conv_general_dilated(
        jnp.moveaxis(x, (0, -1), (-1, 0)),
        jnp.moveaxis(y, 0, -2),
        window_strides=geometry.dilation,
        padding=padding,
        rhs_dilation=geometry.stride,
        dimension_numbers=dimension_numbers(axes),
        batch_group_count=geometry.groups,
    )
    return jnp.moveaxis(out, 0, -2)


def plain_input_gradient(y: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode x as JAX derives it from the convolution."""
    channels = k.shape[-2] * geometry.groups
    x = jax.ShapeDtypeStruct((y.shape[0], *geometry.input, channels), y.dtype)
    (out,) = jax.linear_transpose(lambda x: convolution(x, k, geometry=geometry), x)(y)
    return out


def plain_weight_gradient(x: jax.Array, y: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode k as JAX derives it from the convolution."""
    channels = x.shape[-1] // geometry.groups
    k = jax.ShapeDtypeStruct((*geometry.window, channels, y.shape[-1]), x.dtype)
    (out,) = jax.linear_transpose(lambda k: convolution(x, k, geometry=geometry), k)(y)
    return out
