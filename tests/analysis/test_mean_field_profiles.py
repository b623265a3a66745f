"""The theory against its limits, against sampling, and against gradients of real nets."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.analysis import mean_field, stack_gradient_norms
from jaxseg.nn import BatchNorm, PreActivation, Residual, Stack, functional

LARGE = (300, 300)


@pytest.mark.parametrize(("branches", "ratio"), [(10, 2.594), (100, 2.7048)])
def test_residual_branches_of_1_over_root_l_tend_to_e(branches, ratio):
    # From x_1 to x_L there are L - 1 branches. The border costs O(1 / 300).
    found = mean_field.he_relu_gradient_norms(branches + 1, LARGE, branch_scale=branches**-0.5)
    assert 10 ** (2 * found[0]) == pytest.approx(ratio, rel=0.01)


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_residual_profile_is_geometric_without_the_border(scale):
    found = mean_field.he_relu_gradient_norms(12, LARGE, branch_scale=scale)
    expected = np.arange(11, -1, -1) * np.log10(1 + scale**2) / 2
    np.testing.assert_allclose(found, expected, rtol=0.01)
    assert found[-1] == 0


def test_plain_profile_is_flat_but_for_the_border():
    large, small = (mean_field.he_relu_gradient_norms(12, size) for size in (LARGE, (8, 8)))
    for found in (large, small):
        assert np.all(np.diff(found) > 0)
        assert found[-1] == 0
    assert large[0] > -0.04
    # Far from the last layer q has the shape of A's first eigenvector.
    per_block = 4 * np.log10((1 + 2 * np.cos(np.pi / 9)) / 3) / 2
    assert small[0] - small[1] == pytest.approx(per_block, rel=0.02)
    dilated = mean_field.he_relu_gradient_norms(12, (8, 8), dilation=2)
    assert dilated[0] < small[0]


def test_very_deep_plain_nets_do_not_underflow():
    found = mean_field.he_relu_gradient_norms(5000, (4, 6))
    assert np.isfinite(found).all()
    assert found[0] < -400


def test_batch_norm_profiles():
    plain = mean_field.batch_norm_plain_gradient_norms(9)
    np.testing.assert_allclose(np.diff(plain), -math.log10(math.pi / (math.pi - 1)))
    assert 10 ** (plain[0] / 16) == pytest.approx(1.2112, abs=1e-4)
    residual = mean_field.batch_norm_residual_gradient_norms(512)
    assert residual[-1] == plain[-1] == 0
    assert np.all(np.diff(residual) < 0)
    # Var_l ~ l / gain, so the factors 1 + gain**2 / l leave a power of L instead of an exponential.
    assert residual[0] < 3 < mean_field.batch_norm_plain_gradient_norms(512)[0]


@pytest.mark.parametrize("variance", [0.9, 1.05, 2.0])
def test_tanh_quadrature_equals_sampling(variance):
    z = np.random.default_rng(0).standard_normal(400_000)
    q, gains = 1.0, []
    for _ in range(8):
        field = np.tanh(math.sqrt(q) * z)
        gains.append(np.log10(variance * np.mean((1 - field**2) ** 2)))
        q = variance * np.mean(field**2)
    blocks = np.array(gains).reshape(4, 2).sum(1)
    expected = [0.5 * blocks[i:3].sum() for i in range(4)]
    found = mean_field.tanh_isometric_gradient_norms(4, weight_variance=variance)
    np.testing.assert_allclose(found, expected, atol=0.01)


# --- measured against theory ---------------------------------------------------------------------


def measured(make_block, blocks, *, features, size, batch=2, seeds=4):
    """log10 of each block's input gradient over the last one's, for every seed."""
    init, apply = functional(lambda rngs: Stack(make_block, blocks, rngs=rngs))
    shape = (batch, *size, features)

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def norms(key):
        keys = jax.random.split(key, 3)
        params, stats = init(keys[0])
        x, cotangent = (jax.random.normal(k, shape) for k in keys[1:])

        def loss(blocks, perturbations):
            moved = jax.tree.map(lambda _, new: new, params, blocks)
            (y, _), _ = apply(
                moved, stats, x, train=True, perturbations=perturbations, method="trace"
            )
            return jnp.sum(y * cotangent)

        return stack_gradient_norms(loss, params, jnp.zeros((blocks, *shape))).inputs

    found = np.log10([np.asarray(norms(jax.random.key(seed))) for seed in range(seeds)])
    return found - found[:, -1:]


def test_residual_gradient_follows_he_et_al():
    block = lambda rngs: Residual(PreActivation(64, rngs=rngs), scale=0.25)  # noqa: E731
    found = measured(block, 16, features=64, size=(16, 16))
    expected = mean_field.he_relu_gradient_norms(16, (16, 16), branch_scale=0.25)
    np.testing.assert_allclose(found.mean(0), expected, atol=math.log10(1.05))
    # The claim is not empty: the gradient grows, and by more than the tolerance.
    assert expected[0] > 2 * math.log10(1.05)


def test_plain_gradient_follows_the_border():
    layers, width = 30, 64
    block = functools.partial(_plain, width)
    found = measured(block, 16, features=width, size=(8, 8))
    expected = mean_field.he_relu_gradient_norms(16, (8, 8))
    # Hanin 2018: the mean of ln q is off by 5 layers / 2 width in a dense net; that bounds a
    # convolutional one, which averages over taps and pixels as well. Half of it for the norm.
    bound = 5 * layers / (2 * width) / 2 / math.log(10)
    assert expected[0] < -2 * bound
    np.testing.assert_allclose(found.mean(0), expected, atol=bound)


def test_plain_batch_norm_gradient_explodes_as_yang_et_al_say():
    block = functools.partial(_plain, 64, norm=BatchNorm)
    found = measured(block, 10, features=64, size=(12, 12), batch=4, seeds=3).mean(0)
    # Two layers a block; the last block's input is one block from a gradient that is white.
    growth = 10 ** ((found[0] - found[-1]) / 18)
    assert growth == pytest.approx(math.sqrt(mean_field.BATCH_NORM_GAIN), rel=0.05)
    expected = mean_field.batch_norm_plain_gradient_norms(10)
    assert expected[0] == pytest.approx(18 * math.log10(1.2112), rel=1e-3)


def _plain(features, rngs, **options):
    return PreActivation(features, rngs=rngs, **options)
