"""The lattice of several operands together: summed, or joined side by side."""

import functools
import math
from collections.abc import Sequence

import numpy as np

from jaxseg.analysis.receptive.lattice.intervals import Intervals, expand, hull_of
from jaxseg.analysis.receptive.lattice.periodic import (
    Lattice,
    canonical,
    expand_axis,
    over_axes,
    with_period,
)

_MOST_ENTRIES = 2**18
"""Most intervals of a lattice that changes along two axes at once, as attention's does. Beyond
that, all positions are given what any of them sees."""


def union(a: Lattice, b: Lattice, shape: Sequence[int], extent: int) -> Lattice:
    """The union of the fields of two operands.

    Args:
        a: Lattice of one operand.
        b: Lattice of the other.
        shape: Shape of the array.
        extent: Length of the input axis, in pixels.
    """
    if a is b or a.equals(b):
        return a
    for field in (a, b):
        if not field.axes and field.bounds.lo <= 0 and field.bounds.hi >= extent - 1:
            return field  # sees all of the input already
    axes = tuple(sorted({*a.axes, *b.axes}))
    if len(axes) > 1 and math.prod(shape[axis] for axis in axes) > _MOST_ENTRIES:
        a, b, axes = _hull(a, shape), _hull(b, shape), ()
    return canonical(_entrywise_union(over_axes(a, axes), over_axes(b, axes), shape))


def whole_if_everywhere(field: Lattice, extent: int) -> Lattice:
    """One interval for all, if all positions are listed and see the whole of an input axis."""
    bounds = field.bounds
    everywhere = (bounds.lo <= 0).all() and (bounds.hi >= extent - 1).all()
    if field.axes and everywhere and all(jump is None for jump in field.jumps):
        return Lattice((), (), Intervals(np.asarray(0), np.asarray(extent - 1)))
    return field


def concatenate(
    parts: Sequence[tuple[Lattice | None, int]], axis: int, shape: Sequence[int]
) -> Lattice:
    """Parts side by side along an axis of a result.

    A part longer than half of the axis stands for all: the others are a border, as reflecting or
    circular padding makes.

    Args:
        parts: (lattice, length) of each part, its axes numbered as in the result; a part whose
            lattice is None sees nothing.
        axis: Axis along which they are joined.
        shape: Shape of the result.
    """
    fields = [field for field, _ in parts if field is not None]
    if all(fields[0].equals(field) for field in fields):
        return fields[0]
    longest, length = max(parts, key=lambda part: part[1])
    if longest is not None and length * 2 > shape[axis]:
        return longest
    axes = tuple(sorted({axis, *(a for field in fields for a in field.axes)}))
    dimension, begin, pieces = axes.index(axis), 0, []
    for field, length in parts:
        if field is not None:
            listed = expand_axis(over_axes(field, axes), dimension, shape[axis])
            pieces.append(_keep_range(listed, dimension, begin, begin + length))
        begin += length
    return canonical(functools.reduce(lambda a, b: _entrywise_union(a, b, shape), pieces))


def _keep_range(field: Lattice, dimension: int, begin: int, end: int) -> Lattice:
    """Empty a listed dimension outside of begin:end."""
    position = np.arange(field.bounds.lo.shape[dimension])
    first = field.bounds.map(lambda a: np.moveaxis(a, dimension, 0))
    kept = first.keep((position >= begin) & (position < end))
    return Lattice(field.axes, field.jumps, kept.map(lambda a: np.moveaxis(a, 0, dimension)))


def _hull(field: Lattice, shape: Sequence[int]) -> Lattice:
    """The field of all positions together."""
    bounds = field.bounds
    for axis, jump in zip(field.axes, field.jumps, strict=True):
        bounds = expand(bounds, jump, shape[axis]).hull(0)
    return Lattice((), (), bounds)


def _entrywise_union(a: Lattice, b: Lattice, shape: Sequence[int]) -> Lattice:
    """The union of two lattices over the same axes, entry by entry.

    They are brought to common periods, or listed along an axis where there is none.
    """
    jumps = []
    for dimension, axis in enumerate(a.axes):
        period_a, period_b = a.bounds.lo.shape[dimension], b.bounds.lo.shape[dimension]
        jump_a, jump_b = a.jumps[dimension], b.jumps[dimension]
        if jump_a is None or jump_b is None or jump_a * period_b != jump_b * period_a:
            a, b = (expand_axis(field, dimension, shape[axis]) for field in (a, b))
            jumps.append(None)
        else:
            period = math.lcm(period_a, period_b)
            a, b = (with_period(field, dimension, period) for field in (a, b))
            jumps.append(jump_a * (period // period_a))
    return Lattice(a.axes, tuple(jumps), hull_of([a.bounds, b.bounds]))
