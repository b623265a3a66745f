"""The interpreter: it runs a jaxpr over `Value`s and `Constant`s and makes the graph of arrays."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import JaxprEqn, Literal

from jaxseg.analysis.receptive.arrays import Constant, Operand, Parameter, Value
from jaxseg.analysis.receptive.constants import constant, evaluate
from jaxseg.analysis.receptive.graph import Graph
from jaxseg.analysis.receptive.multiply_adds import multiply_adds
from jaxseg.analysis.receptive.registry import CONTROL_FLOW, RULES


class Scope:
    """Record of one named scope: its last array, its parameters and its multiply-adds."""

    value: Value | None = None
    parameters: int = 0
    multiply_adds: int = 0


class Interpreter:
    """Runs jaxprs, equation by equation, and notes what each named scope computes.

    Attributes:
        graph: Nodes that were made so far.
        scopes: What was computed under each name; "" is the whole function.
        counting: Whether multiply-adds are counted; a rule that runs a jaxpr twice switches it off.
    """

    def __init__(self, graph: Graph):
        """Interpret into a graph."""
        self.graph = graph
        self.scopes: dict[str, Scope] = {}
        self.counting = True
        self._used_layers: dict[Any, set[int]] = {}

    def run(self, closed_jaxpr: Any, operands: Sequence[Operand], scope: str) -> list[Operand]:
        """The results of a closed jaxpr, whose equations stand under `scope`."""
        jaxpr = closed_jaxpr.jaxpr
        arrays: dict[Any, Operand] = {
            var: constant(array, id(array) if isinstance(array, jax.Array) else None)
            for var, array in zip(jaxpr.constvars, closed_jaxpr.consts, strict=True)
        }
        arrays.update(zip(jaxpr.invars, operands, strict=True))

        def read(var) -> Operand:
            if isinstance(var, Literal):
                return Constant(np.shape(var.val), lambda: var.val)
            return arrays[var]

        for equation in jaxpr.eqns:
            given = [read(var) for var in equation.invars]
            # Undocumented, though in all of JAX's own messages; a test of `summary` guards it.
            names = str(equation.source_info.name_stack)
            inner_scope = f"{scope}/{names}" if scope and names else scope or names
            results = self._equation(equation, given, inner_scope)
            arrays.update(zip(equation.outvars, results, strict=True))
        return [read(var) for var in jaxpr.outvars]

    def _equation(
        self, equation: JaxprEqn, operands: list[Operand], scope: str
    ) -> Sequence[Operand]:
        name = equation.primitive.name
        if name in CONTROL_FLOW:
            return CONTROL_FLOW[name](self, equation, operands, scope)
        self.count(scope, equation, operands)
        avals: list[Any] = [var.aval for var in equation.outvars]
        if not avals:  # a print or a check
            return []
        if not any(isinstance(x, Value) for x in operands):
            return evaluate(equation, operands)
        if name not in RULES:
            raise ValueError(
                f"receptive_field: the primitive {name!r} has no rule, so what it sees is not "
                "known: register one with jaxseg.analysis.receptive.rule"
                f"({name!r}), or keep it out of the function."
            )
        if not any(math.prod(aval.shape) for aval in avals):  # empty arrays
            return [constant(np.zeros(aval.shape)) for aval in avals]
        results = RULES[name](self.graph, equation.params, operands, avals)
        if name == "name":  # jax.ad_checkpoint.checkpoint_name
            scope = f"{scope}/{equation.params['name']}"
        for value in results:
            if isinstance(value, Value) and len(value.shape) >= 2:
                for path in _enclosing_scopes(scope):
                    self.scopes.setdefault(path, Scope()).value = value
        return results

    def count(self, scope: str, equation: JaxprEqn, operands: Sequence[Operand]) -> None:
        """Count the multiply-adds of an equation, and the parameters that it is first to use."""
        new_parameters = sum(
            self._first_use(x.parameter)
            for x in operands
            if isinstance(x, Constant) and x.parameter is not None
        )
        work = multiply_adds(equation) if self.counting else 0
        if new_parameters or work:
            for path in _enclosing_scopes(scope):
                entry = self.scopes.setdefault(path, Scope())
                entry.parameters += new_parameters
                entry.multiply_adds += work

    def _first_use(self, parameter: Parameter) -> int:
        """Number of entries of a parameter that are used for the first time, layer by layer."""
        layers = {*range(parameter.layers)} if parameter.layer is None else {parameter.layer}
        used = self._used_layers.setdefault(parameter.key, set())
        new = layers - used
        used |= new
        return parameter.size * len(new) // parameter.layers


def _enclosing_scopes(scope: str) -> list[str]:
    """The scope and all that hold it; "" is the whole function."""
    parts = [part for part in scope.split("/") if part]
    return ["/".join(parts[:n]) for n in range(len(parts) + 1)]
