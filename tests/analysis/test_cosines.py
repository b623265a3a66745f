"""Cosines between examples and between gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.analysis import autocorrelation, cosine_matrix, gradient_cosines, mean_cosine


def test_comparisons_of_directions():
    angles = jnp.arange(5.0) * 0.3
    units = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    matrix = np.asarray(cosine_matrix(units))
    np.testing.assert_allclose(matrix, np.cos(np.subtract.outer(angles, angles)), atol=1e-6)
    expected = (matrix.sum() - np.trace(matrix)) / 20
    assert mean_cosine(units) == pytest.approx(expected, abs=1e-6)
    found = autocorrelation(units, lags=(0, 1, 4))
    np.testing.assert_allclose(found, np.cos([0, 0.3, 1.2]), atol=1e-6)


def test_cosines_of_gradients_take_all_leaves_and_any_size():
    tree = {"w": jnp.array([[3.0, 0], [0, 3], [0, 0]]), "b": jnp.array([4.0, 4, 0])}
    found = gradient_cosines(jax.tree.map(lambda a: a * 1e-30, tree))
    np.testing.assert_allclose(found, [[1, 0.64, 0], [0.64, 1, 0], [0, 0, 0]], atol=1e-6)
