"""Energy of checkerboards: closed forms of patterns, slopes, noise and upsampled images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import ops
from jaxseg.analysis import checkerboard_energy, phase_power

N = 12
# Compiled whole, for operation by operation takes longer.
energy_of, power_of = (
    jax.jit(fn, static_argnums=1, compiler_options={"xla_backend_optimization_level": 0})
    for fn in (checkerboard_energy, phase_power)
)


def noise(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def spectrum_energy(images, stride):
    """By the definition: a Fourier transform, and the frequencies in it."""
    space = images.shape[1:-1]
    power = np.abs(np.fft.fftn(images, axes=range(1, len(space) + 1))) ** 2
    power = power.sum((0, -1))
    power.flat[0] = 0
    chosen = power[tuple(slice(None, None, n // stride) for n in space)]
    return chosen.sum() / power.sum() * (power.size - 1) / (chosen.size - 1)


@pytest.mark.parametrize(("space", "stride"), [((N, N), 2), ((8, N), 4), ((N,), 3), ((4, 8, 4), 2)])
def test_it_is_the_power_at_the_strides_frequencies(space, stride):
    images = noise(3, *space, 2) + 0.3
    found = energy_of(images, stride)
    np.testing.assert_allclose(found, spectrum_energy(images, stride), rtol=1e-5)


def test_patterns_slopes_and_flat_images():
    i, j = np.indices((N, N))
    for stride, pattern, energy in (
        (2, (-1.0) ** (i + j), (N**2 - 1) / 3),
        (4, i % 4 * 1.0, (N**2 - 1) / 15),
        (3, 2.0 * i, 1),
        (2, 5.0 - j, 1),
        (2, 0.0 * i + 3, 0),
    ):
        images = jnp.asarray(pattern, jnp.float32)[None, :, :, None]
        assert float(energy_of(images, stride)) == pytest.approx(energy, rel=1e-5)


def test_white_noise_has_one():
    energy = energy_of(noise(64, N, N, 8), 2)
    # 3 frequencies of 512 images, each chi-squared with one degree: a deviation of 3.6 %.
    assert float(energy) == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize("factor", [2, 3])
def test_repeated_pixels_have_none_and_phases_of_unequal_sums_have(factor):
    x = noise(2, 4, 4, 3)
    nearest = ops.resize(x, 4 * factor, method="nearest")
    assert float(energy_of(nearest, factor)) < 1e-10
    kernel = noise(factor, factor, 3, 3, seed=1)
    assert float(energy_of(ops.upconv(x, kernel, stride=factor), factor)) > 1


@pytest.mark.parametrize("window", [2, 3, 4, 5])
def test_power_of_the_phases_is_the_overlap(window):
    """Exactly so where one pixel paints with weights of one size."""
    kernel = jnp.sign(noise(window, window, 1, 1))
    y = ops.upconv(jnp.ones((1, 1, 1, 1)), kernel, stride=2, padding="valid")
    side = y.shape[1] + y.shape[1] % 2
    padded = jnp.pad(y, ((0, 0), (0, side - y.shape[1]), (0, side - y.shape[2]), (0, 0)))
    taps = np.array([-(-window // 2), window // 2])
    power = power_of(padded, 2)
    np.testing.assert_allclose(power / power.sum(), np.outer(taps, taps) / window**2, rtol=1e-5)


def test_phases_are_rows_and_columns():
    images = jnp.arange(16.0).reshape(1, 4, 4, 1)
    rows = [
        [(0 + 4 + 64 + 100) / 4, (1 + 9 + 81 + 121) / 4],
        [(16 + 36 + 144 + 196) / 4, (25 + 49 + 169 + 225) / 4],
    ]
    np.testing.assert_allclose(power_of(images, 2), rows)


@pytest.mark.parametrize(("shape", "stride"), [((1, 4, 6, 1), 4), ((1, 4, 4, 1), 1), ((1, 4), 2)])
def test_what_does_not_divide_is_refused(shape, stride):
    with pytest.raises(ValueError, match=rf"stride={stride} must be .* crop them"):
        checkerboard_energy(jnp.zeros(shape), stride)


@pytest.mark.parametrize("gray", [0.1, 0.3, 100.7, 1e-30])
def test_one_gray_value_has_no_pattern(gray):
    """Nothing of a rounded mean is left, which would be a pattern of period s and no more."""
    assert float(energy_of(jnp.full((2, 8, 6, 3), gray), 2)) == 0


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_the_size_of_an_image_does_not_matter(size):
    """Gradients are this small and this large; their squares are no float32."""
    images = noise(2, 8, 8, 1)
    found = energy_of(size * images, 2)
    np.testing.assert_allclose(found, energy_of(images, 2), rtol=1e-5)


def test_half_precision_is_summed_in_float32():
    images = (30 * noise(4, 64, 64, 3)).astype(jnp.float16)
    wanted = energy_of(images.astype(jnp.float32), 2)
    np.testing.assert_allclose(energy_of(images, 2), wanted, rtol=1e-5)


def test_no_pixel_is_refused():
    with pytest.raises(ValueError, match="have no pixel"):
        checkerboard_energy(jnp.zeros((0, 4, 4, 1)), 2)
    with pytest.raises(ValueError, match=r"being \(4,\): crop"):
        phase_power(jnp.zeros(4), 2)
