"""What mean-field theory says of a random deep net: closed forms and quadrature, nothing fitted.

An infinitely wide random net is a recursion in a few numbers: the variance of its features, the
correlation of two inputs' features, the squared norm of a gradient. `Layer` says what a layer is;
`variance_map`, `correlation_map` and `iterate` go through layers; `fixed_variance`,
`critical_weight_variance` and `depth_scales` say where that leads and how fast. `profiles` holds
the gradients of whole stacks of blocks. NumPy in float64.
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
from jaxseg.analysis.mean_field.maps import (
    Layer,
    Trajectory,
    correlation_map,
    gradient_gain,
    iterate,
    variance_map,
)
from jaxseg.analysis.mean_field.normalised import (
    BATCH_NORM_GAIN,
    batch_norm_branch_fraction,
    batch_norm_identity_gain,
    batch_norm_moment,
)
from jaxseg.analysis.mean_field.phases import (
    DepthScales,
    critical_weight_variance,
    depth_scales,
    fixed_correlation,
    fixed_variance,
)
from jaxseg.analysis.mean_field.profiles import (
    batch_norm_plain,
    batch_norm_residual,
    he_relu,
    tanh_isometric,
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
    "batch_norm_plain",
    "batch_norm_residual",
    "correlation_map",
    "critical_weight_variance",
    "depth_scales",
    "fixed_correlation",
    "fixed_variance",
    "gradient_gain",
    "he_relu",
    "iterate",
    "smooth_activation",
    "tanh_isometric",
    "tap_average",
    "variance_map",
]
