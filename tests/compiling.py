"""A cheap compilation for tests."""

import functools

import jax

quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
"""`jax.jit` without LLVM's optimizations, where values alone count and a program runs once.

It must be the outermost `jit`.
"""
