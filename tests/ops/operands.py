"""Small images that tests of several operations begin with."""

import jax.numpy as jnp
import numpy as np


def line(values):
    """One image of one axis and one channel."""
    return jnp.asarray(values, jnp.float32)[None, :, None]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)
