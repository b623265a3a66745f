"""Gradients by path length against closed forms, all paths written out, and their polynomial."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxseg.analysis import (
    independent_path_shares,
    log_path_counts,
    path_gradients,
    path_share,
    sampled_path_norms,
)

DEPTH, WIDTH = 5, 4
quickly = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def parts_of(branch, layers, x, loss, **options):
    """`path_gradients`, compiled whole: operation by operation takes longer."""
    return quickly(lambda layers, x: path_gradients(branch, layers, x, loss, **options))(layers, x)


def scaled(a, x):
    """The linear branch f(x) = a x."""
    return a * x


def dense(layer, x):
    return jnp.tanh(x @ layer["in"]) @ layer["out"]


def loss(x):
    return jnp.sum(jnp.sin(x))


@pytest.fixture
def net(x64):
    rng = np.random.default_rng(0)
    layers = {k: jnp.asarray(rng.normal(size=(DEPTH, WIDTH, WIDTH))) for k in ("in", "out")}
    return layers, jnp.asarray(rng.normal(size=(2, WIDTH)))


def all_paths(layers, x):
    """Subset of blocks -> the gradient through its branches and around all others."""
    jacobians, n = [], x.size
    for number in range(DEPTH):
        layer = jax.tree.map(lambda a: a[number], layers)  # noqa: B023
        jacobians.append(jax.jacobian(dense, 1)(layer, x).reshape(n, n))
        x = x + dense(layer, x)
    end = jax.grad(loss)(x).ravel()
    found = {}
    for length in range(DEPTH + 1):
        for blocks in itertools.combinations(range(DEPTH), length):
            vector = end
            for block in reversed(blocks):
                vector = vector @ jacobians[block]
            found[blocks] = np.asarray(vector)
    return found


def by_length(paths, k):
    return [vector for blocks, vector in paths.items() if len(blocks) == k]


def test_linear_branches_have_binomial_coefficients():
    depth, a = 54, 0.25
    x = jnp.ones((3,))
    found = parts_of(scaled, jnp.full((depth,), a), x, jnp.sum)
    wanted = [math.log(math.comb(depth, k)) + k * math.log(a) for k in range(depth + 1)]
    np.testing.assert_allclose(found.log_norms() - 0.5 * math.log(3), wanted, atol=2e-5)
    np.testing.assert_allclose(found.total(), (1 + a) ** depth, rtol=1e-5)


@pytest.mark.parametrize("a", [1e-9, 1e9])
def test_parts_that_float32_cannot_hold(a):
    """All of them, where the whole gradient is inf, and where the longest paths give 1e-180."""
    found = parts_of(scaled, jnp.full((20,), a, jnp.float32), jnp.ones((1,)), jnp.sum)
    wanted = log_path_counts(20) + np.arange(21) * math.log(a)
    np.testing.assert_allclose(found.log_norms(), wanted, atol=1e-3)
    drawn = sampled_path_norms(
        scaled,
        jnp.full((20,), a, jnp.float32),
        jnp.ones((1,)),
        jnp.sum,
        jnp.array([0, 20]),
        key=jax.random.key(0),
        samples=1,
    )
    np.testing.assert_allclose(drawn[:, 0], [0, 20 * math.log(a)], atol=1e-3)


def test_parts_are_the_sums_over_all_paths(net):
    layers, x = net
    paths = all_paths(layers, x)
    found = parts_of(dense, layers, x, loss)
    parts = jnp.ldexp(found.values, found.exponents[:, None, None])
    for k in range(DEPTH + 1):
        np.testing.assert_allclose(parts[k].ravel(), sum(by_length(paths, k)), rtol=1e-10)

    def whole(x):
        for number in range(DEPTH):
            x = x + dense(jax.tree.map(lambda a: a[number], layers), x)  # noqa: B023
        return loss(x)

    np.testing.assert_allclose(found.total(), jax.grad(whole)(x), rtol=1e-10)


def test_parts_are_the_coefficients_of_the_marked_polynomial(net):
    """The gradient with every branch's Jacobian times t, at L + 1 Chebyshev nodes."""
    layers, x = net

    def marked(t):
        def block(x, layer):
            y = dense(layer, x)
            still = jax.lax.stop_gradient(y)
            return x + still + t * (y - still), None

        return jax.grad(lambda x: loss(jax.lax.scan(block, x, layers)[0]))(x).ravel()

    nodes = np.cos(np.pi * (np.arange(DEPTH + 1) + 0.5) / (DEPTH + 1))
    values = jax.vmap(marked)(jnp.asarray(nodes))
    coefficients = np.linalg.solve(np.vander(nodes, increasing=True), values)
    found = parts_of(dense, layers, x, loss)
    np.testing.assert_allclose(
        found.log_norms(), np.log(np.linalg.norm(coefficients, axis=1)), rtol=1e-9
    )


def test_truncated_and_in_chunks(net):
    layers, x = net
    found = parts_of(dense, layers, x, loss)
    few = parts_of(dense, layers, x, loss, longest=2, batch_size=1)
    np.testing.assert_allclose(few.log_norms(), found.log_norms()[:3], rtol=1e-12)
    none = parts_of(dense, layers, x, loss, longest=0)
    np.testing.assert_allclose(none.log_norms(), found.log_norms()[:1], rtol=1e-12)


def test_sampled_paths_are_those_of_their_length(net):
    """Their mean norm, times their number, bounds the norm of their sum."""
    layers, x = net
    paths = all_paths(layers, x)
    lengths = np.arange(DEPTH + 1)
    key = jax.random.key(0)
    sample = quickly(
        lambda layers, x: sampled_path_norms(
            dense, layers, x, loss, lengths, key=key, samples=400, batch_size=900
        )
    )
    drawn = np.exp(sample(layers, x))
    exact = parts_of(dense, layers, x, loss)
    for k in lengths:
        norms = [np.linalg.norm(vector) for vector in by_length(paths, k)]
        nearest = np.abs(drawn[k][:, None] / np.array(norms) - 1).min(axis=1)
        assert nearest.max() < 1e-10
        # Of 400 draws, the mean is within four standard errors of that of all C(5, k) paths.
        assert abs(drawn[k].mean() - np.mean(norms)) <= 4 * np.std(norms) / 20 + 1e-9
        bound = np.log(np.sum(norms))
        np.testing.assert_array_less(exact.log_norms()[k], bound + 1e-9)
        assert math.isclose(bound, np.log(np.mean(norms)) + log_path_counts(DEPTH)[k])


def test_an_empty_branch_leaves_only_the_shortcut():
    found = parts_of(scaled, jnp.zeros((3,)), jnp.ones((2,)), jnp.sum)
    np.testing.assert_array_equal(found.log_norms()[1:], -np.inf)
    np.testing.assert_array_equal(found.total(), 1)


def test_not_a_number_is_no_absence():
    found = parts_of(scaled, jnp.full(3, jnp.nan), jnp.ones((1,)), jnp.sum)
    np.testing.assert_array_equal(found.log_norms(), [0, np.nan, np.nan, np.nan])


def test_the_share_of_paths():
    assert math.isclose(path_share(54, 5, 17), 0.004537, rel_tol=1e-3)
    assert path_share(54, -3, 99) == 1
    np.testing.assert_allclose(np.exp(log_path_counts(4)), [1, 4, 6, 4, 1])


@given(st.lists(st.floats(0, 10), max_size=8))
def test_independent_branches_are_coins(gains):
    found = independent_path_shares(np.array(gains))
    wanted = np.ones(1)
    for gain in gains:
        wanted = np.convolve(wanted, [1, gain])
    np.testing.assert_allclose(found, wanted / wanted.sum(), atol=1e-12)


def test_unit_gains_are_the_binomial_law():
    found = independent_path_shares(np.ones(54))
    np.testing.assert_allclose(found, np.exp(log_path_counts(54) - 54 * math.log(2)), rtol=1e-9)
    assert math.isclose(found[5:18].sum(), path_share(54, 5, 17), rel_tol=1e-9)


def test_what_is_refused():
    x, layers = jnp.ones((1,)), jnp.ones((3,))
    with pytest.raises(ValueError, match="longest=4 must be 0 to 3"):
        path_gradients(scaled, layers, x, jnp.sum, longest=4)
    with pytest.raises(ValueError, match="batch_size=0"):
        path_gradients(scaled, layers, x, jnp.sum, batch_size=0)
    with pytest.raises(ValueError, match="samples=0"):
        sampled_path_norms(
            scaled, layers, x, jnp.sum, jnp.arange(2), key=jax.random.key(0), samples=0
        )
    with pytest.raises(ValueError, match="share a leading axis"):
        path_gradients(scaled, {"a": jnp.ones((3,)), "b": jnp.ones((2,))}, x, jnp.sum)
    with pytest.raises(ValueError, match="none negative"):
        independent_path_shares(np.array([1.0, -1.0]))
