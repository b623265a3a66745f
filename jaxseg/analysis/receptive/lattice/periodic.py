"""`Lattice`: intervals over the axes of an array, each axis periodic or listed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from jaxseg.analysis.receptive.lattice.intervals import Intervals, expand


@dataclass(frozen=True, eq=False)
class Lattice:
    """The fields of an array's positions along one axis of the input.

    Attributes:
        axes: Axes of the array along which the intervals change, ascending.
        jumps: For each of them, the input positions from one period to the next; None for an axis
            that is listed position by position.
        bounds: Intervals, with one dimension for each of `axes`.
    """

    axes: tuple[int, ...]
    jumps: tuple[int | None, ...]
    bounds: Intervals

    def equals(self, other: "Lattice") -> bool:
        """Compare two lattices in the form in which they are written."""
        return (
            (self.axes, self.jumps) == (other.axes, other.jumps)
            and np.array_equal(self.bounds.lo, other.bounds.lo)
            and np.array_equal(self.bounds.hi, other.bounds.hi)
        )


def identity(axis: int) -> Lattice:
    """The lattice of the input itself along one of its axes: each position sees itself."""
    return Lattice((axis,), (1,), Intervals(np.zeros(1, int), np.zeros(1, int)))


def over_axes(field: Lattice, axes: tuple[int, ...]) -> Lattice:
    """The same lattice written over more axes, along which nothing changes."""
    bounds, jumps = field.bounds, []
    for dimension, axis in enumerate(axes):
        if axis in field.axes:
            jumps.append(field.jumps[field.axes.index(axis)])
        else:
            bounds = bounds.map(lambda a, d=dimension: np.expand_dims(a, d))
            jumps.append(0)
    return Lattice(axes, tuple(jumps), bounds)


def expand_axis(field: Lattice, dimension: int, size: int) -> Lattice:
    """The same lattice with one of its dimensions listed."""
    bounds = expand_dimension(field.bounds, dimension, field.jumps[dimension], size)
    jumps = (*field.jumps[:dimension], None, *field.jumps[dimension + 1 :])
    return Lattice(field.axes, jumps, bounds)


def expand_all(field: Lattice, shape: Sequence[int]) -> Lattice:
    """The same lattice listed along every axis of an array of `shape`."""
    for dimension, axis in enumerate(field.axes):
        field = expand_axis(field, dimension, shape[axis])
    return field


def with_period(field: Lattice, dimension: int, period: int) -> Lattice:
    """The same lattice with a period that is a multiple of its own, its jump left to the caller."""
    jump = field.jumps[dimension]
    return replace(field, bounds=expand_dimension(field.bounds, dimension, jump, period))


def expand_dimension(bounds: Intervals, dimension: int, jump: int | None, size: int) -> Intervals:
    """`expand` along any dimension."""
    first = bounds.map(lambda a: np.moveaxis(a, dimension, 0))
    return expand(first, jump, size).map(lambda a: np.moveaxis(a, 0, dimension))


# --- canonical form ------------------------------------------------------------------------------


def canonical(field: Lattice) -> Lattice:
    """The same lattice with sorted axes and shortest periods, without axes that change nothing."""
    order = np.argsort(field.axes)
    bounds = field.bounds.map(lambda a: a.transpose(order))
    axes = [field.axes[i] for i in order]
    jumps = [field.jumps[i] for i in order]
    for dimension in reversed(range(len(axes))):
        first = bounds.map(lambda a, d=dimension: np.moveaxis(a, d, 0))
        jump, phases = jumps[dimension], len(first.lo)
        period = _shortest_period(first, jump)
        if period == 1 and jump in (0, None):
            bounds = first.map(lambda a: a[0])
            del axes[dimension], jumps[dimension]
            continue
        bounds = first.map(lambda a, p=period, d=dimension: np.moveaxis(a[:p], 0, d))
        if jump is not None:
            jumps[dimension] = jump * period // phases
    return Lattice(tuple(axes), tuple(jumps), bounds)


def _shortest_period(bounds: Intervals, jump: int | None) -> int:
    """The shortest period of the first axis; 1 also for a list of equal intervals."""
    lo, hi = bounds
    phases = len(lo)
    if phases == 1:
        return 1
    if jump is None:
        return 1 if (lo == lo[0]).all() and (hi == hi[0]).all() else phases
    empty, phase = lo > hi, np.arange(phases)
    for period in range(1, phases // 2 + 1):
        if phases % period or jump * period % phases:
            continue
        repeated = expand(bounds.map(lambda a, n=period: a[:n]), jump * period // phases, phases)
        if (
            np.array_equal(empty, empty[phase % period])
            and (empty | (lo == repeated.lo)).all()
            and (empty | (hi == repeated.hi)).all()
        ):
            return period
    return phases
