"""The maps against integrals done otherwise, against their limits, and against wide random nets."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.analysis.mean_field import (
    BATCH_NORM_GAIN,
    IDENTITY,
    RELU,
    TANH,
    Layer,
    arc_cosine_0,
    arc_cosine_1,
    batch_norm_branch_fraction,
    batch_norm_identity_gain,
    batch_norm_moment,
    correlation_map,
    critical_weight_variance,
    depth_scales,
    fixed_correlation,
    fixed_variance,
    gradient_gain,
    iterate,
    smooth_activation,
)

CHAOS = Layer(TANH, 2.5, 0.05)
ORDER = Layer(TANH, 1.3, 0.05)


# --- pins -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bias_variance", "expected"), [(0.0, 1.0), (0.01, 1.424205), (0.05, 1.760955), (0.1, 1.986073)]
)
def test_critical_line_of_tanh(bias_variance, expected):
    found = critical_weight_variance(bias_variance)
    assert found == pytest.approx(expected, abs=1e-6)
    if bias_variance:
        layer = Layer(TANH, found, bias_variance)
        assert gradient_gain(layer, variance=fixed_variance(layer)) == pytest.approx(1, abs=1e-9)


def test_order_and_chaos():
    assert fixed_correlation(ORDER) == 1
    scales = depth_scales(ORDER)
    assert scales.correlation == scales.gradient == pytest.approx(7.834, abs=5e-4)
    assert fixed_correlation(CHAOS) == pytest.approx(0.4468, abs=5e-5)
    assert depth_scales(CHAOS).gradient < depth_scales(CHAOS).correlation < 20
    edge = Layer(TANH, critical_weight_variance(0.05), 0.05)
    assert depth_scales(edge).correlation == depth_scales(edge).gradient == math.inf
    # The scale of the variance stays short at the edge: it is the correlation that reaches deep.
    assert depth_scales(edge).variance < 2


def test_relu_correlations():
    found = iterate(Layer(RELU, 2.0), 2000)
    np.testing.assert_allclose(found.correlations[1:4], [0.318310, 0.493731, 0.604826], atol=1e-6)
    np.testing.assert_allclose(found.variances, 1, atol=1e-12)
    # (1 - c_l) l**2 -> 9 pi**2 / 2, with a log(l) / l on the way.
    limit = 4.5 * math.pi**2
    away = [limit - (1 - found.correlations[layer]) * layer**2 for layer in (500, 1000, 2000)]
    assert 0 < away[2] < 0.02 * limit
    assert away[0] > away[1] > away[2]


def test_relu_closes_on_one_at_the_rate_of_its_limit():
    # 1 / sqrt(1 - c) grows by sqrt(2) / (3 pi) a layer as c -> 1: what 9 pi**2 / 2 comes from.
    # Its error is linear in sqrt(1 - c), and so gone from the two steps' extrapolation.
    def growth(gap):
        after = 1 - correlation_map(Layer(RELU, 2.0), 1 - gap, variance=1.0)
        return after**-0.5 - gap**-0.5

    found = 2 * growth(1e-6) - growth(4e-6)
    assert found == pytest.approx(math.sqrt(2) / (3 * math.pi), abs=1e-6)


def test_batch_norm_closed_forms():
    assert batch_norm_identity_gain(8) == pytest.approx(1.2)
    assert batch_norm_identity_gain(32) == pytest.approx(30 / 29)
    np.testing.assert_array_equal(batch_norm_moment(3), [1, 2, 3, 4])
    np.testing.assert_allclose(batch_norm_branch_fraction(3), [1 / 2, 1 / 3, 1 / 4])


# --- the averages, done otherwise ----------------------------------------------------------------


hermegauss = functools.cache(np.polynomial.hermite_e.hermegauss)


def hermite(function, q, c):
    """E[f(u) f(v)] by Gauss-Hermite, in the coordinates u + v and u - v."""
    nodes, weights = hermegauss(200)
    weights = weights / weights.sum()
    plus = math.sqrt(q * (1 + c) / 2) * nodes[:, None]
    minus = math.sqrt(q * (1 - c) / 2) * nodes
    return weights @ (function(plus + minus) * function(plus - minus)) @ weights


@pytest.mark.parametrize("q", [0.01, 0.7, 3.0])
@pytest.mark.parametrize("c", [-0.6, 0.0, 0.3, 0.95, 1.0])
def test_tanh_averages_equal_gauss_hermite(q, c):
    assert TANH.product(q, c) == pytest.approx(hermite(np.tanh, q, c), abs=1e-7)
    slope = lambda u: 1 / np.cosh(u) ** 2  # noqa: E731
    assert TANH.slopes(q, c) == pytest.approx(hermite(slope, q, c), abs=1e-7)


@pytest.mark.parametrize("activation", [TANH, RELU, IDENTITY], ids=lambda a: a.name)
def test_slopes_are_derivatives(activation):
    # d/dc E[phi phi] = q E[phi' phi'] and d/dq E[phi**2] = growth, in finite differences.
    q, c, h = 1.3, 0.4, 1e-5
    rise = activation.product(q, c + h) - activation.product(q, c - h)
    assert rise / (2 * h) == pytest.approx(q * activation.slopes(q, c), abs=1e-8)
    rise = activation.product(q + h, 1.0) - activation.product(q - h, 1.0)
    assert rise / (2 * h) == pytest.approx(activation.growth(q), abs=1e-8)


def test_arc_cosine_kernels():
    c = np.array([-1.0, 0.0, 1.0])
    np.testing.assert_allclose(arc_cosine_0(c), [0, 0.5, 1], atol=1e-15)
    np.testing.assert_allclose(arc_cosine_1(c), [0, 1 / math.pi, 1], atol=1e-15)
    u, v = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 400_000).T
    sampled = 2 * np.mean(np.maximum(u, 0) * np.maximum(v, 0))
    assert sampled == pytest.approx(arc_cosine_1(0.6), rel=0.01)
    assert 2 * np.mean((u > 0) & (v > 0)) == pytest.approx(arc_cosine_0(0.6), rel=0.01)


def test_the_error_function_has_a_closed_form():
    # E[erf(u) erf(v)] = 2 / pi asin(2 q c / (1 + 2 q)) (Williams 1997).
    erf = smooth_activation(
        np.vectorize(math.erf), lambda u: 2 / math.sqrt(math.pi) * np.exp(-(u**2)), name="erf"
    )
    expected = 2 / math.pi * math.asin(2 * 0.8 * 0.5 / (1 + 2 * 0.8))
    assert erf.product(0.8, 0.5) == pytest.approx(expected, abs=1e-12)


# --- fixed points and limits ---------------------------------------------------------------------


@pytest.mark.parametrize("layer", [ORDER, CHAOS, Layer(RELU, 1.5, 0.1), Layer(TANH, 2.0)])
def test_iterating_leads_to_the_fixed_points_at_the_depth_scales_rate(layer):
    found = iterate(layer, 120, variance=0.9, correlation=0.5)
    assert found.variances[-1] == pytest.approx(fixed_variance(layer), abs=1e-6)
    q, c = found.variances[-1], fixed_correlation(layer)
    assert correlation_map(layer, c, variance=q) == pytest.approx(c, abs=1e-9)
    away = np.abs(found.correlations - c)
    rate = 20 / np.log(away[40] / away[60])
    assert rate == pytest.approx(depth_scales(layer).correlation, rel=0.05)


def test_tanh_without_bias():
    assert fixed_variance(Layer(TANH, 0.8)) == 0
    assert depth_scales(Layer(TANH, 0.8)).correlation == pytest.approx(-1 / math.log(0.8))
    assert fixed_correlation(Layer(TANH, 2.0)) == 0


def test_a_tiny_bias_correlates_a_little():
    layer = Layer(TANH, 2.0, 1e-10)
    found = fixed_correlation(layer)
    assert 0 < found < 1e-8
    after = correlation_map(layer, found, variance=fixed_variance(layer))
    assert after == pytest.approx(found, rel=1e-3)


def test_residual_nets_have_no_fixed_point_but_a_trajectory():
    # ReLU: the variance grows by 1 + alpha**2 a layer, and so does the squared gradient.
    found = iterate(Layer(RELU, 2.0, branch_scale=0.1), 100)
    assert found.variances[-1] == pytest.approx(1.01**100)
    np.testing.assert_allclose(found.gradient_gains, 1.01)
    # tanh: the branch saturates, and the variance grows linearly.
    grown = np.diff(iterate(Layer(TANH, 1.0, branch_scale=1.0), 400).variances)
    assert 0.9 < grown[-1] < 1
    # Without a branch nothing moves.
    still = iterate(Layer(TANH, 1.0, branch_scale=0.0), 5, correlation=0.3)
    np.testing.assert_allclose(still.correlations, 0.3)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="weight_variance=0"):
        Layer(TANH, 0.0)
    with pytest.raises(ValueError, match="bias_variance=-1"):
        Layer(TANH, 1.0, -1.0)
    with pytest.raises(ValueError, match="every variance of relu is fixed"):
        fixed_variance(Layer(RELU, 2.0))
    with pytest.raises(ValueError, match="grows without bound"):
        fixed_variance(Layer(RELU, 3.0))
    with pytest.raises(ValueError, match=r"branch_scale=0\.5"):
        depth_scales(Layer(TANH, 1.0, branch_scale=0.5))
    with pytest.raises(ValueError, match="no critical point"):
        critical_weight_variance(0.1, RELU)
    with pytest.raises(ValueError, match="correlation=2"):
        correlation_map(ORDER, 2, variance=1.0)
    with pytest.raises(ValueError, match="variances above 0"):
        correlation_map(ORDER, 0.5, variance=0.0)
    with pytest.raises(ValueError, match=r"becomes inf: .* fewer layers"):
        iterate(Layer(RELU, 2.0, branch_scale=1.0), 1100)
    with pytest.raises(ValueError, match="batch=3"):
        batch_norm_identity_gain(3)


# --- wide random nets ----------------------------------------------------------------------------

WIDTH = 512


quickly = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@functools.cache
def gaussians(*leading):
    """Standard normal matrices (*leading, WIDTH, WIDTH), drawn once for all nets, by NumPy."""
    return np.random.default_rng(0).standard_normal((*leading, WIDTH, WIDTH), np.float32)


def measured(layer, phi, correlation, *, layers):
    """Variance, correlation and squared gradient by layer, means over seeds and pairs of inputs.

    All pairs of the inputs have the given correlation: many of them show one net's mean at once.
    """
    inputs, seeds = 16, 32
    rng = np.random.default_rng(1)
    # Gaussian features, with the inputs' Gram matrix exact.
    basis = np.linalg.qr(rng.standard_normal((seeds, WIDTH, inputs + 1)))[0].transpose(0, 2, 1)
    mix = math.sqrt(correlation) * basis[:, :1] + math.sqrt(1 - correlation) * basis[:, 1:]
    starts = (mix * math.sqrt(WIDTH)).astype(np.float32)
    biases = rng.standard_normal((seeds, layers, 1, WIDTH), np.float32)
    cotangents = rng.standard_normal((seeds, layers, inputs, WIDTH), np.float32)

    def net(x, weights, biases, cotangents):
        def step(x, drawn):
            w, b, cotangent = drawn
            w = w * math.sqrt(layer.weight_variance / WIDTH)
            b = b * math.sqrt(layer.bias_variance)

            def forward(x):
                branch = phi(x) @ w + b
                return branch if layer.branch_scale is None else x + layer.branch_scale * branch

            y, pull = jax.vjp(forward, x)
            gain = jnp.sum(pull(cotangent)[0] ** 2) / jnp.sum(cotangent**2)
            return y, (y @ y.T / WIDTH, gain)

        return jax.lax.scan(step, x, (weights, biases, cotangents))[1]

    weights = gaussians(seeds, layers)
    grams, gains = quickly(jax.vmap(net))(starts, weights, biases, cotangents)
    grams = np.asarray(grams).mean(0)
    q = np.trace(grams, axis1=1, axis2=2) / inputs
    c = (grams.sum((1, 2)) - q * inputs) / (inputs * (inputs - 1)) / q
    return q, c, np.asarray(gains).mean(0)


@pytest.mark.parametrize(
    ("layer", "phi"),
    [
        (CHAOS, jnp.tanh),
        (ORDER, jnp.tanh),
        (Layer(RELU, 2.0), jax.nn.relu),
        (Layer(RELU, 2.0, branch_scale=0.5), jax.nn.relu),
        (Layer(TANH, 1.5, 0.05, branch_scale=0.7), jnp.tanh),
    ],
    ids=["chaos", "order", "relu", "relu residual", "tanh residual"],
)
def test_wide_nets_follow_the_maps(layer, phi):
    depth = 3
    q, c, gains = measured(layer, phi, 0.6, layers=depth)
    expected = iterate(layer, depth, correlation=0.6)
    if layer != Layer(RELU, 2.0):
        # He's ReLU holds its variance nowhere: a log of variance 5 L / width (Hanin 2018).
        np.testing.assert_allclose(q, expected.variances[1:], rtol=0.03)
    np.testing.assert_allclose(c, expected.correlations[1:], rtol=0.03)
    np.testing.assert_allclose(gains, expected.gradient_gains, rtol=0.03)


def batch_norm_nets(phi, *, batch, layers, residual=False, seeds=6):
    """(squared gradient's growth a layer, second moments) of random nets with batch norm."""

    def norm(h):
        return (h - h.mean(0, keepdims=True)) / h.std(0, keepdims=True)

    def net(weights, x, cotangent):
        def layer(x, w):
            w = w / math.sqrt(WIDTH)
            if residual:
                y = x + math.sqrt(2) * phi(norm(x)) @ w
                return y, jnp.mean(y**2)
            return phi(norm(x @ w)), jnp.mean(x**2)

        def through(perturbations):
            def step(x, item):
                return layer(x + item[1], item[0])

            return jax.lax.scan(step, x, (weights, perturbations))

        _, pull, moments = jax.vjp(through, jnp.zeros((layers, batch, WIDTH)), has_aux=True)
        (gradients,) = pull(cotangent)
        return jnp.log(jnp.sum(gradients**2, (1, 2))), moments

    rng = np.random.default_rng(2)
    x, cotangent = rng.standard_normal((2, seeds, batch, WIDTH), np.float32)
    weights = gaussians(16, layers)[:seeds]
    logs, moments = quickly(jax.vmap(net))(weights, x, cotangent)
    # The net's input is no layer's output, and its variance another.
    slope = np.asarray(logs)[:, 1] - np.asarray(logs)[:, -1]
    return math.exp(slope.mean() / (layers - 2)), np.asarray(moments).mean(0)


def test_gradients_explode_behind_batch_norm():
    growth, _ = batch_norm_nets(jax.nn.relu, batch=128, layers=8)
    assert growth == pytest.approx(BATCH_NORM_GAIN, rel=0.02)
    growth, _ = batch_norm_nets(lambda x: x, batch=8, layers=8, seeds=16)
    assert growth == pytest.approx(batch_norm_identity_gain(8), rel=0.02)


def test_batch_norm_residual_moments_grow_linearly():
    _, moments = batch_norm_nets(jax.nn.relu, batch=64, layers=8, residual=True, seeds=16)
    np.testing.assert_allclose(moments, batch_norm_moment(8)[1:], rtol=0.04)
    added = np.diff(moments) / moments[1:]
    np.testing.assert_allclose(added, batch_norm_branch_fraction(8)[1:], rtol=0.06)
