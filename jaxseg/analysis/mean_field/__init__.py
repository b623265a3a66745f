"""Mean-field theory of random deep nets: closed forms and quadrature, nothing fitted.

An infinitely wide random net is a recursion in a few numbers: the variance of its features, the
correlation of two inputs' features, the squared norm of a gradient. A `Layer` describes the net;
`variance_map`, `correlation_map` and `iterate` go through layers; `fixed_variance`,
`critical_weight_variance` and `depth_scales` tell where that leads, and how fast. The functions
that end in `gradient_norms` give the gradients of whole stacks of blocks. NumPy in float64.
"""

from jaxseg.analysis.mean_field.activations import (
    IDENTITY,
    RELU,
    TANH,
    Activation,
    arc_cosine_0,
    arc_cosine_1,
    smooth_activation,
)
from jaxseg.analysis.mean_field.batch_norm import (
    BATCH_NORM_GAIN,
    batch_norm_branch_fraction,
    batch_norm_identity_gain,
    batch_norm_moment,
)
from jaxseg.analysis.mean_field.maps import (
    Layer,
    Trajectory,
    correlation_map,
    gradient_gain,
    iterate,
    variance_map,
)
from jaxseg.analysis.mean_field.phases import (
    DepthScales,
    critical_weight_variance,
    depth_scales,
    fixed_correlation,
    fixed_variance,
)
from jaxseg.analysis.mean_field.profiles import (
    batch_norm_plain_gradient_norms,
    batch_norm_residual_gradient_norms,
    he_relu_gradient_norms,
    tanh_isometric_gradient_norms,
    tap_average,
)

__all__ = [
    "BATCH_NORM_GAIN",
    "IDENTITY",
    "RELU",
    "TANH",
    "Activation",
    "DepthScales",
    "Layer",
    "Trajectory",
    "arc_cosine_0",
    "arc_cosine_1",
    "batch_norm_branch_fraction",
    "batch_norm_identity_gain",
    "batch_norm_moment",
    "batch_norm_plain_gradient_norms",
    "batch_norm_residual_gradient_norms",
    "correlation_map",
    "critical_weight_variance",
    "depth_scales",
    "fixed_correlation",
    "fixed_variance",
    "gradient_gain",
    "he_relu_gradient_norms",
    "iterate",
    "smooth_activation",
    "tanh_isometric_gradient_norms",
    "tap_average",
    "variance_map",
]
