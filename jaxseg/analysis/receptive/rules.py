"""A rule for each primitive: how the positions of its result meet those of its operands.

A rule is called as `rule(graph, params, operands, results)`, where the operands are `Value`s or
`Known` arrays, of which at least one is a `Value`, and `results` are the avals of what comes out;
it returns a list of as many. To teach the interpreter a primitive of your own, register one:

    @rule("my_primitive")
    def _(graph, params, operands, results):
        (x,) = operands
        links = [Window(0), Window(1, taps=3, low=1), Window(2)]  # by axis: one position, or three
        return [graph.node(results[0].shape, [(x, links)])]
"""

from collections.abc import Callable, Sequence
from typing import Any

from jaxseg.analysis.receptive.graph import Graph, Operand

Rule = Callable[[Graph, dict[str, Any], Sequence[Operand], Sequence[Any]], Sequence[Operand]]

RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule under the names of primitives."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


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


@rule(*ELEMENTWISE)
def elementwise(graph, params, operands, results):
    """Position by position, whatever the function."""
    del params
    return [graph.together(results[0].shape, operands)]


@rule("add", "add_any", "sub")
def addition(graph, params, operands, results):
    """As other elementwise functions, but the paths of the operands add up."""
    del params
    return [graph.together(results[0].shape, operands, add=True)]


@rule("optimization_barrier")
def each_alone(graph, params, operands, results):
    """Several arrays, each by itself."""
    del graph, params, results
    return list(operands)
