"""Constants: arrays from outside of a jaxpr, and what equations make of constants alone."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn

from jaxseg.analysis.receptive import index_arithmetic
from jaxseg.analysis.receptive.arrays import Constant, Operand, Parameter


def constant(array: Any, key: Any = None, *, learned: bool = False) -> Constant:
    """An array from outside of the jaxpr.

    Args:
        array: Array or abstract array.
        key: What tells parameters apart; with a key, an array of floats is a parameter.
        learned: Whether it is a parameter whose zeros may not stay zeros.
    """
    shape = tuple(array.shape) if hasattr(array, "shape") else np.shape(array)
    parameter = None
    if key is not None and jnp.issubdtype(array.dtype, jnp.inexact):
        parameter = Parameter(key, math.prod(shape), max(shape[0], 1) if shape else 1)
    return Constant(shape, lambda: array, parameter, learned)


def evaluate(equation: JaxprEqn, operands: Sequence[Operand]) -> list[Operand]:
    """The results of an equation of constants, computed once, if they are needed at all."""
    constants = [x for x in operands if isinstance(x, Constant)]

    @functools.cache
    def results():
        arrays, primitive = [x.array for x in constants], equation.primitive
        integers = index_arithmetic.compute(equation, arrays)
        if integers is not None:
            return [integers]
        out = primitive.bind(*arrays, **equation.params)
        return out if primitive.multiple_results else [out]

    avals: list[Any] = [var.aval for var in equation.outvars]
    learned = any(x.learned for x in constants)
    return [
        Constant(aval.shape, functools.partial(lambda n: results()[n], n), learned=learned)
        for n, aval in enumerate(avals)
    ]
