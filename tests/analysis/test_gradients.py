"""Gradient norms by layer: exact where float32 squares would not be."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.analysis import leading_norms, stack_gradient_norms


def test_leading_norms_equal_float64_from_the_smallest_to_the_largest():
    rng = np.random.default_rng(0)
    sizes = np.array([0, 1e-30, 1e-20, 1, 1e18, 1e30])
    tree = {
        "a": jnp.float32(rng.standard_normal((6, 3, 4)) * sizes[:, None, None]),
        "b": [jnp.float32(rng.standard_normal(6) * sizes)],
    }
    flat = np.concatenate([np.float64(a).reshape(6, -1) for a in jax.tree.leaves(tree)], axis=1)
    found = jax.jit(leading_norms)(tree)
    np.testing.assert_allclose(found, np.linalg.norm(flat, axis=1), rtol=1e-6)
    assert found[0] == 0


def test_leading_norms_sum_bfloat16_in_float32_and_show_what_is_not_finite():
    ones = jnp.ones((2, 4096), jnp.bfloat16)
    np.testing.assert_allclose(leading_norms(ones), 64, rtol=1e-6)
    assert np.isnan(leading_norms(jnp.array([[1.0, jnp.nan]])))[0]


def test_stack_gradient_norms_equal_gradients_by_hand():
    rng = np.random.default_rng(0)
    w = jnp.float32(rng.standard_normal((3, 5, 5)))
    x = jnp.float32(rng.standard_normal((2, 5)))

    def forward(ws, start, x):
        for i in range(start, 3):
            x = jnp.tanh(x @ ws[i])
        return jnp.sum(x**2)

    def loss(layers, perturbations):
        h = x
        for i in range(3):
            h = jnp.tanh((h + perturbations[i]) @ layers["w"][i])
        return jnp.sum(h**2)

    found = stack_gradient_norms(loss, {"w": w}, jnp.zeros((3, 2, 5)))
    h = x
    for i in range(3):
        by_input = np.linalg.norm(jax.grad(forward, 2)(w, i, h))
        by_weight = np.linalg.norm(jax.grad(forward)(w, i, h)[i])
        np.testing.assert_allclose(found.inputs[i], by_input, rtol=1e-5)
        np.testing.assert_allclose(found.weights[i], by_weight, rtol=1e-5)
        h = jnp.tanh(h @ w[i])
