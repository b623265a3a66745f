"""Rules of primitives that read at an index."""

from collections.abc import Sequence

import numpy as np

from jaxseg.analysis.receptive.arrays import Constant, Operand, Value, unknown_entries
from jaxseg.analysis.receptive.graph import Graph
from jaxseg.analysis.receptive.links import WHOLE, Link, Window, same
from jaxseg.analysis.receptive.registry import rule
from jaxseg.analysis.receptive.rules.indexing import (
    Indexing,
    Relation,
    merge_axes,
    pair_link,
    relate,
    split_axes,
)


@rule("dynamic_slice")
def _dynamic_slice(graph, params, operands, results):
    """A slice from constant positions, or from any position where that depends on the input."""
    x, *starts = operands
    links: list[Link] = []
    for axis, (n, size, start) in enumerate(
        zip(x.shape, params["slice_sizes"], starts, strict=True)
    ):
        if n == size:
            links.append(same(axis))
        elif isinstance(start, Constant):
            links.append(Window(axis, low=-clamp(int(start.value), n, size)))
        else:
            links.append(Window(axis, taps=n - size + 1))
    return [graph.node(results[0].shape, [(x, links), *((start, []) for start in starts)])]


def clamp(start: int, n: int, size: int) -> int:
    """The first position of a slice of `size` of an axis of `n`, which JAX moves inside."""
    return min(max(start, 0), n - size)


@rule("gather")
def _gather(graph, params, operands, results):
    """Slices from constant places, or from any place where the indices depend on the input."""
    x, indices = operands
    indexing, shape = Indexing.of_gather(params), results[0].shape
    if isinstance(indices, Value):
        return [_gather_anywhere(graph, x, indices, indexing, params["slice_sizes"], shape)]
    relations = relate(indexing, x.shape, shape, indices.value)
    if not all(len(relation.array_positions) for relation in relations):
        return [Constant(shape, unknown_entries)]  # filled with what is no pixel
    array_groups = [r.array_axes for r in relations if r.array_axes]
    slice_groups = sorted(r.slice_axes for r in relations if r.slice_axes)
    merged = merge_axes(graph, x, array_groups)
    taken = _take(graph, merged, relations, slice_groups, shape)
    return [split_axes(graph, taken, slice_groups, shape)]


def _take(
    graph: Graph,
    x: Value,
    relations: Sequence[Relation],
    slice_groups: list[tuple[int, ...]],
    shape: Sequence[int],
) -> Value:
    """Slices of an array, the axes of each relation merged on both sides.

    Args:
        graph: Graph of the value.
        x: Array, an axis for each relation that has array axes, in their order.
        relations: Relations between the array and the slices.
        slice_groups: Axes of the slices that are merged, in the order of the result.
        shape: Shape of the slices before their axes are merged.
    """
    sizes = [int(np.prod([shape[axis] for axis in group])) for group in slice_groups]
    ends = {0, len(shape) - 1}  # the batch and the features, which are no pixels
    links: list[Link] = []
    pixels = []
    for relation in relations:
        if not relation.array_axes:  # the slices repeat
            pixels += [slice_groups.index(relation.slice_axes)]
            continue
        axis = len(links)
        if not relation.slice_axes:
            begin = int(relation.array_positions[0])
            x = graph.crop(x, axis, begin, begin + 1) if x.shape[axis] > 1 else x
            links.append(WHOLE)
            continue
        target = slice_groups.index(relation.slice_axes)
        pairs = relation.slice_positions, relation.array_positions
        merged = len(relation.array_axes) > 1
        link = pair_link(target, pairs, sizes[target], x.shape[axis], merged=merged)
        # Features that all see the same stay one run, in whatever order they are taken.
        one_run = len(x.partitions[axis]) == 1 and ends.issuperset(relation.slice_axes)
        complete = len(relation.slice_positions) == sizes[target]
        shift = isinstance(link, Window)
        links.append(WHOLE if one_run and complete and not shift else link)
    pixels = [axis for axis in pixels if ends.isdisjoint(slice_groups[axis])]
    return graph.node(sizes, [(x, links)], pixels=pixels)


def _gather_anywhere(
    graph: Graph,
    x: Operand,
    indices: Value,
    indexing: Indexing,
    slice_sizes: Sequence[int],
    shape: Sequence[int],
) -> Value:
    """Slices from places that are not known: each may be anywhere, and depends on its index."""
    links: list[Link] = [WHOLE] * len(x.shape)
    for axis, target in indexing.batch_axis(len(shape)).items():
        links[axis] = same(target)
    for axis, target in indexing.window_axis(len(x.shape)).items():
        places = x.shape[axis] - slice_sizes[axis] + 1 if axis in indexing.start_axes else 1
        links[axis] = Window(target, taps=places)
    index_links = [*(same(axis) for axis in indexing.index_axes(len(shape))), WHOLE]
    return graph.node(shape, [(x, links), (indices, index_links)])
