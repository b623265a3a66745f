"""Each mode of the trilinear form as one convolution of XLA, under the labels that it runs fast.

XLA's CPU backend reaches its fast convolution inside a loop body (`lax.scan`, `lax.map`) only
under the labels NHWC/HWIO/NHWC. The gradients that lax derives carry other labels and run 20 to
100 times slower there. The canonical forms keep those labels in every mode, at the price of a
transpose; they are exact for every geometry `without_excess`. Shapes, one ensemble member:

    x (batch, *input, in)      k (*window, in / groups, out)      y (batch, *output, out)
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops.geometry import Edges, Geometry


def labels(axes: int) -> tuple[str, str, str]:
    """Channels-last dimension numbers for any number of spatial axes: NHWC, HWIO, NHWC for 2."""
    space = "HWD"[:axes]
    return f"N{space}C", f"{space}IO", f"N{space}C"


def padded(x: jax.Array, padding: Edges) -> jax.Array:
    """Pad, or crop where negative, the spatial axes; (before, after) for each."""
    if not any(map(any, padding)):
        return x
    edges = [(0, 0, 0), *((*p, 0) for p in padding), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), edges)


def cropped(x: jax.Array, edges: Edges) -> jax.Array:
    """The inverse of `padded`."""
    return padded(x, [(-before, -after) for before, after in edges])


def convolution(x: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode y: (batch, *input, in), (*window, in / groups, out) -> (batch, *output, out)."""
    # Pixels that a stride leaves over need no crop: 1x1 s2 over 64x64 takes .68 ms, not .88.
    padding = [
        (lo, 0 if -s < hi < 0 else hi)
        for (lo, hi), s in zip(geometry.padding, geometry.stride, strict=True)
    ]
    return lax.conv_general_dilated(
        x,
        k,
        window_strides=geometry.stride,
        padding=padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=labels(len(geometry.stride)),
        feature_group_count=geometry.groups,
    )


def upconvolution(y: jax.Array, kernel: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Dilate y by the stride, then convolve with `kernel` (*window, out / groups, in), unflipped.

    (batch, *output, out) -> (batch, *input, in) in the geometry's own terms.
    """
    padding = []
    for i, k, o, s, d, lo in zip(
        geometry.input,
        geometry.window,
        geometry.output,
        geometry.stride,
        geometry.dilation,
        geometry.low,
        strict=True,
    ):
        before = (k - 1) * d - lo
        after = i + (k - 1) * d - ((o - 1) * s + 1) - before
        padding.append((before, after))
    dilation = geometry.stride
    if any(k > o for k, o in zip(geometry.window, geometry.output, strict=True)):
        # XLA for CPU would swap a window larger than its input with the input, and aborts in that
        # where another axis has window 2, base dilation 2 and no padding. The barrier keeps it
        # from folding the padding back into the convolution.
        steps = [(0, 0, 0), *((*p, s - 1) for p, s in zip(padding, dilation, strict=True))]
        y = lax.optimization_barrier(lax.pad(y, jnp.zeros((), y.dtype), [*steps, (0, 0, 0)]))
        padding, dilation = [(0, 0)] * len(padding), (1,) * len(padding)
    return lax.conv_general_dilated(
        y,
        kernel,
        window_strides=(1,) * len(padding),
        padding=padding,
        lhs_dilation=dilation,
        rhs_dilation=geometry.dilation,
        dimension_numbers=labels(len(padding)),
        feature_group_count=geometry.groups,
    )


def turned(k: jax.Array, groups: int) -> jax.Array:
    """The kernel of the opposite direction: space reversed, channels swapped; its own inverse.

    (*window, a / groups, b) -> (*window, b / groups, a)
    """
    axes = k.ndim - 2
    flipped = jnp.flip(k, range(axes))
    split = flipped.reshape(*k.shape[:-1], groups, k.shape[-1] // groups)
    return jnp.swapaxes(split, -1, -3).reshape(
        *k.shape[:axes], k.shape[-1] // groups, groups * k.shape[-2]
    )


def input_gradient(y: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode x: (batch, *output, out), (*window, in / groups, out) -> (batch, *input, in)."""
    return upconvolution(y, turned(k, geometry.groups), geometry=geometry)


def weight_gradient(x: jax.Array, y: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode k: a convolution with y as its window; channels are its batch, the batch its channels.

    k[t] = sum_o y[o] x[o s + t d - low], so stride and dilation trade places. (batch, *input,
    in), (batch, *output, out) -> (*window, in / groups, out). A sum over bands of rows, each of
    which a core's cache holds.
    """
    rows = geometry.output[0]
    band = _rows_at_once(x, y, geometry)
    parts = [
        _weight_gradient(*_band(x, y, geometry, first, min(band, rows - first)))
        for first in range(0, rows, band)
    ]
    return sum(parts[1:], parts[0])


# Floats of either operand in a band of rows, and how many bands there are at most. 8 images of
# 64x64x64, 3x3, two cores: 37 ms in one piece, 30, 19, 18, 25 ms in bands of 16, 8, 4, 2 rows
# (2^19 to 2^16 floats); rows rather than images, which may be few, and shared out among devices.
_BAND = 2**18
_MOST_BANDS = 16


def _rows_at_once(x: jax.Array, y: jax.Array, geometry: Geometry) -> int:
    """Rows of y in a band of the weight gradient."""
    rows = geometry.output[0]
    if not isinstance(x.shape[0], int):  # exported for any batch
        return rows
    bands = min(_MOST_BANDS, -(-max(x.size, y.size) // _BAND))
    halo = (geometry.window[0] - 1) * geometry.dilation[0] // geometry.stride[0]
    return min(rows, max(-(-rows // bands), halo)) if bands > 1 else rows


def _band(x, y, geometry: Geometry, first: int, count: int):
    """Rows `first` to `first + count - 1` of y, the rows of x that they see, their geometry."""
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
        x, padding = padded(x, padding), ((0, 0),) * axes
    out = lax.conv_general_dilated(
        jnp.moveaxis(x, (0, -1), (-1, 0)),
        jnp.moveaxis(y, 0, -2),
        window_strides=geometry.dilation,
        padding=padding,
        rhs_dilation=geometry.stride,
        dimension_numbers=labels(axes),
        batch_group_count=geometry.groups,
    )
    return jnp.moveaxis(out, 0, -2)


def plain_input_gradient(y: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode x as JAX derives it from the plain convolution."""
    channels = k.shape[-2] * geometry.groups
    x = jax.ShapeDtypeStruct((y.shape[0], *geometry.input, channels), y.dtype)
    (out,) = jax.linear_transpose(lambda x: convolution(x, k, geometry=geometry), x)(y)
    return out


def plain_weight_gradient(x: jax.Array, y: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode k as JAX derives it from the plain convolution."""
    channels = x.shape[-1] // geometry.groups
    k = jax.ShapeDtypeStruct((*geometry.window, channels, y.shape[-1]), x.dtype)
    (out,) = jax.linear_transpose(lambda k: convolution(x, k, geometry=geometry), k)(y)
    return out
