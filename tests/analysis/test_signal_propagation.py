"""Signals through stacks: exact against autodiff, and random nets against closed forms."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh

from jaxseg.analysis import (
    autocorrelation,
    backward_signal,
    finite_width,
    forward_signal,
    mean_field,
    over_seeds,
    shattering,
    stack_gradient_norms,
)
from jaxseg.nn import PreActivation, Residual, Stack

relu = jax.nn.relu


# Compiles in a third of the time; what is measured is the same.
quickly = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def draw(seed, *, layers, width, examples, seeds=None, gain=2.0):
    """Weights, inputs, and a cotangent of its own for every example, by NumPy: it is faster."""
    rng, leading = np.random.default_rng(seed), () if seeds is None else (seeds,)
    weights = rng.standard_normal((*leading, layers, width, width), np.float32)
    weights *= np.float32(math.sqrt(gain / width))
    x, cotangent = rng.standard_normal((2, *leading, examples, width), np.float32)
    return jnp.asarray(weights), jnp.asarray(x), jnp.asarray(cotangent)


def normalized(x, *, constant=False):
    """Batch norm; its statistics are constants to autodiff where asked for."""
    statistics = jnp.mean(x, 0, keepdims=True), jnp.var(x, 0, keepdims=True)
    mean, variance = jax.lax.stop_gradient(statistics) if constant else statistics
    return (x - mean) * jax.lax.rsqrt(variance)


def plain(w, x):
    return relu(x) @ w


def residual(w, x):
    return x + relu(x) @ w


# --- exactly what autodiff says ------------------------------------------------------------------


def test_logs_are_those_of_a_loop():
    weights, x, cotangent = draw(0, layers=5, width=6, examples=4)
    layer = lambda w, x: x + 0.5 * jnp.tanh(x) @ w  # noqa: E731

    @quickly
    def both(weights, x, cotangent):
        states, gradients = [x], [cotangent]
        for w in weights:
            states.append(layer(w, states[-1]))
        for w, at in zip(weights[::-1], states[-2::-1], strict=True):
            gradients.insert(0, jax.vjp(functools.partial(layer, w), at)[1](gradients[0])[0])
        forward = forward_signal(layer, weights, x)
        backward = backward_signal(layer, weights, forward.inputs, 1e30 * cotangent)
        return jnp.stack(states), jnp.stack(gradients), forward, backward

    states, gradients, forward, backward = jax.device_get(both(weights, x, cotangent))
    np.testing.assert_allclose(forward.inputs, states[:-1], atol=1e-5)
    np.testing.assert_allclose(
        forward.log_variances, np.log(np.mean(np.square(states), axis=2)), atol=1e-5
    )
    norms = np.linalg.norm(gradients, axis=2)
    np.testing.assert_allclose(backward.log_norms, np.log(norms) + math.log(1e30), atol=2e-5)
    units = gradients / norms[..., None]
    cosines = units @ units.transpose(0, 2, 1)
    expected = (cosines.sum((1, 2)) - 4) / 12
    np.testing.assert_allclose(backward.similarity, expected, atol=1e-5)
    squares = np.sum(np.square(states), axis=(1, 2))
    branches = np.sum(np.square(np.diff(states, axis=0)), axis=(1, 2))
    np.testing.assert_allclose(forward.branch_fractions, branches / squares[1:], rtol=1e-4)


def test_convolutional_stack_agrees_with_stack_gradient_norms():
    make = lambda rngs: Residual(PreActivation(3, rngs=rngs), scale=0.5)  # noqa: E731
    stack = Stack(make, 4, rngs=nnx.Rngs(0))
    x, cotangent = jax.random.normal(jax.random.key(1), (2, 2, 5, 4, 3))
    graphdef, params = nnx.split(stack.blocks)

    def layer(params, x):
        return nnx.merge(graphdef, params, copy=True)(x)

    def loss(params, perturbations):
        whole = nnx.merge(nnx.graphdef(stack), {"blocks": params}, copy=True)
        return jnp.sum(cotangent * whole.trace(x, perturbations=perturbations)[0])

    @quickly
    def measured(params, x):
        expected = stack_gradient_norms(loss, params, jnp.zeros((4, *x.shape))).inputs
        forward = forward_signal(layer, params, x, homogeneous=True, compare=None)
        found = backward_signal(layer, params, stack.trace(x)[1], cotangent)
        return expected, forward, found.log_norms, stack.trace(x)[1]

    expected, forward, found, inputs = jax.device_get(measured(params, x))
    total = 0.5 * np.log(np.sum(np.exp(2 * found), axis=1))
    np.testing.assert_allclose(total[:-1], np.log(expected), atol=1e-5)
    assert forward.similarity is None
    # The rescaled inputs are the inputs, up to powers of two.
    ratio = (inputs / forward.inputs).reshape(4, -1)
    np.testing.assert_allclose(ratio, ratio[:, :1] * np.ones_like(ratio), rtol=1e-4)


def test_rescaling_changes_no_log():
    weights, x, _ = draw(2, layers=6, width=8, examples=3)
    raw, rescaled = (
        quickly(functools.partial(forward_signal, residual, homogeneous=h))(weights, 1e-3 * x)
        for h in (False, True)
    )
    np.testing.assert_allclose(raw.log_variances, rescaled.log_variances, atol=1e-5)
    np.testing.assert_allclose(raw.branch_fractions, rescaled.branch_fractions, rtol=1e-6)
    np.testing.assert_allclose(raw.similarity, rescaled.similarity, atol=1e-6)


def test_a_zero_branch_carries_the_gradient_as_it_is():
    """He et al. 2016: ratio exactly 1; a shortcut scaled by lambda: lambda**L."""
    weights, x, cotangent = draw(3, layers=32, width=8, examples=4)

    @quickly
    def measured(weights, x, cotangent):
        forward = forward_signal(residual, 0 * weights, x)
        back = functools.partial(backward_signal, inputs=forward.inputs, cotangent=cotangent)
        halved = back(lambda w, x: 0.5 * x, weights)
        return forward, back(residual, 0 * weights).log_norms, halved.log_norms

    forward, same, halved = jax.device_get(measured(weights, x, cotangent))
    assert np.all(same == same[-1:])
    assert np.all(forward.branch_fractions == 0)
    expected = same[-1] - math.log(2) * np.arange(32, -1, -1.0)[:, None]
    np.testing.assert_allclose(halved, expected, rtol=1e-6)


def test_neither_overflow_nor_underflow():
    """2**600 of variance, and gradients of 2**300 and of 2**-600, are no float32."""
    weights, x, cotangent = draw(4, layers=600, width=128, examples=4)

    @quickly
    def measured(weights, x, cotangent):
        forward = forward_signal(residual, weights, x, homogeneous=True)
        back = functools.partial(backward_signal, inputs=forward.inputs, cotangent=cotangent)
        raw = forward_signal(residual, weights, x, compare=None).log_variances
        small = back(lambda w, x: 0.5 * x, weights).log_norms
        return forward.log_variances, back(residual, weights).log_norms, small, raw

    forward, backward, small, raw = jax.device_get(measured(weights, x, cotangent))
    assert np.isfinite(forward).all()
    assert np.isfinite(backward).all()
    # Seen against the spread of a narrow net this is far from 0.
    assert forward[-1].mean() == pytest.approx(600 * math.log(2), rel=0.1)
    assert not np.isfinite(raw[-1]).any()
    np.testing.assert_allclose(small[0] - small[-1], -600 * math.log(2), rtol=1e-6)


def test_a_gradient_that_vanishes_is_minus_infinity():
    weights, x, cotangent = draw(5, layers=2, width=4, examples=3)
    back = quickly(functools.partial(backward_signal, plain))
    found = back(0 * weights, jnp.stack([x, x]), cotangent)
    assert np.all(np.asarray(found.log_norms[:-1]) == -np.inf)
    assert np.all(np.asarray(found.similarity[:-1]) == 0)


def test_seeds_in_chunks_and_over_devices():
    def measure(key):
        x, w = jax.random.normal(key, (2, 3))
        return {"a": x @ w, "b": jnp.cumsum(x)}

    keys = jax.random.split(jax.random.key(6), 6)
    expected = quickly(lambda keys: jax.lax.map(measure, keys))(keys)
    mesh = Mesh(np.array(jax.devices()[:2]), ("seeds",))
    for where, batch_size in ((None, None), (None, 4), (mesh, 1), (mesh, 2), (mesh, 9)):
        found = over_seeds(measure, keys, batch_size=batch_size, mesh=where)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), found, expected)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda w, x: forward_signal(lambda w, x: x[:, :2], w, x), "must keep the shape"),
        (lambda w, x: forward_signal(plain, [w, w[:1]], x), "common|share a leading axis"),
        (lambda w, x: forward_signal(plain, {}, x), "share a leading axis"),
        (lambda w, x: forward_signal(plain, w, x[:1]), "has no pair"),
        (lambda w, x: forward_signal(plain, w[:, :0, :0], x[:, :0]), "hold a number or more"),
        (lambda w, x: forward_signal(plain, w, x[:0], compare=None), "hold a number or more"),
        (lambda w, x: backward_signal(plain, w, x[None], x), "leading axis of layers of 1"),
        (lambda w, x: backward_signal(plain, w, x, x), "must be \\(layers"),
        (lambda w, x: autocorrelation(x, lags=(3,)), "from 0 to 2"),
        (lambda w, x: over_seeds(lambda k: k, jnp.zeros(3), batch_size=0), "batch_size=0"),
        (
            lambda w, x: over_seeds(
                lambda k: k, jnp.zeros(3), mesh=Mesh(np.array(jax.devices()[:2]), ("s",))
            ),
            "3 seeds do not divide by the 2 devices",
        ),
    ],
)
def test_what_is_refused(run, message):
    weights, x, _ = draw(7, layers=2, width=4, examples=3)
    with pytest.raises(ValueError, match=message):
        run(weights, x)


# --- random nets against theory ------------------------------------------------------------------

LAYERS, WIDTH, EXAMPLES, SEEDS = 16, 256, 128, 24


def wide_nets(drawn):
    """What one draw of weights does in every net: moments, fractions, gradients' logs, cosines."""
    weights, x, cotangent = drawn
    shared = jnp.broadcast_to(cotangent[:1], x.shape)

    def net(layer, *, homogeneous=True, own=None):
        forward = forward_signal(layer, weights, x, homogeneous=homogeneous, compare=None)
        backward = backward_signal(own or layer, weights, forward.inputs, shared)
        return forward, {
            "moment": jnp.mean(jnp.exp(forward.log_variances), axis=1),
            "fraction": forward.branch_fractions,
            "correlation": backward.similarity,
            "squared": jax.nn.logsumexp(2 * backward.log_norms, axis=1),
        }

    def norm(constant, shortcut):
        return lambda w, x: shortcut * x + relu(normalized(x, constant=constant)) @ w

    scaled = lambda w, x: x + relu(x) @ w / math.sqrt(LAYERS)  # noqa: E731
    forward, normed = net(norm(False, 0.0), homogeneous=False, own=norm(True, 0.0))
    whole = backward_signal(norm(False, 0.0), weights, forward.inputs, cotangent, compare=None)
    return {
        "plain": net(plain)[1],
        "scaled": net(scaled)[1],
        "norm": normed | {"squared": jax.nn.logsumexp(2 * whole.log_norms, axis=1)},
        "norm residual": net(norm(False, 1.0), homogeneous=False, own=norm(True, 1.0))[1],
    }


def measure_wide_nets(seed, seeds=SEEDS):
    drawn = draw(seed, layers=LAYERS, width=WIDTH, examples=EXAMPLES, seeds=seeds)
    mesh = Mesh(np.array(jax.devices()), ("seeds",))
    run = quickly(functools.partial(over_seeds, wide_nets, batch_size=1, mesh=mesh))
    return jax.device_get(run(drawn))


@pytest.fixture(scope="module")
def nets():
    return measure_wide_nets(0)


def test_scaled_branches_let_the_gradient_grow_toward_e(nets):
    """He et al. 2016, eq. 5: (1 + 1 / L)**L."""
    squared = nets["scaled"]["squared"]
    ratio = np.exp(np.mean(squared[:, 0] - squared[:, -1]))
    assert ratio == pytest.approx((1 + 1 / LAYERS) ** LAYERS, rel=0.05)
    assert ratio > 2.3


def test_batch_norm_explodes(nets):
    """Yang et al. 2019: pi / (pi - 1) a layer, once inputs and gradients have settled."""
    squared = nets["norm"]["squared"].mean(0)
    growth = np.exp((squared[1] - squared[-3]) / (LAYERS - 3))
    assert growth == pytest.approx(mean_field.BATCH_NORM_GAIN, rel=0.02)


def measure_linear(seed, examples, seeds=24):
    def measure(drawn):
        weights, x, cotangent = drawn
        layer = lambda w, x: normalized(x) @ w  # noqa: E731
        forward = forward_signal(layer, weights, x, compare=None)
        logs = backward_signal(layer, weights, forward.inputs, cotangent, compare=None).log_norms
        return jax.nn.logsumexp(2 * logs, axis=1)

    drawn = draw(seed, layers=12, width=WIDTH, examples=examples, seeds=seeds, gain=1.0)
    found = quickly(functools.partial(over_seeds, measure))(drawn).mean(0)
    return math.exp((found[0] - found[-3]) / 10)


def test_batch_norm_explodes_without_an_activation():
    """Yang et al. 2019: (B - 2) / (B - 3)."""
    assert measure_linear(0, 8) == pytest.approx(mean_field.batch_norm_identity_gain(8), rel=0.02)


def test_batch_norm_residual_grows_linearly(nets):
    """De & Smith 2020: second moment l + 1, of which the branch added 1 / (l + 1)."""
    found = nets["norm residual"]
    expected = mean_field.batch_norm_moment(LAYERS)
    np.testing.assert_allclose(found["moment"].mean(0), expected, rtol=0.04)
    np.testing.assert_allclose(
        found["fraction"].mean(0), mean_field.batch_norm_branch_fraction(LAYERS), rtol=0.04
    )


def test_gradients_shatter_as_theory_says(nets):
    """2**-L with batch norm; without it the product of kappa_0(c_l), which is far larger."""
    expected = {
        "norm": (shattering.batch_norm_plain_correlations(LAYERS), 0.02),
        # Of these the finite width, 5 L / n = .3, adds most.
        "plain": (shattering.he_relu_correlations(LAYERS), 0.05),
        "scaled": (
            shattering.he_relu_correlations(LAYERS, branch_scale=1 / math.sqrt(LAYERS)),
            0.02,
        ),
    }
    for name, (profile, tolerance) in expected.items():
        found = nets[name]["correlation"].mean(0)
        np.testing.assert_allclose(found, profile, atol=tolerance, err_msg=name)
    assert nets["plain"]["correlation"].mean(0)[8] > 0.15  # 2**-8 = .004


def test_batch_norm_residual_shatters_faster_than_one_over_root_depth(nets):
    """The norm divides by a variance that is centered: V_l grows by (pi - 1) / pi, not by 1."""
    found = nets["norm residual"]["correlation"][:, 0].mean()
    assert found == pytest.approx(shattering.batch_norm_residual_correlations(LAYERS)[0], abs=0.02)
    assert found < shattering.batch_norm_residual_correlations(LAYERS, centered=False)[0] - 0.04


def measure_log_growth(seed, seeds=4096, layers=8, width=32):
    """ln q of He ReLU nets, an example each."""

    def measure(drawn):
        weights, x = drawn
        logs = forward_signal(plain, weights, x, homogeneous=True, compare=None).log_variances
        return logs[-1, 0] - logs[0, 0]

    drawn = draw(seed, layers=layers, width=width, examples=1, seeds=seeds)[:2]
    return np.asarray(quickly(functools.partial(over_seeds, measure, batch_size=256))(drawn))


def test_finite_width_spreads_the_log():
    """Hanin 2018, and the exact moments; the spread of this estimate is 2.2 %."""
    logs = measure_log_growth(0)
    exact = finite_width.he_log_moments_exact(32, 8)
    assert np.var(logs) == pytest.approx(exact.variance, rel=0.1)
    assert np.mean(logs) == pytest.approx(exact.mean, abs=4 * math.sqrt(exact.variance / 4096))
