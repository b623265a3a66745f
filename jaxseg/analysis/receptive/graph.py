"""The graph of a function's arrays: which positions of which array each is made from.

Elementwise operations leave no trace in it: their result depends on what their operands depend on,
position by position. So an array is a `Value`, a sum of the `Node`s that it is made from, and the
nodes are what moves positions: convolutions, slices, reductions.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxseg.analysis.receptive import cuts, lattice
from jaxseg.analysis.receptive.lattice import Lattice
from jaxseg.analysis.receptive.links import WHOLE, Link, Whole, Window, same

Groups = tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]


@dataclass(frozen=True, eq=False)
class Edge:
    """What a node takes from a value: a link for each of the value's axes.

    `mixed` are axes of the node along which it takes the same from the value at every position,
    such as the features of a convolution: positions, but no paths of their own.
    """

    value: "Value"
    links: tuple[Link, ...]
    mixed: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class Relaid:
    """A reshape: groups (axes of the value, axes of the node) that hold the same positions.

    `features` is the node's axis of features, if it has one left: positions along it are no pixels.
    """

    value: "Value"
    groups: "Groups"
    features: int | None


@dataclass(frozen=True, eq=False)
class Node:
    """An array made by something other than elementwise operations; `number` counts them."""

    number: int
    shape: tuple[int, ...]
    edges: tuple[Edge | Relaid, ...]
    cuts: tuple[np.ndarray, ...]
    fields: tuple[Lattice, ...]


@dataclass(frozen=True, eq=False)
class Value:
    """A sum of nodes of one shape, position by position; `times` says how often each is in it."""

    nodes: tuple[Node, ...]
    times: tuple[int, ...]
    extents: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.nodes[0].shape

    @functools.cached_property
    def cuts(self) -> tuple[np.ndarray, ...]:
        """Partition of each axis."""
        if len(self.nodes) == 1:
            return self.nodes[0].cuts
        return tuple(
            functools.reduce(cuts.both, parts)
            for parts in zip(*(node.cuts for node in self.nodes), strict=True)
        )

    @functools.cached_property
    def fields(self) -> tuple[Lattice, ...]:
        """For each spatial axis of the input, what is seen of it."""
        return tuple(
            functools.reduce(lambda a, b: lattice.union(a, b, self.shape, extent), parts)
            for extent, parts in zip(
                self.extents, zip(*(node.fields for node in self.nodes), strict=True), strict=True
            )
        )


@dataclass(frozen=True)
class Leaf:
    """A parameter with its entries, all its layers (of its first axis) or one of them."""

    number: Any
    size: int
    layers: int
    layer: int | None = None


@dataclass(eq=False)
class Known:
    """An array that does not depend on the input; its values are computed only where asked for.

    `leaf` is the parameter that it is, if it is one; `learned` arrays are made of parameters,
    whose zeros may be of today only.
    """

    shape: tuple[int, ...]
    make: Callable[[], Any] = field(repr=False)
    leaf: Leaf | None = None
    learned: bool = False

    @functools.cached_property
    def array(self) -> Any:
        """The array itself."""
        return self.make()

    @functools.cached_property
    def value(self) -> np.ndarray:
        """Its values.

        Raises:
            ValueError: it is being traced by a transformation around.
        """
        try:
            return np.asarray(self.array)
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
            raise ValueError(
                "receptive_field: an index, a condition or a matrix is needed by value, but is "
                "being traced: call receptive_field outside of jit, vmap and grad, or make it a "
                "constant of the function."
            ) from error


Operand = Value | Known


class Graph:
    """Nodes in the order in which they were made."""

    def __init__(self, extents: Sequence[int]):
        self.extents = tuple(extents)
        self.nodes: list[Node] = []

    def input(self, shape: Sequence[int]) -> Value:
        """The image batch: a run for every row and column, one for the batch and the channels."""
        parts = (cuts.one(), *(cuts.each(n) for n in self.extents), cuts.one())
        fields = tuple(lattice.start(1 + a) for a in range(len(self.extents)))
        return self._add(shape, (), parts, fields)

    def node(
        self,
        shape: Sequence[int],
        edges: Sequence[tuple[Operand, Sequence[Link]]],
        mixed: Sequence[int] = (),
        pixels: Sequence[int] = (),
    ) -> Value:
        """An array of `shape` made from operands, those that are known left out.

        Along the axes `mixed` all positions take the same, as features do (see `Edge`); along
        `pixels` they do too, but each is a pixel of its own.

        Raises:
            ValueError: two axes of an operand move along the same axis, as a diagonal's do.
        """
        kept = tuple(
            Edge(value, tuple(links), frozenset(mixed))
            for value, links in edges
            if isinstance(value, Value)
        )
        assert kept
        parts = [cuts.each(n) if a in pixels else cuts.one() for a, n in enumerate(shape)]
        for edge in kept:
            followed = [link.axis for link in edge.links if not isinstance(link, Whole)]
            if len({*followed}) < len(followed):
                raise ValueError(
                    "receptive_field: two axes of an array are looked up along one axis of the "
                    "result, as for a diagonal, which has no rule: look up one after the other."
                )
            for axis, link in enumerate(edge.links):
                if not isinstance(link, Whole):
                    new = cuts.behind(
                        link, edge.value.cuts[axis], edge.value.shape[axis], shape[link.axis]
                    )
                    parts[link.axis] = cuts.both(parts[link.axis], new)
        fields = []
        for axis, extent in enumerate(self.extents):
            seen = [
                lattice.through(edge.value.fields[axis], edge.links, edge.value.shape, shape)
                for edge in kept
            ]
            fields.append(functools.reduce(lambda a, b: lattice.union(a, b, shape, extent), seen))
        return self._add(shape, kept, tuple(parts), tuple(fields))

    def joined(self, shape: Sequence[int], operands: Sequence[Operand], axis: int) -> Operand:
        """Operands side by side along an axis."""
        edges, lengths, first = [], [], 0
        for operand in operands:
            links = [same(a) for a in range(len(shape))]
            links[axis] = Window(axis, low=first)
            edges.append((operand, links))
            lengths.append(operand.shape[axis])
            first += operand.shape[axis]
        kept = tuple(Edge(v, tuple(links)) for v, links in edges if isinstance(v, Value))
        parts = []
        for a, n in enumerate(shape):
            parts.append(
                functools.reduce(
                    cuts.both,
                    (cuts.behind(e.links[a], e.value.cuts[a], e.value.shape[a], n) for e in kept),
                )
            )
        fields = tuple(
            lattice.joined(
                [
                    (
                        lattice.through(v.fields[i], links, v.shape, shape)
                        if isinstance(v, Value)
                        else None,
                        length,
                    )
                    for (v, links), length in zip(edges, lengths, strict=True)
                ],
                axis,
                shape,
            )
            for i in range(len(self.extents))
        )
        return self._add(shape, kept, tuple(parts), fields)

    def relaid(
        self, value: Value, shape: Sequence[int], groups: Groups, features: int | None
    ) -> Value:
        """The value reshaped; `groups` and `features` as in `Relaid`, every axis in a group."""
        parts = [cuts.one()] * len(shape)
        fields = list(value.fields)
        # Axes in one-to-one groups may have other numbers in the result.
        for old, new in groups:
            if any(len(value.cuts[a]) > 1 for a in old):
                for a in new:
                    parts[a] = cuts.each(shape[a])
            if len(old) == len(new) == 1:
                parts[new[0]] = value.cuts[old[0]]
        for i, one in enumerate(fields):
            fields[i] = _relaid_field(one, value.shape, shape, groups)
        edge = Relaid(value, groups, features)
        return self._add(shape, (edge,), tuple(parts), tuple(fields))

    def _add(self, shape, edges, parts, fields) -> Value:
        fields = tuple(map(lattice.settled, fields, self.extents))
        node = Node(len(self.nodes), tuple(shape), edges, parts, fields)
        self.nodes.append(node)
        return Value((node,), (1,), self.extents)

    def together(
        self, shape: Sequence[int], operands: Sequence[Operand], *, add: bool = False
    ) -> Operand:
        """The result of an elementwise operation, at least one of whose operands is a `Value`.

        With `add` the paths of the operands add up; else a node that several operands hold counts
        as often as in the one that holds it most.
        """
        times: dict[Node, int] = {}
        values = [v for v in (self._fitted(x, shape) for x in operands) if isinstance(v, Value)]
        if len(values) == 1:
            return values[0]
        for value in values:
            for node, n in zip(value.nodes, value.times, strict=True):
                old = times.get(node, 0)
                times[node] = old + n if add else max(old, n)
        total = Value(tuple(times), tuple(times.values()), self.extents)
        if len(times) <= _MOST_NODES:
            return total
        # One node for many: or else a residual net of L blocks would come to L^2 of them.
        return self.node(shape, [(total, [same(a) for a in range(len(shape))])])

    def _fitted(self, x: Operand, shape: Sequence[int]) -> Operand:
        """A scalar, or axes of length 1, repeated to `shape`."""
        if isinstance(x, Known) or x.shape == tuple(shape):
            return x
        links = [same(a) if n == shape[a] else WHOLE for a, n in enumerate(x.shape)]
        return self.node(shape, [(x, links)], pixels=repeated(links, shape))


_MOST_NODES = 8


def repeated(links: Sequence[Link], shape: Sequence[int]) -> list[int]:
    """Axes along which a broadcast repeats pixels: neither the batch's nor the features'."""
    followed = {link.axis for link in links if not isinstance(link, Whole)}
    return [a for a in range(1, len(shape) - 1) if a not in followed]


def _relaid_field(one: Lattice, sizes, result, groups) -> Lattice:
    """Group by group, under numbers that are nobody's until all are done."""
    count = len(sizes)
    # First every axis of the operand keeps its number, those of the result come after.
    extended = (*sizes, *result)
    for old, new in groups:
        if any(a in one.axes for a in old):
            one = lattice.reshaped(one, old, [count + a for a in new], extended, extended)
    return Lattice(tuple(a - count for a in one.axes), one.jumps, one.lo, one.hi)
