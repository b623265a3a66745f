"""What the explorer shows of receptive fields: windows, and maps of the number of paths.

Everything is computed here, by `ReceptiveField`; the page only draws it. A map is kept as shades
from 0 to `SHADES`, once however many pixels share it, and all of them together are compressed.
"""

import base64
import math
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxseg.analysis.receptive.field import ReceptiveField

SHADES = 15
"""Darkest shade of a map: the pixel that most paths reach. 0 is a pixel that is not seen."""
LARGEST_MAP = 144
"""Longest side of a map. A larger window is shown by blocks of pixels."""
LONGEST_PERIOD = 16
"""Most phases along an axis of which each is in the tables."""


class Maps:
    """Maps of shades, each different one kept once."""

    def __init__(self):
        """Begin without maps."""
        self._index: dict[tuple[tuple[int, ...], bytes], int] = {}
        self._shapes: list[list[int]] = []

    def add(self, values: np.ndarray) -> list[int]:
        """Keep a map.

        Args:
            values: Counts or shares of the pixels of a window, not negative, with two axes; shown
                on a logarithmic scale if they are integers.

        Returns:
            The map's number, and 1 if it is kept transposed, else 0.
        """
        block = -(-max(values.shape) // LARGEST_MAP)
        return self.add_shades(_means(_shades(values), block), block)

    def add_shades(self, shades: np.ndarray, block: int) -> list[int]:
        """Keep a map that is made of shades already.

        Args:
            shades: Integers from 0 to `SHADES`, uint8, with two axes.
            block: Side of the square of pixels that each of them stands for.

        Returns:
            The map's number, and 1 if it is kept transposed, else 0.
        """
        for transposed, map_ in enumerate((shades, shades.T)):
            number = self._index.get((map_.shape, map_.tobytes()))
            if number is not None and self._shapes[number][2] == block:
                return [number, transposed]
        self._index[shades.shape, shades.tobytes()] = len(self._shapes)
        self._shapes.append([*shades.shape, block])
        return [len(self._shapes) - 1, 0]

    def packed(self) -> dict[str, Any]:
        """All maps: `shapes`, (height, width, block) each, and `data`, base64 of their bytes."""
        shades = b"".join(data for _, data in self._index)
        return {"shapes": self._shapes, "data": base64.b64encode(zlib.compress(shades, 9)).decode()}


def net_table(name: str, layers: Sequence[dict[str, Any]], input_size: Sequence[int]) -> dict:
    """The table of a net.

    Args:
        name: Name of the net.
        layers: A `layer_table` for each layer.
        input_size: Size of the image, by axis.
    """
    return {"name": name, "input": _last_two(input_size), "layers": list(layers)}


def layer_table(
    name: str, field: "ReceptiveField", maps: Maps, *, positions: int = 7
) -> dict[str, Any]:
    """The table of one array of a net.

    The tables have two axes. An axis that is missing has one pixel. Of three axes, the first is
    fixed at the output's middle, and summed over in the image.

    Args:
        name: Name of the layer.
        field: Its receptive field.
        maps: Where the maps are kept.
        positions: Number of output pixels along each axis that the table has, spread evenly; more
            where the field depends on the phase.

    Returns:
        "output" (height, width); "size" and "stride" by axis; "rows" and "columns", the output
        pixels of the table; and "pixels", an entry for each of them, row by row: None if it sees
        nothing, else [top, bottom, left, right, number of pixels seen, log10 of the number of
        paths, log10 of the most paths to one pixel, map, whether transposed].

    Raises:
        ValueError: `positions` is below 1, or the output has no pixels.
    """
    if positions < 1:
        raise ValueError(f"positions={positions} must be at least 1: it is a number of pixels.")
    size = field.output_size
    if 0 in size:
        raise ValueError(f"The output has the size {size}, without pixels to explore.")
    leading = tuple(n // 2 for n in size[:-2])
    shown = size[-2:]
    # The phases of an output axis are those of the input axis that it stands for.
    phases = [len(p) if p else 1 for p in field.phases[-len(shown) :]] if shown else []
    chosen = [sample(n, p, positions) for n, p in zip(shown, phases, strict=True)]
    rows, columns = ([[0]] * (2 - len(chosen))) + chosen
    pixels = []
    for row in rows:
        for column in columns:
            pixel = (*leading, *(row, column)[2 - len(shown) :])
            pixels.append(_pixel(field, pixel, maps))
    return {
        "name": name,
        "output": _last_two(size),
        "size": list(field.size),
        "stride": [None if s is None else str(s) for s in field.stride],
        "rows": rows,
        "columns": columns,
        "pixels": pixels,
    }


def sample(size: int, phases: int, positions: int) -> list[int]:
    """Choose pixels along an axis.

    Args:
        size: Length of the axis.
        phases: Number of phases of the field along it.
        positions: Number of pixels: the middle one, the first, and so on to the last. Of more than
            one phase a whole period in the middle is added, and three pixels are enough else.
    """
    period = min(phases, LONGEST_PERIOD, size)
    spread = min(positions, size, 3 if period > 1 else size)
    middle = size // 2
    chosen = {middle}
    if spread > 1:
        chosen |= {round(i) for i in np.linspace(0, middle, spread // 2 + 1)}
        chosen |= {round(i) for i in np.linspace(middle, size - 1, (spread - 1) // 2 + 1)}
    if period > 1:
        first = min(middle, size - period)
        chosen |= set(range(first, first + period))
    return sorted(chosen)


def _pixel(field: "ReceptiveField", pixel: tuple[int, ...], maps: Maps) -> list | None:
    counts = field.counts(pixel)
    counts = counts.sum(axis=tuple(range(counts.ndim - 2))) if counts.ndim > 2 else counts
    counts = counts.reshape(_last_two(counts.shape))
    seen = counts > 0
    if not seen.any():
        return None
    (top, bottom), (left, right) = (
        (int(places[0]), int(places[-1]))
        for places in (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
    )
    window = counts[top : bottom + 1, left : right + 1]
    exact = window.dtype == object  # counts that no int64 holds, nor a float64 perhaps
    total = window.sum() if exact else window.sum(dtype=np.float64)
    total, largest = math.log10(total), math.log10(int(window.max()))
    return [
        *(top, bottom, left, right, int(seen.sum())),
        *(round(total, 9), round(largest, 9)),
        *maps.add(window),
    ]


def _shades(values: np.ndarray) -> np.ndarray:
    """Values from 0 to `SHADES`: 0 is 0, the largest is `SHADES`."""
    if values.dtype == object:
        values = np.array([math.log(n + 1) for n in values.ravel()]).reshape(values.shape)
    elif np.issubdtype(values.dtype, np.integer):
        values = np.log1p(values.astype(np.float64))
    largest = values.max()
    return SHADES * values / largest if largest > 0 else np.zeros(values.shape)


def _means(shades: np.ndarray, block: int) -> np.ndarray:
    """Means over blocks, rounded upward so that no pixel that is seen is shown as unseen."""
    rows, columns = (-(-n // block) for n in shades.shape)
    whole = np.full((rows * block, columns * block), np.nan)
    whole[: shades.shape[0], : shades.shape[1]] = shades
    means = np.nanmean(whole.reshape(rows, block, columns, block), axis=(1, 3))
    return np.where(means > 0, np.clip(np.rint(means), 1, SHADES), 0).astype(np.uint8)


def _last_two(size: Sequence[int]) -> list[int]:
    """The last two of three axes, with axes of one pixel in front of fewer."""
    return [1, 1, *size][-2:]
