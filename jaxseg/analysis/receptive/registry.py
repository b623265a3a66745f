"""The rule of each primitive: how the positions of its result meet those of its operands.

A rule is called as `rule(graph, params, operands, results)`. The operands are `Value`s, which
depend on the input, or `Constant`s; at least one is a `Value`. `results` are the abstract values
of what the primitive returns, and the rule returns an array for each of them. To teach the
interpreter a primitive of your own, register a rule:

    @rule("my_primitive")
    def _(graph, params, operands, results):
        (x,) = operands
        links = [same(0), Window(1, taps=3, low=1), same(2)]  # three rows, the same column
        return [graph.node(results[0].shape, [(x, links)])]
"""

from collections.abc import Callable, Sequence
from typing import Any

from jaxseg.analysis.receptive.arrays import Operand
from jaxseg.analysis.receptive.graph import Graph

Rule = Callable[[Graph, dict[str, Any], Sequence[Operand], Sequence[Any]], Sequence[Operand]]
"""(graph, parameters, operands, abstract results) -> results."""

ControlFlowRule = Callable[[Any, Any, Sequence[Operand], str], Sequence[Operand]]
"""(interpreter, equation, operands, scope) -> results; for primitives that hold jaxprs."""

RULES: dict[str, Rule] = {}
CONTROL_FLOW: dict[str, ControlFlowRule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for primitives, by their names.

    Args:
        names: Names of the primitives; a rule that one of them has already is replaced.

    Returns:
        A decorator that returns the rule as it is.
    """

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def control_flow_rule(*names: str) -> Callable[[ControlFlowRule], ControlFlowRule]:
    """Register a rule for primitives that hold jaxprs of their own, by their names."""

    def register(function: ControlFlowRule) -> ControlFlowRule:
        CONTROL_FLOW.update(dict.fromkeys(names, function))
        return function

    return register
