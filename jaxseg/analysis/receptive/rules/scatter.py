"""Rules of primitives that write at an index."""

from collections.abc import Sequence

import numpy as np

from jaxseg.analysis.receptive.arrays import Constant, Operand, Value, unknown_entries
from jaxseg.analysis.receptive.graph import Graph
from jaxseg.analysis.receptive.links import WHOLE, Link, identities, same
from jaxseg.analysis.receptive.registry import rule
from jaxseg.analysis.receptive.rules.gather import clamp
from jaxseg.analysis.receptive.rules.indexing import (
    Indexing,
    Relation,
    merge_axes,
    pair_link,
    relate,
    split_axes,
)


@rule("dynamic_update_slice")
def _dynamic_update_slice(graph, params, operands, results):
    """A box of the array is replaced."""
    del params, results
    x, update, *starts = operands
    first = [
        clamp(int(start), n, size)
        for start, n, size in zip(
            _constant_values("dynamic_update_slice", starts), x.shape, update.shape, strict=True
        )
    ]
    return [_replace_box(graph, x, update, first)]


@rule("scatter")
def _scatter_set(graph, params, operands, results):
    """Positions of the array are replaced, as by `x.at[:, ::2].set(y)`."""
    if params["update_jaxpr"] is not None:  # x.at[...].apply(fn): each position by itself
        _constant_values("scatter", operands[1:2])
        return [graph.elementwise(results[0].shape, operands[:1])]
    return [_scatter(graph, params, operands, combine=False)]


@rule(
    "scatter-add",
    "scatter-sub",
    "scatter-mul",
    "scatter-min",
    "scatter-max",
    "scatter_add",
    "scatter_sub",
    "scatter_mul",
    "scatter_min",
    "scatter_max",
)
def _scatter_combine(graph, params, operands, results):
    """Positions of the array are combined with something: they depend on both."""
    del results
    return [_scatter(graph, params, operands, combine=True)]


def _scatter(graph: Graph, params, operands: Sequence[Operand], *, combine: bool) -> Operand:
    """Put updates into an array, or combine them with what is there."""
    x, indices, updates = operands
    (places,) = _constant_values("scatter", [indices])
    relations = relate(Indexing.of_scatter(params), x.shape, updates.shape, places)
    if not all(len(relation.array_positions) for relation in relations):
        return x  # JAX drops what is out of bounds
    if not combine:
        _check_unique(relations, updates)
    box = _as_box(graph, relations, x.shape, updates)
    if box is None:
        return _scatter_pieces(graph, x, updates, relations, combine=combine)
    first, update = box
    if combine:
        present = x
        for axis, (begin, size) in enumerate(zip(first, update.shape, strict=True)):
            present = _crop(graph, present, axis, begin, begin + size)
        update = graph.elementwise(update.shape, [present, update], add=True)
    return _replace_box(graph, x, update, first)


def _constant_values(name: str, indices: Sequence[Operand]) -> list[np.ndarray]:
    """The entries of indices, which must not depend on the input."""
    constants = [index for index in indices if isinstance(index, Constant)]
    if len(constants) < len(indices):
        raise ValueError(
            f"receptive_field: {name} at a position that depends on the input has no rule, for "
            "which pixels it replaces is known only when it runs: give constant indices, or choose "
            "between two arrays with jnp.where."
        )
    return [index.value for index in constants]


def _check_unique(relations: Sequence[Relation], updates: Operand) -> None:
    """Refuse to replace a position twice, as JAX does not say which update stays."""
    twice = any(
        len(np.unique(relation.array_positions)) < len(relation.array_positions)
        for relation in relations
    )
    if twice and isinstance(updates, Value):
        raise ValueError(
            "receptive_field: a scatter replaces a position more than once, and JAX does not say "
            "which update stays: give each index once, or use .at[...].add."
        )


# --- a box ---------------------------------------------------------------------------------------


def _as_box(
    graph: Graph, relations: Sequence[Relation], shape: Sequence[int], updates: Operand
) -> tuple[list[int], Operand] | None:
    """(first positions, updates with all axes of the array), if the updates fill one box."""
    first, box = [0] * len(shape), [1] * len(shape)
    links: list[Link] = [WHOLE] * len(updates.shape)
    for relation in relations:
        if len(relation.array_axes) > 1 or len(relation.slice_axes) > 1:
            return None
        positions = relation.array_positions
        size = updates.shape[relation.slice_axes[0]] if relation.slice_axes else 1
        if len(positions) != size or (np.diff(positions) != 1).any():
            return None
        for axis in relation.array_axes:
            first[axis], box[axis] = int(positions[0]), size
            for source in relation.slice_axes:
                links[source] = same(axis)
    if isinstance(updates, Constant):
        return first, Constant(tuple(box), unknown_entries)
    return first, graph.node(box, [(updates, links)])


def _replace_box(graph: Graph, x: Operand, update: Operand, first: Sequence[int]) -> Operand:
    """Replace the box at `first`, axis by axis: what lies before it, in it and behind it."""
    for axis, (n, size) in enumerate(zip(x.shape, update.shape, strict=True)):
        if n != size:
            begin, end = first[axis], first[axis] + size
            others = [0 if a == axis else position for a, position in enumerate(first)]
            parts = [
                _crop(graph, x, axis, 0, begin),
                _replace_box(graph, _crop(graph, x, axis, begin, end), update, others),
                _crop(graph, x, axis, end, n),
            ]
            return graph.concatenate(x.shape, [part for part in parts if part.shape[axis]], axis)
    return update


def _crop(graph: Graph, x: Operand, axis: int, begin: int, end: int) -> Operand:
    """x[begin:end] along an axis."""
    if isinstance(x, Value) and begin < end:
        return graph.crop(x, axis, begin, end)
    return Constant((*x.shape[:axis], end - begin, *x.shape[axis + 1 :]), unknown_entries)


# --- any other positions -------------------------------------------------------------------------


def _scatter_pieces(
    graph: Graph, x: Operand, updates: Operand, relations: Sequence[Relation], *, combine: bool
) -> Operand:
    """Put updates at any positions, the axes of each relation merged on both sides."""
    placing = [relation for relation in relations if relation.array_axes]
    groups = [relation.array_axes for relation in placing]
    shape = [int(np.prod([x.shape[axis] for axis in group])) for group in groups]
    edges = []
    if isinstance(x, Value) and not combine:
        merged = merge_axes(graph, x, groups)
        edges += [(merged, links) for links in _links_of_rest(placing, shape)]
    if isinstance(updates, Value):
        edges.append(_placed(graph, updates, relations, shape))
    if not edges:
        return x if combine else Constant(x.shape, unknown_entries)
    placed = split_axes(graph, graph.node(shape, edges), groups, x.shape)
    return graph.elementwise(x.shape, [x, placed], add=True) if combine else placed


def _placed(
    graph: Graph, updates: Value, relations: Sequence[Relation], shape: Sequence[int]
) -> tuple[Value, list[Link]]:
    """The updates and their links to an array of `shape`, whose axes are the placing relations."""
    slice_groups = sorted(r.slice_axes for r in relations if r.slice_axes)
    merged = merge_axes(graph, updates, slice_groups)
    # An axis of length 1 for each relation that the updates lack, none where all come together.
    aligned: list[Link] = [WHOLE] * len(slice_groups)
    sizes, links = [], []
    for relation in [relation for relation in relations if relation.array_axes]:
        axis, size = len(sizes), 1
        if relation.slice_axes:
            source = slice_groups.index(relation.slice_axes)
            aligned[source], size = same(axis), merged.shape[source]
        sizes.append(size)
        pairs = relation.array_positions, relation.slice_positions
        several = len(relation.slice_axes) > 1
        links.append(pair_link(axis, pairs, shape[axis], size, merged=several))
    return graph.node(sizes, [(merged, aligned)]), links


def _links_of_rest(relations: Sequence[Relation], shape: Sequence[int]) -> list[list[Link]]:
    """Links that copy the positions of an array that are not replaced, in disjoint pieces.

    A position stays if its place along some axis is not among the replaced ones. The n-th piece
    holds those for which the n-th axis is the first such axis.
    """
    pieces, links = [], identities(len(shape))
    for axis, (relation, size) in enumerate(zip(relations, shape, strict=True)):
        replaced = np.unique(relation.array_positions)
        rest = np.setdiff1d(np.arange(size), replaced)
        if len(rest):
            pieces.append([*links])
            merged = len(relation.array_axes) > 1
            pieces[-1][axis] = pair_link(axis, (rest, rest), size, size, merged=merged)
            links[axis] = pair_link(axis, (replaced, replaced), size, size, merged=merged)
    return pieces
