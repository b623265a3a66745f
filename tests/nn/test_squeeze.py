"""Squeeze and excitation against its formula."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxseg import nn


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
