"""Atrous spatial pyramid pooling against its formula, branch by branch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from flax import nnx

from jaxseg import nn, ops
from jaxseg.nn.aspp import aspp_rates


def conv_relu(x, unit, dilation=1):
    """The unit's convolution and ReLU, for a norm that is the identity at the start."""
    return jax.nn.relu(ops.conv(x, unit.conv.kernel[...], dilation=dilation))


def test_aspp_is_its_formula():
    x = jax.random.normal(jax.random.key(0), (2, 6, 7, 3))
    module = nn.ASPP(3, 4, rates=(2, 3), norm=nn.Bias, rngs=nnx.Rngs(0))

    @quick_jit
    def both(x):
        branches = [conv_relu(x, module.point)]
        branches += [conv_relu(x, u, r) for u, r in zip(module.atrous, (2, 3), strict=True)]
        mean = conv_relu(jnp.mean(x, (1, 2), keepdims=True), module.pooled)
        branches.append(jnp.tile(mean, (1, 6, 7, 1)))
        return module(x), conv_relu(jnp.concatenate(branches, -1), module.project)

    got, wanted = both(x)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_examples_do_not_see_each_other():
    x = jax.random.normal(jax.random.key(0), (2, 5, 5, 3))
    module = nn.ASPP(3, 4, rates=(2,), rngs=nnx.Rngs(0))
    run = quick_jit(lambda x: module(x))
    np.testing.assert_allclose(run(x.at[1].set(0.0))[0], run(x)[0], rtol=1e-5, atol=1e-6)


def test_it_drops_out_only_in_training_and_only_with_a_key():
    x = jax.random.normal(jax.random.key(0), (2, 5, 5, 3))
    module = nn.ASPP(3, 4, rates=(2,), dropout=0.5, norm=nn.Bias, rngs=nnx.Rngs(0))
    key = jax.random.key(1)
    plain, without_key, dropped = (
        np.asarray(a)
        for a in quick_jit(
            lambda x: (module(x, key=key), module(x, train=True), module(x, train=True, key=key))
        )(x)
    )
    np.testing.assert_allclose(plain, without_key, rtol=1e-6)
    kept = dropped != 0
    np.testing.assert_allclose(dropped[kept], 2 * plain[kept], rtol=1e-5)
    assert 0.3 < np.mean(kept[plain > 0]) < 0.7


def test_rates_reach_equally_far_in_the_image():
    assert [aspp_rates(stride) for stride in (8, 16, 32)] == [(12, 24, 36), (6, 12, 18), (3, 6, 9)]
    for stride in (0, 64):
        with pytest.raises(ValueError, match=f"output_stride={stride} must divide 96"):
            aspp_rates(stride)
