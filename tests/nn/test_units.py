"""Conv and norm in one, dropout, squeeze and excitation, rematerialisation, edges of norms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxseg import nn, ops


def test_conv_norm_is_its_formula_and_pads_both_sides_alike():
    x = jax.random.normal(jax.random.key(0), (2, 8, 9, 3))
    unit = nn.ConvNorm(3, 4, 3, stride=2, dilation=2, rngs=nnx.Rngs(0))
    y = ops.conv(x, unit.conv.kernel[...], stride=2, dilation=2, padding=2)
    wanted = np.maximum(np.asarray(y) / np.sqrt(1 + 1e-5), 0)
    np.testing.assert_allclose(unit(x), wanted, rtol=1e-5, atol=1e-6)
    bare = nn.ConvNorm(3, 4, padding="valid", activation=None, norm=nn.Bias, rngs=nnx.Rngs(0))
    assert bare(x).shape == (2, 6, 7, 4)
    assert np.min(bare(x)) < 0


def test_a_depthwise_conv_norm_keeps_channels_apart():
    x = jax.random.normal(jax.random.key(0), (2, 5, 4, 3))
    unit = nn.ConvNorm(3, 3, groups=3, rngs=nnx.Rngs(0))
    assert unit.conv.kernel[...].shape == (3, 3, 1, 3)
    moved = np.asarray(unit(x.at[..., 1].add(1.0)) - unit(x))
    assert np.any(moved[..., 1])
    assert not np.any(moved[..., ::2])


def test_batch_norm_with_torchvision_s_settings_for_mobile_nets():
    norm = nn.BatchNorm(2, momentum=0.99, epsilon=1e-3)
    y = norm(jnp.asarray([[1.0, 2.0], [3.0, 2.0]]), train=True)
    np.testing.assert_allclose(norm.mean[...], [0.02, 0.02], rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], [1.0, 0.99], rtol=1e-5)
    np.testing.assert_allclose(y[:, 0], np.asarray([-1, 1]) / np.sqrt(1 + 1e-3), rtol=1e-6)


def test_squeeze_and_excitation_is_its_formula():
    x = np.asarray(jax.random.normal(jax.random.key(0), (2, 5, 4, 6)))
    module = nn.SqueezeExcitation(6, 4, rngs=nnx.Rngs(0))
    module.first.bias[...] = jnp.arange(4.0) / 4
    module.second.bias[...] = jnp.arange(6.0) - 2
    first, second = (np.asarray(c.kernel[...])[0, 0] for c in (module.first, module.second))
    inside = np.maximum(x.mean(axis=(1, 2)) @ first + np.arange(4) / 4, 0)
    factors = np.clip((inside @ second + np.arange(6) - 2 + 3) / 6, 0, 1)
    wanted = x * factors[:, None, None]
    np.testing.assert_allclose(module(jnp.asarray(x)), wanted, rtol=1e-4, atol=1e-5)


def test_dropout():
    x = jnp.full((100, 100), 3.0)
    y = np.asarray(nn.dropout(x, 0.25, jax.random.key(0)))
    assert set(np.unique(y)) == {0.0, 4.0}
    assert np.mean(y == 0) == pytest.approx(0.25, abs=0.02)
    assert nn.dropout(x, 0.25, None) is x
    assert nn.dropout(x, 0.0, jax.random.key(0)) is x
    for rate in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"rate={rate} must be at least 0 and below 1"):
            nn.dropout(x, rate, None)


def test_a_rematerialised_module_gives_the_same_and_updates_its_statistics():
    x = jax.random.normal(jax.random.key(0), (2, 5, 4, 3))
    plain, again = (nn.ConvNorm(3, 4, rngs=nnx.Rngs(0)) for _ in range(2))
    np.testing.assert_allclose(
        nn.rematerialize(again, x, train=True), plain(x, train=True), rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(again.norm.mean[...], plain.norm.mean[...], rtol=1e-6, atol=1e-7)
    assert np.any(again.norm.mean[...])


def test_batch_norm_of_one_value_a_channel_uses_and_keeps_the_running_statistics():
    norm = nn.BatchNorm(4)
    norm.mean[...] = jnp.arange(4.0)
    x = jnp.ones((1, 1, 1, 4))
    np.testing.assert_array_equal(norm(x, train=True), norm(x))
    np.testing.assert_array_equal(norm.mean[...], jnp.arange(4.0))
    assert np.any(np.asarray(norm(jnp.ones((2, 1, 1, 4)), train=True)) != np.asarray(norm(x)))


@pytest.mark.parametrize("norm", [nn.BatchNorm, nn.GroupNorm])
def test_sixteen_bits_are_normalised_in_32(norm):
    x = 100 + jax.random.normal(jax.random.key(0), (4, 8, 8, 8))
    y = norm(8)(x.astype(jnp.bfloat16), train=True)
    assert y.dtype == jnp.bfloat16
    wanted = norm(8)(x.astype(jnp.bfloat16).astype(jnp.float32), train=True)
    np.testing.assert_allclose(np.asarray(y, np.float32), wanted, rtol=1e-2, atol=1e-2)
