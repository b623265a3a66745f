"""The lattice of a result from the lattice of an operand and the links between them."""

import math
from collections.abc import Sequence

import numpy as np

from jaxseg.analysis.receptive.lattice.intervals import EMPTY, Intervals, expand, hull_of
from jaxseg.analysis.receptive.lattice.periodic import Lattice, canonical
from jaxseg.analysis.receptive.links import Blocks, Link, Table, Whole, Window

_LONGEST_PERIOD = 1024
"""Longest period, in rows, that a table is searched for."""


def through_links(
    field: Lattice, links: Sequence[Link], sizes: Sequence[int], result_sizes: Sequence[int]
) -> Lattice:
    """The lattice of a result whose operand is linked to it axis by axis.

    Args:
        field: Lattice of the operand.
        links: Link of each of the operand's axes.
        sizes: Shape of the operand.
        result_sizes: Shape of the result.
    """
    axes, jumps, bounds = [], [], field.bounds
    for axis, jump in zip(field.axes, field.jumps, strict=True):
        # The axis at work is always the first dimension; done, it becomes the last.
        link = links[axis]
        if isinstance(link, Whole):
            bounds = expand(bounds, jump, sizes[axis]).hull(0)
            continue
        through = _THROUGH[type(link)]
        bounds, jump = through(link, bounds, jump, sizes[axis], result_sizes[link.axis])
        bounds = bounds.map(lambda a: np.moveaxis(a, 0, -1))
        axes.append(link.axis)
        jumps.append(jump)
    return canonical(Lattice(tuple(axes), tuple(jumps), bounds))


# Each function below takes a link, the intervals with the linked axis first, its jump and the
# lengths of the axis in the operand and in the result; it returns the new intervals and jump.


def _through_window(link: Window, bounds: Intervals, jump: int | None, size: int, result: int):
    if jump is None:
        return _list_pairs(link, bounds, size, result), None
    phases = len(bounds.lo)
    if link.is_shift and phases == 1:
        return bounds.map(lambda a: a - link.low * jump), jump
    spread_phases = link.spread * phases
    period = spread_phases // math.gcd(link.step, spread_phases)
    position, by_tap = np.arange(period), []
    for tap in range(link.taps):
        spread_position = position * link.step + (tap * link.dilation - link.low)
        operand = spread_position // link.spread
        taken = bounds.map(lambda a, p=operand: a[p % phases]).shift(operand // phases * jump)
        by_tap.append(taken.keep(spread_position == operand * link.spread))
    return hull_of(by_tap).normalize(), jump * (period * link.step // spread_phases)


def _list_pairs(link: Window | Table, bounds: Intervals, size: int, result: int) -> Intervals:
    """Listed intervals of the result; what lies outside of the operand is not seen."""
    lo = np.full((result, *bounds.lo.shape[1:]), EMPTY)
    hi = -lo
    for rows, columns in link.pairs(0, result, size):
        np.minimum.at(lo, rows, bounds.lo[columns])
        np.maximum.at(hi, rows, bounds.hi[columns])
    return Intervals(lo, hi)


def _through_table(link: Table, bounds: Intervals, jump: int | None, size: int, result: int):
    listed = _list_pairs(link, expand(bounds, jump, size), size, result)
    if jump is None:
        return listed, None
    repeated = _as_repeated_rows(link, bounds, jump, result) if link.repeats else None
    resized = _as_resize(link, listed, jump, len(bounds.lo), size)
    return repeated or resized or (listed, None)


def _as_resize(link: Table, listed: Intervals, jump: int, phases: int, size: int):
    """The lattice of a table that resizes an axis; None if the table does not.

    `listed` are the intervals of the result, position by position; `phases` and `jump` are those
    of the operand, whose axis has `size` positions.
    """
    result = len(listed.lo)
    common = math.gcd(size, result)
    times = phases // math.gcd(phases, size // common)
    if common % times:
        return None
    period = result // common * times
    jump = jump * (size // common * times) // phases
    # The middle of what each position sees must lie on the line of a resize.
    first, last = np.full(result, size), np.full(result, -1)
    np.minimum.at(first, link.rows, link.columns)
    np.maximum.at(last, link.rows, link.columns)
    line = (np.arange(result) + 0.5) * (size / result) - 0.5
    off_line = np.abs((first + last) / 2 - line) > max(1.0, size / result / 2)
    if off_line.any() or (last < 0).any():
        return None
    repetitions = result // period
    lo, hi = listed.map(lambda a: a.reshape(repetitions, period, *a.shape[1:])).shift(
        -np.arange(repetitions) * jump
    )
    hull = Intervals(lo, hi).hull(0)
    # At the borders a resize sees less, in the middle every repetition sees the same.
    if not ((lo == hull.lo) & (hi == hull.hi)).any(0).all():
        return None
    return hull.normalize(), jump


def _as_repeated_rows(link: Table, bounds: Intervals, jump: int, result: int):
    """The lattice of a table whose rows repeat, each with one column at most; None for others.

    Index arrays in steps are such tables, and strided placements, which leave rows empty.
    """
    column = np.full(result, -1)
    column[link.rows] = link.columns
    if not len(link.rows) or len(link.rows) > np.count_nonzero(column >= 0):
        return None
    repetition = _row_period(column)
    if repetition is None:
        return None
    rows, columns = repetition
    phases = len(bounds.lo)
    times = phases // math.gcd(phases, columns)
    row = np.arange(rows * times)
    operand = column[row % rows] + row // rows * columns
    taken = bounds.map(lambda a: a[operand % phases]).shift(operand // phases * jump)
    return taken.keep(column[row % rows] >= 0).normalize(), columns * times // phases * jump


def _row_period(column: np.ndarray) -> tuple[int, int] | None:
    """(rows, columns) from one repetition of a table's rows to the next; None if none repeats.

    `column` holds the column of each row, -1 for an empty row.
    """
    filled = column >= 0
    first = int(np.argmax(filled))
    for rows in range(1, min(len(column) // 2, _LONGEST_PERIOD) + 1):
        if first + rows >= len(column) or not filled[first + rows]:
            continue
        columns = int(column[first + rows] - column[first])
        if (
            columns
            and np.array_equal(filled[rows:], filled[:-rows])
            and (~filled[rows:] | (column[rows:] - column[:-rows] == columns)).all()
        ):
            return rows, columns
    return None


def _through_blocks(link: Blocks, bounds: Intervals, jump: int | None, size: int, result: int):
    block = np.arange(result)[:, None] // link.size_out
    columns = block * link.size_in + np.arange(link.size_in)
    return expand(bounds, jump, size).map(lambda a: a[columns]).hull(1), None


_THROUGH = {Window: _through_window, Table: _through_table, Blocks: _through_blocks}
