"""Rules of primitives that hold jaxprs of their own: calls, loops and branches."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn

from jaxseg.analysis.receptive.arrays import Constant, Operand, Value
from jaxseg.analysis.receptive.constants import constant, evaluate
from jaxseg.analysis.receptive.graph import Graph
from jaxseg.analysis.receptive.interpreter import Interpreter
from jaxseg.analysis.receptive.jaxprs import closed, inner_jaxpr, scan_operands, while_operands
from jaxseg.analysis.receptive.registry import control_flow_rule
from jaxseg.analysis.receptive.rules import shape as shape_rules

_MOST_PIXELS = 1024
"""Most pixels that a loop whose number of turns depends on the input may mix."""


@control_flow_rule(
    "jit",
    "pjit",
    "closed_call",
    "core_call",
    "remat2",
    "checkpoint",
    "custom_jvp_call",
    "custom_vjp_call",
    "composite",
)
def _call(interpreter: Interpreter, equation: JaxprEqn, operands, scope):
    """The function that is called runs in place of the call."""
    return interpreter.run(inner_jaxpr(equation.params), operands, scope)


@control_flow_rule("scan")
def _scan(interpreter: Interpreter, equation: JaxprEqn, operands, scope):
    """Each turn of the loop runs by itself, as each sees more than the one before."""
    params, counts = equation.params, scan_operands(equation)
    constants = operands[: counts.constants]
    carry = operands[counts.constants :][: counts.carried]
    scanned = operands[counts.constants + counts.carried :]
    if not params["length"]:
        avals: list[Any] = [var.aval for var in equation.outvars[counts.carried :]]
        return [*carry, *(constant(np.zeros(aval.shape)) for aval in avals)]
    if not any(isinstance(x, Value) for x in operands):
        interpreter.count(scope, equation, operands)
        return evaluate(equation, operands)
    turns = list(range(params["length"]))
    if params["reverse"]:
        turns.reverse()
    outputs: dict[int, Sequence[Operand]] = {}
    for turn in turns:
        layers = [_layer(interpreter.graph, x, turn) for x in scanned]
        results = interpreter.run(
            closed(params["jaxpr"]), [*constants, *carry, *layers], f"{scope}/[{turn}]"
        )
        carry, outputs[turn] = results[: counts.carried], results[counts.carried :]
    by_output = zip(*(outputs[turn] for turn in sorted(outputs)), strict=True)
    return [*carry, *(_stack_layers(interpreter.graph, layers) for layers in by_output)]


def _layer(graph: Graph, x: Operand, turn: int) -> Operand:
    """x[turn], without that axis."""
    if isinstance(x, Value):
        return shape_rules.unstack(graph, x, 0, turn)
    parameter = None
    if x.parameter is not None and x.parameter.layer is None:
        parameter = replace(x.parameter, layer=turn)
    return Constant(x.shape[1:], lambda: x.array[turn], parameter, x.learned)


def _stack_layers(graph: Graph, layers: Sequence[Operand]) -> Operand:
    """The layers along a new first axis."""
    shape = (len(layers), *layers[0].shape)
    if any(isinstance(x, Value) for x in layers):
        return shape_rules.stack(graph, layers, 0, shape)
    constants = [x for x in layers if isinstance(x, Constant)]
    return Constant(shape, lambda: jnp.stack([x.array for x in constants]))


@control_flow_rule("cond")
def _cond(interpreter: Interpreter, equation: JaxprEqn, operands, scope):
    """The branch that is taken, if that is known; else every branch, and what decides."""
    index, *operands = operands
    branches = [closed(branch) for branch in equation.params["branches"]]
    if isinstance(index, Constant):
        taken = min(max(int(index.value), 0), len(branches) - 1)
        return interpreter.run(branches[taken], operands, scope)
    results = [interpreter.run(branch, operands, scope) for branch in branches]
    return [
        interpreter.graph.elementwise(by_branch[0].shape, [*by_branch, index])
        for by_branch in zip(*results, strict=True)
    ]


@control_flow_rule("while")
def _while(interpreter: Interpreter, equation: JaxprEqn, operands, scope):
    """Turn by turn as long as the condition is known; else every number of turns together."""
    if not any(isinstance(x, Value) for x in operands):
        interpreter.count(scope, equation, operands)
        return evaluate(equation, operands)
    counts = while_operands(equation)
    condition, body = (closed(equation.params[f"{name}_jaxpr"]) for name in ("cond", "body"))
    of_condition, rest = operands[: counts.of_condition], operands[counts.of_condition :]
    of_body, carry = rest[: counts.of_body], rest[counts.of_body :]
    turns_left, counting = None, interpreter.counting
    while turns_left is None or turns_left > 0:
        (goes_on,) = interpreter.run(condition, [*of_condition, *carry], scope)
        if isinstance(goes_on, Constant) and not goes_on.value:
            break
        turned = interpreter.run(body, [*of_body, *carry], scope)
        if isinstance(goes_on, Constant):
            carry = turned
            continue
        grown = [
            interpreter.graph.elementwise(before.shape, [before, after, goes_on])
            for before, after in zip(carry, turned, strict=True)
        ]
        if all(map(_same_nodes, carry, grown)):
            break
        carry = grown
        interpreter.counting = False  # of all turns that may be, the work of one is counted
        # No path between pixels need be longer than there are pixels.
        turns_left = _count_pixels(carry) if turns_left is None else turns_left - 1
    interpreter.counting = counting
    return carry


def _same_nodes(a: Operand, b: Operand) -> bool:
    if not (isinstance(a, Value) and isinstance(b, Value)):
        return a is b
    return {*a.nodes} == {*b.nodes}


def _count_pixels(values: Sequence[Operand]) -> int:
    """Number of positions of the values that may see different pixels."""
    pixels = sum(math.prod(map(len, x.partitions)) for x in values if isinstance(x, Value))
    if pixels > _MOST_PIXELS:
        raise ValueError(
            f"receptive_field: a loop whose number of turns depends on the input mixes {pixels} "
            f"pixels, more than {_MOST_PIXELS}, the most that are followed: trace a smaller image, "
            "or give the loop a fixed number of turns."
        )
    return pixels
