"""How each mode of the trilinear form is written for the compiler, one ensemble member at a time.

XLA's CPU backend reaches its fast convolution inside a loop body (`lax.scan`, `lax.map`) only
under the labels NHWC/HWIO/NHWC. The gradients that lax derives carry other labels and run 20 to
100 times slower there. The canonical forms keep those labels in every mode, at the price of a
transpose; they are exact in every case.
"""

import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops.geometry import Geometry

Form = Callable[..., jax.Array]


def over_ensemble(form: Form, lhs: jax.Array, rhs: jax.Array) -> jax.Array:
    """Apply `form` to each pair of members along the leading axis of both operands.

    One after another: a batched kernel would otherwise become a grouped convolution, which XLA
    runs 4 to 18 times slower on CPU than the members themselves.
    """
    if lhs.shape[0] == 1:
        return form(lhs[0], rhs[0])[None]
    return lax.map(lambda pair: form(*pair), (lhs, rhs))


def labels(axes: int) -> tuple[str, str, str]:
    """Channels-last dimension numbers for any number of spatial axes: NHWC, HWIO, NHWC for 2."""
    space = "HWD"[:axes]
    return f"N{space}C", f"{space}IO", f"N{space}C"


def convolution(x: jax.Array, k: jax.Array, *, geometry: Geometry) -> jax.Array:
    """Mode y: (batch, *input, in), (*window, in / groups, out) -> (batch, *output, out)."""
    return lax.conv_general_dilated(
        x,
        k,
        window_strides=geometry.stride,
        padding=geometry.padding,
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
        geometry.input, geometry.window, geometry.output,
        geometry.stride, geometry.dilation, geometry.low, strict=True,
    ):  # fmt: skip
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
    in), (batch, *output, out) -> (*window, in / groups, out).
    """
    chunks = _chunks(x, y)
    if chunks == 1:
        return _weight_gradient(x, y, geometry)
    # Every chunks-th example rather than a run of them: a batch that is sharded stays so.
    xs, ys = (a.reshape(-1, chunks, *a.shape[1:]) for a in (x, y))
    return sum(_weight_gradient(xs[:, i], ys[:, i], geometry) for i in range(chunks))  # type: ignore[return-value]


# Operands of one chunk that fill a core's second-level cache and no more. 32 images of 32x32x32:
# 20.2 ms in one piece, 8.1, 6.3, 6.0, 5.8 ms in chunks of 1, 2, 4, 8 images (one core).
_CHUNK = 2**18
_MOST_CHUNKS = 16


def _chunks(x: jax.Array, y: jax.Array) -> int:
    """Into how many equal parts of the batch to split a weight gradient."""
    batch = x.shape[0]
    if not isinstance(batch, int):  # exported for any batch
        return 1
    wanted = -(-max(x.size, y.size) // _CHUNK)
    return max(n for n in range(1, _MOST_CHUNKS + 1) if batch % n == 0 and n <= max(1, wanted))


# Up to so many taps x channels one product with what each tap sees is faster than a convolution.
# 8 images of 24x24, 3x3: .088 against .186 ms at 8 channels, .35 against .39 ms at 16 (one core).
_FEW = 100


def _weight_gradient(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    axes = len(geometry.stride)
    padding = geometry.padding
    taps = math.prod(geometry.window)
    if geometry.groups == 1 and taps * x.shape[-1] <= _FEW:
        seen = _seen_by_taps(x, geometry)
        out = jnp.einsum("nd,nc->cd", y.reshape(-1, y.shape[-1]), seen)
        return out.reshape(*geometry.window, x.shape[-1], y.shape[-1])
    spans = [(o - 1) * s + 1 for o, s in zip(geometry.output, geometry.stride, strict=True)]
    if any(span > i for span, i in zip(spans, geometry.input, strict=True)):
        # A window larger than its input makes XLA swap the two and fall back to plain loops.
        x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((*p, 0) for p in padding), (0, 0, 0)])
        padding = ((0, 0),) * axes
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


def _seen_by_taps(x: jax.Array, geometry: Geometry) -> jax.Array:
    """What each tap sees of x: (batch * output pixels, taps * channels)."""
    edges = [(0, 0, 0), *((*p, 0) for p in geometry.padding), (0, 0, 0)]
    padded = lax.pad(x, jnp.zeros((), x.dtype), edges)
    steps = (1, *geometry.stride, 1)
    slices = []
    for tap in itertools.product(*(range(k) for k in geometry.window)):
        start = [t * d for t, d in zip(tap, geometry.dilation, strict=True)]
        stop = [
            a + (o - 1) * s + 1
            for a, o, s in zip(start, geometry.output, geometry.stride, strict=True)
        ]
        slices.append(lax.slice(padded, (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), steps))
    return jnp.concatenate(slices, axis=-1).reshape(-1, len(slices) * x.shape[-1])


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


CANONICAL: dict[str, Form] = {"y": convolution, "x": input_gradient, "k": weight_gradient}
PLAIN: dict[str, Form] = {
    "y": convolution,
    "x": plain_input_gradient,
    "k": plain_weight_gradient,
}
