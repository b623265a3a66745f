"""How the positions of an operand's axis meet the positions of a result's axis.

A link belongs to one axis of an operand. It names the axis of the result that moves along it, if
there is one, and says which positions of the operand a position of the result depends on.
"""

import functools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """Where p * spread = o * step + t * dilation - low, operand p and result o meet.

    t runs from 0 to `taps - 1`. With one tap and unit steps this is a shift, which a slice, a crop
    and a copy are; a negative step reverses; `spread` is what an upconvolution puts between the
    pixels of its input.
    """

    axis: int
    taps: int = 1
    step: int = 1
    dilation: int = 1
    low: int = 0
    spread: int = 1

    @property
    def is_shift(self) -> bool:
        """Whether each result position is a copy of one operand position, in order."""
        return self.taps == self.step == self.spread == 1

    def pairs(self, first: int, count: int, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """(result, operand) positions that meet, tap by tap, in an operand of `size`.

        The result positions are those of `count` from `first`, numbered from `first`.
        """
        o = np.arange(first, first + count)
        found = []
        for t in range(self.taps):
            dilated = o * self.step + (t * self.dilation - self.low)
            p = dilated // self.spread
            (met,) = np.nonzero((dilated == p * self.spread) & (p >= 0) & (p < size))
            if len(met):
                found.append((met, p[met]))
        return found


@dataclass(frozen=True)
class Whole:
    """Every result position depends on every operand position."""


@dataclass(frozen=True, eq=False)
class Table:
    """Pairs (rows[i], columns[i]) of result and operand positions that meet."""

    axis: int
    rows: np.ndarray
    columns: np.ndarray

    def pairs(self, first: int, count: int, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """As `Window.pairs`, with no operand position twice in one entry of the list."""
        del size
        keep = (self.rows >= first) & (self.rows < first + count)
        rows, columns = self.rows[keep] - first, self.columns[keep]
        order = np.argsort(columns, kind="stable")
        rows, columns = rows[order], columns[order]
        # The n-th meeting of each column: within one n every column is there at most once.
        begin = np.searchsorted(columns, columns)
        nth = np.arange(len(columns)) - begin
        return [(rows[nth == n], columns[nth == n]) for n in range(nth.max(initial=-1) + 1)]


@dataclass(frozen=True)
class Blocks:
    """Result position o depends on the block o // size_out of `size_in` positions: a group."""

    axis: int
    size_out: int
    size_in: int


Link = Window | Whole | Table | Blocks

WHOLE = Whole()


@functools.cache
def same(axis: int) -> Window:
    """The link of an axis that is copied to `axis` of the result."""
    return Window(axis)
