"""Multiply-adds of single equations."""

import math
from collections.abc import Sequence
from typing import Any


def multiply_adds(equation: Any) -> int:
    """Multiplications that a product or a convolution does, those of padding included; else 0.

    Args:
        equation: Equation of a jaxpr.
    """
    count = _COUNTS.get(equation.primitive.name)
    if count is None:
        return 0
    shapes = [tuple(var.aval.shape) for var in (*equation.outvars[:1], *equation.invars)]
    return count(equation.params, shapes)


# Each function below takes the parameters of an equation and the shapes of its result and operands.


def _of_product(params: dict[str, Any], shapes: Sequence[tuple[int, ...]]) -> int:
    result, left = shapes[:2]
    (contracted, _), _ = params["dimension_numbers"]
    return math.prod(result) * math.prod(left[axis] for axis in contracted)


def _of_convolution(params: dict[str, Any], shapes: Sequence[tuple[int, ...]]) -> int:
    result, images, kernel = shapes[:3]
    numbers = params["dimension_numbers"]
    features = kernel[numbers.rhs_spec[0]]
    taps = math.prod(kernel) // features
    if math.prod(params["lhs_dilation"]) == 1:
        return math.prod(result) * taps
    # Upsampling: each input pixel meets each tap.
    pixels = math.prod(images) // images[numbers.lhs_spec[1]]
    return pixels * features * taps // math.prod(params["window_strides"])


def _of_trilinear(params: dict[str, Any], shapes: Sequence[tuple[int, ...]]) -> int:
    """Ensemble x batch x output pixels x taps x features of both sides, over the groups."""
    geometry, mode = params["geometry"], params["mode"]
    result, left, right = shapes[:3]
    output = {"y": result, "x": left, "k": right}[mode]
    kernel = result if mode == "k" else right
    return math.prod(output) * math.prod(geometry.window) * kernel[-2]


_COUNTS = {
    "dot_general": _of_product,
    "conv_general_dilated": _of_convolution,
    "jaxseg_trilinear": _of_trilinear,
}
