"""The receptive field along one axis, read off the lattice of an array."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from jaxseg.analysis.receptive import lattice
from jaxseg.analysis.receptive.lattice import Lattice


class Phase(NamedTuple):
    """The input pixels that the output pixels of one phase see along an axis, borders ignored.

    Output pixel q * period + phase sees the `size` input pixels from `first + q * jump` on, where
    the jump is the stride times the period.

    Attributes:
        phase: Output pixel of the first period.
        size: Extent of its field, in input pixels.
        first: First input pixel of its field; negative beyond the border.
    """

    phase: int
    size: int
    first: int


@dataclass(frozen=True)
class AxisField:
    """The receptive field along one axis of the input.

    Attributes:
        size: Largest extent over the phases, in input pixels, if the borders are ignored. A field
            that takes in the whole image has the size of the image. Without a regular stride this
            is a bound. Pixels that padding copies from the image (reflecting, circular) do not
            count.
        stride: Input pixels per output pixel, an integer or a fraction; 0 if all output pixels see
            the same; None if no stride describes the field (`regular` is False).
        padding: Input pixels by which the field of output pixel 0 reaches beyond the image.
        offset: Center of the field of output pixel 0, in input pixels: (size - 1) / 2 - padding.
        phases: A `Phase` for each output pixel of a period; None without a regular stride.
    """

    size: int
    stride: int | Fraction | None
    padding: int | None
    offset: float | None
    phases: tuple[Phase, ...] | None

    @property
    def regular(self) -> bool:
        """True if the fields repeat with a period."""
        return self.stride is not None


SEES_NOTHING = AxisField(0, 0, 0, 0.0, ())
"""The field of an array that does not depend on the input."""


def axis_field(field: Lattice, extent: int, shape: Sequence[int]) -> AxisField:
    """The receptive field along one axis of the input.

    Args:
        field: Lattice of an array over that axis.
        extent: Length of the axis, in pixels.
        shape: Shape of the array.
    """
    # A jump of 0 is that of pixels that differ and yet do not move, as behind a broadcast.
    if len(field.axes) == 1 and field.jumps[0]:
        return _regular(*field.bounds, field.jumps[0])
    lo, hi = lattice.expand_all(field, shape).bounds
    inside = (lo <= hi) & (hi >= 0) & (lo < extent)
    lo, hi = np.clip(lo, 0, extent - 1), np.clip(hi, 0, extent - 1)
    size = int(np.where(inside, hi - lo + 1, 0).max())
    if field.axes:
        return AxisField(size, None, None, None, None)
    first = int(lo)
    return AxisField(size, 0, -first, first + (size - 1) / 2, (Phase(0, size, first),))


def _regular(lo: np.ndarray, hi: np.ndarray, jump: int) -> AxisField:
    sizes, firsts = np.where(lo > hi, 0, hi - lo + 1), np.where(lo > hi, 0, lo)
    phases = tuple(
        Phase(phase, int(size), int(first))
        for phase, (size, first) in enumerate(zip(sizes, firsts, strict=True))
    )
    stride, padding = Fraction(jump, len(sizes)), -phases[0].first
    return AxisField(
        int(sizes.max()),
        int(stride) if stride.denominator == 1 else stride,
        padding,
        (phases[0].size - 1) / 2 - padding,
        phases,
    )
