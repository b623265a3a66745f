"""Patches followed backwards along one edge of the graph."""

from dataclasses import dataclass

import numpy as np

from jaxseg.analysis.receptive.arrays import Edge, Node, Reshape
from jaxseg.analysis.receptive.links import AxisLink, Blocks, Table, Whole, Window, linked_axes
from jaxseg.analysis.receptive.patch import Patch, collect, plus, times, total


def pull(edge: Edge | Reshape, node: Node, patch: Patch) -> Patch | None:
    """The patch of an edge's value that a patch of its node sees; None if it sees nothing."""
    if isinstance(edge, Reshape):
        return _pull_through_reshape(edge, node, patch)
    return _pull_through_links(edge, node, patch)


def _pull_through_links(edge: Edge, node: Node, patch: Patch) -> Patch | None:
    linked = linked_axes(edge.links)
    values, origin = patch.values, dict(enumerate(patch.origin))
    for axis in range(len(node.shape)):
        if axis not in linked and values.shape[axis] > 1:
            values = total(values, axis)
    for axis, (source, link) in linked.items():
        pair = _AxisPair(
            _Axis(node.partitions[axis], node.shape[axis]),
            _Axis(edge.value.partitions[source], edge.value.shape[source]),
        )
        if pair.is_copied_by(link):
            continue
        line = pair.pull(link, _Line(origin[axis], values.swapaxes(axis, 0)))
        if not len(line.values):
            return None
        origin[axis], values = line.first, line.values.swapaxes(axis, 0)
    # The axes of the value that no axis of the node moves along are seen whole.
    values = values.squeeze(tuple(axis for axis in range(len(node.shape)) if axis not in linked))
    values = values.transpose(np.argsort([linked[axis][0] for axis in sorted(linked)]))
    for source, link in enumerate(edge.links):
        if isinstance(link, Whole):
            runs = len(edge.value.partitions[source])
            values = np.repeat(np.expand_dims(values, source), runs, source)
    begin = [0] * len(edge.links)
    for axis, (source, _) in linked.items():
        begin[source] = origin[axis]
    return Patch(tuple(begin), values)


def _pull_through_reshape(edge: Reshape, node: Node, patch: Patch) -> Patch:
    """The patch of a reshaped value; it stays a box only along axes that stay axes."""
    value, values, origin = edge.value, patch.values, patch.origin
    shape, begin = [0] * len(value.shape), [0] * len(value.shape)
    for old, new in edge.groups:
        if len(old) == len(new) == 1:
            shape[old[0]], begin[old[0]] = values.shape[new[0]], origin[new[0]]
            continue
        one_run = all(len(value.partitions[axis]) == 1 for axis in old)
        for axis in new:
            if one_run:
                values = values.max(axis, keepdims=True)
            else:
                line = _Line(origin[axis], values.swapaxes(axis, 0))
                filled = _Axis(node.partitions[axis], node.shape[axis]).fill(line)
                values = filled.swapaxes(axis, 0)
        for axis in old:
            shape[axis] = 1 if one_run else value.shape[axis]
    values = values.transpose([axis for _, new in edge.groups for axis in new])
    old_order = [axis for old, _ in edge.groups for axis in old]
    values = values.reshape([shape[axis] for axis in old_order])
    values = values.transpose(np.argsort(old_order))
    for old, new in edge.groups:
        for axis in old:
            runs, size = value.partitions[axis], value.shape[axis]
            if values.shape[axis] <= len(runs):
                continue
            if len(runs) == 1 and not edge.feature_axes.isdisjoint(new):
                values = values.max(axis, keepdims=True)
            else:
                line = _Axis(runs, size).to_runs(_Line(0, values.swapaxes(axis, 0)))
                begin[axis], values = line.first, line.values.swapaxes(axis, 0)
    return Patch(tuple(begin), values)


# --- one axis ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Line:
    """Entries along one axis, which is the first axis of `values`; `first` numbers the first."""

    first: int
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class _Axis:
    """An axis of an array: its partition and its length."""

    runs: np.ndarray
    size: int

    @property
    def by_position(self) -> bool:
        """True if each position is a run of its own."""
        return len(self.runs) == self.size

    def to_positions(self, line: _Line) -> _Line:
        """Entries of positions from entries of runs."""
        if self.by_position:
            return line
        lengths = np.diff(self.runs, append=self.size)
        lengths = lengths[line.first : line.first + len(line.values)]
        return _Line(int(self.runs[line.first]), np.repeat(line.values, lengths, 0))

    def to_runs(self, line: _Line) -> _Line:
        """Entries of runs from entries of positions.

        The entries of a single run add up; of those of several runs the largest counts.
        """
        if self.by_position or not len(line.values):
            return line
        if len(self.runs) == 1:
            return _Line(0, total(line.values, 0))
        position = np.arange(line.first, line.first + len(line.values))
        target = np.searchsorted(self.runs, position, side="right") - 1
        return _Line(int(target[0]), collect(line.values, target, add=False))

    def fill(self, line: _Line) -> np.ndarray:
        """Entries of all positions from entries of some runs."""
        line = self.to_positions(line)
        filled = np.zeros((self.size, *line.values.shape[1:]), line.values.dtype)
        filled[line.first : line.first + len(line.values)] = line.values
        return filled


@dataclass(frozen=True, eq=False)
class _AxisPair:
    """An axis of a node and the axis of an operand that moves along it."""

    node: _Axis
    operand: _Axis

    def is_copied_by(self, link: AxisLink) -> bool:
        """Tell if a link leaves the entries as they are."""
        return (
            isinstance(link, Window)
            and link.is_shift
            and link.low == 0
            and self.node.size == self.operand.size
            and len(self.node.runs) == len(self.operand.runs)
            and (len(self.node.runs) == 1 or self.node.by_position)
        )

    def pull(self, link: AxisLink, line: _Line) -> _Line:
        """The operand's entries that entries of the node see."""
        if isinstance(link, Blocks):
            return self._pull_blocks(link, line)
        if isinstance(link, Window) and link.is_shift:
            return self._pull_shift(link, line)
        if not self.node.by_position and len(self.operand.runs) == 1:
            # All positions see equally many positions of the one run, or all see none.
            pairs = link.pairs(0, self.node.size, self.operand.size)
            each = sum(len(rows) for rows, _ in pairs) // self.node.size
            return _Line(0, times(total(line.values, 0), each)[: min(each, 1)])
        line = self.node.to_positions(line)
        return self.operand.to_runs(_pull_pairs(link, line, self.operand.size))

    def _pull_shift(self, link: Window, line: _Line) -> _Line:
        if self.operand.by_position and self.node.by_position:
            begin = line.first - link.low
            end = max(self.operand.size - begin, 0)  # of the entries that the operand has
            return _Line(max(begin, 0), line.values[max(-begin, 0) : end])
        starts = self.node.runs[line.first : line.first + len(line.values)] - link.low
        inside = np.flatnonzero((starts >= 0) & (starts < self.operand.size))
        values = line.values[inside]
        if not len(inside):
            return _Line(0, values)
        target = np.searchsorted(self.operand.runs, starts[inside], side="right") - 1
        return _Line(int(target[0]), collect(values, target, add=self.node.by_position))

    def _pull_blocks(self, link: Blocks, line: _Line) -> _Line:
        if len(self.operand.runs) == 1:
            return _Line(0, line.values.max(0, keepdims=True))
        line = self.node.to_positions(line)
        block = np.arange(line.first, line.first + len(line.values)) // link.size_out
        merged = collect(line.values, block, add=False)
        repeated = np.repeat(merged, link.size_in, 0)
        return self.operand.to_runs(_Line(int(block[0]) * link.size_in, repeated))


def _pull_pairs(link: Window | Table, line: _Line, size: int) -> _Line:
    """Entries of positions of the operand, whose axis has `size`, from entries of positions."""
    pairs = link.pairs(line.first, len(line.values), size)
    if not pairs:
        return _Line(0, line.values[:0])
    begin = min(int(columns.min()) for _, columns in pairs)
    end = max(int(columns.max()) for _, columns in pairs) + 1
    values = np.zeros((end - begin, *line.values.shape[1:]), line.values.dtype)
    for rows, columns in pairs:
        # No column is in one pair of arrays twice, so the assignment loses nothing.
        values[columns - begin] = plus(values[columns - begin], line.values[rows])
    return _Line(begin, values)
