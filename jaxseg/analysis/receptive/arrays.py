"""Stand-ins for a function's arrays, which the interpreter computes with.

A `Value` depends on the input image, a `Constant` does not. Elementwise operations leave no trace:
their result depends on what their operands depend on, position by position. So a `Value` is a sum
of the `Node`s that it is made from, and nodes are made by what moves positions: convolutions,
slices, reductions.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxseg.analysis.receptive import lattice, partition
from jaxseg.analysis.receptive.lattice import Lattice
from jaxseg.analysis.receptive.links import Link

AxisGroups = tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
"""Pairs (axes of an operand, axes of a result) that hold the same positions, in a reshape."""


@dataclass(frozen=True, eq=False)
class Edge:
    """Connection of a node to a value that it is made from.

    Attributes:
        value: Operand.
        links: Link of each of the value's axes.
    """

    value: "Value"
    links: tuple[Link, ...]


@dataclass(frozen=True, eq=False)
class Reshape:
    """Connection of a reshaped node to the value that it is made from.

    Attributes:
        value: Operand.
        groups: Which axes of the value become which axes of the node; every axis is in a group.
        feature_axes: Axes of the node whose positions are features or images of the batch, not
            pixels.
    """

    value: "Value"
    groups: AxisGroups
    feature_axes: frozenset[int]


@dataclass(frozen=True, eq=False)
class Node:
    """An array made by something other than elementwise operations.

    Attributes:
        number: Place in the order in which the nodes of the graph were made.
        shape: Shape of the array.
        edges: What the array is made from.
        partitions: Partition of each axis.
        fields: For each spatial axis of the input, what is seen of it.
    """

    number: int
    shape: tuple[int, ...]
    edges: tuple[Edge | Reshape, ...]
    partitions: tuple[np.ndarray, ...]
    fields: tuple[Lattice, ...]


@dataclass(frozen=True, eq=False)
class Value:
    """An array that depends on the input: a sum of nodes of one shape, position by position.

    Attributes:
        nodes: Terms of the sum.
        multiplicities: How often each node is in the sum.
        input_size: Spatial size of the input.
    """

    nodes: tuple[Node, ...]
    multiplicities: tuple[int, ...]
    input_size: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.nodes[0].shape

    @functools.cached_property
    def partitions(self) -> tuple[np.ndarray, ...]:
        """Partition of each axis."""
        if len(self.nodes) == 1:
            return self.nodes[0].partitions
        return tuple(
            functools.reduce(partition.refine, parts)
            for parts in zip(*(node.partitions for node in self.nodes), strict=True)
        )

    @functools.cached_property
    def fields(self) -> tuple[Lattice, ...]:
        """For each spatial axis of the input, what is seen of it."""
        by_axis = zip(*(node.fields for node in self.nodes), strict=True)
        return tuple(
            functools.reduce(lambda a, b: lattice.union(a, b, self.shape, extent), fields)
            for extent, fields in zip(self.input_size, by_axis, strict=True)
        )


@dataclass(frozen=True)
class Parameter:
    """A parameter of a net, or one layer of a stack of parameters.

    Attributes:
        key: What tells parameters apart.
        size: Number of entries, all layers together.
        layers: Length of the first axis, along which a scan takes layers.
        layer: Index of the one layer that is meant; None for all of them.
    """

    key: Any
    size: int
    layers: int
    layer: int | None = None


@dataclass(eq=False)
class Constant:
    """An array that does not depend on the input; its entries are computed only where needed.

    Attributes:
        shape: Shape of the array.
        make: Computes the array.
        parameter: The parameter that the array is, if it is one.
        learned: Whether it is made from parameters, so that its zeros may not stay zeros.
    """

    shape: tuple[int, ...]
    make: Callable[[], Any] = field(repr=False)
    parameter: Parameter | None = None
    learned: bool = False

    @functools.cached_property
    def array(self) -> Any:
        """The array itself, which may be traced by a transformation around."""
        return self.make()

    @functools.cached_property
    def value(self) -> np.ndarray:
        """The entries of the array.

        Raises:
            ValueError: The array is being traced by a transformation around.
        """
        try:
            return np.asarray(self.array)
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
            raise ValueError(
                "receptive_field: an index, a condition or a matrix is needed by value, but is "
                "being traced: call receptive_field outside of jit, vmap and grad, or make it a "
                "constant of the function."
            ) from error


Operand = Value | Constant


def unknown_entries() -> Any:
    """The entries of a constant that was made from pieces whose entries are not kept.

    Raises:
        ValueError: Always, as its entries are asked for.
    """
    raise ValueError(
        "receptive_field: an index, a condition or a matrix is needed by value, but was assembled "
        "from constants together with arrays that depend on the input: compute it by itself."
    )
