"""Arrays to matplotlib figures; nothing is computed here but where to draw it."""

from jaxseg.plots.costs import depth_cost, ratios
from jaxseg.plots.depth import (
    ARM_COLOURS,
    OTHER,
    depth_scaling,
    gradient_profile,
    image_strip,
    loss_against_depth,
    to_rgb,
    training_curves,
)

__all__ = [
    "ARM_COLOURS",
    "OTHER",
    "depth_cost",
    "depth_scaling",
    "gradient_profile",
    "image_strip",
    "loss_against_depth",
    "ratios",
    "to_rgb",
    "training_curves",
]
