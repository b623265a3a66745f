"""The unit of convolution, norm and activation against its formula."""

import jax
import numpy as np
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
