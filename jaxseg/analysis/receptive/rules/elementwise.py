"""Rules of elementwise primitives."""

from jaxseg.analysis.receptive.registry import rule

_NAMES = """
abs acos acosh and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp clz
complex conj convert_element_type copy cos cosh device_put digamma div eq eq_to erf erf_inv
erfc exp exp2 expm1 floor ge gt igamma igamma_grad_a igammac imag integer_pow is_finite
layout_constraint le le_to lgamma log log1p logistic lt lt_to max min mul name nan_to_num ne
neg nextafter not or pcast polygamma population_count pow psum_invariant pvary
random_gamma_grad real reduce_precision regularized_incomplete_beta rem round rsqrt select_n
sharding_constraint shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt
square stop_gradient tan tanh xor zeta
"""
ELEMENTWISE = frozenset(_NAMES.split())
"""Primitives whose result depends on their operands position by position, `add` aside."""


@rule(*ELEMENTWISE)
def _elementwise(graph, params, operands, results):
    """Each position depends on the same position of every operand."""
    del params
    return [graph.elementwise(results[0].shape, operands)]


@rule("add", "add_any", "sub")
def _addition(graph, params, operands, results):
    """The same, but the paths of the operands add up."""
    del params
    return [graph.elementwise(results[0].shape, operands, add=True)]


@rule("optimization_barrier")
def _barrier(graph, params, operands, results):
    """Each of several arrays passes by itself."""
    del graph, params, results
    return list(operands)
