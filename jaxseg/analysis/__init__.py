"""Studies of nets as functions: gradients and the theory of their size."""

from jaxseg.analysis import mean_field
from jaxseg.analysis.gradients import LayerNorms, layer_gradient_norms, leading_norms

__all__ = ["LayerNorms", "layer_gradient_norms", "leading_norms", "mean_field"]
