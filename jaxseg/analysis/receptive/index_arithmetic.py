"""Index arithmetic in NumPy: a primitive that JAX would compile for a handful of integers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def compute(equation: Any, arrays: Sequence[Any]) -> np.ndarray | None:
    """The result of an equation of integers and booleans; None if NumPy is not to compute it.

    Args:
        equation: Equation of a jaxpr.
        arrays: Its operands; those that are being traced are left to JAX.
    """
    function = _FUNCTIONS.get(equation.primitive.name)
    avals = [var.aval for var in (*equation.invars, *equation.outvars)]
    if function is None or not all(_is_integer(aval) for aval in avals):
        return None
    if not all(isinstance(array, int | bool | np.ndarray | np.generic) for array in arrays):
        return None
    *dtypes, result_dtype = [aval.dtype for aval in avals]
    operands = [np.asarray(a).astype(dtype) for a, dtype in zip(arrays, dtypes, strict=True)]
    return np.asarray(function(equation.params, *operands)).astype(result_dtype)


def _is_integer(aval: Any) -> bool:
    dtype = getattr(aval, "dtype", None)
    return isinstance(dtype, np.dtype) and dtype.kind in "bi"


def _iota(params: dict[str, Any]) -> np.ndarray:
    shape, axis = params["shape"], params["dimension"]
    column = np.arange(shape[axis]).reshape([n if a == axis else 1 for a, n in enumerate(shape)])
    return np.broadcast_to(column, shape)


def _broadcast(params: dict[str, Any], x: np.ndarray) -> np.ndarray:
    lengths = dict(zip(params["broadcast_dimensions"], x.shape, strict=True))
    aligned = x.reshape([lengths.get(axis, 1) for axis in range(len(params["shape"]))])
    return np.broadcast_to(aligned, params["shape"])


def _select(params: dict[str, Any], which: np.ndarray, *cases: np.ndarray) -> np.ndarray:
    del params
    shape = cases[0].shape
    return np.choose(np.broadcast_to(which.astype(int), shape), cases)


def _elementwise(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda params, *operands: function(*operands)


_FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "iota": _iota,
    "broadcast_in_dim": _broadcast,
    "select_n": _select,
    "reshape": lambda params, x: x.reshape(params["new_sizes"]),
    "concatenate": lambda params, *parts: np.concatenate(parts, params["dimension"]),
    "convert_element_type": lambda params, x: x,
    **{
        name: _elementwise(function)
        for name, function in {
            "add": np.add,
            "sub": np.subtract,
            "mul": np.multiply,
            "max": np.maximum,
            "min": np.minimum,
            "lt": np.less,
            "le": np.less_equal,
            "gt": np.greater,
            "ge": np.greater_equal,
            "eq": np.equal,
            "ne": np.not_equal,
        }.items()
    },
}
