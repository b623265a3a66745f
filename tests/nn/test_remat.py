"""A rematerialized module is the module."""

import jax
import numpy as np
from flax import nnx

from jaxseg import nn


def test_a_rematerialized_module_gives_the_same_and_updates_its_statistics():
    x = jax.random.normal(jax.random.key(0), (2, 5, 4, 3))
    plain, again = (nn.ConvNorm(3, 4, rngs=nnx.Rngs(0)) for _ in range(2))
    np.testing.assert_allclose(
        nn.rematerialize(again, x, train=True), plain(x, train=True), rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(again.norm.mean[...], plain.norm.mean[...], rtol=1e-6, atol=1e-7)
    assert np.any(again.norm.mean[...])
