"""Convolutions written as something else: matrix products, sums of shifted products, blocks.

Each function computes one mode of the trilinear form (`trilinear.py`), exactly, for the geometries
that its docstring names; the rules of `dispatch.py` choose between them. Shapes, for one member of
an ensemble:

    x (batch, *input, in)      k (*window, in / groups, out)      y (batch, *output, out)
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops.canonical import dimension_numbers, pad
from jaxseg.ops.geometry import Geometry
from jaxseg.ops.shuffle import blocks_to_pixels, pixels_to_blocks


class Tap(NamedTuple):
    """One tap of the window, and the output and input pixels that meet through it.

    Output positions `first` to `first + count - 1` see the input positions `start`, `start +
    stride`, and so on; all other output positions see padding.

    Attributes:
        index: position in the window, one entry per axis, as in all the tuples.
        first: first output position that sees data.
        count: number of output positions that do.
        start: input position that the first of them sees.
    """

    index: tuple[int, ...]
    first: tuple[int, ...]
    count: tuple[int, ...]
    start: tuple[int, ...]


def taps(geometry: Geometry) -> Iterator[Tap]:
    """Iterate over the taps of the window that see any data."""
    g = geometry
    for index in itertools.product(*map(range, g.window)):
        offsets = [t * d - low for t, d, low in zip(index, g.dilation, g.low, strict=True)]
        first = tuple(max(0, -(f // s)) for f, s in zip(offsets, g.stride, strict=True))
        last = [
            min(o - 1, (i - 1 - f) // s)
            for o, i, f, s in zip(g.output, g.input, offsets, g.stride, strict=True)
        ]
        count = tuple(b - a + 1 for a, b in zip(first, last, strict=True))
        if min(count) > 0:
            start = tuple(a * s + f for a, s, f in zip(first, g.stride, offsets, strict=True))
            yield Tap(index, first, count, start)


def share_of_data(geometry: Geometry) -> float:
    """Compute the share of a convolution's multiply-adds that see data rather than padding."""
    full = math.prod(geometry.window) * math.prod(geometry.output)
    return sum(math.prod(tap.count) for tap in taps(geometry)) / full


# --- one matrix product per tap -----------------------------------------------------------------


def _input_pixels(x: jax.Array, tap: Tap, geometry: Geometry) -> jax.Array:
    """Cut out the pixels of x that are seen through a tap: (batch, *count, in)."""
    stop = [
        a + (n - 1) * s + 1 for a, n, s in zip(tap.start, tap.count, geometry.stride, strict=True)
    ]
    return lax.slice(
        x, (0, *tap.start, 0), (x.shape[0], *stop, x.shape[-1]), (1, *geometry.stride, 1)
    )


def _output_pixels(y: jax.Array, tap: Tap) -> jax.Array:
    """Cut out the pixels of y that see data through a tap: (batch, *count, out)."""
    stop = [a + n for a, n in zip(tap.first, tap.count, strict=True)]
    return lax.slice(y, (0, *tap.first, 0), (y.shape[0], *stop, y.shape[-1]))


def _to_output(part: jax.Array, tap: Tap, geometry: Geometry) -> jax.Array:
    """Put a tap's contribution where it belongs in y, among zeros: (batch, *output, c)."""
    return _embed(part, geometry.output, tap.first, tap.count, (1,) * len(tap.count))


def _to_input(part: jax.Array, tap: Tap, geometry: Geometry) -> jax.Array:
    """Put a tap's contribution where it belongs in x, among zeros: (batch, *input, c)."""
    return _embed(part, geometry.input, tap.start, tap.count, geometry.stride)


def _embed(part, shape, first, count, step) -> jax.Array:
    config = [
        (a, o - a - (n - 1) * s - 1, s - 1)
        for a, o, n, s in zip(first, shape, count, step, strict=True)
    ]
    if not any(map(any, config)):
        return part
    return lax.pad(part, jnp.zeros((), part.dtype), [(0, 0, 0), *config, (0, 0, 0)])


def _product(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """Multiply every pixel: (batch, *space, in), (in, out) -> (batch, *space, out)."""
    if not all(isinstance(n, int) for n in x.shape[1:-1]):  # symbolic sizes may not multiply
        return lax.dot_general(x, matrix, (((x.ndim - 1,), (0,)), ((), ())))
    flat = x.reshape(-1, x.shape[-1])
    return lax.dot(flat, matrix).reshape(*x.shape[:-1], matrix.shape[-1])


def product_convolution(x: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode y without groups: the pixels under each tap times its matrix, added up."""
    parts = [
        _to_output(_product(_input_pixels(x, tap, geometry), k[tap.index]), tap, geometry)
        for tap in taps(geometry)
    ]
    return _sum(parts, (x.shape[0], *geometry.output, k.shape[-1]), x.dtype)


def product_input_gradient(y: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode x without groups: the pixels of y over each tap times its transposed matrix."""
    parts = [
        _to_input(_product(_output_pixels(y, tap), k[tap.index].T), tap, geometry)
        for tap in taps(geometry)
    ]
    return _sum(parts, (y.shape[0], *geometry.input, k.shape[-2]), y.dtype)


def product_weight_gradient(x: jax.Array, y: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode k without groups: the transposed pixels under each tap times those of y over it."""
    blank = jnp.zeros((x.shape[-1], y.shape[-1]), x.dtype)
    matrices = {
        tap.index: _correlate(_input_pixels(x, tap, geometry), _output_pixels(y, tap))
        for tap in taps(geometry)
    }
    window = itertools.product(*map(range, geometry.window))
    stacked = jnp.stack([matrices.get(index, blank) for index in window])
    return stacked.reshape(*geometry.window, *blank.shape)


def _correlate(x: jax.Array, y: jax.Array) -> jax.Array:
    """Sum over pixels: (batch, *space, in), (batch, *space, out) -> (in, out)."""
    return lax.dot_general(
        x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]), (((0,), (0,)), ((), ()))
    )


def _sum(parts: list[jax.Array], shape: tuple[int, ...], dtype) -> jax.Array:
    return sum(parts[1:], parts[0]) if parts else jnp.zeros(shape, dtype)


# --- depthwise: shifted elementwise products ------------------------------------------------------


def _tap_features(k: jax.Array, tap: Tap) -> jax.Array:
    """Return one tap of a depthwise kernel, (1, ..., 1, out), with the rank of an image."""
    return k[tap.index].reshape((1,) * (k.ndim - 1) + (-1,))


def depthwise_convolution(x: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode y where every channel is a group of its own."""
    x = jnp.repeat(x, k.shape[-1] // x.shape[-1], axis=-1)
    parts = [
        _to_output(_input_pixels(x, tap, geometry) * _tap_features(k, tap), tap, geometry)
        for tap in taps(geometry)
    ]
    return _sum(parts, (x.shape[0], *geometry.output, k.shape[-1]), x.dtype)


def depthwise_input_gradient(y: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode x where every channel is a group of its own."""
    parts = [
        _to_input(_output_pixels(y, tap) * _tap_features(k, tap), tap, geometry)
        for tap in taps(geometry)
    ]
    by_feature = _sum(parts, (y.shape[0], *geometry.input, k.shape[-1]), y.dtype)
    return by_feature.reshape(*by_feature.shape[:-1], geometry.groups, -1).sum(-1)


# Rows whose products are added up before the sum over everything else. XLA's own reduction of a
# product takes a strided step per term: 8 images of 64x64x64 in 36 ms, 7.3, 5.4, 5.7 ms with bands
# of 4, 8, 16 rows (two cores).
_ROWS = 8


def depthwise_weight_gradient(x: jax.Array, y: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode k where every channel is a group of its own."""
    g = geometry
    x = jnp.repeat(x, y.shape[-1] // x.shape[-1], axis=-1)
    missing = -g.output[0] % _ROWS  # rows that y lacks of a multiple
    (before, after), *others = g.padding
    x = lax.optimization_barrier(pad(x, [(before, after + missing * g.stride[0]), *others]))
    y = pad(y, [(0, missing), *((0, 0) for _ in g.output[1:])])
    products = [
        sum(_every_eighth_row(x, tap, row, g) * y[:, row::_ROWS] for row in range(_ROWS))
        for tap in itertools.product(*map(range, g.window))
    ]
    axes = tuple(range(y.ndim - 1))
    sums = [jnp.sum(lax.optimization_barrier(part), axes) for part in products]
    return jnp.stack(sums).reshape(*g.window, 1, y.shape[-1])


def _every_eighth_row(
    x: jax.Array, tap: tuple[int, ...], row: int, geometry: Geometry
) -> jax.Array:
    """Cut out of padded x what every `_ROWS`-th row of y, from `row` on, sees through a tap."""
    g = geometry
    start = [t * d for t, d in zip(tap, g.dilation, strict=True)]
    start[0] += row * g.stride[0]
    counts = [-(-g.output[0] // _ROWS), *g.output[1:]]
    steps = [g.stride[0] * _ROWS, *g.stride[1:]]
    stop = [a + (n - 1) * s + 1 for a, n, s in zip(start, counts, steps, strict=True)]
    return lax.slice(x, (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), (1, *steps, 1))


# --- one product for all taps --------------------------------------------------------------------


def columns_weight_gradient(x: jax.Array, y: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode k without groups: the pixels under all taps, side by side, in one product with y."""
    padded = pad(x, geometry.padding)
    steps = (1, *geometry.stride, 1)
    slices = []
    for tap in itertools.product(*map(range, geometry.window)):
        start = [t * d for t, d in zip(tap, geometry.dilation, strict=True)]
        stop = [
            a + (o - 1) * s + 1
            for a, o, s in zip(start, geometry.output, geometry.stride, strict=True)
        ]
        slices.append(lax.slice(padded, (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), steps))
    columns = jnp.concatenate(slices, axis=-1).reshape(-1, len(slices) * x.shape[-1])
    out = jnp.einsum("nd,nc->cd", y.reshape(-1, y.shape[-1]), columns)
    return out.reshape(*geometry.window, x.shape[-1], y.shape[-1])


# --- blocks: a strided upconvolution as a dense one with the strides among its channels ----------


def block_input_gradient(y: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode x without groups or dilation: an m x m convolution, m = ceil(window / stride).

    Input pixel i = q s + r - low is reached from y[q - j] through tap j s + r: for each of the
    s phases r, a convolution over q with m taps. All phases together are one convolution with
    s * in features per pixel, whose blocks of s pixels are then laid side by side.
    """
    g, axes = geometry, len(geometry.stride)
    reach = [-(-w // s) for w, s in zip(g.window, g.stride, strict=True)]
    by_phase = _by_phase(k, reach, g.stride)  # (*reach, out, *stride, in)
    matrix = jnp.flip(by_phase, range(axes)).reshape(*reach, k.shape[-1], -1)
    begin = [low // s for low, s in zip(g.low, g.stride, strict=True)]
    end = [
        -(-(low + i) // s) for low, i, s in zip(g.low, g.input, g.stride, strict=True)
    ]  # the blocks needed are begin..end - 1
    padding = [(m - 1 - b, e - o) for m, b, e, o in zip(reach, begin, end, g.output, strict=True)]
    if set(reach) == {1}:
        blocks = _product(pad(y, padding), matrix[(0,) * axes])
    else:
        blocks = lax.conv_general_dilated(
            y, matrix, (1,) * axes, padding, dimension_numbers=dimension_numbers(axes)
        )
    pixels = blocks_to_pixels(blocks.reshape(*blocks.shape[:-1], *g.stride, -1))
    start = [low - b * s for low, b, s in zip(g.low, begin, g.stride, strict=True)]
    stop = [a + i for a, i in zip(start, g.input, strict=True)]
    return lax.slice(pixels, (0, *start, 0), (pixels.shape[0], *stop, pixels.shape[-1]))


def block_weight_gradient(x: jax.Array, y: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode k without groups or dilation where the window is no larger than the stride.

    No pixel is then seen through two taps, and the blocks of x that the pixels of y see are a
    reshape: one product.
    """
    g = geometry
    padding = [
        (low, o * s - i - low)
        for low, o, s, i in zip(g.low, g.output, g.stride, g.input, strict=True)
    ]
    blocks = pixels_to_blocks(pad(x, padding), g.stride)
    product = _correlate(y, blocks.reshape(*y.shape[:-1], -1))  # (out, *stride * in)
    by_tap = product.reshape(y.shape[-1], *g.stride, x.shape[-1])
    cut = by_tap[(slice(None), *(slice(w) for w in g.window))]
    return jnp.moveaxis(cut, 0, -1)


def _by_phase(k: jax.Array, reach, stride) -> jax.Array:
    """Sort taps by phase: (*window, in, out) -> (*reach, out, *stride, in), with zeros to spare."""
    axes = len(reach)
    edges = [(0, m * s - w) for m, s, w in zip(reach, stride, k.shape, strict=False)]
    split = jnp.pad(k, [*edges, (0, 0), (0, 0)]).reshape(
        *itertools.chain(*zip(reach, stride, strict=True)), *k.shape[-2:]
    )
    coarse, fine = range(0, 2 * axes, 2), range(1, 2 * axes, 2)
    return split.transpose(*coarse, 2 * axes + 1, *fine, 2 * axes)
