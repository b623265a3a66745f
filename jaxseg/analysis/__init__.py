"""Analyses of nets as functions: what they see, and what happens to signals and gradients."""

from jaxseg.analysis import finite_width, mean_field, shattering
from jaxseg.analysis._hybrid_dilation import HybridDilation, hybrid_dilation
from jaxseg.analysis.checkerboard import checkerboard_energy, phase_power
from jaxseg.analysis.cosines import autocorrelation, cosine_matrix, gradient_cosines, mean_cosine
from jaxseg.analysis.curvature import hessian_eigenvalues, hessian_vector_product, ritz_values
from jaxseg.analysis.effective_field import EffectiveField, effective_receptive_field
from jaxseg.analysis.gradients import StackNorms, leading_norms, stack_gradient_norms
from jaxseg.analysis.gridding import axis_spectrum, gridding_energy
from jaxseg.analysis.landscape import filter_normalized_direction, loss_surface, surface_curvatures
from jaxseg.analysis.noise_scale import NoiseScale, gradient_noise_scale
from jaxseg.analysis.paths import (
    PathGradients,
    independent_path_shares,
    log_path_counts,
    path_gradients,
    path_share,
    sampled_path_norms,
)
from jaxseg.analysis.per_example import layer_gradient_norms, per_example_gradients
from jaxseg.analysis.receptive import ReceptiveField, Summary, receptive_field, summary
from jaxseg.analysis.signal_propagation import (
    BackwardSignal,
    ForwardSignal,
    backward_signal,
    forward_signal,
    over_seeds,
)

__all__ = [
    "BackwardSignal",
    "EffectiveField",
    "ForwardSignal",
    "HybridDilation",
    "NoiseScale",
    "PathGradients",
    "ReceptiveField",
    "StackNorms",
    "Summary",
    "autocorrelation",
    "axis_spectrum",
    "backward_signal",
    "checkerboard_energy",
    "cosine_matrix",
    "effective_receptive_field",
    "filter_normalized_direction",
    "finite_width",
    "forward_signal",
    "gradient_cosines",
    "gradient_noise_scale",
    "gridding_energy",
    "hessian_eigenvalues",
    "hessian_vector_product",
    "hybrid_dilation",
    "independent_path_shares",
    "layer_gradient_norms",
    "leading_norms",
    "log_path_counts",
    "loss_surface",
    "mean_cosine",
    "mean_field",
    "over_seeds",
    "path_gradients",
    "path_share",
    "per_example_gradients",
    "phase_power",
    "receptive_field",
    "ritz_values",
    "sampled_path_norms",
    "shattering",
    "stack_gradient_norms",
    "summary",
    "surface_curvatures",
]
