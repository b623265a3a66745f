"""Studies of nets as functions: gradients, the theory of their size, and what is seen."""

from jaxseg.analysis import mean_field
from jaxseg.analysis.effective_field import EffectiveField, effective_receptive_field
from jaxseg.analysis.gradients import StackNorms, leading_norms, stack_gradient_norms
from jaxseg.analysis.hybrid_dilation import HybridDilation, hybrid_dilation
from jaxseg.analysis.per_example import layer_gradient_norms, per_example_gradients
from jaxseg.analysis.receptive import ReceptiveField, Summary, receptive_field, summary

__all__ = [
    "EffectiveField",
    "HybridDilation",
    "ReceptiveField",
    "StackNorms",
    "Summary",
    "effective_receptive_field",
    "hybrid_dilation",
    "layer_gradient_norms",
    "leading_norms",
    "mean_field",
    "per_example_gradients",
    "receptive_field",
    "stack_gradient_norms",
    "summary",
]
