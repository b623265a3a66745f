"""The rule of each primitive, and how to register one (see `registry`).

elementwise   position by position
shape         reshapes, slices, padding, concatenation
window        convolutions, poolings, resizes
reduction     reductions, sorts, transforms, products
gather        what reads at an index
scatter       what writes at an index
control_flow  calls, loops and branches
"""

from jaxseg.analysis.receptive.rules import (
    control_flow,
    elementwise,
    gather,
    reduction,
    scatter,
    shape,
    window,
)
from jaxseg.analysis.receptive.rules.registry import CONTROL_FLOW, RULES, control_flow_rule, rule

__all__ = [
    "CONTROL_FLOW",
    "RULES",
    "control_flow",
    "control_flow_rule",
    "elementwise",
    "gather",
    "reduction",
    "rule",
    "scatter",
    "shape",
    "window",
]
