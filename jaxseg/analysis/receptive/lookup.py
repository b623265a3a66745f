"""Rules of primitives that look up or replace what lies at an index."""

from collections.abc import Sequence

import numpy as np

from jaxseg.analysis.receptive.graph import Graph, Known, Operand, Value
from jaxseg.analysis.receptive.links import WHOLE, Link, Table, Window, same
from jaxseg.analysis.receptive.rules import rule


@rule("dynamic_slice")
def dynamic_slice(graph, params, operands, results):
    """A slice from known positions; from unknown ones, any position of a shortened axis."""
    x, *starts = operands
    shape = results[0].shape
    links: list[Link] = []
    for axis, (n, size, start) in enumerate(
        zip(x.shape, params["slice_sizes"], starts, strict=True)
    ):
        if n == size:
            links.append(same(axis))
        elif isinstance(start, Known):
            links.append(Window(axis, low=-min(max(int(start.value), 0), n - size)))
        else:
            links.append(Window(axis, taps=n - size + 1))
    return [graph.node(shape, [(x, links), *((s, []) for s in starts)])]


@rule("dynamic_update_slice")
def dynamic_update_slice(graph, params, operands, results):
    """A box of the array is replaced."""
    del params, results
    x, new, *starts = operands
    known = _known("dynamic_update_slice", starts)
    first = [min(max(int(s), 0), n - m) for s, n, m in zip(known, x.shape, new.shape, strict=True)]
    return [_replaced(graph, x, new, first)]


@rule(
    "scatter",
    "scatter_add",
    "scatter_mul",
    "scatter_min",
    "scatter_max",
    "scatter-add",
    "scatter-sub",
    "scatter-mul",
    "scatter-min",
    "scatter-max",
)
def scatter(graph, params, operands, results):
    """One box of the array is replaced or added to, as `x.at[2:4].set(y)` does."""
    x, indices, new = operands
    numbers, shape = params["dimension_numbers"], results[0].shape
    (table,) = _known("scatter", [indices])
    if table.size != table.shape[-1] or numbers.operand_batching_dims:
        raise ValueError(
            "receptive_field: a scatter to several places has no rule: update one box at a time."
        )
    # Axes that the update lacks have length 1 in the box.
    box = [1] * len(shape)
    links: list[Link] = [WHOLE] * len(new.shape)
    kept = [a for a in range(len(shape)) if a not in numbers.inserted_window_dims]
    for source, axis in zip(numbers.update_window_dims, kept, strict=True):
        links[source], box[axis] = same(axis), new.shape[source]
    known = isinstance(new, Known)
    new = Known(tuple(box), _never) if known else graph.node(box, [(new, links)])
    first = [0] * len(shape)
    for axis, start in zip(numbers.scatter_dims_to_operand_dims, table.reshape(-1), strict=True):
        last = shape[axis] - box[axis]
        first[axis] = min(max(int(start), 0), last)
        if first[axis] != start and not _clips(params["mode"]):  # JAX drops it
            return [x]
    if params["update_jaxpr"] is not None:  # it adds to what is there, or the like
        old = x
        for axis, (begin, length) in enumerate(zip(first, box, strict=True)):
            old = cut(graph, old, axis, begin, begin + length)
        new = graph.together(box, [old, new], add=True)
    return [_replaced(graph, x, new, first)]


def _replaced(graph: Graph, x: Operand, new: Operand, first: Sequence[int]) -> Operand:
    """The array with a box replaced, axis by axis: before, replaced, behind."""
    for axis, (n, m) in enumerate(zip(x.shape, new.shape, strict=True)):
        if n != m:
            begin, end = first[axis], first[axis] + m
            parts = [
                cut(graph, x, axis, 0, begin),
                cut(graph, x, axis, begin, end),
                cut(graph, x, axis, end, n),
            ]
            rest = [0 if a == axis else f for a, f in enumerate(first)]
            parts[1] = _replaced(graph, parts[1], new, rest)
            return graph.joined(x.shape, [p for p in parts if p.shape[axis]], axis)
    return new


def cut(graph: Graph, x: Operand, axis: int, begin: int, end: int) -> Operand:
    """x[begin:end] along an axis."""
    shape = (*x.shape[:axis], end - begin, *x.shape[axis + 1 :])
    if isinstance(x, Known) or begin == end:
        return Known(shape, _never)
    links: list[Link] = [same(a) for a in range(len(shape))]
    links[axis] = Window(axis, low=-begin)
    return graph.node(shape, [(x, links)])


def _never():
    raise ValueError("receptive_field: an index depends on an updated constant: no rule for that.")


@rule("gather")
def gather(graph, params, operands, results):
    """Slices from many places, along the axes that are indexed."""
    x, indices = operands
    numbers, shape = params["dimension_numbers"], results[0].shape
    offset, mapped = numbers.offset_dims, numbers.start_index_map
    if numbers.operand_batching_dims:
        raise ValueError(
            "receptive_field: a gather with batching dimensions (a vmapped lookup, or "
            "take_along_axis) has no rule: look up with one index for the whole batch."
        )
    free = [a for a in range(len(x.shape)) if a not in numbers.collapsed_slice_dims]
    links: list[Link] = [WHOLE] * len(x.shape)
    for axis, out in zip(free, offset, strict=True):
        links[axis] = same(out)
    places = [a for a in range(len(shape)) if a not in offset]
    edges = [(x, links)]
    if isinstance(indices, Value):
        # The places are free to be anywhere; each result asks for its own index.
        edges.append((indices, [*(same(a) for a in places), WHOLE]))
        for axis in mapped:
            if axis in free and params["slice_sizes"][axis] < x.shape[axis]:
                span = x.shape[axis] - params["slice_sizes"][axis] + 1
                links[axis] = Window(links[axis].axis, taps=span)  # type: ignore[union-attr]
        return [graph.node(shape, edges)]
    if isinstance(x, Known):
        return [graph.node(shape, edges)]
    for n, axis in enumerate(mapped):
        index, taken = indices.value[..., n], params["slice_sizes"][axis]
        last = x.shape[axis] - taken
        if (index == index.flat[0]).all():  # one place: cut it out
            begin = min(max(int(index.flat[0]), 0), last)
            if begin != index.flat[0] and not _clips(params["mode"]):
                return [Known(shape, _never)]  # filled with what is no pixel
            x = cut(graph, x, axis, begin, begin + taken)
        else:
            links[axis] = _indexed(axis, index, x.shape[axis], taken, places, params["mode"])
    edges = [(x, links)]
    return [graph.node(shape, edges)]


def _indexed(axis, index, size, taken, places, mode) -> Link:
    """The link of an axis that a gather with known indices looks up."""
    inside = (index >= 0) & (index <= size - taken)
    start = np.clip(index, 0, size - taken)
    if _clips(mode):
        inside = np.ones_like(inside)
    if taken > 1:
        raise ValueError(
            f"receptive_field: a gather of slices from several places of axis {axis} has no rule: "
            "index single positions, or slice and concatenate."
        )
    varying = [
        n for n, m in enumerate(index.shape) if m > 1 and (np.diff(index, axis=n) != 0).any()
    ]
    if len(varying) > 1:
        raise ValueError(
            "receptive_field: a gather whose indices of one axis vary along several axes of the "
            "result has no rule: index one axis after the other."
        )
    (n,) = varying
    line = tuple(slice(None) if m == n else 0 for m in range(index.ndim))
    rows = np.arange(index.shape[n])
    return Table(places[n], rows[inside[line]], start[line][inside[line]])


def _clips(mode) -> bool:
    """Whether an index out of bounds stands for the nearest within; else for nothing at all."""
    return "CLIP" in str(mode)


def _known(name: str, operands: Sequence[Operand]) -> list[np.ndarray]:
    if any(isinstance(x, Value) for x in operands):
        raise ValueError(
            f"receptive_field: {name} at a position that depends on the input has no rule: which "
            "pixels it replaces is not known before it runs."
        )
    return [x.value for x in operands if isinstance(x, Known)]
