"""The rules that choose between oneDNN and the pure forms, with their measurements.

Milliseconds or ratios to PyTorch's time in comments: two AVX-512 cores (Zen 5), jax 0.10.1,
float32, forward and both gradients unless a mode is named.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from jaxseg.ops.geometry import Geometry
from jaxseg.ops.rewrites import share_of_data


@dataclass(frozen=True)
class PureRule:
    """A case in which the pure form is faster than oneDNN.

    Attributes:
        modes: some of "y", "x" and "k".
        holds: tells whether a geometry is such a case.
        why: the case in words, for `python -m jaxseg.ops`.
    """

    modes: str
    holds: Callable[[Geometry], bool]
    why: str


def _little_data(share: float) -> Callable[[Geometry], bool]:
    """Build a rule: a dilated window of few taps, and fewer products than this share see data."""

    def holds(geometry: Geometry) -> bool:
        g = geometry
        dilated = g.groups == 1 and max(g.dilation) > 1
        return dilated and math.prod(g.window) <= _MOST_TAPS and share_of_data(g) < share

    return holds


def _large_strides(geometry: Geometry) -> bool:
    g = geometry
    return g.groups == 1 and max(g.dilation) == 1 and min(g.stride) >= _LARGE_STRIDE


_MOST_TAPS = 49
_LARGE_STRIDE = 8

PURE_RULES = (
    # Rate 24 at 33x33, where .27 of the products see data: pure .44, oneDNN about 1; rate 12,
    # where .57 do: 2.6 and .9.
    PureRule("k", _little_data(0.35), "weight gradient of which less than .35 sees data"),
    # k16s8 8x16x16, 64 > 21: pure .62 in this mode, .89 in all; oneDNN 1.15 in all.
    PureRule("x", _large_strides, "upconvolution by a stride of 8 or more"),
)


def prefers_pure(mode: str, geometry: Geometry) -> bool:
    """Tell whether the pure form is faster than oneDNN.

    Args:
        mode: "y", "x" or "k".
        geometry: geometry of the convolution.
    """
    return any(mode in rule.modes and rule.holds(geometry) for rule in PURE_RULES)
