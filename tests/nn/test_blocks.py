"""Blocks against their formulas written out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxseg import ops
from jaxseg.nn import BatchNorm, Bottleneck, PostActivation, PreActivation, Residual, initializers

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


@pytest.mark.parametrize(
    ("block", "kernels"), [(PreActivation, 2), (PostActivation, 2), (Bottleneck, 3)]
)
def test_the_last_kernel_alone_takes_the_last_initializer(block, kernels):
    def ones(key, shape, dtype=jnp.float32):
        del key
        return jnp.ones(shape, dtype)

    module = block(8, kernel_init=ones, last_init=initializers.zeros(), rngs=nnx.Rngs(0))
    values = [getattr(module, f"conv{n + 1}").kernel[...] for n in range(kernels)]
    for kernel in values[:-1]:
        np.testing.assert_array_equal(kernel, jnp.ones(kernel.shape))
    np.testing.assert_array_equal(values[-1], jnp.zeros(values[-1].shape))
    without = block(8, kernel_init=ones, rngs=nnx.Rngs(0))
    last = getattr(without, f"conv{kernels}").kernel[...]
    np.testing.assert_array_equal(last, jnp.ones(last.shape))
