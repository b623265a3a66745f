"""Jaxprs inside of equations, read the same way under every version of JAX.

The names of such parameters are not public, and they change: from JAX 0.12 on a scan no longer
says how many of its operands are constants, and a closed jaxpr is a jaxpr. So whatever follows from
the operands and results is taken from these.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jax.extend.core import ClosedJaxpr


def inner_jaxpr(params: dict[str, Any]) -> Any:
    """The closed jaxpr that a call, such as `jax.jit` or `jax.checkpoint`, runs.

    Args:
        params: Parameters of the equation.

    Raises:
        ValueError: There is no jaxpr among the parameters.
    """
    for name in ("jaxpr", "call_jaxpr"):
        if name in params:
            return closed(params[name])
    raise ValueError(
        f"receptive_field: a call without a jaxpr, whose parameters are {sorted(params)}, cannot "
        "be followed: this version of JAX is not known; see pyproject.toml for those that are."
    )


def closed(jaxpr: Any) -> Any:
    """The jaxpr with its constants, of which an open one has none."""
    return jaxpr if hasattr(jaxpr, "consts") else ClosedJaxpr(jaxpr, ())


class ScanOperands(NamedTuple):
    """Numbers of a scan's operands that are constant, carried and scanned over, in that order."""

    constants: int
    carried: int
    scanned: int


def scan_operands(equation: Any) -> ScanOperands:
    """Count the operands of a scan by their use.

    What the body takes or returns at each step has one axis less inside than outside; what is
    constant or carried has the same shape.
    """
    body = closed(equation.params["jaxpr"]).jaxpr
    scanned = _changed_ranks(equation.invars, body.invars)
    stacked = _changed_ranks(equation.outvars, body.outvars)
    carried = len(body.outvars) - stacked
    return ScanOperands(len(body.invars) - carried - scanned, carried, scanned)


def _changed_ranks(outside: Sequence[Any], inside: Sequence[Any]) -> int:
    return sum(
        len(outer.aval.shape) != len(inner.aval.shape)
        for outer, inner in zip(outside, inside, strict=True)
    )


class WhileOperands(NamedTuple):
    """Numbers of a while loop's operands for its condition, for its body, and carried by both."""

    of_condition: int
    of_body: int
    carried: int


def while_operands(equation: Any) -> WhileOperands:
    """Count the operands of a while loop by their use, in the order of the equation."""
    condition = closed(equation.params["cond_jaxpr"]).jaxpr
    body = closed(equation.params["body_jaxpr"]).jaxpr
    carried = len(equation.outvars)
    return WhileOperands(len(condition.invars) - carried, len(body.invars) - carried, carried)
