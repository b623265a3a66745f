"""Gradients and responses inside a net, and their theory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.depth_scaling.config import ARMS, PRESETS
from experiments.depth_scaling.probes import gradient_norms, layer_responses, theory
from experiments.depth_scaling.study import make_net
from jaxseg import nn
from jaxseg.losses import mean_cross_entropy


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_has_a_theory(arm):
    expected = theory(10, (6, 8), 1, ARMS[arm])
    assert expected.shape == (4,)
    assert expected[-1] == 0
    growing = arm in ("plain_norm", "residual", "residual_norm")
    assert (expected[0] > 0) == growing


@pytest.mark.parametrize(
    "options",
    [
        {"residual": True, "norm": "group"},
        {"residual": True, "norm": "batch"},  # scaled by 1/sqrt(L): its variances are others
        {"residual": True, "activation": "tanh", "kernel_init": "delta_orthogonal"},
        {"residual": False, "activation": "tanh"},
        {
            "residual": False,
            "activation": "tanh",
            "kernel_init": "delta_orthogonal",
            "norm": "batch",
        },
        {"residual": False, "kernel_init": "delta_orthogonal"},
        {"residual": False, "weight_variance": 1.0},
        {"residual": True, "zero_last": True},
    ],
)
def test_arms_without_a_closed_form_have_no_theory(options):
    assert theory(10, (6, 8), 1, options) is None


def test_the_scale_of_a_branch_that_is_left_out_is_that_of_the_net():
    left_out, given = ({"residual": True, "branch_scale": s} for s in (None, 0.5))
    np.testing.assert_array_equal(theory(10, (6, 8), 1, left_out), theory(10, (6, 8), 1, given))


def net(arm, depth=8):
    config = PRESETS["tiny"]
    init, apply = nn.functional(
        lambda rngs: make_net(config, arm, depth, classes=3, inputs=1, rngs=rngs)
    )
    params, stats = jax.jit(init)(jax.random.key(0))
    image = jax.random.normal(jax.random.key(1), (2, 6, 6, 1))
    label = jax.random.randint(jax.random.key(2), (2, 6, 6), 0, 3)
    return config, apply, params, stats, {"image": image, "label": label}


@pytest.mark.parametrize("arm", ["plain", "residual"])
def test_gradient_norms_are_those_of_autodiff(arm):
    config, apply, params, stats, batch = net(arm)
    norms = jax.jit(lambda p, s, b: gradient_norms(apply, p, s, b, config.features))(
        params, stats, batch
    )
    assert norms.inputs.shape == norms.weights.shape == (3,)

    def loss(params):
        logits, _ = apply(params, stats, batch["image"], train=True)
        return mean_cross_entropy(logits, batch["label"])

    blocks = jax.jit(jax.grad(loss))(params)["stack"]["blocks"]
    squares = sum(
        np.sum(np.square(leaf).reshape(3, -1), axis=1) for leaf in jax.tree.leaves(blocks)
    )
    np.testing.assert_allclose(norms.weights, np.sqrt(squares), rtol=1e-4)
    # With a branch scaled by 1/sqrt(L) the gradient changes little from block to block.
    assert (norms.inputs > 0).all()
    if arm == "residual":
        assert norms.inputs.max() < 4 * norms.inputs.min()


def test_a_residual_block_responds_with_what_it_adds():
    """A plain one with all that it puts out."""
    for arm in ("residual", "plain"):
        _, apply, params, stats, batch = net(arm)
        (_, inputs), _ = apply(params, stats, batch["image"], train=True, method="trace")
        inputs = np.asarray(inputs)
        added = np.diff(inputs, axis=0) if arm == "residual" else inputs[1:]
        residual = ARMS[arm]["residual"]
        response, share = layer_responses(apply, params, stats, batch["image"], residual=residual)
        deviation = added.std(axis=(1, 2, 3, 4))
        np.testing.assert_allclose(response, deviation, rtol=1e-5)
        np.testing.assert_allclose(share, deviation / inputs[1:].std(axis=(1, 2, 3, 4)), rtol=1e-5)
        assert response.shape == (2,)  # all blocks but the last, whose output is not traced
        assert bool(jnp.all(share == 1)) == (arm == "plain")
