"""Norms against their definitions, blocks against formulas written out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxseg import ops
from jaxseg.nn import (
    BatchNorm,
    Bias,
    Bottleneck,
    GroupNorm,
    PostActivation,
    PreActivation,
    Residual,
    initializers,
)

SHAPE = (3, 5, 4, 8)
close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)


@pytest.fixture
def x():
    return 2 * jax.random.normal(jax.random.key(1), SHAPE) + 1


def filled(module):
    """The module with every parameter drawn, so that a bias left out is seen."""
    state = nnx.state(module, nnx.Param)
    leaves, tree = jax.tree.flatten(state)
    keys = jax.random.split(jax.random.key(7), len(leaves))
    draws = [0.3 * jax.random.normal(k, a.shape) for k, a in zip(keys, leaves, strict=True)]
    nnx.update(module, jax.tree.unflatten(tree, draws))
    return module


# --- norms ---------------------------------------------------------------------------------------


def test_batch_norm(x):
    norm = BatchNorm(8)
    values = np.asarray(x, np.float64)
    mean, variance = values.mean((0, 1, 2)), values.var((0, 1, 2))
    close(norm(x, train=True), (values - mean) / np.sqrt(variance + 1e-5))
    close(norm.mean[...], 0.1 * mean)
    # The variance divided by n = 60, not by 59 as PyTorch's running one is: 1.7 % apart.
    close(norm.var[...], 0.9 + 0.1 * variance)
    running = np.asarray(norm.mean[...]), np.asarray(norm.var[...])
    close(norm(x), (values - running[0]) / np.sqrt(running[1] + 1e-5))
    close(norm.mean[...], running[0], rtol=0, atol=0)


def test_batch_norm_of_far_off_values_keeps_their_spread():
    x = 1000 + jax.random.normal(jax.random.key(0), SHAPE)
    y = np.asarray(BatchNorm(8)(x, train=True))
    assert y.std() == pytest.approx(1, abs=0.01)


def test_scale_false_has_as_many_parameters_as_shift():
    for norm in (
        functools.partial(BatchNorm, scale=False),
        functools.partial(GroupNorm, scale=False),
    ):
        shapes = [a.shape for a in jax.tree.leaves(nnx.state(norm(8), nnx.Param))]
        assert shapes == [a.shape for a in jax.tree.leaves(nnx.state(Bias(8), nnx.Param))] == [(8,)]


@pytest.mark.parametrize("groups", [1, 4, 8])
def test_group_norm_keeps_examples_apart(x, groups):
    norm = GroupNorm(8, groups=groups)
    parts = np.asarray(x, np.float64).reshape(3, 20, groups, -1)
    scaled = parts - parts.mean((1, 3), keepdims=True)
    scaled /= np.sqrt(parts.var((1, 3), keepdims=True) + 1e-5)
    close(norm(x, train=True), scaled.reshape(SHAPE))
    close(norm(x)[1:2], norm(x[1:2], train=True))
    with pytest.raises(ValueError, match=r"features=8 do not divide into groups=3: choose a divis"):
        GroupNorm(8, groups=3)


def test_shift_adds_one_number_a_channel(x):
    shift = filled(Bias(8))
    close(shift(x), np.asarray(x) + np.asarray(shift.bias[...]))
    assert shift(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


# --- blocks --------------------------------------------------------------------------------------


def conv(x, module, **options):
    return np.asarray(ops.conv(jnp.asarray(x, jnp.float32), module.kernel[...], **options))


def shifted_relu(x, norm):
    return np.maximum(np.asarray(x) + np.asarray(norm.bias[...]), 0)


def test_pre_activation(x):
    block = filled(PreActivation(8, dilation=2, rngs=nnx.Rngs(0)))
    y = conv(shifted_relu(x, block.norm1), block.conv1, dilation=2)
    close(block(x), conv(shifted_relu(y, block.norm2), block.conv2, dilation=2))


def test_pre_activation_takes_norm_and_activation(x):
    block = PreActivation(8, norm=BatchNorm, activation=jnp.tanh, rngs=nnx.Rngs(0))
    a, b = BatchNorm(8), BatchNorm(8)
    y = conv(jnp.tanh(a(x, train=True)), block.conv1)
    close(block(x, train=True), conv(jnp.tanh(b(jnp.asarray(y), train=True)), block.conv2))
    close(block.norm2.var[...], b.var[...])


def test_post_activation(x):
    block = filled(PostActivation(8, rngs=nnx.Rngs(0)))
    y = shifted_relu(conv(x, block.conv1), block.norm1)
    close(block(x), conv(y, block.conv2) + np.asarray(block.norm2.bias[...]))
    after = Residual(block, activation=jax.nn.relu)
    close(after(x), np.maximum(np.asarray(x) + np.asarray(block(x)), 0))


def test_bottleneck(x):
    block = filled(Bottleneck(8, dilation=2, rngs=nnx.Rngs(0)))
    assert [c.kernel.shape for c in (block.conv1, block.conv2, block.conv3)] == [
        (1, 1, 8, 2),
        (3, 3, 2, 2),
        (1, 1, 2, 8),
    ]
    y = conv(shifted_relu(x, block.norm1), block.conv1)
    y = conv(shifted_relu(y, block.norm2), block.conv2, dilation=2)
    close(block(x), conv(shifted_relu(y, block.norm3), block.conv3))
    with pytest.raises(ValueError, match="features=8 do not divide by reduction=3: choose a divis"):
        Bottleneck(8, reduction=3, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("learn", [False, True])
def test_residual_scales_its_branch(x, learn):
    branch = PreActivation(8, rngs=nnx.Rngs(0))
    block = Residual(branch, scale=0.25, learn_scale=learn)
    close(block(x), np.asarray(x) + 0.25 * np.asarray(branch(x)))
    assert ("scale" in nnx.state(block, nnx.Param)) == learn


@pytest.mark.parametrize("block", [PreActivation, PostActivation, Bottleneck])
def test_zero_branch_is_the_identity_with_its_gradient(x, block):
    skip_init = Residual(block(8, rngs=nnx.Rngs(0)), scale=0, learn_scale=True)
    zero_last = Residual(block(8, last_init=initializers.zeros(), rngs=nnx.Rngs(0)))
    for module in (skip_init, zero_last):
        assert np.array_equal(module(x), x)
        cotangent = jnp.cos(x)
        pulled = jax.grad(lambda x, m=module, c=cotangent: jnp.sum(m(x) * c))(x)
        assert np.array_equal(pulled, cotangent)
    # The factor learns from the first step on although it starts at zero.
    gradient = nnx.grad(lambda m: jnp.sum(m(x) ** 2))(skip_init)
    assert float(gradient["scale"][...]) != 0
