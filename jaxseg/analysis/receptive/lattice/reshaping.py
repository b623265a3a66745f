"""The lattice of a reshaped array."""

import math
from collections.abc import Sequence

from jaxseg.analysis.receptive.lattice.intervals import Intervals, expand
from jaxseg.analysis.receptive.lattice.periodic import (
    Lattice,
    canonical,
    expand_dimension,
    over_axes,
)


def reshape(
    field: Lattice,
    old: Sequence[int],
    new: Sequence[int],
    sizes: Sequence[int],
    result_sizes: Sequence[int],
) -> Lattice:
    """Lay the axes `old` of an operand out as the axes `new` of a result, in row-major order.

    The other axes keep their numbers, which the caller has made those of the result already.

    Args:
        field: Lattice of the operand.
        old: Axes of the operand, ascending.
        new: Axes of the result, which hold the same positions.
        sizes: Length of each axis of the operand.
        result_sizes: Length of each axis of the result.
    """
    if not any(axis in field.axes for axis in old):
        return field
    rest = [axis for axis in field.axes if axis not in old]
    axes = (*old, *rest)
    field = over_axes(field, tuple(sorted(axes)))
    order = [field.axes.index(axis) for axis in axes]
    jumps = [field.jumps[i] for i in order]
    bounds = field.bounds.map(lambda a: a.transpose(order))
    bounds, jump = _merge(bounds, jumps[: len(old)], [sizes[axis] for axis in old])
    bounds, split_jumps = _split(bounds, jump, [result_sizes[axis] for axis in new])
    return canonical(Lattice((*new, *rest), (*split_jumps, *jumps[len(old) :]), bounds))


def _merge(bounds: Intervals, jumps: Sequence[int | None], sizes: Sequence[int]):
    """The first `len(sizes)` dimensions as one: the outermost may repeat, the others are listed."""
    for dimension in range(1, len(sizes)):
        bounds = expand_dimension(bounds, dimension, jumps[dimension], sizes[dimension])
    merged = bounds.map(lambda a: a.reshape(-1, *a.shape[len(sizes) :]))
    return merged, jumps[0]


def _split(bounds: Intervals, jump: int | None, sizes: Sequence[int]):
    """The first dimension as several: the outermost goes on repeating, the others are listed."""
    inner = math.prod(sizes[1:])
    if jump is None:
        count, outer = sizes[0], None
    else:
        period = len(bounds.lo)
        count = period // math.gcd(period, inner)
        outer = jump * (count * inner) // period
    expanded = expand(bounds, jump, count * inner)
    split = expanded.map(lambda a: a.reshape(count, *sizes[1:], *a.shape[1:]))
    return split, (outer, *[None] * (len(sizes) - 1))
