"""Interpolation, and the pixel that a position lies in, agree with their definitions."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.data.augmentation import affine


def noise(batch=4, size=(6, 9), channels=3, seed=0):
    """Images without structure, and labels 0 to 2, some of them ignored."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(size=(batch, *size, channels)).astype(np.float32)
    labels = rng.integers(0, 3, (batch, *size)).astype(np.int32)
    return jnp.asarray(images), jnp.asarray(np.where(images[..., 0] > 0.9, 255, labels))


def test_interpolation_agrees_with_its_definition():
    image, label = (a[0] for a in noise(size=(6, 9)))
    places = np.random.default_rng(2).uniform((-2, -2), (7, 10), (300, 1, 2)).astype(np.float32)
    found = jax.jit(affine.bilinear)(image, places[..., 0], places[..., 1])[:, 0]
    nearest, inside = jax.jit(affine.nearest)(label, places[..., 0], places[..., 1])
    pixels = np.stack(np.indices((6, 9)), axis=-1).reshape(-1, 2)
    away = np.abs(np.clip(places, 0, (5, 8)) - pixels)
    chosen = np.argmin((away**2).sum(axis=-1), axis=1)
    np.testing.assert_array_equal(nearest[:, 0], np.ravel(label)[chosen])
    np.testing.assert_array_equal(inside[:, 0], (np.abs(places - pixels).max(-1) < 0.5).any(1))
    tent = np.maximum(1 - away, 0).prod(axis=-1)
    expected = tent @ np.asarray(image).reshape(-1, 3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
