"""`ReceptiveField`: what each pixel of an array sees of the image."""

import collections
import functools
import operator
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.analysis.receptive import lattice
from jaxseg.analysis.receptive.arrays import Value
from jaxseg.analysis.receptive.axis_field import SEES_NOTHING, AxisField, Phase, axis_field
from jaxseg.analysis.receptive.explorer import Explorer, Maps, html_table, layer_table, net_table
from jaxseg.analysis.receptive.graph import Graph
from jaxseg.analysis.receptive.links import WHOLE, identities
from jaxseg.analysis.receptive.patch import Patch
from jaxseg.analysis.receptive.query import pull_to_input


class ReceptiveField:
    """The input pixels that the pixels of an array see, as `receptive_field` finds them.

    Attributes:
        input_size: Size of the image, in pixels, by spatial axis.
        output_size: Size of the array, in pixels; () if it has no spatial axes.
    """

    input_size: tuple[int, ...]
    output_size: tuple[int, ...]

    def __init__(self, graph: Graph, value: Value | None, shape: Sequence[int]):
        """Describe an array of a graph; `receptive_field` calls this.

        Args:
            graph: The arrays of the function.
            value: The array; None is one that sees nothing.
            shape: Shape of the array.
        """
        self._graph, self._value, self._shape = graph, value, tuple(shape)
        self.input_size = graph.input_size
        self.output_size = self._shape[1:-1]

    @functools.cached_property
    def axes(self) -> tuple[AxisField, ...]:
        """An `AxisField` for each spatial axis of the input."""
        if self._value is None:
            return (SEES_NOTHING,) * len(self.input_size)
        # A pixel sees what any of its features sees, in any image of the batch.
        links, shape = identities(len(self._shape)), self._shape
        links[0] = links[-1] = WHOLE
        return tuple(
            axis_field(lattice.through_links(field, links, shape, shape), extent, shape)
            for field, extent in zip(self._value.fields, self.input_size, strict=True)
        )

    @property
    def size(self) -> tuple[int, ...]:
        """Extent in input pixels by axis, the largest over the phases."""
        return tuple(axis.size for axis in self.axes)

    @property
    def stride(self) -> tuple[int | Fraction | None, ...]:
        """Input pixels per output pixel by axis: 0 if all see the same, None if irregular."""
        return tuple(axis.stride for axis in self.axes)

    @property
    def offset(self) -> tuple[float | None, ...]:
        """Center of the field of output pixel 0 by axis, in input pixels; None if irregular."""
        return tuple(axis.offset for axis in self.axes)

    @property
    def padding(self) -> tuple[int | None, ...]:
        """Pixels by which the field of output pixel 0 reaches beyond the image, by axis."""
        return tuple(axis.padding for axis in self.axes)

    @property
    def phases(self) -> tuple[tuple[Phase, ...] | None, ...]:
        """The phases by axis, several where output pixels differ, as behind an upconvolution."""
        return tuple(axis.phases for axis in self.axes)

    def window(self, index: Sequence[int] = ()) -> tuple[tuple[int, int], ...] | None:
        """The smallest box of input pixels that holds all that one output pixel sees.

        Args:
            index: Output pixel, an integer for each spatial axis of the output; negative ones
                count from the end.

        Returns:
            (first, last) for each spatial axis of the input, both inclusive and inside of the
            image; None if the pixel sees nothing.

        Raises:
            ValueError: The index has another length or lies outside of the output.
        """
        patch = self._pull(index, bool)[0]
        if patch is None:
            return None
        return tuple(
            (first, first + n - 1)
            for first, n in zip(patch.origin[1:-1], patch.values.shape[1:-1], strict=True)
        )

    def coverage(self, index: Sequence[int] = ()) -> np.ndarray:
        """The input pixels that one output pixel sees, as a mask.

        Args:
            index: Output pixel, an integer for each spatial axis of the output; negative ones
                count from the end.

        Returns:
            Booleans over the spatial axes of the input.

        Raises:
            ValueError: The index has another length or lies outside of the output.

        Example:
            >>> import jax, jax.numpy as jnp
            >>> from jaxseg import ops
            >>> from jaxseg.analysis import receptive_field
            >>> def net(x):  # two layers of dilation 2 leave every second pixel out
            ...     for _ in range(2):
            ...         x = ops.conv(x, jnp.ones((3, 1, 1)), dilation=2)
            ...     return x
            >>> field = receptive_field(net, jax.ShapeDtypeStruct((1, 11, 1), jnp.float32))
            >>> field.coverage((5,)).astype(int)
            array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0])
        """
        return self._on_image(self._pull(index, bool)[0], np.dtype(bool))

    def counts(self, index: Sequence[int] = ()) -> np.ndarray:
        """The number of paths from one output pixel to each input pixel, exactly.

        Paths run over the taps of windows and the operands of sums. All features of a pixel count
        as one, and so do all uses of a pixel by elementwise operations. For a linear net of one
        feature whose kernels are ones, the number of paths is the gradient.

        Args:
            index: Output pixel, an integer for each spatial axis of the output; negative ones
                count from the end.

        Returns:
            Integers over the spatial axes of the input: int64, or Python's own if some do not fit.

        Raises:
            ValueError: The index has another length or lies outside of the output.

        Example:
            >>> import jax, jax.numpy as jnp
            >>> from jaxseg import ops
            >>> from jaxseg.analysis import receptive_field
            >>> def net(x):  # a residual branch of two layers
            ...     y = ops.conv(ops.conv(x, jnp.ones((3, 1, 1))), jnp.ones((3, 1, 1)))
            ...     return x + y
            >>> receptive_field(net, jax.ShapeDtypeStruct((1, 7, 1), jnp.float32)).counts((3,))
            array([0, 1, 2, 4, 2, 1, 0])
        """
        with np.errstate(over="ignore", invalid="ignore"):
            patch, largest = self._pull(index, np.float64)
        if largest < 2**53:  # every step was exact
            return self._on_image(patch, np.dtype(np.int64))
        patch, _ = self._pull(index, object)
        counts = self._on_image(patch, np.dtype(object))
        return counts.astype(np.int64) if counts.max() < 2**63 else counts

    def explore(
        self, path: str | Path | None = None, *, title: str = "Receptive field", positions: int = 7
    ) -> Explorer:
        """A page on which to hover or tap output pixels and see what they see.

        Args:
            path: File to save the page to as well; None saves nothing.
            title: Heading of the page.
            positions: Number of output pixels along each axis that can be chosen, spread evenly;
                more where the field depends on the phase.

        Returns:
            The page, which a notebook shows below the cell and `save(path)` writes to a file.

        Raises:
            ValueError: `positions` is below 1, or the output has no pixels.

        Example:
            >>> import jax, jax.numpy as jnp
            >>> from jaxseg import ops
            >>> from jaxseg.analysis import receptive_field
            >>> image = jax.ShapeDtypeStruct((1, 16, 16, 1), jnp.float32)
            >>> field = receptive_field(lambda x: ops.max_pool(x, 3, stride=2), image)
            >>> page = field.explore(title="Max pooling")
            >>> "<title>Max pooling</title>" in page.html
            True
        """
        maps = Maps()
        layer = layer_table("the output", self, maps, positions=positions)
        explorer = Explorer(title, [net_table(title, [layer], self.input_size)], maps.packed())
        if path is not None:
            explorer.save(path)
        return explorer

    def _pull(self, index: Sequence[int], dtype: Any) -> tuple[Patch | None, float]:
        """The patch of the input that an output pixel sees, and the largest count on the way."""
        pixel = self._check(index)
        value = self._value
        if value is None:
            return None, 0.0
        origin, shape = [], []
        for axis, runs in enumerate(value.partitions):
            if 0 < axis < len(self._shape) - 1:  # the run that holds the pixel
                origin.append(int(np.searchsorted(runs, pixel[axis - 1], side="right")) - 1)
                shape.append(1)
            else:  # any image of the batch, any feature
                origin.append(0)
                shape.append(len(runs))
        patch = Patch(tuple(origin), np.full(shape, 1, dtype))
        return pull_to_input(self._graph, value, patch)

    def _check(self, index: Sequence[int]) -> tuple[int, ...]:
        """The index with negative numbers resolved."""
        size = self.output_size
        try:
            pixel = tuple(operator.index(i) for i in index)
        except TypeError:
            pixel = None
        if (
            pixel is None
            or len(pixel) != len(size)
            or any(not -n <= i < n for i, n in zip(pixel, size, strict=True))
        ):
            raise ValueError(
                f"index={index!r} is no pixel of an output of {size}: give {len(size)} integers "
                "within it."
            )
        return tuple(i % n for i, n in zip(pixel, size, strict=True))

    def _on_image(self, patch: Patch | None, dtype: np.dtype) -> np.ndarray:
        """A patch of the input, whose batch and channels are one run each, on the whole image."""
        image = np.zeros(self.input_size, dtype)
        if patch is not None:
            box = tuple(
                slice(first, first + n)
                for first, n in zip(patch.origin[1:-1], patch.values.shape[1:-1], strict=True)
            )
            image[box] = patch.values[0, ..., 0]
        return image

    def _repr_html_(self) -> str:
        """A table of the axes and a sketch of the middle pixel's window, for notebooks."""
        return html_table(self)

    def __repr__(self) -> str:
        """A line for each axis."""
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
