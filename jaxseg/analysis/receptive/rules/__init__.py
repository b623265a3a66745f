"""The rule of each primitive, and how to register one (see `receptive.registry`).

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

__all__ = ["control_flow", "elementwise", "gather", "reduction", "scatter", "shape", "window"]
