"""What an upconvolution is, in float64: identities, overlap, initialisers; nothing is trained."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from studies import Verdict, judged

from jaxseg import ops
from jaxseg.nn.initializers import bilinear, he_normal, icnr

TOLERANCE = 1e-12
"""Relative error in float64 below which two sides of an identity are equal."""
OVERLAPS = {"3x3 at stride 2": (3, 4.0), "5x5 at stride 2": (5, 2.25), "4x4 at stride 2": (4, 1.0)}
"""Name -> window, and the largest over the smallest number of taps that meet in a pixel."""
DUMOULIN, SHI = "Dumoulin & Visin 2016", "Shi et al. 2016, arXiv:1609.07009"


def exact_verdicts() -> list[Verdict]:
    """Every identity with the largest relative error that was found in float64."""
    with jax.enable_x64(True):
        errors = jax.jit(lambda: [error() for *_, error in IDENTITIES])()
    found = [
        _equal(claim, source, theory, float(error))
        for (claim, source, theory, _), error in zip(IDENTITIES, errors, strict=True)
    ]
    return [*found, _not_a_gradient(), _sizes(), _overlap()]


def _equal(claim: str, source: str, theory: str, error: float) -> Verdict:
    return Verdict(
        heading="Upconvolution",
        claim=claim,
        source=source,
        theory=theory,
        measured=f"relative error {error:.1e} in float64",
        seeds=1,
        verdict=judged(error <= TOLERANCE),
    )


def _draw(*shape: int, seed: int = 0) -> jax.Array:
    drawn = np.random.default_rng([seed, *shape]).normal(size=shape)
    # Else a compiler that sees constants would work the whole identity out by itself.
    return jax.lax.optimization_barrier(jnp.asarray(drawn))


def _error(found: jax.Array, wanted: jax.Array) -> jax.Array:
    return jnp.max(jnp.abs(found - wanted)) / jnp.max(jnp.abs(wanted))


def _worst(errors: Sequence[jax.Array]) -> jax.Array:
    return jnp.max(jnp.stack(errors))


def turned(kernel: jax.Array) -> jax.Array:
    """The window reversed and the channels swapped."""
    return jnp.flip(kernel, range(kernel.ndim - 2)).swapaxes(-1, -2)


# Image size, window, stride, padding: with and without a remainder (i + 2p - k) mod s.
CASES = ((8, 3, 2, 1), (9, 4, 2, 1), (11, 5, 3, 2))


def _strided(size: int, window: int, stride: int, padding: int):
    """An image, a kernel, a gradient of the output, and the strided convolution."""
    x, kernel = _draw(2, size, size, 3), _draw(window, window, 3, 4)

    def down(x, kernel):
        return ops.conv(x, kernel, stride=stride, padding=padding)

    g = _draw(*down(x, kernel).shape, seed=1)
    return x, kernel, g, down


def _gradients(down, x, kernel, g) -> tuple[jax.Array, jax.Array]:
    """By XLA's own rules, on which no rewriting of ours has a say."""
    with ops.lowering("direct"):
        return jax.vjp(down, x, kernel)[1](g)


def input_gradient() -> jax.Array:
    """The input gradient of a strided convolution against its upconvolution."""
    errors = []
    for case in CASES:
        size, window, stride, padding = case
        x, kernel, g, down = _strided(*case)
        rest = (size + 2 * padding - window) % stride
        up = ops.upconv(g, turned(kernel), stride=stride, padding=padding, output_padding=rest)
        errors.append(_error(up, _gradients(down, x, kernel, g)[0]))
    return _worst(errors)


def adjoint() -> jax.Array:
    """<A x, y> against <x, A^T y>, over the product of the norms."""
    errors = []
    for case in CASES:
        size, window, stride, padding = case
        x, kernel, g, down = _strided(*case)
        rest = (size + 2 * padding - window) % stride
        up = ops.upconv(g, turned(kernel), stride=stride, padding=padding, output_padding=rest)
        left, right = jnp.vdot(down(x, kernel), g), jnp.vdot(x, up)
        errors.append(abs(left - right) / jnp.linalg.norm(x) / jnp.linalg.norm(up))
    return _worst(errors)


def kernel_gradient() -> jax.Array:
    """The kernel's gradient against a convolution dilated by the stride, images as channels."""
    errors = []
    for case in CASES:
        _, window, stride, padding = case
        x, kernel, g, down = _strided(*case)
        dilated = ops.conv(
            x.transpose(3, 1, 2, 0), g.transpose(1, 2, 0, 3), dilation=stride, padding=padding
        )[:, :window, :window]
        errors.append(_error(dilated.transpose(1, 2, 0, 3), _gradients(down, x, kernel, g)[1]))
    return _worst(errors)


def phases_of(kernel: jax.Array) -> list[tuple[jax.Array, Any]]:
    """The four 2x2 kernels of a 4x4 upconvolution of stride 2, each with its padding."""
    places = itertools.product(range(2), range(2))
    return [(kernel[i::2, j::2], ((1 - i, i), (1 - j, j))) for i, j in places]


def shuffled_phases(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Four 2x2 convolutions whose outputs are interleaved."""
    parts = [ops.conv(x, part, padding=padding) for part, padding in phases_of(kernel)]
    stacked = jnp.stack(parts, axis=-1)  # (..., features, places)
    return ops.pixel_shuffle(stacked.reshape(*stacked.shape[:-2], -1), 2)


def pixel_shuffle_of_four() -> jax.Array:
    """An upconvolution of 4x4 at stride 2 against the pixel shuffle of four 2x2 convolutions."""
    x, kernel = _draw(2, 5, 7, 3), _draw(4, 4, 3, 4)
    with ops.lowering("direct"):
        wanted = ops.upconv(x, kernel, stride=2)
    return _error(shuffled_phases(x, kernel), wanted)


STRIDES = (2, 3, 4)


def icnr_is_nearest() -> jax.Array:
    """A sub-pixel convolution from ICNR against a convolution repeated by nearest neighbours."""
    errors = []
    for stride in STRIDES:
        key, x = jax.random.key(stride), _draw(2, 5, 4, 3)
        kernel = icnr(stride, he_normal())(key, (3, 3, 3, 6 * stride**2), jnp.float64)
        base = ops.conv(x, he_normal()(key, (3, 3, 3, 6), jnp.float64))
        wanted = ops.resize(base, (5 * stride, 4 * stride), method="nearest")
        errors.append(_error(ops.pixel_shuffle(ops.conv(x, kernel), stride), wanted))
    return _worst(errors)


def _bilinear_kernel(stride: int) -> jax.Array:
    window = 2 * stride - stride % 2
    return bilinear()(jax.random.key(0), (window, window, 1, 1), jnp.float64)


def bilinear_phases() -> jax.Array:
    """The distance from 1 of the sum of the weights that meet in a pixel, over all phases."""
    sums = [
        _bilinear_kernel(s)[i::s, j::s].sum() for s in STRIDES for i in range(s) for j in range(s)
    ]
    return jnp.max(jnp.abs(jnp.stack(sums) - 1))


def bilinear_ramps() -> jax.Array:
    """A slope upsampled, against the slope, wherever the whole window sees the image."""
    errors, n = [], 7
    for s in STRIDES:
        rows, columns = jnp.meshgrid(jnp.arange(1.0 * n), jnp.arange(1.0 * n), indexing="ij")
        y = ops.upconv((2 + rows - 3 * columns)[None, :, :, None], _bilinear_kernel(s), stride=s)
        at = (jnp.arange(n * s) + 0.5) / s - 0.5
        wanted = 2 + at[:, None] - 3 * at[None, :]
        inner = slice(s, -s)
        errors.append(_error(y[0, inner, inner, 0], wanted[inner, inner]))
    return _worst(errors)


IDENTITIES: Sequence[tuple[str, str, str, Callable[[], jax.Array]]] = (
    (
        "The input gradient of a strided convolution is an upconvolution: its input dilated, its "
        "kernel flipped",
        DUMOULIN,
        "equal",
        input_gradient,
    ),
    (
        "The upconvolution is the adjoint of the convolution",
        DUMOULIN,
        "<Ax, y> = <x, A'y>",
        adjoint,
    ),
    (
        "The kernel's gradient of a strided convolution is a convolution dilated by the stride",
        "derived",
        "equal",
        kernel_gradient,
    ),
    (
        "A 4x4 upconvolution of stride 2 is the pixel shuffle of four 2x2 convolutions",
        SHI,
        "equal",
        pixel_shuffle_of_four,
    ),
    (
        "Initialised by ICNR a sub-pixel convolution is nearest-neighbour upsampling",
        "Aitken et al. 2017",
        "equal",
        icnr_is_nearest,
    ),
    (
        "The bilinear kernel of 2s - (s mod 2) taps has phases that sum to 1",
        "Long et al. 2015",
        "1 in every phase",
        bilinear_phases,
    ),
    (
        "It upsamples constants and slopes exactly in the interior",
        "Long et al. 2015",
        "equal",
        bilinear_ramps,
    ),
)


def _not_a_gradient() -> Verdict:
    """JAX's transposed convolution by default, and as the gradient."""
    with jax.enable_x64(True):
        x, kernel = _draw(1, 8, 8, 3), _draw(3, 3, 3, 3)
        down = jax.lax.conv_general_dilated(
            x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        g = _draw(*down.shape, seed=1)
        wanted, _ = _gradients(
            lambda x, k: ops.conv(x, k, stride=2, padding=((0, 1),) * 2), x, kernel, g
        )
        plain, told = (
            float(
                _error(
                    jax.lax.conv_transpose(g, kernel, (2, 2), "SAME", transpose_kernel=told), wanted
                )
            )
            for told in (False, True)
        )
    return Verdict(
        heading="Upconvolution",
        claim="jax.lax.conv_transpose is the gradient of a convolution only where it is told "
        "transpose_kernel=True",
        source="derived",
        theory="different by default, else equal",
        measured=f"relative error {plain:.1f} by default, {told:.1e} if told",
        seeds=1,
        verdict=judged(plain > 0.1 and told <= TOLERANCE),
    )


def _sizes() -> Verdict:
    """Both formulas against the shapes of arrays, and that one undoes the other."""
    right = cases = 0
    for i, k, s, p in itertools.product(range(1, 10), range(1, 5), range(1, 4), range(2)):
        if i + 2 * p < k or p >= k:
            continue
        kernel, rest = jax.ShapeDtypeStruct((k, 1, 1), jnp.float32), (i + 2 * p - k) % s
        small = (i + 2 * p - k) // s + 1
        down = jax.eval_shape(
            lambda x, k, s=s, p=p: ops.conv(x, k, stride=s, padding=p),
            jax.ShapeDtypeStruct((1, i, 1), jnp.float32),
            kernel,
        )
        up = jax.eval_shape(
            lambda x, k, s=s, p=p, a=rest: ops.upconv(x, k, stride=s, padding=p, output_padding=a),
            jax.ShapeDtypeStruct((1, small, 1), jnp.float32),
            kernel,
        )
        cases += 1
        right += down.shape[1] == small and up.shape[1] == s * (small - 1) + rest + k - 2 * p == i
    return Verdict(
        heading="Upconvolution",
        claim="Output sizes, and the remainder a that makes the way back unique",
        source=DUMOULIN,
        theory="o = floor((i + 2p - k) / s) + 1; o' = s(i' - 1) + a + k - 2p, a = (i + 2p - k) "
        "mod s",
        measured=f"{right} of {cases} geometries",
        seeds=0,
        verdict=judged(right == cases),
    )


def overlap(window: int, *, pixels: int = 4, stride: int = 2) -> np.ndarray:
    """How many taps meet in each output pixel of the interior, (pixels, pixels) integers."""
    x, kernel = jnp.ones((1, 12, 12, 1)), jnp.ones((window, window, 1, 1))
    y = ops.upconv(x, kernel, stride=stride, padding="valid")[0, :, :, 0]
    start = 4 * stride
    counts = np.asarray(y)[start : start + pixels, start : start + pixels]
    return np.rint(counts).astype(int)


def _overlap() -> Verdict:
    found = {name: overlap(window) for name, (window, _) in OVERLAPS.items()}
    ratios = {name: float(c.max() / c.min()) for name, c in found.items()}
    return Verdict(
        heading="Upconvolution",
        claim="Where the stride does not divide the window, more taps meet in some pixels",
        source="Odena et al. 2016",
        theory=", ".join(f"{name}: {ratio:g} to 1" for name, (_, ratio) in OVERLAPS.items()),
        measured=", ".join(f"{ratio:g}" for ratio in ratios.values()),
        seeds=0,
        verdict=judged(ratios == {name: ratio for name, (_, ratio) in OVERLAPS.items()}),
    )
