"""Winograd's algorithm, which computes large 3x3 windows, against the definition in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import ops
from jaxseg.ops.geometry import conv_geometry
from jaxseg.ops.native.loader import implementation

MODES = ("y", "x", "k")
ALLOWED = 4e-6
"""Largest error, of the largest entry: a direct sum in float32 errs by 1e-6 here."""

# Odd sizes, padding that differs by side, windows that cannot cover the last tile, an ensemble, and
# one image, whose rows the threads share.
CASES = [
    ((1, 48, 31, 32), 48, {}),
    ((3, 30, 27, 32), 32, {"padding": ((0, 2), (1, 0))}),
    ((2, 33, 40, 64), 32, {"padding": "valid"}),
    ((1, 37, 24, 32), 64, {"dilation": 2}),
    ((2, 34, 36, 32), 32, {"dilation": (1, 3), "padding": ((2, 0), (4, 5))}),
    ((2, 8, 8, 256), 256, {}),
]


def draw(shape, features, options):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    kernel = rng.normal(size=(3, 3, shape[-1], features))
    y = jax.eval_shape(lambda x, k: ops.conv(x, k, **options), x, kernel)
    return x, kernel, rng.normal(size=y.shape)


def modes(x, kernel, cotangent, options):
    y, back = jax.vjp(lambda x, k: ops.conv(x, k, **options), x, kernel)
    return y, *back(cotangent)


def computed_by(shape, features, options):
    geometry = conv_geometry(shape[1:-1], (3, 3), **options)
    return {implementation(m, geometry, shape[0], shape[-1], features) for m in MODES}


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(("shape", "features", "options"), CASES)
def test_it_is_the_convolution(shape, features, options, x64):
    assert computed_by(shape, features, options) == {"winograd"}
    operands = draw(shape, features, options)
    with ops.lowering("direct"):
        exact = jax.jit(lambda *args: modes(*args, options))(*operands)
    single = [a.astype(np.float32) for a in operands]
    with ops.lowering("native"):
        results = jax.jit(lambda *args: modes(*args, options))(*single)
    for result, expected in zip(results, exact, strict=True):
        assert result.dtype == jnp.float32
        scale = np.abs(expected).max()
        np.testing.assert_allclose(result, expected, rtol=0, atol=ALLOWED * scale)


@pytest.mark.usefixtures("native")
def test_members_of_an_ensemble_and_repetitions_agree_bit_for_bit():
    shape, features, options = (2, 33, 30, 32), 32, {"padding": 1}
    x, kernel, cotangent = (jnp.asarray(a, jnp.float32) for a in draw(shape, features, options))
    with ops.lowering("native"):
        one = jax.jit(lambda *args: modes(*args, options))
        both = jax.jit(jax.vmap(lambda *args: modes(*args, options)))
    first = one(x, kernel, cotangent)
    stacked = both(*(jnp.stack([a, a]) for a in (x, kernel, cotangent)))
    for a, b, again in zip(first, stacked, one(x, kernel, cotangent), strict=True):
        np.testing.assert_array_equal(a, again)
        np.testing.assert_array_equal(b[0], b[1])


@pytest.mark.usefixtures("native")
def test_an_output_pixel_depends_on_its_window_alone():
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 32)).astype(np.float32)
    kernel = np.random.default_rng(1).normal(size=(3, 3, 32, 32)).astype(np.float32)

    def pixel(x):
        return ops.conv(x, kernel, padding=1)[0, 12, 9].sum()

    with ops.lowering("native"):
        seen = np.any(np.asarray(jax.jit(jax.grad(pixel))(x))[0], -1)
    window = np.zeros((32, 32), bool)
    window[11:14, 8:11] = True
    np.testing.assert_array_equal(seen, window)


@pytest.mark.usefixtures("native")
def test_small_or_narrow_images_are_left_to_onednn():
    for shape, features, options in (
        ((8, 8, 8, 32), 32, {}),
        ((8, 64, 64, 16), 64, {}),
        ((8, 64, 64, 40), 64, {}),
        ((8, 33, 33, 128), 64, {"dilation": 12}),
        ((8, 64, 64, 64), 64, {"stride": 2}),
    ):
        assert not {"winograd"} & computed_by(shape, features, options)
