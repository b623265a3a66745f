"""Rules of primitives that hold jaxprs of their own: calls, loops, branches."""

from collections.abc import Sequence

import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn

from jaxseg.analysis.receptive.graph import Graph, Known, Operand, Value
from jaxseg.analysis.receptive.links import WHOLE, same
from jaxseg.analysis.receptive.lookup import cut
from jaxseg.analysis.receptive.trace import CONTROL, Tracer, evaluated


def _inline(parameter: str):
    def call(tracer: Tracer, eqn: JaxprEqn, given, scope):
        inner = eqn.params[parameter]
        closed = inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
        return tracer.run(closed, given, scope)

    return call


def _scan(tracer: Tracer, eqn: JaxprEqn, given, scope):
    """Every turn of the loop by itself, for each sees more than the one before."""
    if not any(isinstance(x, Value) for x in given):
        return evaluated(eqn, given)
    p = eqn.params
    consts, carry = given[: p["num_consts"]], given[p["num_consts"] :][: p["num_carry"]]
    stacked = given[p["num_consts"] + p["num_carry"] :]
    made: list[list[Operand]] = []
    turns = range(p["length"])
    for turn in reversed(turns) if p["reverse"] else turns:
        out = tracer.run(
            p["jaxpr"], [*consts, *carry, *(_layer(tracer.graph, x, turn) for x in stacked)],
            f"{scope}/[{turn}]",
        )  # fmt: skip
        carry = out[: p["num_carry"]]
        made.append(out[p["num_carry"] :])
    if p["reverse"]:
        made.reverse()
    return [*carry, *(_stacked(tracer.graph, list(parts)) for parts in zip(*made, strict=True))]


def _layer(graph: Graph, x: Operand, turn: int) -> Operand:
    """x[turn], without that axis."""
    if isinstance(x, Known):
        leaf = x.leaf and ((x.leaf[0], turn), x.leaf[1] // x.shape[0])
        return Known(x.shape[1:], lambda: x.array[turn], leaf)
    one = cut(graph, x, 0, turn, turn + 1)
    links = [WHOLE, *(same(a) for a in range(len(x.shape) - 1))]
    return graph.node(x.shape[1:], [(one, links)])


def _stacked(graph: Graph, parts: Sequence[Operand]) -> Operand:
    """Parts along a new first axis."""
    shape = parts[0].shape
    if not any(isinstance(x, Value) for x in parts):
        return Known(
            (len(parts), *shape), lambda: np.stack([x.value for x in parts if isinstance(x, Known)])
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
    return [tracer.graph.together(parts[0].shape, [*parts, index])
            for parts in zip(*made, strict=True)]  # fmt: skip


def _while(tracer: Tracer, eqn: JaxprEqn, given, scope):
    """Turn by turn as long as the condition is known; else all numbers of turns together."""
    if not any(isinstance(x, Value) for x in given):
        return evaluated(eqn, given)
    p = eqn.params
    deciding, rest = given[: p["cond_nconsts"]], given[p["cond_nconsts"] :]
    consts, carry = rest[: p["body_nconsts"]], list(rest[p["body_nconsts"] :])
    left = None
    while left is None or left > 0:
        (go_on,) = tracer.run(p["cond_jaxpr"], [*deciding, *carry], scope)
        if isinstance(go_on, Known) and not go_on.value:
            break
        turned = tracer.run(p["body_jaxpr"], [*consts, *carry], scope)
        if isinstance(go_on, Known):
            carry = turned
            continue
        grown = [tracer.graph.together(a.shape, [a, b, go_on])
                 for a, b in zip(carry, turned, strict=True)]  # fmt: skip
        if all(_made_alike(a, b) for a, b in zip(carry, grown, strict=True)):
            break
        carry = grown
        # What one turn moves by a pixel or more has been everywhere after so many.
        left = _pixels(carry) if left is None else left - 1
    return carry


def _made_alike(a: Operand, b: Operand) -> bool:
    if not (isinstance(a, Value) and isinstance(b, Value)):
        return a is b
    return {*a.nodes} == {*b.nodes}


def _pixels(values: Sequence[Operand]) -> int:
    return sum(
        n for x in values if isinstance(x, Value)
        for n, cuts in zip(x.shape, x.cuts, strict=True) if len(cuts) > 1
    )  # fmt: skip


CONTROL |= {
    **dict.fromkeys(("jit", "pjit", "closed_call", "remat2", "checkpoint"), _inline("jaxpr")),
    **dict.fromkeys(("core_call", "custom_jvp_call", "custom_vjp_call"), _inline("call_jaxpr")),
    "scan": _scan,
    "cond": _cond,
    "while": _while,
}
