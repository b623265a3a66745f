"""Convolutions written as something else: matrix products, sums of shifted products, blocks.

Each function is one mode of the trilinear form (see `trilinear`) for the geometries that its
docstring names, exact there. `forms` says when which is used. Shapes, one ensemble member:

    x (batch, *input, in)      k (*window, in / groups, out)      y (batch, *output, out)
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops.canonical import labels, padded
from jaxseg.ops.geometry import Geometry
from jaxseg.ops.shuffle import blocks_to_pixels, pixels_to_blocks


class Tap(NamedTuple):
    """One tap of the window and the pixels that meet there, per axis.

    Output positions `first` to `first + count - 1` see input positions `start`, `start + stride`,
    and so on; all other output positions see padding.
    """

    index: tuple[int, ...]
    first: tuple[int, ...]
    count: tuple[int, ...]
    start: tuple[int, ...]


def taps(geometry: Geometry) -> Iterator[Tap]:
    """The taps of the window that see anything at all."""
    g = geometry
    for index in itertools.product(*map(range, g.window)):
        offsets = [t * d - lo for t, d, lo in zip(index, g.dilation, g.low, strict=True)]
        first = tuple(max(0, -(f // s)) for f, s in zip(offsets, g.stride, strict=True))
        last = [
            min(o - 1, (i - 1 - f) // s)
            for o, i, f, s in zip(g.output, g.input, offsets, g.stride, strict=True)
        ]
        count = tuple(b - a + 1 for a, b in zip(first, last, strict=True))
        if min(count) > 0:
            start = tuple(a * s + f for a, s, f in zip(first, g.stride, offsets, strict=True))
            yield Tap(index, first, count, start)


def share_seen(geometry: Geometry) -> float:
    """Share of the multiply-adds of a convolution that see data rather than padding."""
    full = math.prod(geometry.window) * math.prod(geometry.output)
    return sum(math.prod(tap.count) for tap in taps(geometry)) / full


# --- one matrix product a tap -------------------------------------------------------------------


def _seen(x: jax.Array, tap: Tap, geometry: Geometry) -> jax.Array:
    """The pixels of x that a tap sees: (batch, *count, in)."""
    stop = [
        a + (n - 1) * s + 1 for a, n, s in zip(tap.start, tap.count, geometry.stride, strict=True)
    ]
    return lax.slice(
        x, (0, *tap.start, 0), (x.shape[0], *stop, x.shape[-1]), (1, *geometry.stride, 1)
    )


def _seeing(y: jax.Array, tap: Tap) -> jax.Array:
    """The pixels of y that see data through a tap: (batch, *count, out)."""
    stop = [a + n for a, n in zip(tap.first, tap.count, strict=True)]
    return lax.slice(y, (0, *tap.first, 0), (y.shape[0], *stop, y.shape[-1]))


def _at_outputs(part: jax.Array, tap: Tap, geometry: Geometry) -> jax.Array:
    """What a tap gives to the pixels of y, zeros elsewhere: (batch, *output, c)."""
    return _place(part, geometry.output, tap.first, tap.count, (1,) * len(tap.count))


def _at_inputs(part: jax.Array, tap: Tap, geometry: Geometry) -> jax.Array:
    """What a tap gives to the pixels of x, zeros elsewhere: (batch, *input, c)."""
    return _place(part, geometry.input, tap.start, tap.count, geometry.stride)


def _place(part, shape, first, count, step) -> jax.Array:
    edges = [
        (a, o - a - (n - 1) * s - 1, s - 1)
        for a, o, n, s in zip(first, shape, count, step, strict=True)
    ]
    if not any(any(e) for e in edges):
        return part
    return lax.pad(part, jnp.zeros((), part.dtype), [(0, 0, 0), *edges, (0, 0, 0)])


def _product(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """(batch, *space, in), (in, out) -> (batch, *space, out)."""
    if not all(isinstance(n, int) for n in x.shape[1:-1]):  # which may be no product to JAX
        return lax.dot_general(x, matrix, (((x.ndim - 1,), (0,)), ((), ())))
    flat = x.reshape(-1, x.shape[-1])
    return lax.dot(flat, matrix).reshape(*x.shape[:-1], matrix.shape[-1])


def product_convolution(x: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode y without groups: what each tap sees, times its matrix, added where it is seen."""
    out = [
        _at_outputs(_product(_seen(x, tap, geometry), k[tap.index]), tap, geometry)
        for tap in taps(geometry)
    ]
    return _sum(out, (x.shape[0], *geometry.output, k.shape[-1]), x.dtype)


def product_input_gradient(y: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode x without groups: what sees through each tap, times its matrix transposed."""
    out = [
        _at_inputs(_product(_seeing(y, tap), k[tap.index].T), tap, geometry)
        for tap in taps(geometry)
    ]
    return _sum(out, (y.shape[0], *geometry.input, k.shape[-2]), y.dtype)


def product_weight_gradient(x: jax.Array, y: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode k without groups: what each tap sees, transposed, times what sees it."""
    found = {
        tap.index: _correlate(_seen(x, tap, geometry), _seeing(y, tap)) for tap in taps(geometry)
    }
    blank = jnp.zeros((x.shape[-1], y.shape[-1]), x.dtype)
    matrices = [found.get(i, blank) for i in itertools.product(*map(range, geometry.window))]
    return jnp.stack(matrices).reshape(*geometry.window, *blank.shape)


def _correlate(x: jax.Array, y: jax.Array) -> jax.Array:
    """(batch, *space, in), (batch, *space, out) -> (in, out)."""
    return lax.dot_general(
        x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]), (((0,), (0,)), ((), ()))
    )


def _sum(parts: list[jax.Array], shape: tuple[int, ...], dtype) -> jax.Array:
    return sum(parts[1:], parts[0]) if parts else jnp.zeros(shape, dtype)


# --- depthwise: shifted elementwise products ------------------------------------------------------


def _row(k: jax.Array, tap: Tap) -> jax.Array:
    """The features of one tap of a depthwise kernel, (1, ..., 1, out), of the rank of an image."""
    return k[tap.index].reshape((1,) * (k.ndim - 1) + (-1,))


def depthwise_convolution(x: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode y where every channel is a group of its own."""
    x = jnp.repeat(x, k.shape[-1] // x.shape[-1], axis=-1)
    out = [
        _at_outputs(_seen(x, tap, geometry) * _row(k, tap), tap, geometry) for tap in taps(geometry)
    ]
    return _sum(out, (x.shape[0], *geometry.output, k.shape[-1]), x.dtype)


def depthwise_input_gradient(y: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode x where every channel is a group of its own."""
    channels = geometry.groups
    out = [_at_inputs(_seeing(y, tap) * _row(k, tap), tap, geometry) for tap in taps(geometry)]
    whole = _sum(out, (y.shape[0], *geometry.input, k.shape[-1]), y.dtype)
    return whole.reshape(*whole.shape[:-1], channels, -1).sum(-1)


# Rows whose products are added up before the sum over what is left. XLA's own reduction of a
# product takes a strided step a term: 8 images of 64x64x64 in 36 ms, 7.3, 5.4, 5.7 ms with bands
# of 4, 8, 16 rows (two cores).
_ROWS = 8


def depthwise_weight_gradient(x: jax.Array, y: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode k where every channel is a group of its own."""
    g = geometry
    x = jnp.repeat(x, y.shape[-1] // x.shape[-1], axis=-1)
    short = -g.output[0] % _ROWS
    (before, after), *others = g.padding
    padding = [(before, after + short * g.stride[0]), *others]
    x = lax.optimization_barrier(padded(x, padding))
    y = padded(y, [(0, short), *((0, 0) for _ in g.output[1:])])
    found = [
        sum(_shifted(x, tap, row, g) * y[:, row::_ROWS] for row in range(_ROWS))
        for tap in itertools.product(*map(range, g.window))
    ]
    axes = tuple(range(y.ndim - 1))
    sums = [jnp.sum(lax.optimization_barrier(part), axes) for part in found]
    return jnp.stack(sums).reshape(*g.window, 1, y.shape[-1])


def _shifted(x: jax.Array, tap: tuple[int, ...], row: int, geometry: Geometry) -> jax.Array:
    """What a tap sees of padded images from every `_ROWS`-th row of y, from `row` on."""
    g = geometry
    start = [t * d for t, d in zip(tap, g.dilation, strict=True)]
    start[0] += row * g.stride[0]
    counts = [-(-g.output[0] // _ROWS), *g.output[1:]]
    steps = [g.stride[0] * _ROWS, *g.stride[1:]]
    stop = [a + (n - 1) * s + 1 for a, n, s in zip(start, counts, steps, strict=True)]
    return lax.slice(x, (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), (1, *steps, 1))


# --- one product with what all taps see ----------------------------------------------------------


def columns_weight_gradient(x: jax.Array, y: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode k without groups: what each tap sees, side by side, in one product with y."""
    whole = padded(x, geometry.padding)
    steps = (1, *geometry.stride, 1)
    slices = []
    for tap in itertools.product(*map(range, geometry.window)):
        start = [t * d for t, d in zip(tap, geometry.dilation, strict=True)]
        stop = [
            a + (o - 1) * s + 1
            for a, o, s in zip(start, geometry.output, geometry.stride, strict=True)
        ]
        slices.append(lax.slice(whole, (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), steps))
    seen = jnp.concatenate(slices, axis=-1).reshape(-1, len(slices) * x.shape[-1])
    out = jnp.einsum("nd,nc->cd", y.reshape(-1, y.shape[-1]), seen)
    return out.reshape(*geometry.window, x.shape[-1], y.shape[-1])


# --- blocks: a strided upconvolution as a dense one with the strides among its channels ----------


def block_input_gradient(y: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode x without groups or dilation: an m x m convolution, m = ceil(window / stride).

    Input pixel i = q s + r - low is reached from y[q - j] through tap j s + r: for each of the
    s phases r a convolution over q with m taps. All phases at once are one convolution with
    s * in features a pixel, whose blocks of s pixels are then laid side by side.
    """
    g, axes = geometry, len(geometry.stride)
    reach = [-(-w // s) for w, s in zip(g.window, g.stride, strict=True)]
    spread = _by_phase(k, reach, g.stride)  # (*reach, out, *stride, in)
    matrix = jnp.flip(spread, range(axes)).reshape(*reach, k.shape[-1], -1)
    begin = [lo // s for lo, s in zip(g.low, g.stride, strict=True)]
    end = [
        -(-(lo + i) // s) for lo, i, s in zip(g.low, g.input, g.stride, strict=True)
    ]  # blocks begin..end - 1
    padding = [(m - 1 - b, e - o) for m, b, e, o in zip(reach, begin, end, g.output, strict=True)]
    if set(reach) == {1}:
        blocks = _product(padded(y, padding), matrix[(0,) * axes])
    else:
        blocks = lax.conv_general_dilated(
            y, matrix, (1,) * axes, padding, dimension_numbers=labels(axes)
        )
    laid = blocks_to_pixels(blocks.reshape(*blocks.shape[:-1], *g.stride, -1))
    start = [lo - b * s for lo, b, s in zip(g.low, begin, g.stride, strict=True)]
    stop = [a + i for a, i in zip(start, g.input, strict=True)]
    return lax.slice(laid, (0, *start, 0), (laid.shape[0], *stop, laid.shape[-1]))


def block_weight_gradient(x: jax.Array, y: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode k without groups or dilation where the window is no larger than the stride.

    Then no pixel is seen through two taps, and the blocks of x that each pixel of y sees are a
    reshape: one product.
    """
    g = geometry
    padding = [
        (lo, o * s - i - lo) for lo, o, s, i in zip(g.low, g.output, g.stride, g.input, strict=True)
    ]
    blocks = pixels_to_blocks(padded(x, padding), g.stride)
    found = _correlate(y, blocks.reshape(*y.shape[:-1], -1))  # (out, *stride * in)
    spread = found.reshape(y.shape[-1], *g.stride, x.shape[-1])
    cut = spread[(slice(None), *(slice(w) for w in g.window))]
    return jnp.moveaxis(cut, 0, -1)


def _by_phase(k: jax.Array, reach, stride) -> jax.Array:
    """(*window, in, out) -> (*reach, out, *stride, in), zeros where the window ends."""
    axes = len(reach)
    edges = [(0, m * s - w) for m, s, w in zip(reach, stride, k.shape, strict=False)]
    split = jnp.pad(k, [*edges, (0, 0), (0, 0)]).reshape(
        *itertools.chain(*zip(reach, stride, strict=True)), *k.shape[-2:]
    )
    coarse, fine = range(0, 2 * axes, 2), range(1, 2 * axes, 2)
    return split.transpose(*coarse, 2 * axes + 1, *fine, 2 * axes)
