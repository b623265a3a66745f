"""Noise scales against closed forms and their formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.analysis import gradient_noise_scale, per_example_gradients


def squared(w, example):
    """Half the squared error of a linear model."""
    return 0.5 * (example["x"] @ w["w"] - example["y"]) ** 2


def linear_data(n, d=6, noise=0.5):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d)).astype(np.float32)
    true = rng.normal(size=d).astype(np.float32)
    y = x @ true + noise * rng.normal(size=n).astype(np.float32)
    away = rng.normal(size=d).astype(np.float32)
    return {"x": jnp.asarray(x), "y": jnp.asarray(y)}, {"w": jnp.asarray(true + away)}, away


def test_the_noise_scale_of_linear_regression():
    """x ~ N(0, I): the mean gradient is delta, and tr Sigma = (d + 1) |delta|^2 + noise^2 d."""
    batch, params, away = linear_data(40_000)
    square = float(away @ away)
    found = jax.jit(lambda p, b: gradient_noise_scale(squared, p, b, batch_size=4000))(
        params, batch
    )
    wanted = 7 * square + 0.25 * 6
    np.testing.assert_allclose(found.variance, wanted, rtol=0.05)
    np.testing.assert_allclose(found.squared_mean, square, rtol=0.05)
    np.testing.assert_allclose(found.scale, wanted / square, rtol=0.05)


def test_the_noise_scale_is_its_formula():
    batch, params, _ = linear_data(7)
    each = np.asarray(per_example_gradients(squared, params, batch)["w"], np.float64)
    found = gradient_noise_scale(squared, params, batch)
    variance = each.var(0, ddof=1).sum()
    np.testing.assert_allclose(found.variance, variance, rtol=1e-5)
    mean = (each.mean(0) ** 2).sum() - variance / 7
    np.testing.assert_allclose(found.squared_mean, mean, rtol=1e-4)


def test_one_example_has_no_spread():
    batch, params, _ = linear_data(1)
    with pytest.raises(ValueError, match="two or more"):
        gradient_noise_scale(squared, params, batch)
