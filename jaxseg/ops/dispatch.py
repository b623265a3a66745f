"""The rules that choose how each mode of the trilinear form is written, with their measurements.

Milliseconds in comments: two AVX-512 cores, jax 0.10.1, float32, a batch of 8 split over one XLA
device per core, medians.
"""

import functools
import math
from collections.abc import Callable

import jax
from jax import lax

from jaxseg.ops import canonical, rewrites
from jaxseg.ops.check import to_float32
from jaxseg.ops.geometry import Geometry

ModeFunction = Callable[..., jax.Array]
"""Computes one mode: (left operand, right operand, geometry=...) -> result."""


def plain(mode: str, geometry: Geometry, lhs: jax.Array, rhs: jax.Array) -> jax.Array:
    """Compute one mode as JAX itself derives and batches it.

    Args:
        mode: "y", "x" or "k".
        geometry: geometry of the convolution.
        lhs: left operand of the mode, with an ensemble axis in front.
        rhs: right operand of the mode, with an ensemble axis in front.
    """
    return jax.vmap(functools.partial(PLAIN[mode], geometry=geometry))(lhs, rhs)


def rewritten(mode: str, geometry: Geometry, lhs: jax.Array, rhs: jax.Array) -> jax.Array:
    """Compute one mode in the form that the rules choose.

    Members of an ensemble are computed one after another: a batched kernel would otherwise become
    a grouped convolution, which XLA runs 4 to 18 times slower on CPU than the members themselves.
    16-bit operands are converted to float32, so that sums of several products are rounded once;
    in bfloat16 that also takes a half to a seventh of the time (an upconvolution 4x4 s2: 12.7
    against 35.1).

    Args:
        mode: "y", "x" or "k".
        geometry: geometry of the convolution.
        lhs: left operand of the mode, with an ensemble axis in front.
        rhs: right operand of the mode, with an ensemble axis in front.
    """
    dtype, lhs, rhs = lhs.dtype, to_float32(lhs), to_float32(rhs)
    compute = functools.partial(RULES[mode](geometry, lhs[0], rhs[0]), geometry=geometry)
    if lhs.shape[0] == 1:
        return compute(lhs[0], rhs[0])[None].astype(dtype)
    return lax.map(lambda pair: compute(*pair).astype(dtype), (lhs, rhs))


def _convolution(geometry: Geometry, x: jax.Array, k: jax.Array) -> ModeFunction:
    if _depthwise(geometry, x.shape[-1]):
        return rewrites.depthwise_convolution
    # Rate 18 at 33x33: 3.4 against 5.5; rate 36 at 65x65: 4.1 against 13.8; rate 12 at 33x33,
    # where .57 of the products see data: 4.6 against 4.3.
    if _mostly_padding(geometry, 0.6) or _has_large_matrices(geometry, x.shape[-1], k.shape[-1]):
        return rewrites.product_convolution
    return canonical.convolution


def _input_gradient(geometry: Geometry, y: jax.Array, k: jax.Array) -> ModeFunction:
    g = geometry
    if _depthwise(g, k.shape[-2] * g.groups):
        return rewrites.depthwise_input_gradient
    if g.groups > 1:
        return canonical.input_gradient
    # Rate 12 at 33x33: 3.5 against 4.9, at 65x65 7.7 against 8.5; rate 6: 4.6 against 5.4.
    if _mostly_padding(g, 0.85) or _has_large_matrices(g, k.shape[-2], k.shape[-1]):
        return rewrites.product_input_gradient
    if max(g.stride) > 1 and max(g.dilation) == 1:
        # Blocks are padded to whole strides with taps that are zero. k4s2: block 10.6, product 39,
        # canonical 36; k3s2: 6.3, 4.8, 6.6; k1s2: 3.8, 2.0, 3.2.
        blocks = [-(-w // s) * s for w, s in zip(g.window, g.stride, strict=True)]
        if math.prod(blocks) <= 1.3 * math.prod(g.window):
            return rewrites.block_input_gradient
        if math.prod(g.window) <= _FEW_TAPS:
            return rewrites.product_input_gradient
    return canonical.input_gradient


def _weight_gradient(geometry: Geometry, x: jax.Array, y: jax.Array) -> ModeFunction:
    g = geometry
    if _depthwise(g, x.shape[-1]):
        return rewrites.depthwise_weight_gradient
    if g.groups > 1:
        return canonical.weight_gradient
    # 8 images of 24x24, 3x3: .088 against .186 at 8 channels, .35 against .39 at 16 (one core).
    if math.prod(g.window) * x.shape[-1] <= 100:
        return rewrites.columns_weight_gradient
    # k2s2: 5.0 against 7.7 for products by tap and 10 for the convolution; 1x1: 3.1, 4.9, 26.
    if g.window == g.stride or max(g.window + g.stride) == 1:
        return rewrites.block_weight_gradient
    # Rate 12 at 33x33: 8.7 against 9.3, rate 18: 6.6 against 11.2; k1s2: 2.7 against 17.
    if (
        max(g.window) == 1
        or _mostly_padding(g, 0.6)
        or _has_large_matrices(g, x.shape[-1], y.shape[-1])
    ):
        return rewrites.product_weight_gradient
    return canonical.weight_gradient


def _depthwise(geometry: Geometry, channels: int) -> bool:
    return geometry.groups == channels > 1 and _has_small_window(geometry)


def _has_small_window(geometry: Geometry) -> bool:
    """Tell whether the window is small enough to write out its taps one by one."""
    return math.prod(geometry.window) <= _MOST_TAPS


def _mostly_padding(geometry: Geometry, share: float) -> bool:
    """Tell whether less than this share of the products of a dilated convolution see data."""
    g = geometry
    dilated = g.groups == 1 and max(g.dilation) > 1
    return dilated and _has_small_window(g) and rewrites.share_of_data(g) < share


def _has_large_matrices(geometry: Geometry, inputs: int, features: int) -> bool:
    """Tell whether the matrix of one tap fills the cache by itself.

    512 > 512 at 16x16, rate 4, by mode: 31, 29, 42 as products against 48, 50, 57; 256 > 256: 12,
    11, 14 against 10, 11, 14.
    """
    dense = geometry.groups == 1 and max(geometry.stride) == 1
    return dense and _has_small_window(geometry) and inputs * features >= 2**18


_FEW_TAPS = 9
_MOST_TAPS = 49
RULES = {"y": _convolution, "x": _input_gradient, "k": _weight_gradient}
PLAIN: dict[str, ModeFunction] = {
    "y": canonical.convolution,
    "x": canonical.plain_input_gradient,
    "k": canonical.plain_weight_gradient,
}
