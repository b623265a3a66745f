"""Hessians against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.analysis import hessian_eigenvalues, hessian_vector_product, ritz_values


def quadratic(eigenvalues):
    """A loss whose Hessian has these eigenvalues, over a pytree of two leaves."""
    n = len(eigenvalues)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))
    hessian = jnp.asarray(rotation @ np.diag(eigenvalues) @ rotation.T, jnp.float32)

    def loss(params):
        w = jnp.concatenate([params["a"].ravel(), params["b"]])
        return 0.5 * w @ hessian @ w + jnp.sum(w)

    return loss, hessian, {"a": jnp.ones((2, 2)), "b": jnp.arange(n - 4, dtype=jnp.float32)}


def test_products_with_the_hessian():
    loss, hessian, params = quadratic(np.linspace(-1, 5, 9))
    direction = {"a": jnp.full((2, 2), 0.5), "b": jnp.linspace(-1, 1, 5)}
    found = hessian_vector_product(loss, params, direction)
    flat = jnp.concatenate([direction["a"].ravel(), direction["b"]])
    got = jnp.concatenate([found["a"].ravel(), found["b"]])
    np.testing.assert_allclose(got, hessian @ flat, rtol=1e-4, atol=1e-5)


def test_lanczos_finds_all_eigenvalues_and_the_outer_ones_first():
    values = np.array([-3.0, -0.5, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0, 9.0])
    loss, _, params = quadratic(values)
    key = jax.random.key(0)
    np.testing.assert_allclose(
        hessian_eigenvalues(loss, params, key=key, steps=9), values, atol=1e-4
    )
    early = hessian_eigenvalues(loss, params, key=key, steps=5)
    assert len(early) == 5
    np.testing.assert_allclose(early[[0, -1]], [-3, 9], atol=0.02)


def test_lanczos_ends_where_nothing_is_left():
    loss, _, params = quadratic(np.full(9, 2.0))
    found = hessian_eigenvalues(loss, params, key=jax.random.key(1), steps=9)
    np.testing.assert_allclose(found, 2, rtol=1e-5)
    assert len(found) < 9
    with pytest.raises(ValueError, match="steps=10 must be 1 to 9"):
        hessian_eigenvalues(loss, params, key=jax.random.key(1), steps=10)


def test_ritz_values_of_a_matrix():
    matrix = jnp.diag(jnp.array([-1.0, 0.5, 4.0]))
    found = ritz_values(lambda v: matrix @ v, jnp.array([1.0, 2.0, 1.0]), steps=3)
    np.testing.assert_allclose(found, [-1, 0.5, 4], atol=1e-5)
    with pytest.raises(ValueError, match="steps=4"):
        ritz_values(lambda v: matrix @ v, jnp.ones(3), steps=4)


def test_what_is_no_number_has_no_ritz_values():
    """A net that diverged is a row of NaN, not the end of a study."""
    assert np.isnan(ritz_values(lambda v: v * jnp.nan, jnp.ones(3), steps=2)).all()


def test_many_eigenvalues_do_not_come_twice():
    """Made orthogonal once only, the vectors lose what sets the largest two apart."""
    values = np.concatenate([np.linspace(0, 1, 58), [10, 100]])
    matrix = jnp.asarray(values, jnp.float32)
    start = jnp.float32(np.random.default_rng(0).normal(size=60))
    found = ritz_values(lambda v: matrix * v, start, steps=60)
    np.testing.assert_allclose(found, values, atol=1e-4)
