"""Power at a dilation's period, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import analysis, ops

HANN = np.array([1 / 16, 1 / 4, 1 / 16])
"""What the window's square spreads of a frequency to its neighbors, over n**2."""


def noise(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


def test_white_noise_is_flat():
    power = analysis.axis_spectrum(noise((64, 36, 36, 4)))
    assert power.shape == (19,)
    # 18,432 lines, whose powers spread by their mean: sigma is .7 %, at 1/2 1 %.
    np.testing.assert_allclose(power[2:], 3 / 8 * 36, rtol=0.04)
    for period in (2, 3, 4):
        found = analysis.gridding_energy(noise((64, 36, 36, 4)), period)
        np.testing.assert_allclose(found, 1, rtol=0.03)


def test_a_wave_of_the_period_is_in_its_bins():
    n = 36
    wave = jnp.cos(jnp.pi / 2 * jnp.arange(n, dtype=jnp.float32)).reshape(1, n, 1)
    power = analysis.axis_spectrum(wave)
    # A cosine has half of its amplitude at either sign of its frequency.
    expected = np.zeros(19)
    expected[8:11] = HANN * (n / 2) ** 2
    np.testing.assert_allclose(power, expected, atol=1e-3)
    assert analysis.gridding_energy(wave + 1e-3 * noise((1, n, 1)), 4) > 1e4


def test_steps_that_repeat_nothing_have_no_period():
    """Regions of one gray value: their spectrum falls as a power."""
    edges = jnp.sort(jax.random.randint(jax.random.key(1), (400, 5), 0, 48), axis=1)
    maps = jnp.sum(jnp.arange(48)[None, :, None] > edges[:, None, :], axis=2) % 3
    for period in (2, 3, 4):
        found = analysis.gridding_energy(maps.astype(jnp.float32)[..., None], period)
        assert 0.7 < found < 1.3


def spectrum_of_means(rates, n):
    """Expected, of white noise behind a chain of means of three: from the chain's covariance."""
    taps = np.array(analysis.hybrid_dilation(rates).counts) / 3 ** len(rates)
    covariance = np.correlate(taps, taps, "full")[len(taps) - 1 :]
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    covariance = np.pad(covariance, (0, n))[apart]
    window = np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2
    waves = np.exp(-2j * np.pi * np.outer(np.arange(n // 2 + 1), np.arange(n)) / n) * window
    return np.einsum("ft,ts,fs->f", waves, covariance, waves.conj()).real


@pytest.mark.parametrize("rates", [(2, 2, 2), (1, 2, 3), (1, 2, 5)])
def test_a_chain_of_means_has_its_closed_form(rates):
    """Rates of 2 pass the frequency 1/2 as if it were 0; a layer at an odd rate takes 8/9 off."""
    n = 48
    x = noise((2000, n + 2 * sum(rates), 1))
    for rate in rates:
        x = ops.conv(x, jnp.full((3, 1, 1), 1 / 3), dilation=rate, padding="valid")
    power = spectrum_of_means(rates, n)
    # One spectrum a line: sigma is 2.2 %, 3.2 % at 1/2. The lowest bins lose the lines' means.
    np.testing.assert_allclose(analysis.axis_spectrum(x)[3:], power[3:], rtol=0.1)
    expected = power[23:25].mean() / np.exp(np.log(power[19:22]).mean())
    np.testing.assert_allclose(analysis.gridding_energy(x, 2), expected, rtol=0.12)
    if rates == (2, 2, 2):
        np.testing.assert_allclose(power[24 - 3 : 24 + 1], power[3::-1], rtol=1e-6)


def test_axes_and_crops():
    maps = noise((2, 15, 16, 3))
    square = maps[:, :14, 1:15]
    np.testing.assert_allclose(
        analysis.axis_spectrum(maps, 14), analysis.axis_spectrum(square), rtol=1e-5
    )
    turned = maps.transpose(0, 2, 1, 3)
    np.testing.assert_allclose(
        analysis.axis_spectrum(turned), analysis.axis_spectrum(maps), rtol=1e-5
    )
    np.testing.assert_allclose(
        analysis.gridding_energy(7 * maps, 2), analysis.gridding_energy(maps, 2), rtol=1e-5
    )


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match=r"period=2 .* at least 14 pixels"):
        analysis.gridding_energy(jnp.ones((1, 13, 64, 1)), 2)
    with pytest.raises(ValueError, match="period=1 must be at least 2"):
        analysis.gridding_energy(jnp.ones((1, 64, 1)), 1)
    with pytest.raises(ValueError, match="from 1 to the smallest"):
        analysis.axis_spectrum(jnp.ones((1, 8, 9, 1)), 9)


@pytest.mark.parametrize("gray", [0.1, 1 / 3, 100.7])
def test_constant_maps_have_no_ratio(gray):
    """Nothing of a rounded mean is left."""
    assert np.isnan(analysis.gridding_energy(jnp.full((2, 31, 31, 3), gray), 2))


@pytest.mark.parametrize(("size", "dtype"), [(1e-25, "float32"), (1e25, "float32"), (1, "float16")])
def test_neither_size_nor_half_precision_matters(size, dtype):
    maps = noise((2, 16, 16, 1)).astype(dtype)
    wanted = analysis.gridding_energy(maps.astype(jnp.float32), 2)
    found = analysis.gridding_energy(maps * jnp.asarray(size, dtype), 2)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
