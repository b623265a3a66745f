"""Images of any sizes, stored as tiles of one size, so that a part is read without the rest."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxseg.data.masks.mask_values import IGNORE_INDEX
from jaxseg.data.sources import Pair

TILE = 256
"""Height and width of a tile in pixels."""


def tile_count(size: tuple[int, int], tile: int = TILE) -> int:
    """The number of tiles that an image is cut into.

    Args:
        size: Height and width of the image.
        tile: Height and width of a tile.

    Example:
        >>> tile_count((256, 600))
        3
    """
    return math.ceil(size[0] / tile) * math.ceil(size[1] / tile)


def cut_tiles(
    image: np.ndarray, label: np.ndarray, tile: int = TILE
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cuts an image and its label into tiles, row after row from the top left.

    Args:
        image: (height, width, channels).
        label: (height, width).
        tile: Height and width of a tile.

    Yields:
        The image and the label of each tile. Behind the border they hold zeros and 255.
    """
    for top in range(0, label.shape[0], tile):
        for left in range(0, label.shape[1], tile):
            inside = (slice(top, top + tile), slice(left, left + tile))
            part, labels = image[inside], label[inside]
            room = [(0, tile - n) for n in labels.shape]
            yield (
                np.pad(part, [*room, (0, 0)]),
                np.pad(labels, room, constant_values=IGNORE_INDEX),
            )


class TiledPairs(Sequence[Pair]):
    """Images and labels of any sizes, read from their tiles.

    Args:
        tiles: The tiles of all images, one image after the other, as `cut_tiles` yields them.
        sizes: Height and width of every image.
        tile: Height and width of a tile.

    Raises:
        ValueError: There are more or fewer tiles than images of these sizes have.
    """

    def __init__(
        self, tiles: Sequence[Pair], sizes: Sequence[tuple[int, int]], *, tile: int = TILE
    ):
        self.tiles, self.sizes, self.tile = tiles, tuple(sizes), tile
        ends = np.cumsum([tile_count(size, tile) for size in self.sizes], dtype=np.int64)
        self.starts = [0, *ends.tolist()]
        if self.starts[-1] != len(tiles):
            raise ValueError(
                f"there are {len(tiles)} tiles, expected {self.starts[-1]} for {len(self.sizes)} "
                "images of these sizes: prepare the data set again"
            )

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: Any) -> Any:
        height, width = self.sizes[index]
        return self.read(index, slice(0, height), slice(0, width))

    def read(self, index: int, rows: slice, columns: slice) -> Pair:
        """Reads a part of an image and its label; only the tiles that it touches are decoded.

        Args:
            index: Index of the image.
            rows: Rows of the part, inside the image and at least one.
            columns: Columns of the part, likewise.
        """
        index, tile = range(len(self))[index], self.tile
        across = math.ceil(self.sizes[index][1] / tile)
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        image, label = np.empty(0), np.empty(shape, np.uint8)
        for i in range(rows.start // tile, (rows.stop - 1) // tile + 1):
            for j in range(columns.start // tile, (columns.stop - 1) // tile + 1):
                part, labels = self.tiles[self.starts[index] + i * across + j]
                if not image.size:  # channels and dtype are those of the tiles
                    image = np.empty((*shape, part.shape[-1]), part.dtype)
                (to_row, from_row), (to_column, from_column) = (
                    _overlap(rows, i * tile, tile),
                    _overlap(columns, j * tile, tile),
                )
                image[to_row, to_column] = part[from_row, from_column]
                label[to_row, to_column] = labels[from_row, from_column]
        return Pair(image, label)


def _overlap(part: slice, start: int, length: int) -> tuple[slice, slice]:
    """The pixels that a part and a tile share along an axis, counted in the part and the tile."""
    first, last = max(part.start, start), min(part.stop, start + length)
    return slice(first - part.start, last - part.start), slice(first - start, last - start)
