"""From a jaxpr to the graph of its arrays: the interpreter."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal

from jaxseg.analysis.receptive.graph import Graph, Known, Leaf, Operand, Value
from jaxseg.analysis.receptive.rules import RULES

# Primitives that hold jaxprs of their own: name -> (tracer, equation, operands, scope) -> results.
CONTROL: dict[str, Callable[["Tracer", JaxprEqn, list[Operand], str], Sequence[Operand]]] = {}


class Tracer:
    """Runs a jaxpr over `Value`s and `Known` arrays, and notes what each named scope made."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.scopes: dict[str, Scope] = {}
        self.counting = True
        self._used: dict[Any, set[int]] = {}

    def run(self, closed: ClosedJaxpr, operands: Sequence[Operand], scope: str) -> list[Operand]:
        """The results of a jaxpr, whose equations stand under `scope`."""
        env: dict[Any, Operand] = {}
        for var, const in zip(closed.jaxpr.constvars, closed.consts, strict=True):
            env[var] = constant(const, id(const) if isinstance(const, jax.Array) else None)
        env.update(zip(closed.jaxpr.invars, operands, strict=True))

        def read(var) -> Operand:
            if isinstance(var, Literal):
                return Known(np.shape(var.val), lambda: var.val)
            return env[var]

        for eqn in closed.jaxpr.eqns:
            given = [read(var) for var in eqn.invars]
            # Undocumented, though everywhere in JAX's own messages; a test of `summary` guards it.
            names = str(eqn.source_info.name_stack)
            here = f"{scope}/{names}" if scope and names else scope or names
            made = self._equation(eqn, given, here)
            env.update(zip(eqn.outvars, made, strict=True))
        return [read(var) for var in closed.jaxpr.outvars]

    def _equation(self, eqn: JaxprEqn, given: list[Operand], scope: str) -> list[Operand]:
        name = eqn.primitive.name
        results: list[Any] = [var.aval for var in eqn.outvars]
        if name in CONTROL:
            return list(CONTROL[name](self, eqn, given, scope))
        self.count(scope, eqn, given)
        if not results:  # a message to print, a check
            return []
        if not any(isinstance(x, Value) for x in given):
            return evaluated(eqn, given)
        if name not in RULES:
            raise ValueError(
                f"receptive_field: the primitive {name!r} has no rule, so what it sees is not "
                "known: register one with jaxseg.analysis.receptive.rules.rule"
                f"({name!r}), or keep it out of the function."
            )
        if not any(math.prod(aval.shape) for aval in results):  # nothing of an array
            return [constant(np.zeros(aval.shape)) for aval in results]
        made = list(RULES[name](self.graph, eqn.params, given, results))
        self._note(f"{scope}/{eqn.params['name']}" if name == "name" else scope, made)
        return made

    def _note(self, scope: str, made: Sequence[Operand]) -> None:
        for value in made:
            if isinstance(value, Value) and len(value.shape) >= 2:
                for path in _paths(scope):
                    self.scopes.setdefault(path, Scope()).value = value

    def count(self, scope: str, eqn: JaxprEqn, given: Sequence[Operand]) -> None:
        """Parameters that are used here first, and multiply-adds."""
        fresh = sum(self._first_use(x.leaf) for x in given if isinstance(x, Known) and x.leaf)
        work = multiply_adds(eqn) if self.counting else 0
        if fresh or work:
            for path in _paths(scope):
                entry = self.scopes.setdefault(path, Scope())
                entry.parameters += fresh
                entry.multiply_adds += work

    def _first_use(self, leaf: Leaf) -> int:
        """How much of a parameter is used for the first time, a layer of a stack at a time."""
        layers = {*range(leaf.layers)} if leaf.layer is None else {leaf.layer}
        seen = self._used.setdefault(leaf.number, set())
        fresh = layers - seen
        seen |= fresh
        return leaf.size * len(fresh) // leaf.layers


class Scope:
    """What was made under one name: the last array, parameters, multiply-adds."""

    value: Value | None = None
    parameters: int = 0
    multiply_adds: int = 0


def _paths(scope: str) -> list[str]:
    """The scope and all that hold it; "" is the whole function."""
    parts = [part for part in scope.split("/") if part]
    return ["/".join(parts[:n]) for n in range(len(parts) + 1)]


def constant(array: Any, number: Any = None, *, learned: bool = False) -> Known:
    """An array from outside, a parameter if it has a number and floats."""
    shape = tuple(array.shape) if hasattr(array, "shape") else np.shape(array)
    is_leaf = number is not None and jnp.issubdtype(array.dtype, jnp.inexact)
    leaf = Leaf(number, math.prod(shape), max(shape[0], 1) if shape else 1) if is_leaf else None
    return Known(shape, lambda: array, leaf, learned)


def evaluated(eqn: JaxprEqn, given: Sequence[Operand]) -> list[Operand]:
    """The results of an equation of known arrays, computed once, if ever."""

    @functools.cache
    def values():
        out = eqn.primitive.bind(*(x.array for x in given if isinstance(x, Known)), **eqn.params)
        return out if eqn.primitive.multiple_results else [out]

    avals: list[Any] = [var.aval for var in eqn.outvars]
    learned = any(x.learned for x in given if isinstance(x, Known))
    return [
        Known(a.shape, functools.partial(lambda n: values()[n], n), learned=learned)
        for n, a in enumerate(avals)
    ]


def multiply_adds(eqn: JaxprEqn) -> int:
    """Multiplications of the products and convolutions of an equation, padding included."""
    name, params = eqn.primitive.name, eqn.params
    avals: list[Any] = [var.aval for var in (*eqn.outvars[:1], *eqn.invars)]
    if name not in ("dot_general", "conv_general_dilated", "jaxseg_trilinear"):
        return 0
    result, *shapes = [aval.shape for aval in avals]
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        return math.prod(result) * math.prod(shapes[0][a] for a in contracted)
    if name == "conv_general_dilated":
        numbers = params["dimension_numbers"]
        taps = math.prod(shapes[1]) // shapes[1][numbers.rhs_spec[0]]
        if math.prod(params["lhs_dilation"]) > 1:  # upwards: each input pixel meets each tap
            pixels = math.prod(shapes[0]) // shapes[0][numbers.lhs_spec[1]]
            features = shapes[1][numbers.rhs_spec[0]]
            return pixels * features * taps // math.prod(params["window_strides"])
        return math.prod(result) * taps
    return _trilinear(params["geometry"], params["mode"], shapes, result)


def _trilinear(g, mode: str, shapes, result) -> int:
    """Members x batch x output pixels x taps x features of both, over the groups."""
    y = {"y": result, "x": shapes[0], "k": shapes[1]}[mode]
    k = result if mode == "k" else shapes[1]
    return math.prod(y) * math.prod(g.window) * k[-2]


# --- from a function to its jaxpr ---------------------------------------------------------------


def traced(
    fn: Callable, x: Any, prepare: Callable[[Any], Callable] = lambda fn: fn
) -> tuple[Tracer, list[Operand], Any]:
    """Interpret `fn` at `x`: the tracer, what it made, and the avals of that as they were nested.

    Args:
        fn: as for `receptive_field`.
        x: likewise.
        prepare: what to do to an nnx module, a copy made for this trace, before it is called.
    """
    shape = tuple(getattr(x, "shape", ()))
    if not hasattr(x, "dtype") or not 3 <= len(shape) <= 5 or math.prod(shape) == 0:
        raise ValueError(
            f"receptive_field: x of shape {shape} is no image batch: give an array or a "
            "jax.ShapeDtypeStruct (batch, *space, channels) with 1, 2 or 3 spatial axes."
        )
    given = fn if isinstance(fn, functools.partial) else functools.partial(fn)
    module = isinstance(given.func, nnx.Module)
    # Split, for a module's shared parts are shared in what is merged, too.
    parts = nnx.split(given.func) if module else (None, given.func)
    held = jax.tree.leaves(parts[1], is_leaf=_is_variable)
    is_param = [isinstance(v, nnx.Param) for v in held for _ in jax.tree.leaves(v)]
    leaves, tree = jax.tree.flatten((parts[1], given.args, given.keywords))
    is_param += [not module] * (len(leaves) - len(is_param))
    arrays = {
        i: leaf
        for i, leaf in enumerate(leaves)
        if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct)
        or (module and isinstance(leaf, np.ndarray))
    }

    def call(arrays, image):
        func, args, keywords = jax.tree.unflatten(
            tree, [arrays.get(i, leaf) for i, leaf in enumerate(leaves)]
        )
        if parts[0] is not None:
            func = prepare(nnx.merge(parts[0], func))
        return func(*args, image, **keywords)

    closed, out = jax.make_jaxpr(call, return_shape=True)(
        arrays, jax.ShapeDtypeStruct(shape, x.dtype)
    )
    graph = Graph(shape[1:-1])
    tracer = Tracer(graph)
    known = [
        constant(
            a,
            i if is_param[i] or not module else None,
            learned=(is_param[i] and module) or isinstance(a, jax.ShapeDtypeStruct),
        )
        for i, a in arrays.items()
    ]
    return tracer, tracer.run(closed, [*known, graph.input(shape)], ""), out


def _is_variable(leaf: Any) -> bool:
    return isinstance(leaf, nnx.Variable)
