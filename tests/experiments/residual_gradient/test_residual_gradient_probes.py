"""Wide nets do what theory says of them, and theory is what `mean_field` makes of its layers."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.residual_gradient import probes
from experiments.residual_gradient.config import ARMS, SHATTERED, make_layer
from jaxseg.analysis import finite_width, mean_field

LAYERS = 4
GAIN = math.pi / (math.pi - 1)


def over_seeds(measure, seeds):
    """Measure some seeds, compiled in haste."""
    run = jax.jit(jax.vmap(measure), compiler_options={"xla_backend_optimization_level": 0})
    return jax.device_get(run(jax.random.split(jax.random.key(0), seeds)))


@pytest.fixture(scope="module")
def wide():
    """Means over seeds of the profiles of nets that are wide for their depth."""
    measure = functools.partial(probes.profiles, layers=LAYERS, width=256, examples=64)
    return jax.tree.map(lambda a: a.mean(0), over_seeds(measure, 8))


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize(
    ("quantity", "tolerance"),
    [
        ("log_moment", 0.1),
        ("correlation", 0.03),
        ("log_gradient", 0.04),
        ("gradient_correlation", 0.04),
        ("branch_fraction", 0.02),
    ],
)
def test_wide_nets_are_as_theory_says(wide, arm, quantity, tolerance):
    measured, theory = wide[arm][quantity], probes.theory(arm, quantity, LAYERS)
    assert measured.shape == theory.shape
    if not ARMS[arm].shortcut and quantity == "branch_fraction":
        assert np.isnan(theory).all()
    else:
        np.testing.assert_allclose(measured, theory, atol=tolerance)


# --- theory, layer by layer ----------------------------------------------------------------------


def recursion(arm, layers):
    """Log moments and log gradients, one layer after the other, from `mean_field`'s layers."""
    plain = mean_field.Layer(mean_field.RELU, 2.0)
    scale = ARMS[arm].branch_scale(layers)
    variance = moment = 1.0
    moments, gains = [], []
    for _ in range(layers):
        moments.append(math.log(moment))
        before = variance if ARMS[arm].norm else 1.0
        slope = scale**2 * mean_field.gradient_gain(plain, variance=1.0) / before
        gains.append(slope + ARMS[arm].shortcut)
        # A norm takes the branch's mean over the batch off, which two examples have in common.
        branch = mean_field.variance_map(plain, 1.0 if ARMS[arm].norm else moment)
        common = mean_field.RELU.product(1.0, 0.0) * 2 if ARMS[arm].norm else 0.0
        variance = ARMS[arm].shortcut * variance + branch - common
        moment = ARMS[arm].shortcut * moment + scale**2 * branch
    moments.append(math.log(moment))
    logs = 0.5 * np.log(gains)
    return np.array(moments), np.array([logs[place:].sum() for place in range(layers + 1)])


@pytest.mark.parametrize("layers", [1, 2, 6])
@pytest.mark.parametrize("arm", ARMS)
def test_theory_is_what_the_layers_make_of_it(arm, layers):
    moments, gradients = recursion(arm, layers)
    np.testing.assert_allclose(probes.theory(arm, "log_moment", layers), moments, atol=1e-12)
    np.testing.assert_allclose(probes.theory(arm, "log_gradient", layers), gradients, atol=1e-12)


def test_theory_at_the_literature_s_numbers():
    """He et al. 2016; Yang et al. 2019; De & Smith 2020; Balduzzi et al. 2017."""
    theory = functools.partial(probes.theory, layers=4)
    log2 = math.log(2)
    np.testing.assert_allclose(
        theory("residual", "log_gradient"), np.array([2, 1.5, 1, 0.5, 0]) * log2
    )
    np.testing.assert_allclose(
        theory("residual_scaled", "log_gradient")[0], 2 * math.log(1 + 1 / 4)
    )
    # The first layer is given inputs of variance 1, all others some of variance 1 / gain.
    grown = np.array([3, 3, 2, 1, 0]) / 2 * math.log(GAIN)
    np.testing.assert_allclose(theory("plain_norm", "log_gradient"), grown)
    np.testing.assert_allclose(
        theory("plain_norm", "log_gradient")[1:],
        mean_field.batch_norm_plain_gradient_norms(4) / 2 * math.log(10),
    )
    np.testing.assert_allclose(np.exp(theory("residual_norm", "log_moment")), [1, 2, 3, 4, 5])
    variances = 1 + np.arange(4) / GAIN
    growths = [0.5 * np.sum(np.log(1 + 1 / variances[place:])) for place in range(5)]
    np.testing.assert_allclose(theory("residual_norm", "log_gradient"), growths)
    shares = theory("residual_norm", "branch_fraction")
    np.testing.assert_allclose(shares, [1 / 2, 1 / 3, 1 / 4, 1 / 5])
    np.testing.assert_allclose(theory("residual", "branch_fraction"), [0.5] * 4)
    np.testing.assert_allclose(theory("residual_scaled", "branch_fraction"), [0.2] * 4)
    correlations = theory("plain_norm", "gradient_correlation")
    np.testing.assert_allclose(correlations, [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1])
    common = np.array([0, 1, 2, 3, 4]) / math.pi
    np.testing.assert_allclose(theory("residual_norm", "correlation"), common / [1, 2, 3, 4, 5])
    np.testing.assert_allclose(theory("plain", "correlation")[:2], [0, 1 / math.pi])
    assert probes.gradient_correlation("plain", 2)[0] == pytest.approx(0.3016, abs=5e-5)
    assert probes.gradient_correlation("residual_zero", 3).tolist() == [1] * 4


def test_near_inputs_have_near_gradients():
    for arm in SHATTERED:
        same, near, far = (probes.gradient_correlation(arm, 8, c)[0] for c in (1.0, 0.9, 0.0))
        assert same == pytest.approx(1, abs=1e-6)
        assert same > near > far


# --- the other parts -----------------------------------------------------------------------------


def test_gradients_at_the_input_are_those_that_autodiff_gives():
    """Of nets of several depths, whose layers are the first of one deep net's."""
    key, depths, options = jax.random.key(3), (2, 3), {"width": 16, "examples": 8}

    def expected(arm, layers):
        weights, x, cotangents = probes.draw(key, 3, **options)
        layer, cotangents = make_layer(ARMS[arm], layers, constant=True), cotangents[:1]

        def net(x):
            for kernel in weights[:layers]:
                x = layer(kernel, x)
            return jnp.sum(x * cotangents)

        gradient = jax.grad(net)(x)
        units = gradient / jnp.linalg.norm(gradient, axis=1, keepdims=True)
        growth = jnp.linalg.norm(gradient) / jnp.linalg.norm(cotangents) / math.sqrt(8)
        return (jnp.sum(units @ units.T) - 8) / (8 * 7), jnp.log(growth)

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def both(key):
        by_arm = {arm: [expected(arm, layers) for layers in depths] for arm in SHATTERED}
        return probes.depths(key, depths=depths, **options), by_arm

    measured, by_arm = jax.device_get(both(key))
    for arm in SHATTERED:
        correlations, growths = zip(*by_arm[arm], strict=True)
        np.testing.assert_allclose(measured[arm]["gradient_correlation"], correlations, atol=2e-5)
        np.testing.assert_allclose(measured[arm]["log_gradient"], growths, atol=2e-5)


def test_near_inputs_stand_at_their_angle():
    angles = np.array([1e-3, 0.1, 1.0, np.pi / 2])
    x = probes.pairs_at(angles, jax.random.normal(jax.random.key(0), (8, 32)))
    norms = jnp.linalg.norm(x, axis=1)
    np.testing.assert_allclose(norms, math.sqrt(32), rtol=1e-6)
    units = x / norms[:, None]
    np.testing.assert_allclose(probes.pair_cosines(units), np.cos(angles), atol=1e-6)
    distances = jnp.linalg.norm(units[::2] - units[1::2], axis=1)
    np.testing.assert_allclose(distances, 2 * np.sin(angles / 2), rtol=2e-4)


def test_neighbors_are_compared_pair_by_pair():
    """At a right angle pairs are as unlike as any two examples; at none they are the same."""
    measure = functools.partial(
        probes.neighbors, layers=2, width=256, examples=32, angles=np.array([1e-3, np.pi / 2])
    )
    means = jax.tree.map(lambda a: a.mean(0), over_seeds(measure, 16))
    for arm in SHATTERED:
        near, far = means[arm]["gradient_correlation"]
        assert near > 0.99
        assert far == pytest.approx(probes.gradient_correlation(arm, 2)[0], abs=0.05)


@pytest.mark.parametrize(("relu", "gain"), [(True, GAIN), (False, 6 / 5)])
def test_gradients_explode_with_batch_norm(relu, gain):
    examples = 64 if relu else 8
    measure = functools.partial(
        probes.batch_norm_growth, layers=10, width=256, examples=examples, relu=relu
    )
    assert np.exp(over_seeds(measure, 12).mean()) == pytest.approx(gain, rel=0.03)


def test_logs_of_narrow_nets_have_the_exact_moments():
    logs = over_seeds(functools.partial(probes.log_growth, layers=3, width=16), 2048)
    exact = finite_width.he_log_moments_exact(16, 3)
    np.testing.assert_allclose(logs.mean(0), exact.mean, atol=4 * (exact.variance / 2048) ** 0.5)
    np.testing.assert_allclose(logs.var(0), exact.variance, rtol=0.12)


def test_only_pre_activation_leaves_the_path_alone():
    measured = over_seeds(functools.partial(probes.identity_path, blocks=3, features=4, size=4), 2)
    assert np.all(measured["pre-activation"]["left_over"] < 1e-6)
    assert np.all(measured["post-activation"]["left_over"] > 0.1)
