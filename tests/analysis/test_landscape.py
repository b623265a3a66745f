"""Loss surfaces and the directions that span them, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from jaxseg.analysis import filter_normalized_direction, loss_surface, surface_curvatures


def quadratic(eigenvalues):
    """A loss whose Hessian has these eigenvalues, over a pytree of two leaves."""
    n = len(eigenvalues)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))
    hessian = jnp.asarray(rotation @ np.diag(eigenvalues) @ rotation.T, jnp.float32)

    def loss(params):
        w = jnp.concatenate([params["a"].ravel(), params["b"]])
        return 0.5 * w @ hessian @ w + jnp.sum(w)

    return loss, hessian, {"a": jnp.ones((2, 2)), "b": jnp.arange(n - 4, dtype=jnp.float32)}


def test_directions_have_the_norm_of_each_filter():
    params = {
        "kernel": jax.random.normal(jax.random.key(0), (3, 3, 2, 4))
        * jnp.arange(1.0, 5).reshape(1, 1, 1, 4),
        "bias": jnp.ones(4),
    }
    found = filter_normalized_direction(params, jax.random.key(1))
    own, new = (
        np.linalg.norm(np.asarray(a["kernel"]).reshape(-1, 4), axis=0) for a in (params, found)
    )
    np.testing.assert_allclose(new, own, rtol=1e-5)
    np.testing.assert_array_equal(found["bias"], 0)
    also = filter_normalized_direction(params, jax.random.key(1), ignore_vectors=False)
    np.testing.assert_allclose(np.linalg.norm(also["bias"]), 2, rtol=1e-5)


def test_each_layer_of_a_stack_has_filters_of_its_own():
    scale = jnp.array([1.0, 100.0])
    kernel = jax.random.normal(jax.random.key(0), (2, 3, 3, 2, 4)) * scale.reshape(2, 1, 1, 1, 1)
    params = {
        "stack": {"kernel": kernel, "bias": jnp.ones((2, 4)) * scale[:, None]},
        "head": jnp.ones((3, 4)),
    }
    draw = lambda **more: filter_normalized_direction(  # noqa: E731
        params, jax.random.key(1), stacked=lambda path: "stack" in path, **more
    )
    norms = lambda a, axes: np.sqrt((np.asarray(a) ** 2).sum(axes))  # noqa: E731
    found = draw()
    own, new = (norms(a, (1, 2, 3)) for a in (kernel, found["stack"]["kernel"]))
    np.testing.assert_allclose(new, own, rtol=1e-5)
    np.testing.assert_array_equal(found["stack"]["bias"], 0)
    np.testing.assert_allclose(norms(found["head"], 0), np.sqrt(3), rtol=1e-5)
    biases = draw(ignore_vectors=False)["stack"]["bias"]
    np.testing.assert_allclose(norms(biases, 1), [2, 200], rtol=1e-5)


def test_the_surface_of_a_quadratic():
    loss, _, params = quadratic(np.linspace(1, 5, 9))
    u = jax.tree.map(jnp.ones_like, params)
    v = {"a": jnp.zeros((2, 2)), "b": jnp.array([1.0, 0, 0, 0, 0])}
    offsets = jnp.array([-1.0, 0, 2])
    found = loss_surface(loss, params, (u, v), offsets, batch_size=2)
    for i, j in np.ndindex(3, 3):
        move = lambda p, a, b: p + offsets[i] * a + offsets[j] * b  # noqa: B023, E731
        np.testing.assert_allclose(found[i, j], loss(jax.tree.map(move, params, u, v)), rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_surface_shared_out_among_devices(batch_size):
    """Nine points do not divide by two devices, nor by two devices' batches of four."""
    loss, _, params = quadratic(np.linspace(1, 5, 9))
    u, v = jax.tree.map(jnp.ones_like, params), jax.tree.map(lambda a: a * 0.5, params)
    offsets = jnp.array([-1.0, 0, 2])
    mesh = Mesh(np.array(jax.devices()), ("points",))
    found = loss_surface(loss, params, (u, v), offsets, batch_size=batch_size, mesh=mesh)
    np.testing.assert_allclose(found, loss_surface(loss, params, (u, v), offsets), rtol=1e-5)
    with pytest.raises(ValueError, match="batch_size=0"):
        loss_surface(loss, params, (u, v), offsets, batch_size=0)


def test_curvatures_of_a_quadratic_surface_are_exact():
    angle, a = 0.3, 0.25 * np.arange(-3, 4)
    x, y = np.meshgrid(a, a, indexing="ij")
    along = np.cos(angle) * x + np.sin(angle) * y
    beside = np.cos(angle) * y - np.sin(angle) * x
    found = surface_curvatures(1.5 * along**2 - beside**2 + 2 * x - y + 3, 0.25)
    assert found.shape == (5, 5, 2)
    np.testing.assert_allclose(found[..., 0], -2, atol=1e-10)
    np.testing.assert_allclose(found[..., 1], 3, atol=1e-10)
    with pytest.raises(ValueError, match="three points"):
        surface_curvatures(np.zeros((2, 5)), 0.1)


def test_single_numbers_are_filters_of_their_own():
    params = {"gain": jnp.float32(2.0), "layers": jnp.array([3.0, -4.0])}
    found = filter_normalized_direction(
        params, jax.random.key(0), ignore_vectors=False, stacked=lambda path: "layers" in path
    )
    np.testing.assert_allclose(jnp.abs(found["gain"]), 2.0, rtol=1e-6)
    np.testing.assert_allclose(jnp.abs(found["layers"]), [3.0, 4.0], rtol=1e-6)
    assert filter_normalized_direction({}, jax.random.key(0)) == {}
