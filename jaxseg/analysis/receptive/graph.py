"""The graph of a function's arrays: which positions of which array each one is made from."""

import functools
from collections.abc import Sequence

from jaxseg.analysis.receptive import lattice, partition
from jaxseg.analysis.receptive.arrays import (
    AxisGroups,
    Constant,
    Edge,
    Node,
    Operand,
    Reshape,
    Value,
)
from jaxseg.analysis.receptive.lattice import Lattice
from jaxseg.analysis.receptive.links import (
    WHOLE,
    Link,
    Whole,
    Window,
    identities,
    linked_axes,
    same,
)

_MOST_NODES = 8
"""Most nodes of a value. A residual net of L blocks would otherwise come to L^2 of them."""


class Graph:
    """Nodes in the order in which they were made."""

    def __init__(self, input_size: Sequence[int]):
        """Start a graph over an input with these spatial axes, in pixels."""
        self.input_size = tuple(input_size)
        self.nodes: list[Node] = []

    def input(self, shape: Sequence[int]) -> Value:
        """The image batch: a run for each row and column, one for the batch and the channels."""
        space = [partition.each(n) for n in self.input_size]
        fields = [lattice.identity(1 + axis) for axis in range(len(self.input_size))]
        return self._add(shape, (), (partition.one(), *space, partition.one()), fields)

    def node(
        self,
        shape: Sequence[int],
        edges: Sequence[tuple[Operand, Sequence[Link]]],
        pixels: Sequence[int] = (),
    ) -> Value:
        """Make an array from operands, of which constants are left out.

        Args:
            shape: Shape of the array.
            edges: Operands, at least one of which is a `Value`, each with a link for every axis.
            pixels: Axes along which all positions take the same, but each is a pixel of its own,
                not a feature.

        Raises:
            ValueError: Two axes of an operand are linked to the same axis of the array, or no
                operand is a `Value`.
        """
        kept = [Edge(value, tuple(links)) for value, links in edges if isinstance(value, Value)]
        if not kept:
            raise ValueError(
                "receptive_field: a rule makes an array from constants alone, as a rule is called "
                "only if some operand depends on the input: pass that operand as an edge."
            )
        parts = [
            partition.each(n) if axis in pixels else partition.one() for axis, n in enumerate(shape)
        ]
        for edge in kept:
            linked = [link.axis for link in edge.links if not isinstance(link, Whole)]
            if len({*linked}) < len(linked):
                raise ValueError(
                    "receptive_field: a rule links two axes of an operand to one axis of the "
                    "result: merge the two axes with Graph.reshape first."
                )
            for axis, new in self._partitions_through(edge, shape).items():
                parts[axis] = partition.refine(parts[axis], new)
        fields = []
        for axis, extent in enumerate(self.input_size):
            by_edge = [
                lattice.through_links(edge.value.fields[axis], edge.links, edge.value.shape, shape)
                for edge in kept
            ]
            fields.append(
                functools.reduce(lambda a, b: lattice.union(a, b, shape, extent), by_edge)
            )
        return self._add(shape, kept, parts, fields)

    @staticmethod
    def _partitions_through(edge: Edge, shape: Sequence[int]) -> dict:
        """The partition of each axis of a result that an edge leads to."""
        value = edge.value
        return {
            axis: partition.through_link(
                link, value.partitions[source], value.shape[source], shape[axis]
            )
            for axis, (source, link) in linked_axes(edge.links).items()
        }

    def concatenate(self, shape: Sequence[int], operands: Sequence[Operand], axis: int) -> Operand:
        """Join operands, at least one of which is a `Value`, side by side along an axis."""
        edges, begin = [], 0
        for operand in operands:
            links = identities(len(shape))
            links[axis] = Window(axis, low=begin)
            edges.append((operand, tuple(links)))
            begin += operand.shape[axis]
        kept = [Edge(value, links) for value, links in edges if isinstance(value, Value)]
        by_edge = [self._partitions_through(edge, shape) for edge in kept]
        parts = [
            functools.reduce(partition.refine, (parts[a] for parts in by_edge))
            for a in range(len(shape))
        ]

        def field_of(operand: Operand, links: Sequence[Link], input_axis: int) -> Lattice | None:
            if isinstance(operand, Constant):
                return None
            return lattice.through_links(operand.fields[input_axis], links, operand.shape, shape)

        fields = [
            lattice.concatenate(
                [(field_of(operand, links, i), operand.shape[axis]) for operand, links in edges],
                axis,
                shape,
            )
            for i in range(len(self.input_size))
        ]
        return self._add(shape, kept, parts, fields)

    def reshape(
        self,
        value: Value,
        shape: Sequence[int],
        groups: AxisGroups,
        feature_axes: Sequence[int] = (),
    ) -> Value:
        """Reshape a value.

        Args:
            value: Operand.
            shape: Shape of the result.
            groups: Which axes become which; every axis, of length 1 too, is in a group.
            feature_axes: Axes of the result whose positions are not pixels (see `Reshape`).
        """
        parts = [partition.one()] * len(shape)
        for old, new in groups:
            if len(old) == len(new) == 1:
                parts[new[0]] = value.partitions[old[0]]
            elif any(len(value.partitions[axis]) > 1 for axis in old):
                for axis in new:
                    parts[axis] = partition.each(shape[axis])
        fields = [_reshape_field(field, value.shape, shape, groups) for field in value.fields]
        edge = Reshape(value, groups, frozenset(feature_axes))
        return self._add(shape, [edge], parts, fields)

    def elementwise(
        self, shape: Sequence[int], operands: Sequence[Operand], *, add: bool = False
    ) -> Operand:
        """The result of an elementwise operation, at least one of whose operands is a `Value`.

        Args:
            shape: Shape of the result.
            operands: Arrays of that shape, scalars, or arrays with axes of length 1.
            add: Whether the paths of the operands add up. Otherwise a node that several operands
                hold counts as often as in the operand that holds it most.
        """
        values = [
            value
            for value in (self._broadcast(operand, shape) for operand in operands)
            if isinstance(value, Value)
        ]
        if len(values) == 1:
            return values[0]
        counts: dict[Node, int] = {}
        for value in values:
            for node, count in zip(value.nodes, value.multiplicities, strict=True):
                before = counts.get(node, 0)
                counts[node] = before + count if add else max(before, count)
        total = Value(tuple(counts), tuple(counts.values()), self.input_size)
        if len(counts) <= _MOST_NODES:
            return total
        return self.node(shape, [(total, identities(len(shape)))])

    def crop(self, value: Value, axis: int, begin: int, end: int) -> Value:
        """value[begin:end] along an axis."""
        links = identities(len(value.shape))
        links[axis] = Window(axis, low=-begin)
        shape = (*value.shape[:axis], end - begin, *value.shape[axis + 1 :])
        return self.node(shape, [(value, links)])

    def _broadcast(self, operand: Operand, shape: Sequence[int]) -> Operand:
        """A scalar, or an array with axes of length 1, repeated to `shape`."""
        if isinstance(operand, Constant) or operand.shape == tuple(shape):
            return operand
        links = [same(axis) if n == shape[axis] else WHOLE for axis, n in enumerate(operand.shape)]
        return self.node(shape, [(operand, links)], pixels=repeated_pixels(links, shape))

    def _add(self, shape, edges, partitions, fields) -> Value:
        fields = tuple(map(lattice.whole_if_everywhere, fields, self.input_size))
        node = Node(len(self.nodes), tuple(shape), tuple(edges), tuple(partitions), fields)
        self.nodes.append(node)
        return Value((node,), (1,), self.input_size)


def repeated_pixels(links: Sequence[Link], shape: Sequence[int]) -> list[int]:
    """Axes along which a broadcast to `shape` repeats pixels: not the batch's nor the features'."""
    linked = linked_axes(links)
    return [axis for axis in range(1, len(shape) - 1) if axis not in linked]


def _reshape_field(
    field: Lattice, sizes: Sequence[int], result_sizes: Sequence[int], groups: AxisGroups
) -> Lattice:
    """Reshape a lattice, group by group."""
    # Until all groups are done, the axes of the operand keep their numbers, and those of the
    # result come after them.
    count, all_sizes = len(sizes), (*sizes, *result_sizes)
    for old, new in groups:
        if any(axis in field.axes for axis in old):
            shifted = [count + axis for axis in new]
            field = lattice.reshape(field, old, shifted, all_sizes, all_sizes)
    return Lattice(tuple(axis - count for axis in field.axes), field.jumps, field.bounds)
