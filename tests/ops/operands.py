"""What tests of several operations begin with: small images, and a cheap compilation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
"""`jax.jit` without LLVM's optimizations, where values alone count and a program runs once."""


def line(values):
    """One image of one axis and one channel."""
    return jnp.asarray(values, jnp.float32)[None, :, None]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)
