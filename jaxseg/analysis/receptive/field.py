"""`receptive_field`: what each output pixel of a function sees of its input."""

import collections
import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxseg.analysis.receptive import lattice
from jaxseg.analysis.receptive.graph import Graph, Value
from jaxseg.analysis.receptive.lattice import Lattice
from jaxseg.analysis.receptive.links import WHOLE, Link, same
from jaxseg.analysis.receptive.query import Patch, seen_from
from jaxseg.analysis.receptive.trace import traced


class Phase(NamedTuple):
    """What the output pixels of one phase see along an axis, the image's borders aside.

    Pixel q * period + phase sees `size` input pixels from `first + q * jump` on.
    """

    phase: int
    size: int
    first: int


@dataclass(frozen=True)
class AxisField:
    """The receptive field along one axis of the input.

    Attributes:
        size: the largest extent over the phases, in input pixels, borders aside; of a field that
            takes in the whole image, that of the image; where irregular, a bound of the windows.
            An image with borders joined to it (reflecting, circular padding) counts without them.
        stride: input pixels per output pixel: an integer or a fraction, 0 where every output pixel
            sees the same, None where no stride describes the field (`regular` is False).
        padding: input pixels that the field of output pixel 0 reaches out before the image.
        offset: centre of the field of output pixel 0, in input pixels: (size - 1) / 2 - padding.
        phases: a `Phase` for each output pixel of a period (None where irregular).
    """

    size: int
    stride: int | Fraction | None
    padding: int | None
    offset: float | None
    phases: tuple[Phase, ...] | None

    @property
    def regular(self) -> bool:
        """Whether the fields repeat with a period."""
        return self.stride is not None


class ReceptiveField:
    """What the pixels of an array see of the input image; made by `receptive_field`.

    Attributes:
        axes: an `AxisField` for each spatial axis of the input.
        input_size: of the image, in pixels.
        output_size: of the array, in pixels; () where it has no spatial axes.
    """

    def __init__(self, graph: Graph, value: Value | None, shape: Sequence[int]):
        """Wrap a value of a graph whose array has `shape`; None sees nothing."""
        self._graph, self._value, self._shape = graph, value, tuple(shape)
        self.input_size = graph.extents
        self.output_size = self._shape[1:-1]

    @functools.cached_property
    def axes(self) -> tuple[AxisField, ...]:
        """By spatial axis of the input."""
        if self._value is None:
            return (AxisField(0, 0, 0, 0.0, ()),) * len(self.input_size)
        # A pixel sees what any of its features sees, in any image of the batch.
        links: list[Link] = [same(a) for a in range(len(self._shape))]
        links[0] = links[-1] = WHOLE
        shape = self._shape
        return tuple(
            _axis(lattice.through(field, links, shape, shape), extent, shape)
            for field, extent in zip(self._value.fields, self.input_size, strict=True)
        )

    @property
    def size(self) -> tuple[int, ...]:
        """Extent in input pixels by axis, the largest over the phases."""
        return tuple(axis.size for axis in self.axes)

    @property
    def stride(self) -> tuple[int | Fraction | None, ...]:
        """Input pixels per output pixel by axis; see `AxisField`."""
        return tuple(axis.stride for axis in self.axes)

    @property
    def offset(self) -> tuple[float | None, ...]:
        """Centre of the field of output pixel 0 by axis, in input pixels."""
        return tuple(axis.offset for axis in self.axes)

    @property
    def padding(self) -> tuple[int | None, ...]:
        """Pixels that the field of output pixel 0 reaches out before the image, by axis."""
        return tuple(axis.padding for axis in self.axes)

    @property
    def phases(self) -> tuple[tuple[Phase, ...] | None, ...]:
        """The table of phases by axis: behind an upconvolution output pixels differ by phase."""
        return tuple(axis.phases for axis in self.axes)

    def window(self, index: Sequence[int] = ()) -> tuple[tuple[int, int], ...] | None:
        """The box of input pixels that one output pixel sees, its borders clipped to the image.

        Args:
            index: of the output pixel, a number per spatial axis of the output; negative ones
                count from the end.

        Returns:
            (first, last) per spatial axis of the input, inclusive; None if it sees no pixel.

        Raises:
            ValueError: an index of another length or outside of the output.
        """
        patch = self._seen(index, bool)
        if patch is None:
            return None
        return tuple(
            (first, first + n - 1)
            for first, n in zip(patch.origin[1:-1], patch.values.shape[1:-1], strict=True)
        )

    def coverage(self, index: Sequence[int] = ()) -> np.ndarray:
        """Which input pixels one output pixel sees: a boolean array over the image.

        Args:
            index: as for `window`.

        Raises:
            ValueError: as `window`.
        """
        return self._placed(self._seen(index, bool), bool)

    def counts(self, index: Sequence[int] = ()) -> np.ndarray:
        """The number of paths from one output pixel to each input pixel, exactly.

        Paths run over the taps of windows and the operands of sums; all features of a pixel count
        as one, and so do all uses of a pixel by elementwise operations. For a linear net of one
        feature with kernels of ones this is the gradient.

        Args:
            index: as for `window`.

        Returns:
            integers over the image: int64, or Python's own where they would not fit.

        Raises:
            ValueError: as `window`.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            patch, largest = self._run(index, np.dtype(np.float64))
        if largest < 2**53:  # every step was exact
            return self._placed(patch, np.dtype(np.int64))
        patch, _ = self._run(index, np.dtype(object))
        counts = self._placed(patch, np.dtype(object))
        return counts.astype(np.int64) if counts.max() < 2**63 else counts

    def _seen(self, index: Sequence[int], dtype) -> Patch | None:
        return self._run(index, np.dtype(dtype))[0]

    def _run(self, index: Sequence[int], dtype: np.dtype) -> tuple[Patch | None, float]:
        place = self._checked(index)
        value = self._value
        if value is None:
            return None, 0.0
        origin, shape = [], []
        for axis, cuts in enumerate(value.cuts):
            if 0 < axis < len(self._shape) - 1:  # the run that holds the pixel
                origin.append(int(np.searchsorted(cuts, place[axis - 1], side="right")) - 1)
                shape.append(1)
            else:  # any image of the batch, any feature
                origin.append(0)
                shape.append(len(cuts))
        ones = np.full(shape, 1, dtype)
        return seen_from(self._graph, value, Patch(tuple(origin), ones))

    def _checked(self, index: Sequence[int]) -> tuple[int, ...]:
        size = self.output_size
        try:
            place = tuple(operator.index(i) for i in index)
        except TypeError:
            place = None
        if (
            place is None
            or len(place) != len(size)
            or any(not -n <= i < n for i, n in zip(place, size, strict=True))
        ):
            raise ValueError(
                f"index={index!r} is no pixel of an output of {size}: give {len(size)} integers "
                "within it."
            )
        return tuple(i % n for i, n in zip(place, size, strict=True))

    def _placed(self, patch: Patch | None, dtype) -> np.ndarray:
        """A patch of the input on the whole image, its batch and channels (one run each) gone."""
        image = np.zeros(self.input_size, dtype)
        if patch is not None:
            at = tuple(
                slice(first, first + n)
                for first, n in zip(patch.origin[1:-1], patch.values.shape[1:-1], strict=True)
            )
            image[at] = patch.values[0, ..., 0]
        return image

    def __repr__(self) -> str:
        """A line an axis."""
        lines = [f"ReceptiveField of {self.output_size} pixels in {self.input_size}"]
        return "\n".join([*lines, *(f"  axis {i}: {_line(a)}" for i, a in enumerate(self.axes))])


def _line(axis: AxisField) -> str:
    if not axis.size:
        return "sees nothing"
    if not axis.regular:
        return f"up to {axis.size} pixels, no regular stride"
    if axis.stride == 0:
        return f"{axis.size} pixels, the same for every output pixel"
    sizes = collections.Counter(phase.size for phase in axis.phases or ())
    rest = f"stride {axis.stride}, padding {axis.padding}, offset {axis.offset:g}"
    if len(sizes) == 1:
        return f"{axis.size} pixels, {rest}"
    by_phase = ", ".join(f"{size} in {n}" for size, n in sorted(sizes.items()))
    return f"{axis.size} pixels ({by_phase} of {sum(sizes.values())} phases), {rest}"


def _axis(field: Lattice, extent: int, shape: Sequence[int]) -> AxisField:
    """The summary of an array's lattice over an input axis of `extent` pixels."""
    # A jump of 0 is of pixels that differ and yet do not move, as behind a broadcast.
    if len(field.axes) == 1 and field.jumps[0]:
        return _regular(field.lo, field.hi, field.jumps[0])
    field = lattice.listed(field, shape)
    seen = (field.lo <= field.hi) & (field.hi >= 0) & (field.lo < extent)
    lo, hi = np.clip(field.lo, 0, extent - 1), np.clip(field.hi, 0, extent - 1)
    size = int(np.where(seen, hi - lo + 1, 0).max())
    if field.axes:
        return AxisField(size, None, None, None, None)
    first = int(lo)
    return AxisField(size, 0, -first, first + (size - 1) / 2, (Phase(0, size, first),))


def _regular(lo: np.ndarray, hi: np.ndarray, jump: int) -> AxisField:
    sizes, firsts = np.where(lo > hi, 0, hi - lo + 1), np.where(lo > hi, 0, lo)
    phases = tuple(
        Phase(i, int(n), int(first)) for i, (n, first) in enumerate(zip(sizes, firsts, strict=True))
    )
    stride, padding = Fraction(jump, len(sizes)), -phases[0].first
    return AxisField(
        int(sizes.max()),
        int(stride) if stride.denominator == 1 else stride,
        padding,
        (phases[0].size - 1) / 2 - padding,
        phases,
    )


def receptive_field(fn: Callable, x: Any) -> ReceptiveField:
    """The receptive field of any JAX function of one image batch.

    The function is traced, not run: its jaxpr is interpreted with, in place of each array, the
    positions of the input that each of its positions can depend on. Residual branches, dilation,
    strides and upconvolutions are all exact, and so are the borders. Parameters, convolution
    kernels and masks are taken to be nowhere zero; indices, conditions and matrices along an axis
    (as those of resizing) that are no module's parameters are looked at, zeros included.

    Args:
        fn: (batch, *space, channels) -> an array whose first axis is a batch, whose last holds
            features and whose others are its pixels: any JAX function or `flax.nnx` module. One
            that updates its statistics as it runs goes in itself, or in a `functools.partial`,
            as in `partial(net, train=True)`; a lambda around it may not update it.
        x: the image batch, an array or a `jax.ShapeDtypeStruct`; only its shape and dtype count.

    Returns:
        a `ReceptiveField`; its size, stride and padding are those of

            r_0 = 1 + sum_l (k_l - 1) prod_{i<l} s_i,

        the largest over all paths, and its `window`, `coverage` and `counts` answer for single
        output pixels.

    Raises:
        ValueError: x is no image batch, fn returns no single array of rank >= 2, or it uses a
            primitive that has no rule.

    Source:
        Araujo, Norris & Sim, "Computing receptive fields of convolutional neural networks",
        Distill 2019, eqs. 2 and 4, whose chains are the simplest case.
    """
    tracer, made, out = traced(fn, x)
    if not hasattr(out, "shape") or len(out.shape) < 2:
        raise ValueError(
            f"receptive_field: the function returns {jax.tree.map(lambda a: a.shape, out)}, not "
            "one array (batch, ..., features): pick one, as in lambda x: fn(x)['out']."
        )
    value = made[0] if isinstance(made[0], Value) else None
    return ReceptiveField(tracer.graph, value, out.shape)
