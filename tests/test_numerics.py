"""The norm of numbers whose squares float32 cannot hold, and its derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.numerics import normalize_by_max, safe_norm

TREES = {
    "ordinary": ({"a": [3.0, 0.0], "b": [-4.0]}, 5.0),
    "large": ({"a": [3e25, 0.0], "b": [-4e25]}, 5e25),
    "tiny": ({"a": [3e-25, 0.0], "b": [-4e-25]}, 5e-25),
    "zero": ({"a": [0.0, 0.0], "b": [0.0]}, 0.0),
}


def tree_of(name):
    values, norm = TREES[name]
    return jax.tree.map(lambda a: jnp.array(a, jnp.float32), values, is_leaf=_is_list), norm


def _is_list(value):
    return isinstance(value, list)


@pytest.mark.parametrize("name", TREES)
def test_value(name):
    tree, norm = tree_of(name)
    assert float(safe_norm(tree)) == pytest.approx(norm, rel=1e-6)


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("derive", [jax.grad, jax.jacfwd])
def test_the_derivative_is_the_unit_vector_and_zero_at_zero(name, derive):
    tree, norm = tree_of(name)
    got = derive(safe_norm)(tree)
    for a, g in zip(jax.tree.leaves(tree), jax.tree.leaves(got), strict=True):
        np.testing.assert_allclose(g, np.asarray(a) / (norm or 1), rtol=1e-6)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_what_is_not_finite_shows(value):
    assert not np.isfinite(safe_norm(jnp.array([1.0, value])))


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_the_largest_magnitude_becomes_one(scale):
    x = jnp.asarray([0.5, -2.0, 1.0], jnp.float32) * scale
    np.testing.assert_allclose(normalize_by_max(x), [0.25, -1, 0.5], rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.int32])
def test_other_dtypes_are_normalized_in_float32(dtype):
    y = normalize_by_max(jnp.asarray([1, -4], dtype))
    assert y.dtype == jnp.float32
    np.testing.assert_array_equal(y, [0.25, -1])


@pytest.mark.parametrize("values", [[0.0, 0.0], [np.inf, 1.0], [np.nan, 1.0]])
def test_what_has_no_finite_largest_magnitude_stays_as_it_is(values):
    np.testing.assert_array_equal(normalize_by_max(jnp.asarray(values)), np.asarray(values))


def test_the_divisor_is_a_constant_to_autodiff():
    gradient = jax.grad(lambda x: normalize_by_max(x).sum())(jnp.asarray([1.0, -4.0]))
    np.testing.assert_array_equal(gradient, [0.25, 0.25])
