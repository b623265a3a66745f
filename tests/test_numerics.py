"""The norm of numbers whose squares float32 cannot hold, and its derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.numerics import safe_norm

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
