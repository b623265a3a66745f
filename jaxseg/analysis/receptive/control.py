"""Rules of primitives that hold jaxprs of their own: calls, loops, branches."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn

from jaxseg.analysis.receptive.graph import Graph, Known, Operand, Value
from jaxseg.analysis.receptive.links import WHOLE, same
from jaxseg.analysis.receptive.lookup import cut
from jaxseg.analysis.receptive.trace import CONTROL, Tracer, constant, evaluated


def _inline(parameter: str):
    def call(tracer: Tracer, eqn: JaxprEqn, given, scope):
        inner = eqn.params[parameter]
        closed = inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
        return tracer.run(closed, given, scope)

    return call


def _scan(tracer: Tracer, eqn: JaxprEqn, given, scope):
    """Every turn of the loop by itself, for each sees more than the one before."""
    if not any(isinstance(x, Value) for x in given) and eqn.params.get("length", 1):
        tracer.count(scope, eqn, given)
        return evaluated(eqn, given)
    p = eqn.params
    consts, carry = given[: p["num_consts"]], given[p["num_consts"] :][: p["num_carry"]]
    stacked = given[p["num_consts"] + p["num_carry"] :]
    if not p["length"]:
        avals: list[Any] = [var.aval for var in eqn.outvars[p["num_carry"] :]]
        return [*carry, *(constant(np.zeros(aval.shape)) for aval in avals)]
    made: list[list[Operand]] = []
    turns = range(p["length"])
    for turn in reversed(turns) if p["reverse"] else turns:
        out = tracer.run(
            p["jaxpr"],
            [*consts, *carry, *(_layer(tracer.graph, x, turn) for x in stacked)],
            f"{scope}/[{turn}]",
        )
        carry = out[: p["num_carry"]]
        made.append(out[p["num_carry"] :])
    if p["reverse"]:
        made.reverse()
    count = len(eqn.outvars) - p["num_carry"]
    stacks = [[out[n] for out in made] for n in range(count)]
    return [*carry, *(_stacked(tracer.graph, parts) for parts in stacks)]


def _layer(graph: Graph, x: Operand, turn: int) -> Operand:
    """x[turn], without that axis."""
    if isinstance(x, Known):
        whole = x.leaf is not None and x.leaf.layer is None
        leaf = replace(x.leaf, layer=turn) if x.leaf is not None and whole else None
        return Known(x.shape[1:], lambda: x.array[turn], leaf, x.learned)
    one = cut(graph, x, 0, turn, turn + 1)
    links = [WHOLE, *(same(a) for a in range(len(x.shape) - 1))]
    return graph.node(x.shape[1:], [(one, links)])


def _stacked(graph: Graph, parts: Sequence[Operand]) -> Operand:
    """Parts along a new first axis."""
    shape = parts[0].shape
    if not any(isinstance(x, Value) for x in parts):
        return Known(
            (len(parts), *shape),
            lambda: jnp.stack([x.array for x in parts if isinstance(x, Known)]),
        )
    links = [same(a + 1) for a in range(len(shape))]
    layers = [
        graph.node((1, *shape), [(x, links)])
        if isinstance(x, Value)
        else Known((1, *shape), x.make)
        for x in parts
    ]
    return graph.joined((len(parts), *shape), layers, 0)


def _cond(tracer: Tracer, eqn: JaxprEqn, given, scope):
    """The branch taken where that is known, else all of them and what decides."""
    index, *operands = given
    branches = eqn.params["branches"]
    if isinstance(index, Known):
        chosen = min(max(int(index.value), 0), len(branches) - 1)
        return tracer.run(branches[chosen], operands, scope)
    made = [tracer.run(branch, operands, scope) for branch in branches]
    return [
        tracer.graph.together(parts[0].shape, [*parts, index]) for parts in zip(*made, strict=True)
    ]


def _while(tracer: Tracer, eqn: JaxprEqn, given, scope):
    """Turn by turn as long as the condition is known; else all numbers of turns together."""
    if not any(isinstance(x, Value) for x in given) and eqn.params.get("length", 1):
        tracer.count(scope, eqn, given)
        return evaluated(eqn, given)
    p = eqn.params
    deciding, rest = given[: p["cond_nconsts"]], given[p["cond_nconsts"] :]
    consts, carry = rest[: p["body_nconsts"]], list(rest[p["body_nconsts"] :])
    left, counting = None, tracer.counting
    while left is None or left > 0:
        (go_on,) = tracer.run(p["cond_jaxpr"], [*deciding, *carry], scope)
        if isinstance(go_on, Known) and not go_on.value:
            break
        turned = tracer.run(p["body_jaxpr"], [*consts, *carry], scope)
        if isinstance(go_on, Known):
            carry = turned
            continue
        grown = [
            tracer.graph.together(a.shape, [a, b, go_on])
            for a, b in zip(carry, turned, strict=True)
        ]
        if all(_made_alike(a, b) for a, b in zip(carry, grown, strict=True)):
            break
        carry = grown
        tracer.counting = False  # the work of one turn is in the table, not of all that may be
        # No path between pixels need be longer than there are pixels.
        left = _pixels(carry) if left is None else left - 1
    tracer.counting = counting
    return carry


def _made_alike(a: Operand, b: Operand) -> bool:
    if not (isinstance(a, Value) and isinstance(b, Value)):
        return a is b
    return {*a.nodes} == {*b.nodes}


def _pixels(values: Sequence[Operand]) -> int:
    """How many positions of the values may see different pixels."""
    total = sum(math.prod(map(len, x.cuts)) for x in values if isinstance(x, Value))
    if total > _MOST_PIXELS:
        raise ValueError(
            f"receptive_field: a loop that turns as often as the data asks for mixes {total} "
            f"pixels, more than {_MOST_PIXELS}, the most that are followed: trace a smaller image, "
            "or give the loop a fixed length."
        )
    return total


_MOST_PIXELS = 1024


CONTROL |= {
    **dict.fromkeys(("jit", "pjit", "closed_call", "remat2", "checkpoint"), _inline("jaxpr")),
    **dict.fromkeys(("core_call", "custom_jvp_call", "custom_vjp_call"), _inline("call_jaxpr")),
    "composite": _inline("jaxpr"),
    "scan": _scan,
    "cond": _cond,
    "while": _while,
}
