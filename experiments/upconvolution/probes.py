"""Identities of upconvolutions in float64, and layers at initialization against theory.

With independent weights of mean 0, each phase of an upconvolution of stride s is drawn by itself.
On features of one gray value the mean power of the phases' means is then 1 at frequency 0 to
s**2 - 1 at the stride's frequencies: three quarters at s = 2, whatever the window. On white noise
a pixel's power is proportional to the taps that meet in it, and so is that of a gradient behind a
strided convolution.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.upconvolution.config import ARMS, RANDOM, STRIDE, WINDOWS, EncoderDecoder, Make
from jaxseg import nn, ops
from jaxseg.analysis import phase_power
from jaxseg.nn.initializers import bilinear, he_normal, icnr
from jaxseg.studies import Row, over_seeds

GEOMETRIES = ((8, 3, 2, 1), (9, 4, 2, 1), (11, 5, 3, 2))
"""Image size, window, stride, padding: with and without a remainder (i + 2p - k) mod s."""
STRIDES = (2, 3, 4)
INITIAL = {
    "quantity": str,
    "case": str,
    "theory": float,
    "measured": float,
    "error": float,
    "draws": int,
}
"""Columns of initial.csv; "error" is the standard error of "measured"."""
SHARE = "share of the power at the stride's frequencies, of a flat image"
POWER = "power where most taps meet over power where fewest do, of white noise"
GRADIENT = "power where most paths lead over power where fewest do, of the image's gradient"
SIDE, EDGE = 24, 8
"""Pixels a side of the images that layers are measured on, and of the border left out."""


def random_array(*shape: int, seed: int = 0) -> jax.Array:
    """Draw an array that the compiler cannot fold into a constant."""
    values = np.random.default_rng([seed, *shape]).normal(size=shape)
    return jax.lax.optimization_barrier(jnp.asarray(values))


def transposed_kernel(kernel: jax.Array) -> jax.Array:
    """Reverse the window and swap the channels."""
    return jnp.flip(kernel, range(kernel.ndim - 2)).swapaxes(-1, -2)


def phases_of(kernel: jax.Array) -> list[tuple[jax.Array, Any]]:
    """Split a 4x4 kernel of stride 2 into four 2x2 kernels, one a phase, each with its padding."""
    places = itertools.product(range(2), range(2))
    return [(kernel[i::2, j::2], ((1 - i, i), (1 - j, j))) for i, j in places]


def identity_errors() -> dict[str, float]:
    """Evaluate both sides of every identity in float64: name -> largest relative error."""
    with jax.enable_x64(True):
        errors = jax.jit(
            lambda: {
                **_gradients_of_strided(),
                "pixel shuffle": _pixel_shuffle_of_four(),
                "ICNR": _icnr_is_nearest(),
                "bilinear phases": _bilinear_phases(),
                "bilinear slopes": _bilinear_slopes(),
            }
        )()
        return {name: float(jnp.max(jnp.stack(values))) for name, values in errors.items()}


def _relative_error(measured: jax.Array, expected: jax.Array) -> jax.Array:
    return jnp.max(jnp.abs(measured - expected)) / jnp.max(jnp.abs(expected))


def _gradients(down: Callable, x: jax.Array, kernel: jax.Array, g: jax.Array):
    """Differentiate by XLA's own rules, on which jaxseg's rewritten forms have no influence."""
    with ops.lowering("direct"):
        return jax.vjp(down, x, kernel)[1](g)


def _gradients_of_strided() -> dict[str, list[jax.Array]]:
    """Compare a strided convolution's gradients with an upconvolution and a dilated convolution.

    The kernel's gradient takes the images of the batch for channels. The adjoint is <A x, y>
    against <x, A' y>, over the product of the norms.
    """
    errors = {"input gradient": [], "adjoint": [], "kernel gradient": []}
    for size, window, stride, padding in GEOMETRIES:
        x, kernel = random_array(2, size, size, 3), random_array(window, window, 3, 4)

        down = partial(ops.conv, stride=stride, padding=padding)
        y = down(x, kernel)
        g = random_array(*y.shape, seed=1)
        to_x, to_kernel = _gradients(down, x, kernel, g)
        rest = (size + 2 * padding - window) % stride
        up = ops.upconv(
            g, transposed_kernel(kernel), stride=stride, padding=padding, output_padding=rest
        )
        images, gradients = x.transpose(3, 1, 2, 0), g.transpose(1, 2, 0, 3)
        dilated = ops.conv(images, gradients, dilation=stride, padding=padding)
        dilated = dilated[:, :window, :window].transpose(1, 2, 0, 3)
        norms = jnp.linalg.norm(x) * jnp.linalg.norm(up)
        errors["input gradient"].append(_relative_error(up, to_x))
        errors["adjoint"].append(jnp.abs(jnp.vdot(y, g) - jnp.vdot(x, up)) / norms)
        errors["kernel gradient"].append(_relative_error(dilated, to_kernel))
    return errors


def _pixel_shuffle_of_four() -> list[jax.Array]:
    """Compare a 4x4 upconvolution of stride 2 with the pixel shuffle of four 2x2 convolutions."""
    x, kernel = random_array(2, 5, 7, 3), random_array(4, 4, 3, 4)
    with ops.lowering("direct"):
        expected = ops.upconv(x, kernel, stride=2)
    parts = [ops.conv(x, part, padding=padding) for part, padding in phases_of(kernel)]
    stacked = jnp.stack(parts, axis=-1)  # (..., features, phases)
    shuffled = ops.pixel_shuffle(stacked.reshape(*stacked.shape[:-2], -1), 2)
    return [_relative_error(shuffled, expected)]


def _icnr_is_nearest() -> list[jax.Array]:
    """Compare a sub-pixel convolution from ICNR with a convolution repeated by nearest neighbor."""
    errors = []
    for stride in STRIDES:
        key, x = jax.random.key(stride), random_array(2, 5, 4, 3)
        kernel = icnr(stride, he_normal())(key, (3, 3, 3, 6 * stride**2), jnp.float64)
        base = ops.conv(x, he_normal()(key, (3, 3, 3, 6), jnp.float64))
        expected = ops.resize(base, (5 * stride, 4 * stride), method="nearest")
        errors.append(_relative_error(ops.pixel_shuffle(ops.conv(x, kernel), stride), expected))
    return errors


def _bilinear_kernel(stride: int) -> jax.Array:
    window = 2 * stride - stride % 2
    return bilinear()(jax.random.key(0), (window, window, 1, 1), jnp.float64)


def _bilinear_phases() -> list[jax.Array]:
    """Compare the sums of the bilinear weights that meet in a pixel with 1, over all phases."""
    places = [(s, i, j) for s in STRIDES for i in range(s) for j in range(s)]
    return [jnp.abs(_bilinear_kernel(s)[i::s, j::s].sum() - 1) for s, i, j in places]


def _bilinear_slopes() -> list[jax.Array]:
    """Compare an upsampled slope with the slope, wherever the whole window lies in the image."""
    errors, n = [], 7
    for s in STRIDES:
        rows, columns = jnp.meshgrid(jnp.arange(1.0 * n), jnp.arange(1.0 * n), indexing="ij")
        y = ops.upconv((2 + rows - 3 * columns)[None, :, :, None], _bilinear_kernel(s), stride=s)
        at = (np.arange(n * s) + 0.5) / s - 0.5
        inner = slice(s, -s)
        expected = jnp.asarray(2 + at[:, None] - 3 * at[None, :])[inner, inner]
        errors.append(_relative_error(y[0, inner, inner, 0], expected))
    return errors


def conv_transpose_errors() -> tuple[float, float]:
    """Compare jax.lax.conv_transpose with the gradient: as it is, with transpose_kernel=True."""
    with jax.enable_x64(True):
        x, kernel, g = (random_array(*s) for s in ((1, 8, 8, 3), (3, 3, 3, 3), (1, 4, 4, 3)))
        down = partial(ops.conv, stride=2, padding=((0, 1), (0, 1)))  # XLA's "SAME"
        expected, _ = _gradients(down, x, kernel, g)
        up = partial(jax.lax.conv_transpose, g, kernel, (2, 2), "SAME")
        errors = [_relative_error(up(transpose_kernel=t), expected) for t in (False, True)]
        return float(errors[0]), float(errors[1])


def size_formulas() -> tuple[int, int]:
    """Count the geometries whose array sizes follow both formulas, and all geometries.

    A strided convolution of i pixels gives floor((i + 2p - k) / s) + 1, and the upconvolution
    gives i back where `output_padding` is the remainder (i + 2p - k) mod s.
    """
    correct = total = 0
    for i, k, s, p in itertools.product(range(1, 10), range(1, 5), range(1, 4), range(2)):
        if i + 2 * p < k or p >= k:
            continue
        steps, rest = divmod(i + 2 * p - k, s)
        down = _output_size(partial(ops.conv, stride=s, padding=p), i, k)
        back = partial(ops.upconv, stride=s, padding=p, output_padding=rest)
        up = _output_size(back, steps + 1, k)
        total += 1
        correct += down == steps + 1 and up == s * steps + rest + k - 2 * p == i
    return correct, total


def _output_size(op: Callable, size: int, window: int) -> int:
    x, kernel = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((1, size, 1), (window, 1, 1)))
    return jax.eval_shape(op, x, kernel).shape[1]


def overlap(window: int, *, pixels: int = 4) -> np.ndarray:
    """Count the taps that meet in each of (pixels, pixels) inner output pixels, at stride 2."""
    x, kernel = jnp.ones((1, SIDE, SIDE, 1)), jnp.ones((window, window, 1, 1))
    inner = slice(EDGE, EDGE + pixels)
    return np.rint(ops.upconv(x, kernel, stride=STRIDE)[0, inner, inner, 0]).astype(int)


def paths(window: int) -> np.ndarray:
    """Count the paths from a pixel to the lowest level, (4, 4), by its place in a period."""
    kernel, inner = jnp.ones((window, window, 1, 1)), slice(EDGE, EDGE + 4)

    def count(x):
        x = ops.conv(x, jnp.ones((3, 3, 1, 1)))
        return jnp.sum(ops.conv(ops.conv(x, kernel, stride=2), kernel, stride=2))

    return np.asarray(jax.jit(jax.grad(count))(jnp.ones((1, SIDE, SIDE, 1)))[0, inner, inner, 0])


def initial_rows(
    arms: Sequence[str], windows: Sequence[int], *, features: int, draws: int
) -> list[Row]:
    """Compare layers and strided convolutions at initialization with theory: rows of initial.csv.

    Args:
        arms: The arms whose layers are drawn.
        windows: Windows of the strided convolutions.
        features: Channels of every layer.
        draws: Layers and nets of each kind, at least 2.
    """
    rows = []
    for arm in arms:
        uneven, total, power = over_seeds(_layer_powers(ARMS[arm], features), draws)
        share = 1 - 1 / STRIDE**2 if arm in RANDOM else 0.0
        rows.append((SHARE, arm, share, *_ratio(uneven, total)))
        if arm in RANDOM:
            taps = overlap(WINDOWS.get(arm, 4), pixels=STRIDE)
            rows.append((POWER, arm, *_contrast(taps, power)))
    for window in windows:
        power = over_seeds(_gradient_power(window, features), draws)
        rows.append((GRADIENT, f"k{window}s2", *_contrast(paths(window), power)))
    rows.sort(key=lambda row: (SHARE, POWER, GRADIENT).index(row[0]))
    return [dict(zip(INITIAL, (*row, draws), strict=True)) for row in rows]


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> tuple[float, float]:
    """Divide two means over draws, and give the ratio's standard error to first order."""
    ratio = numerator.mean() / denominator.mean()
    scatter = (numerator - ratio * denominator).std(ddof=1) / denominator.mean()
    return float(ratio), float(scatter / len(numerator) ** 0.5)


def _contrast(theory: np.ndarray, power: np.ndarray) -> tuple[float, float, float]:
    """Divide the power where theory has most by that where it has least: theory, measured, error.

    Where theory is even, there are no such places: even rows are compared with odd ones.
    """
    high, low = theory == theory.max(), theory == theory.min()
    if high.all():
        high = np.indices(theory.shape)[0] % 2 == 0
        low = ~high
    ratio = theory[high].mean() / theory[low].mean()
    return float(ratio), *_ratio(power[:, high].mean(axis=1), power[:, low].mean(axis=1))


def _inner(x: jax.Array, border: int) -> jax.Array:
    return x[:, border:-border, border:-border]


def _layer_powers(make: Make, features: int) -> Callable[[jax.Array], Any]:
    """Measure a random layer: a flat image's power without and with its mean, white noise's."""
    init, apply = nn.functional(lambda rngs: make(features, rngs))

    def powers(key):
        key, gray, noise = jax.random.split(key, 3)
        params, stats = init(key)
        flat = jax.random.normal(gray, (1, 1, 1, features))
        flat = jnp.broadcast_to(flat, (1, SIDE, SIDE, features))
        white = jax.random.normal(noise, flat.shape)
        level, y = (_inner(apply(params, stats, x)[0], EDGE) for x in (flat, white))
        cell = level[:, :STRIDE, :STRIDE]  # all cells of a flat image are equal
        mean = jnp.mean(cell, axis=(1, 2), keepdims=True)
        return jnp.mean(jnp.square(cell - mean)), jnp.mean(jnp.square(cell)), phase_power(y, STRIDE)

    return powers


def _gradient_power(window: int, features: int) -> Callable[[jax.Array], jax.Array]:
    """Measure a random net: (4, 4) power of the image's gradient, by place in a period.

    White noise arrives at the lowest level, so that the pattern is the encoder's alone.
    """
    up = ARMS["upconv k4s2"]
    make = partial(EncoderDecoder, up, classes=2, inputs=1, features=features, window=window)
    init, apply = nn.functional(lambda rngs: make(rngs=rngs))

    def power(key):
        key, noise, error = jax.random.split(key, 3)
        params, stats = init(key)
        images = jax.random.normal(noise, (1, SIDE, SIDE, 1))
        low, pull = jax.vjp(lambda x: apply(params, stats, x, method="encode")[0], images)
        (gradient,) = pull(jax.random.normal(error, low.shape))
        return phase_power(_inner(gradient, EDGE), 4)

    return power
