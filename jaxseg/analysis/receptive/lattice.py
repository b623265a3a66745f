"""The field of every position of an array along one axis of the input, borders aside.

Behind convolutions the fields of an axis repeat: position q * P + r sees the interval
[lo[r] + q * jump, hi[r] + q * jump] of an input without borders. P, the period, is 1 behind strided
convolutions and more behind upconvolutions, whose output positions differ by phase; jump / P is
the stride of Araujo et al. 2019. Where nothing repeats (two images joined side by side), the
intervals of all positions are listed.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from jaxseg.analysis.receptive.links import Blocks, Link, Table, Whole, Window

# Lower end of an interval that holds nothing; far beyond any image, and safe to add to.
NOTHING = 2**40


@dataclass(frozen=True, eq=False)
class Lattice:
    """Intervals of input positions, inclusive, over the axes of an array that they depend on.

    `lo` and `hi` have a dimension for each of `axes`. `jumps` holds how far a period of that axis
    moves in the input, or None where the axis is listed position by position.
    """

    axes: tuple[int, ...]
    jumps: tuple[int | None, ...]
    lo: np.ndarray
    hi: np.ndarray

    def same_as(self, other: "Lattice") -> bool:
        """Whether two say the same."""
        return (
            (self.axes, self.jumps) == (other.axes, other.jumps)
            and np.array_equal(self.lo, other.lo)
            and np.array_equal(self.hi, other.hi)
        )

    def table(self, axis: int) -> tuple[np.ndarray, np.ndarray, int | None]:
        """`lo`, `hi` over the phases of one axis, others united, and its jump."""
        if axis not in self.axes:
            return np.asarray([self.lo.min()]), np.asarray([self.hi.max()]), 0
        at = self.axes.index(axis)
        rest = tuple(i for i in range(self.lo.ndim) if i != at)
        return self.lo.min(rest), self.hi.max(rest), self.jumps[at]


def start(axis: int) -> Lattice:
    """The input itself: each position sees itself."""
    return Lattice((axis,), (1,), np.zeros(1, int), np.zeros(1, int))


def through(field: Lattice, links: Sequence[Link], sizes: Sequence[int], result: Sequence[int]):
    """The field of a result whose operand, of `sizes`, is linked to it axis by axis."""
    axes, jumps, lo, hi = [], [], field.lo, field.hi
    for axis, jump in zip(field.axes, field.jumps, strict=True):
        # The axis in work is always the first; done, it becomes the last.
        link = links[axis]
        if isinstance(link, Whole):
            lo, hi = _listed(lo, jump, sizes[axis]).min(0), _listed(hi, jump, sizes[axis]).max(0)
            continue
        step = _STEPS[type(link)]
        lo, hi, jump = step(link, lo, hi, jump, sizes[axis], result[link.axis])
        lo, hi = np.moveaxis(lo, 0, -1), np.moveaxis(hi, 0, -1)
        axes.append(link.axis)
        jumps.append(jump)
    return _sorted(Lattice(tuple(axes), tuple(jumps), lo, hi))


def _window(link: Window, lo, hi, jump, size, result):
    if jump is None:
        return _listed_window(link, lo, hi, size, result)
    phases = len(lo)
    if link.is_shift and phases == 1:
        return lo - link.low * jump, hi - link.low * jump, jump
    whole = link.spread * phases
    period = whole // math.gcd(link.step, whole)
    o = np.arange(period)
    parts = []
    for t in range(link.taps):
        dilated = o * link.step + (t * link.dilation - link.low)
        p = dilated // link.spread
        met = _column(dilated == p * link.spread, lo)
        far = _column(p // phases * jump, lo)
        parts.append(
            (
                np.where(met, lo[p % phases] + far, NOTHING),
                np.where(met, hi[p % phases] + far, -NOTHING),
            )
        )
    lo = functools.reduce(np.minimum, (a for a, _ in parts))
    hi = functools.reduce(np.maximum, (b for _, b in parts))
    return _cleared(lo, hi, jump * (period * link.step // whole))


def _listed_window(link: Window | Table, lo, hi, size, result):
    """Intervals of listed positions; what lies outside of the operand is not seen."""
    new_lo = np.full((result, *lo.shape[1:]), NOTHING)
    new_hi = -new_lo
    for rows, columns in link.pairs(0, result, size):
        np.minimum.at(new_lo, rows, lo[columns])
        np.maximum.at(new_hi, rows, hi[columns])
    return new_lo, new_hi, None


def _table(link: Table, lo, hi, jump, size, result):
    listed = _listed_window(link, _listed(lo, jump, size), _listed(hi, jump, size), size, result)
    if jump is None:
        return listed
    return _regular(link, *listed[:2], jump, len(lo), size, result) or listed


def _regular(link: Table, lo, hi, jump, phases, size, result):
    """A table that resizes, as a lattice; None if it is no such thing."""
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
    if (np.abs((first + last) / 2 - line) > max(1.0, size / result / 2)).any():
        return None
    moved = _column(np.arange(result // period) * jump, lo[None])
    rows = (result // period, period)
    lo = lo.reshape(*rows, *lo.shape[1:]) - moved.reshape(-1, *[1] * lo.ndim)
    hi = hi.reshape(*rows, *hi.shape[1:]) - moved.reshape(-1, *[1] * hi.ndim)
    outer = lo.min(0), hi.max(0)
    # At the borders a resize sees less, in the middle every repetition the same.
    if not ((lo == outer[0]) & (hi == outer[1])).any(0).all():
        return None
    return *outer, jump


def _blocks(link: Blocks, lo, hi, jump, size, result):
    columns = np.arange(result)[:, None] // link.size_out * link.size_in + np.arange(link.size_in)
    lo, hi = _listed(lo, jump, size), _listed(hi, jump, size)
    return lo[columns].min(1), hi[columns].max(1), None


_STEPS = {Window: _window, Table: _table, Blocks: _blocks}


def _listed(values: np.ndarray, jump: int | None, size: int) -> np.ndarray:
    """The values of all positions of the first axis, by position."""
    if jump is None:
        return values
    p = np.arange(size)
    return values[p % len(values)] + _column(p // len(values) * jump, values)


def _column(a: np.ndarray, like: np.ndarray) -> np.ndarray:
    return a.reshape(-1, *[1] * (like.ndim - 1))


def _cleared(lo, hi, jump):
    """Without what the additions left of empty intervals."""
    none = lo > hi
    return np.where(none, NOTHING, lo), np.where(none, -NOTHING, hi), jump


# --- several operands --------------------------------------------------------------------------


def union(a: Lattice, b: Lattice, shape: Sequence[int], extent: int) -> Lattice:
    """What either sees, in an array of `shape` over an input axis of `extent`."""
    if a is b or a.same_as(b):
        return a
    for field in (a, b):  # the whole image already
        if not field.axes and field.lo <= 0 and field.hi >= extent - 1:
            return field
    axes = tuple(sorted({*a.axes, *b.axes}))
    if len(axes) > 1 and math.prod(shape[axis] for axis in axes) > _MOST_ENTRIES:
        a, b, axes = _anywhere(a, shape), _anywhere(b, shape), ()
    (a, b), jumps = _aligned((_spread(a, axes), _spread(b, axes)), shape)
    lo, hi = np.minimum(a.lo, b.lo), np.maximum(a.hi, b.hi)
    return _sorted(Lattice(axes, jumps, lo, hi))


def settled(field: Lattice, extent: int) -> Lattice:
    """One interval for all, where every listed position sees the whole of an input axis."""
    everywhere = (field.lo <= 0).all() and (field.hi >= extent - 1).all()
    if field.axes and everywhere and all(jump is None for jump in field.jumps):
        return Lattice((), (), np.asarray(0), np.asarray(extent - 1))
    return field


# Attention moves along two axes at once: beyond so many entries, what any position sees is taken.
_MOST_ENTRIES = 2**18


def _anywhere(field: Lattice, shape: Sequence[int]) -> Lattice:
    """What the positions see together."""
    lo, hi = field.lo, field.hi
    for axis, jump in zip(field.axes, field.jumps, strict=True):
        lo, hi = _listed(lo, jump, shape[axis]).min(0), _listed(hi, jump, shape[axis]).max(0)
    return Lattice((), (), lo, hi)


def joined(parts: Sequence[tuple[Lattice | None, int]], axis: int, shape: Sequence[int]) -> Lattice:
    """Parts side by side along an axis of the result's `shape`; None sees nothing.

    Each part is its field, numbered as in the result, and its length. A part of more than half of
    the length stands for all: the others are a border, as of reflecting or circular padding.
    """
    seen = [field for field, _ in parts if field is not None]
    if all(seen[0].same_as(field) for field in seen):
        return seen[0]
    longest, length = max(parts, key=lambda part: part[1])
    if longest is not None and length * 2 > shape[axis]:
        return longest
    axes = tuple(sorted({axis, *(a for field in seen for a in field.axes)}))
    at, first, total = axes.index(axis), 0, None
    for field, length in parts:
        if field is not None:
            field = _listed_axis(_spread(field, axes), at, shape[axis])
            here = np.moveaxis(np.ones(shape[axis], bool)[(None,) * (len(axes) - 1)], -1, at).copy()
            here[(slice(None),) * at + (slice(0, first),)] = False
            here[(slice(None),) * at + (slice(first + length, None),)] = False
            field = replace(
                field, lo=np.where(here, field.lo, NOTHING), hi=np.where(here, field.hi, -NOTHING)
            )
            total = field if total is None else _plain_union(total, field, shape)
        first += length
    assert total is not None
    return _sorted(total)


def _plain_union(a: Lattice, b: Lattice, shape) -> Lattice:
    (a, b), jumps = _aligned((a, b), shape)
    return Lattice(a.axes, jumps, np.minimum(a.lo, b.lo), np.maximum(a.hi, b.hi))


def _spread(field: Lattice, axes: tuple[int, ...]) -> Lattice:
    """The same over more axes, along which nothing changes."""
    lo, hi, jumps = field.lo, field.hi, []
    for at, axis in enumerate(axes):
        if axis in field.axes:
            jumps.append(field.jumps[field.axes.index(axis)])
        else:
            lo, hi = np.expand_dims(lo, at), np.expand_dims(hi, at)
            jumps.append(0)
    return Lattice(axes, tuple(jumps), lo, hi)


def _aligned(fields, shape):
    """Fields over the same axes, brought to common periods, or listed where there is none."""
    a, b = fields
    jumps = []
    for at, axis in enumerate(a.axes):
        p, q = a.lo.shape[at], b.lo.shape[at]
        i, j = a.jumps[at], b.jumps[at]
        period = math.lcm(p, q)
        if i is None or j is None or i * q != j * p:
            a, b = _listed_axis(a, at, shape[axis]), _listed_axis(b, at, shape[axis])
            jumps.append(None)
        else:
            a, b = _longer(a, at, period), _longer(b, at, period)
            jumps.append(i * (period // p))
    return (a, b), tuple(jumps)


def listed(field: Lattice, shape: Sequence[int]) -> Lattice:
    """The same, position by position along every axis of an array of `shape`."""
    for at, axis in enumerate(field.axes):
        field = _listed_axis(field, at, shape[axis])
    return field


def _listed_axis(field: Lattice, at: int, size: int) -> Lattice:
    jump = field.jumps[at]
    lo, hi = (
        np.moveaxis(_listed(np.moveaxis(v, at, 0), jump, size), 0, at) for v in (field.lo, field.hi)
    )
    return Lattice(field.axes, (*field.jumps[:at], None, *field.jumps[at + 1 :]), lo, hi)


def _longer(field: Lattice, at: int, period: int) -> Lattice:
    """The same with a period that is a multiple of its own."""
    if field.lo.shape[at] == period:
        return field
    lo, hi = (
        np.moveaxis(_listed(np.moveaxis(v, at, 0), field.jumps[at], period), 0, at)
        for v in (field.lo, field.hi)
    )
    return replace(field, lo=lo, hi=hi)


# --- reshaping ---------------------------------------------------------------------------------


def reshaped(
    field: Lattice,
    old: Sequence[int],
    new: Sequence[int],
    sizes: Sequence[int],
    result: Sequence[int],
) -> Lattice:
    """Axes `old` of an operand of `sizes` laid out as the axes `new` of the result.

    Other axes keep their numbers, which the caller has already made those of the result.
    """
    mine = [a for a in old if a in field.axes]
    if not mine:
        return field
    rest = [a for a in field.axes if a not in old]
    axes = (*old, *rest)
    field = _spread(field, tuple(sorted(axes)))
    order = [field.axes.index(a) for a in axes]
    jumps = [field.jumps[i] for i in order]
    lo, hi = field.lo.transpose(order), field.hi.transpose(order)
    lo, hi, jump = _merged(lo, hi, jumps[: len(old)], [sizes[a] for a in old])
    lo, hi, split = _split(lo, hi, jump, [result[a] for a in new])
    return _sorted(Lattice((*new, *rest), (*split, *jumps[len(old) :]), lo, hi))


def _merged(lo, hi, jumps, sizes):
    """The first `len(sizes)` axes as one: the outermost may repeat, the others are listed."""
    for at in range(1, len(sizes)):
        lo, hi = (
            np.moveaxis(_listed(np.moveaxis(v, at, 0), jumps[at], sizes[at]), 0, at)
            for v in (lo, hi)
        )
    shape = (-1, *lo.shape[len(sizes) :])
    return lo.reshape(shape), hi.reshape(shape), jumps[0]


def _split(lo, hi, jump, sizes):
    """The first axis as several: the outermost goes on repeating, the others are listed."""
    inner = math.prod(sizes[1:])
    if jump is None:
        count, outer = sizes[0], None
    else:
        count = len(lo) // math.gcd(len(lo), inner)
        outer = jump * (count * inner) // len(lo)
    lo, hi = _listed(lo, jump, count * inner), _listed(hi, jump, count * inner)
    shape = (count, *sizes[1:], *lo.shape[1:])
    return lo.reshape(shape), hi.reshape(shape), (outer, *[None] * (len(sizes) - 1))


# --- normal form -------------------------------------------------------------------------------


def _sorted(field: Lattice) -> Lattice:
    """Axes in order, periods as short as can be, no axis along which nothing changes."""
    order = np.argsort(field.axes)
    lo, hi = field.lo.transpose(order), field.hi.transpose(order)
    axes = [field.axes[i] for i in order]
    jumps = [field.jumps[i] for i in order]
    for at in reversed(range(len(axes))):
        lo, hi = np.moveaxis(lo, at, 0), np.moveaxis(hi, at, 0)
        period = _shortest(lo, hi, jumps[at])
        lo, hi = np.moveaxis(lo[:period], 0, at), np.moveaxis(hi[:period], 0, at)
        if period == 1 and (jumps[at] == 0 or (lo.shape[at] == 1 and jumps[at] is None)):
            lo, hi = lo.squeeze(at), hi.squeeze(at)
            del axes[at], jumps[at]
        elif jumps[at] is not None:
            jumps[at] = jumps[at] * period // field.lo.transpose(order).shape[at]  # type: ignore[operator]
    return Lattice(tuple(axes), tuple(jumps), lo, hi)


def _shortest(lo: np.ndarray, hi: np.ndarray, jump: int | None) -> int:
    """The shortest period of the first axis; 1 also for a list of equals."""
    phases = len(lo)
    if phases == 1:
        return 1
    if jump is None:
        return 1 if (lo == lo[0]).all() and (hi == hi[0]).all() else phases
    for period in range(1, phases // 2 + 1):
        if phases % period or jump * period % phases:
            continue
        moved = _column(np.arange(phases) // period * (jump * period // phases), lo)
        p = np.arange(phases) % period
        none = lo > hi
        if (
            np.array_equal(none, none[p])
            and (none | (lo == lo[p] + moved)).all()
            and (none | (hi == hi[p] + moved)).all()
        ):
            return period
    return phases
