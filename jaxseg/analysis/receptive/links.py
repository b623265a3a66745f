"""Links: which positions along an operand's axis a position along a result's axis depends on.

Each axis of an operand has one link. The link names the axis of the result that moves along the
operand's axis, if there is one, and gives the operand positions that a result position uses.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """A window of evenly spaced taps, as a convolution, a slice, a padding or a reversal has.

    Operand position p and result position o are linked where

        p * spread = o * step + t * dilation - low

    for a tap t from 0 to `taps - 1`. With one tap and unit steps this is a shift, as a crop or a
    copy makes. A negative `step` reverses the axis. `spread - 1` zeros lie between the pixels of
    an operand that is upsampled.

    Attributes:
        axis: Axis of the result.
        taps: Number of taps.
        step: Operand positions, of the spread operand, between neighboring result positions.
        dilation: Distance between the taps, in positions of the spread operand.
        low: Padding in front, in positions of the spread operand.
        spread: Distance between the operand's pixels, in positions of the spread operand.
    """

    axis: int
    taps: int = 1
    step: int = 1
    dilation: int = 1
    low: int = 0
    spread: int = 1

    @property
    def is_shift(self) -> bool:
        """True if each result position copies one operand position, in the same order."""
        return self.taps == self.step == self.spread == 1

    def pairs(self, first: int, count: int, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Linked (result, operand) positions, tap by tap.

        Args:
            first: First result position.
            count: Number of result positions; the pairs number them from 0.
            size: Length of the operand's axis.

        Returns:
            For each tap that links anything, two integer arrays of equal length.
        """
        result = np.arange(first, first + count)
        pairs = []
        for tap in range(self.taps):
            spread_position = result * self.step + (tap * self.dilation - self.low)
            operand = spread_position // self.spread
            hits_pixel = spread_position == operand * self.spread
            (rows,) = np.nonzero(hits_pixel & (operand >= 0) & (operand < size))
            if len(rows):
                pairs.append((rows, operand[rows]))
        return pairs


@dataclass(frozen=True)
class Whole:
    """Every result position depends on every operand position."""


@dataclass(frozen=True, eq=False)
class Table:
    """Explicit pairs: result position `rows[i]` depends on operand position `columns[i]`.

    Attributes:
        axis: Axis of the result.
        rows: Result position of each pair.
        columns: Operand position of each pair.
        repeats: Whether rows that repeat in steps, as those of an index array do, are taken to go
            on beyond both ends; those of a resize are cut off at the borders.
    """

    axis: int
    rows: np.ndarray
    columns: np.ndarray
    repeats: bool = False

    def pairs(self, first: int, count: int, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Linked (result, operand) positions, in groups that hold no operand position twice.

        Args:
            first: First result position.
            count: Number of result positions; the pairs number them from 0.
            size: Length of the operand's axis, which a table does not need.
        """
        del size
        inside = (self.rows >= first) & (self.rows < first + count)
        rows, columns = self.rows[inside] - first, self.columns[inside]
        order = np.argsort(columns, kind="stable")
        rows, columns = rows[order], columns[order]
        # The n-th group holds the n-th row of every column, so that it holds no column twice.
        nth = np.arange(len(columns)) - np.searchsorted(columns, columns)
        return [(rows[nth == n], columns[nth == n]) for n in range(nth.max(initial=-1) + 1)]


@dataclass(frozen=True)
class Blocks:
    """Result position o depends on operand block o // size_out, which has `size_in` positions.

    The groups of a grouped convolution are such blocks.

    Attributes:
        axis: Axis of the result.
        size_out: Result positions of a block.
        size_in: Operand positions of a block.
    """

    axis: int
    size_out: int
    size_in: int


AxisLink = Window | Table | Blocks
"""A link that names an axis of the result."""

Link = AxisLink | Whole

WHOLE = Whole()


@functools.cache
def same(axis: int) -> Window:
    """The link of an operand's axis that is copied, in order, to `axis` of the result."""
    return Window(axis)


def identities(rank: int) -> list[Link]:
    """Links of an operand each of whose axes is copied to the result's axis of the same number."""
    return [same(axis) for axis in range(rank)]


def linked_axes(links: Sequence[Link]) -> dict[int, tuple[int, AxisLink]]:
    """For each axis of the result that moves along an axis of the operand: that axis, its link."""
    return {
        link.axis: (axis, link) for axis, link in enumerate(links) if not isinstance(link, Whole)
    }
