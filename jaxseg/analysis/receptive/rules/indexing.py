"""The positions that gathers and scatters with constant indices read and write.

Both relate an indexed array to an array of slices of it, which a gather takes and a scatter puts.
Positions along some axes of the one determine positions along some axes of the other. `relate`
finds the smallest sets of axes that belong together, so that `x[:, ::2, ::2]` is two relations of
one axis each, and `x[:, i, i]` one relation of two axes of x with one axis of the slices.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxseg.analysis.receptive.arrays import Value
from jaxseg.analysis.receptive.graph import Graph
from jaxseg.analysis.receptive.links import Link, Table, Window, same

_MOST_POSITIONS = 2**22
"""Most positions of axes that have to be followed as one."""


@dataclass(frozen=True)
class Indexing:
    """The dimension numbers of a gather or a scatter, under one name each.

    Attributes:
        window_axes: Axes of the slices that run within one slice.
        dropped_axes: Axes of the array along which a slice has length 1 and that the slices lack.
        start_axes: Axis of the array that each entry of an index vector is about.
        array_batch_axes: Axes of the array that are indexed one entry at a time.
        index_batch_axes: Axes of the indices that run along with them.
        clip: Whether a slice that does not fit is moved until it does; otherwise it is left out.
    """

    window_axes: tuple[int, ...]
    dropped_axes: tuple[int, ...]
    start_axes: tuple[int, ...]
    array_batch_axes: tuple[int, ...]
    index_batch_axes: tuple[int, ...]
    clip: bool

    @classmethod
    def of_gather(cls, params: dict[str, Any]) -> "Indexing":
        """The dimension numbers of a gather's parameters."""
        numbers = params["dimension_numbers"]
        return cls(
            numbers.offset_dims,
            numbers.collapsed_slice_dims,
            numbers.start_index_map,
            numbers.operand_batching_dims,
            numbers.start_indices_batching_dims,
            "CLIP" in str(params["mode"]),
        )

    @classmethod
    def of_scatter(cls, params: dict[str, Any]) -> "Indexing":
        """The dimension numbers of a scatter's parameters."""
        numbers = params["dimension_numbers"]
        return cls(
            numbers.update_window_dims,
            numbers.inserted_window_dims,
            numbers.scatter_dims_to_operand_dims,
            numbers.operand_batching_dims,
            numbers.scatter_indices_batching_dims,
            "CLIP" in str(params["mode"]),
        )

    def window_axis(self, rank: int) -> dict[int, int]:
        """For each axis of an array of `rank` that a slice runs along, the axis of the slices."""
        absent = {*self.dropped_axes, *self.array_batch_axes}
        kept = [axis for axis in range(rank) if axis not in absent]
        return dict(zip(kept, map(int, self.window_axes), strict=True))

    def index_axes(self, slices_rank: int) -> list[int]:
        """The axes of the slices that run over the index vectors, in the order of the indices."""
        return [axis for axis in range(slices_rank) if axis not in self.window_axes]

    def batch_axis(self, slices_rank: int) -> dict[int, int]:
        """For each batch axis of the array, the axis of the slices that runs along with it."""
        axes = self.index_axes(slices_rank)
        pairs = zip(self.array_batch_axes, self.index_batch_axes, strict=True)
        return {int(array_axis): axes[index_axis] for array_axis, index_axis in pairs}


@dataclass(frozen=True, eq=False)
class Relation:
    """Axes of an array and axes of its slices whose positions determine each other.

    Attributes:
        array_axes: Axes of the array, ascending; none if the slices repeat along `slice_axes`.
        slice_axes: Axes of the slices, ascending; none if the position in the array is constant.
        array_positions: Position in the array of each pair, flat over `array_axes`.
        slice_positions: Position in the slices of each pair, flat over `slice_axes`.
    """

    array_axes: tuple[int, ...]
    slice_axes: tuple[int, ...]
    array_positions: np.ndarray
    slice_positions: np.ndarray


def relate(
    indexing: Indexing, array_shape: Sequence[int], slices_shape: Sequence[int], indices: np.ndarray
) -> list[Relation]:
    """The relations between an array and its slices; a relation without pairs is out of bounds.

    Args:
        indexing: Dimension numbers.
        array_shape: Shape of the indexed array.
        slices_shape: Shape of the slices.
        indices: (..., vector) first positions of the slices.

    Raises:
        ValueError: Too many positions would have to be followed as one.
    """
    axes = [
        _axis_positions(indexing, axis, array_shape, slices_shape, indices)
        for axis in range(len(array_shape))
    ]
    groups: list[tuple[list[int], set[int]]] = []
    for axis, positions in enumerate(axes):
        group: tuple[list[int], set[int]] = ([axis], set(positions.slice_axes))
        for other in [other for other in groups if other[1] & group[1]]:
            groups.remove(other)
            group = ([*other[0], *group[0]], other[1] | group[1])
        groups.append(group)
    used = set().union(*(slice_axes for _, slice_axes in groups))
    groups += [([], {axis}) for axis in range(len(slices_shape)) if axis not in used]
    return [
        _relation(sorted(array_axes), sorted(slice_axes), axes, array_shape, slices_shape)
        for array_axes, slice_axes in groups
    ]


@dataclass(frozen=True, eq=False)
class _AxisPositions:
    """Positions along one axis of the array, as a function of positions in the slices.

    Attributes:
        slice_axes: Axes of the slices that the position depends on.
        position: Positions, an array with an axis for each axis of the slices, of length 1 where
            the position does not depend on it.
        inside: Whether the slice lies inside the array, likewise.
    """

    slice_axes: tuple[int, ...]
    position: np.ndarray
    inside: np.ndarray


def _axis_positions(
    indexing: Indexing,
    axis: int,
    array_shape: Sequence[int],
    slices_shape: Sequence[int],
    indices: np.ndarray,
) -> _AxisPositions:
    rank = len(slices_shape)
    window = indexing.window_axis(len(array_shape)).get(axis)
    batch = indexing.batch_axis(rank).get(axis)
    start = np.zeros((1,) * rank, int)
    if axis in indexing.start_axes:
        entry = indices[..., indexing.start_axes.index(axis)].astype(int)
        start = _without_repeats(np.expand_dims(entry, indexing.window_axes))
    elif batch is not None:
        start = _ramp(slices_shape[batch], batch, rank)
    length = 1 if window is None else slices_shape[window]
    last = array_shape[axis] - length
    inside = (start >= 0) & (start <= last)
    start = np.clip(start, 0, last)
    inside = inside | indexing.clip
    position = start if window is None else start + _ramp(length, window, rank)
    slice_axes = {n for n, size in enumerate(position.shape) if size > 1} | {window, batch}
    return _AxisPositions(tuple(n for n in slice_axes if n is not None), position, inside)


def _ramp(length: int, axis: int, rank: int) -> np.ndarray:
    """0, 1, ... along one of `rank` axes."""
    return np.arange(length).reshape([length if n == axis else 1 for n in range(rank)])


def _without_repeats(values: np.ndarray) -> np.ndarray:
    """The values with axes along which they are constant cut to length 1."""
    for axis in range(values.ndim):
        first = values.take([0], axis)
        if (values == first).all():
            values = first
    return values


def _relation(
    array_axes: Sequence[int],
    slice_axes: Sequence[int],
    axes: Sequence[_AxisPositions],
    array_shape: Sequence[int],
    slices_shape: Sequence[int],
) -> Relation:
    sizes = [array_shape[axis] for axis in array_axes]
    shape = [slices_shape[axis] for axis in slice_axes]
    largest = max(math.prod(sizes), math.prod(shape))
    if len(array_axes) + len(slice_axes) > 2 and largest > _MOST_POSITIONS:
        raise ValueError(
            f"receptive_field: indices that vary along several axes at once move {largest} "
            f"positions, more than {_MOST_POSITIONS}, the most that are followed: trace a smaller "
            "image."
        )

    def over_slice_axes(values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values.reshape([values.shape[axis] for axis in slice_axes]), shape)

    inside, flat = np.ones(shape, bool), np.zeros(shape, int)
    for axis, size in zip(array_axes, sizes, strict=True):
        inside = inside & over_slice_axes(axes[axis].inside)
        flat = flat * size + over_slice_axes(axes[axis].position)
    kept = np.flatnonzero(inside)
    return Relation(tuple(array_axes), tuple(slice_axes), flat.reshape(-1)[kept], kept)


# --- axes that are followed as one ---------------------------------------------------------------

Groups = list[tuple[int, ...]]


def merge_axes(graph: Graph, value: Value, groups: Groups) -> Value:
    """The value with each group of its axes as one axis, in the order of the groups."""
    order = [axis for group in groups for axis in group]
    value = _transpose(graph, value, order)
    if len(groups) == len(order):
        return value
    runs = _consecutive(groups)
    sizes = [math.prod(value.shape[axis] for axis in run) for run in runs]
    ends = {0, len(order) - 1}
    features = [
        n for n, group in enumerate(groups) if len(group) > 1 and not ends.isdisjoint(group)
    ]
    return graph.reshape(value, sizes, tuple((run, (n,)) for n, run in enumerate(runs)), features)


def split_axes(graph: Graph, value: Value, groups: Groups, shape: Sequence[int]) -> Value:
    """The value of `shape` from one with each group of its axes as one axis."""
    order = [axis for group in groups for axis in group]
    if len(groups) < len(order):
        runs = _consecutive(groups)
        sizes = [shape[axis] for axis in order]
        value = graph.reshape(value, sizes, tuple(((n,), run) for n, run in enumerate(runs)))
    return _transpose(graph, value, [order.index(axis) for axis in range(len(order))])


def _transpose(graph: Graph, value: Value, order: Sequence[int]) -> Value:
    if list(order) == list(range(len(order))):
        return value
    links = [same(order.index(axis)) for axis in range(len(order))]
    return graph.node([value.shape[axis] for axis in order], [(value, links)])


def _consecutive(groups: Groups) -> Groups:
    """Groups of the same lengths of consecutive axes."""
    ends = np.cumsum([len(group) for group in groups])
    return [tuple(range(end - len(group), end)) for group, end in zip(groups, ends, strict=True)]


def pair_link(
    axis: int, pairs: tuple[np.ndarray, np.ndarray], result: int, size: int, *, merged: bool
) -> Link:
    """The link of pairs of positions: a shift where they are one, or else a table.

    Args:
        axis: Axis of the result.
        pairs: Positions along that axis, and positions along the operand's axis.
        result: Length of the result's axis.
        size: Length of the operand's axis.
        merged: Whether the operand's axis is several axes merged, so that steps along it are not
            steps along an axis of the image.
    """
    rows, columns = pairs
    low = rows[0] - columns[0]
    overlap = min(result, size + low) - max(0, low)
    if len(rows) == overlap and (rows - columns == low).all():
        return Window(axis, low=int(low))
    return Table(axis, rows, columns, repeats=not merged)
