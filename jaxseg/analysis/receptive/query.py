"""What some positions of an array see of the input: the graph run backwards, exactly.

A patch is a box of an array with an entry for each run of positions (see `cuts`): whether it is
seen, or along how many paths.
"""

from dataclasses import dataclass

import numpy as np

from jaxseg.analysis.receptive.graph import Edge, Graph, Node, Relaid, Value
from jaxseg.analysis.receptive.links import Blocks, Link, Table, Whole, Window


@dataclass(frozen=True, eq=False)
class Patch:
    """`values` over a box whose first run along each axis is `origin`."""

    origin: tuple[int, ...]
    values: np.ndarray

    def trimmed(self) -> "Patch | None":
        """Without empty margins; None where nothing is left."""
        origin, values = [], self.values
        for axis in range(values.ndim):
            rest = tuple(a for a in range(values.ndim) if a != axis)
            (seen,) = np.nonzero((values != 0).any(rest))
            if not len(seen):
                return None
            origin.append(self.origin[axis] + int(seen[0]))
            values = _part(values, axis, int(seen[0]), int(seen[-1]) + 1)
        return Patch(tuple(origin), values)


def seen_from(graph: Graph, value: Value, patch: Patch) -> tuple[Patch | None, float]:
    """The patch of the input that a patch of `value` sees.

    With it the largest entry on the way, where entries are float64, which may be infinite.
    """
    waiting: dict[int, Patch] = {}
    largest = 0.0
    _spread(waiting, value, patch)
    for number in range(max(waiting), 0, -1):
        got = waiting.pop(number, None)
        got = got and got.trimmed()
        if got is None:
            continue
        largest = max(largest, _largest(got))
        node = graph.nodes[number]
        for edge in node.edges:
            back = _relay(edge, node, got) if isinstance(edge, Relaid) else _pull(edge, node, got)
            if back is not None:
                _spread(waiting, edge.value, back)
    got = waiting.get(0)
    got = got and got.trimmed()
    return got, largest if got is None else max(largest, _largest(got))


def _largest(patch: Patch) -> float:
    return float(patch.values.max()) if patch.values.dtype == np.float64 else 0.0


def _spread(waiting: dict[int, Patch], value: Value, patch: Patch) -> None:
    """Hand a patch of a value on to each of its nodes."""
    for node, times in zip(value.nodes, value.times, strict=True):
        part = patch if times == 1 else Patch(patch.origin, _times(patch.values, times))
        for axis, (fine, coarse) in enumerate(zip(value.cuts, node.cuts, strict=True)):
            if len(fine) != len(coarse):
                part = _coarser(part, axis, fine, coarse, value.shape[axis])
        old = waiting.get(node.number)
        waiting[node.number] = part if old is None else _sum(old, part)


def _coarser(patch: Patch, axis: int, fine, coarse, size: int) -> Patch:
    """A patch over fewer runs. Rows and columns add up, runs of channels do not."""
    first, count = patch.origin[axis], patch.values.shape[axis]
    into = np.searchsorted(coarse, fine[first : first + count], side="right") - 1
    values = _gathered(patch.values, axis, into, add=len(fine) == size)
    origin = (*patch.origin[:axis], int(into[0]), *patch.origin[axis + 1 :])
    return Patch(origin, values)


def _sum(a: Patch, b: Patch) -> Patch:
    low = [min(p, q) for p, q in zip(a.origin, b.origin, strict=True)]
    high = [
        max(p + m, q + n)
        for p, m, q, n in zip(a.origin, a.values.shape, b.origin, b.values.shape, strict=True)
    ]
    total = np.zeros([h - lo for lo, h in zip(low, high, strict=True)], a.values.dtype)
    for patch in (a, b):
        at = tuple(
            slice(p - lo, p - lo + n)
            for p, lo, n in zip(patch.origin, low, patch.values.shape, strict=True)
        )
        if total.dtype == bool:
            total[at] |= patch.values
        else:
            total[at] += patch.values
    return Patch(tuple(low), total)


def _add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a | b if a.dtype == bool else a + b


# --- edges -------------------------------------------------------------------------------------


def _pull(edge: Edge, node: Node, patch: Patch) -> Patch | None:
    """The patch of an edge's value that a patch of its node sees."""
    used = {link.axis: axis for axis, link in enumerate(edge.links) if not isinstance(link, Whole)}
    values, origin = patch.values, list(patch.origin)
    for axis in range(len(node.shape)):
        if axis in edge.mixed and values.shape[axis] > 1 and axis not in used:
            values = values.max(axis, keepdims=True)
    for axis in range(len(node.shape)):
        if axis not in used and values.shape[axis] > 1:
            values = _all(values, axis)
    for axis, mine in used.items():
        first, values = _along(
            edge.links[mine],
            axis,
            values,
            origin[axis],
            node.cuts[axis],
            node.shape[axis],
            edge.value.cuts[mine],
            edge.value.shape[mine],
        )
        if not values.shape[axis]:
            return None
        origin[axis] = first
    # Axes of the value that the node does not follow come in whole.
    left = [axis for axis in range(len(node.shape)) if axis not in used]
    values = values.squeeze(tuple(left))
    order = sorted(used)
    mine = [used[a] for a in order]
    values = values.transpose(np.argsort(mine))
    for axis, link in enumerate(edge.links):
        if isinstance(link, Whole):
            values = np.repeat(np.expand_dims(values, axis), len(edge.value.cuts[axis]), axis)
    start = [0] * len(edge.links)
    for axis in order:
        start[used[axis]] = origin[axis]
    return Patch(tuple(start), values)


def _all(values: np.ndarray, axis: int) -> np.ndarray:
    if values.dtype == bool:
        return np.any(values, axis, keepdims=True)
    return np.sum(values, axis, keepdims=True, dtype=values.dtype)


def _along(link: Link, axis, values, first, node_cuts, node_size, cuts, size):
    """Pull along one axis; the first run and the entries of the value's runs."""
    if isinstance(link, Blocks):
        return _along_blocks(link, axis, values, first, node_cuts, node_size, cuts, size)
    if isinstance(link, Window) and link.is_shift:
        if len(cuts) == size and len(node_cuts) == node_size:
            begin, end = first - link.low, first - link.low + values.shape[axis]
            cut = max(-begin, 0), values.shape[axis] - max(end - size, 0)
            return max(begin, 0), _part(values, axis, *cut)
        return _along_runs(link, axis, values, first, node_cuts, node_size, cuts, size)
    assert isinstance(link, Window | Table)
    if len(node_cuts) < node_size and len(cuts) == 1:
        # All positions see equally many of the one run.
        seen = sum(len(rows) for rows, _ in link.pairs(0, node_size, size))
        return 0, _times(_all(values, axis), seen // node_size)
    first, values = _by_position(axis, values, first, node_cuts, node_size)
    begin, values = _along_positions(link, axis, values, first, size)
    return _by_run(axis, values, begin, cuts, size)


def _along_positions(link: Window | Table, axis, values, first, size):
    count = values.shape[axis]
    pairs = link.pairs(first, count, size)
    if not pairs:
        return 0, _part(values, axis, 0, 0)
    low = min(int(columns.min()) for _, columns in pairs)
    high = max(int(columns.max()) for _, columns in pairs)
    moved = np.moveaxis(values, axis, 0)
    out = np.zeros((high - low + 1, *moved.shape[1:]), values.dtype)
    for rows, columns in pairs:
        # No column is there twice, so that nothing is lost in the assignment.
        out[columns - low] = _add(out[columns - low], moved[rows])
    return low, np.moveaxis(out, 0, axis)


def _along_runs(link: Window, axis, values, first, node_cuts, node_size, cuts, size):
    """A shift between axes of which one at least is in runs of many positions."""
    starts = node_cuts[first : first + values.shape[axis]] - link.low
    keep = np.flatnonzero((starts >= 0) & (starts < size))
    values = np.take(values, keep, axis)
    if not len(keep):
        return 0, values
    into = np.searchsorted(cuts, starts[keep], side="right") - 1
    return int(into[0]), _gathered(values, axis, into, add=len(node_cuts) == node_size)


def _gathered(values: np.ndarray, axis: int, into: np.ndarray, *, add: bool) -> np.ndarray:
    """Entries i of an axis go to place `into[i]`, ascending, from the first one's on.

    Those of one place add up, or where they are runs of channels, the largest counts.
    """
    merge = np.add if add and values.dtype != bool else np.maximum
    where = np.concatenate([[0], 1 + np.flatnonzero(np.diff(into))])
    some = merge.reduceat(values, where, axis=axis, dtype=values.dtype)
    begin, end = int(into[0]), int(into[-1])
    full = np.zeros((*some.shape[:axis], end + 1 - begin, *some.shape[axis + 1 :]), some.dtype)
    full[(slice(None),) * axis + (into[where] - begin,)] = some
    return full


def _along_blocks(link: Blocks, axis, values, first, node_cuts, node_size, cuts, size):
    if len(cuts) == 1:
        return 0, values.max(axis, keepdims=True)
    first, values = _by_position(axis, values, first, node_cuts, node_size)
    group = np.arange(first, first + values.shape[axis]) // link.size_out
    merged = _gathered(values, axis, group, add=False)
    begin = int(group[0]) * link.size_in
    return _by_run(axis, np.repeat(merged, link.size_in, axis), begin, cuts, size)


def _by_position(axis, values, first, cuts, size):
    """Entries for positions in place of runs."""
    if len(cuts) == size:
        return first, values
    ends = np.append(cuts[1:], size)
    lengths = (ends - cuts)[first : first + values.shape[axis]]
    return int(cuts[first]), np.repeat(values, lengths, axis)


def _by_run(axis, values, begin, cuts, size):
    """Entries for runs in place of positions: a single run adds up, several take the largest."""
    if len(cuts) == size or not values.shape[axis]:
        return begin, values
    if len(cuts) == 1:
        return 0, _all(values, axis)
    positions = np.arange(begin, begin + values.shape[axis])
    into = np.searchsorted(cuts, positions, side="right") - 1
    return int(into[0]), _gathered(values, axis, into, add=False)


def _times(values: np.ndarray, count: int) -> np.ndarray:
    return values if values.dtype == bool else values * count


def _relay(edge: Relaid, node: Node, patch: Patch) -> Patch:
    """A patch through a reshape, which keeps boxes only where an axis stays an axis."""
    values, origin, value = patch.values, list(patch.origin), edge.value
    order = [a for _, new in edge.groups for a in new]
    back = [a for old, _ in edge.groups for a in old]
    shape, start = [0] * len(back), [0] * len(back)
    for old, new in edge.groups:
        one = all(len(value.cuts[a]) == 1 for a in old)
        if len(old) == len(new) == 1:
            shape[old[0]], start[old[0]] = values.shape[new[0]], origin[new[0]]
            continue
        for a in new:
            values = (
                values.max(a, keepdims=True)
                if one
                else (_filled(values, a, origin[a], node.cuts[a], node.shape[a]))
            )
        for a in old:
            shape[a] = 1 if one else value.shape[a]
    values = values.transpose(order).reshape([shape[a] for a in back])
    values = values.transpose(np.argsort(back))
    for old, new in edge.groups:
        for a in old:
            cuts, size = value.cuts[a], value.shape[a]
            if values.shape[a] > len(cuts) == 1 and edge.features in new:
                values = values.max(a, keepdims=True)
            elif values.shape[a] > len(cuts):
                start[a], values = _by_run(a, values, 0, cuts, size)
    return Patch(tuple(start), values)


def _filled(values, axis, first, cuts, size):
    """Entries for all positions of an axis."""
    first, values = _by_position(axis, values, first, cuts, size)
    shape = (*values.shape[:axis], size, *values.shape[axis + 1 :])
    out = np.zeros(shape, values.dtype)
    out[(slice(None),) * axis + (slice(first, first + values.shape[axis]),)] = values
    return out


def _part(values: np.ndarray, axis: int, begin: int, end: int) -> np.ndarray:
    return values[(slice(None),) * axis + (slice(begin, max(end, begin)),)]
