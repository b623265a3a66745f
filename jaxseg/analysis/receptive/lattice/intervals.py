"""Arrays of closed intervals of input positions."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

EMPTY = 2**40
"""Lower end of an empty interval, and minus its upper end: beyond any image, and safe to add to."""


class Intervals(NamedTuple):
    """Closed intervals [lo, hi], two integer arrays of one shape; empty where lo > hi."""

    lo: np.ndarray
    hi: np.ndarray

    def map(self, fn: Callable[[np.ndarray], np.ndarray]) -> "Intervals":
        """Apply a function that moves entries about to both ends."""
        return Intervals(fn(self.lo), fn(self.hi))

    def shift(self, offset: np.ndarray) -> "Intervals":
        """Add an offset for each position of the first axis."""
        column = _column(offset, self.lo)
        return Intervals(self.lo + column, self.hi + column)

    def keep(self, mask: np.ndarray) -> "Intervals":
        """Empty the intervals of all positions of the first axis where `mask` is False."""
        mask = _column(mask, self.lo)
        return Intervals(np.where(mask, self.lo, EMPTY), np.where(mask, self.hi, -EMPTY))

    def hull(self, axis: int | tuple[int, ...]) -> "Intervals":
        """The smallest intervals that hold those along an axis."""
        return Intervals(self.lo.min(axis), self.hi.max(axis))

    def normalize(self) -> "Intervals":
        """Write all empty intervals the same way, whatever was added to them."""
        empty = self.lo > self.hi
        return Intervals(np.where(empty, EMPTY, self.lo), np.where(empty, -EMPTY, self.hi))


def hull_of(intervals: Sequence[Intervals]) -> Intervals:
    """The smallest intervals that hold several, entry by entry."""
    return Intervals(
        functools.reduce(np.minimum, (one.lo for one in intervals)),
        functools.reduce(np.maximum, (one.hi for one in intervals)),
    )


def expand(bounds: Intervals, jump: int | None, size: int) -> Intervals:
    """Intervals of `size` positions of the first axis, one by one.

    Args:
        bounds: Intervals whose first axis is one period, or lists all positions.
        jump: Input positions from one period to the next; None where all are listed already.
        size: Number of positions.
    """
    if jump is None:
        return bounds
    position, period = np.arange(size), len(bounds.lo)
    return bounds.map(lambda a: a[position % period]).shift(position // period * jump)


def _column(a: np.ndarray, like: np.ndarray) -> np.ndarray:
    return a.reshape(-1, *[1] * (like.ndim - 1))
