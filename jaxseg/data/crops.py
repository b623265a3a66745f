"""Crops of one size out of images of any sizes: random ones to train on, a grid to validate on."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxseg.data.masks.mask_values import IGNORE_INDEX
from jaxseg.data.preparation.tiles import TiledPairs
from jaxseg.data.sources import Example, Pair, Source


class NativeSource(Source):
    """The examples of a split at their own sizes; parts of them are read without the rest.

    Args:
        pairs: The images and labels.
        mean: Mean of every channel in units of full brightness, with which crops are filled.
    """

    def __init__(self, pairs: TiledPairs, mean: Sequence[float]):
        super().__init__(pairs)
        self._tiled, self._mean = pairs, tuple(mean)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Height and width of every image."""
        return self._tiled.sizes

    def crop(self, index: int, corner: tuple[int, int], size: tuple[int, int]) -> Pair:
        """Reads a crop, which may reach beyond the image.

        Args:
            index: Index of the image.
            corner: Row and column of the crop's first pixel in the image; may be negative.
            size: Height and width of the crop, which must share a pixel with the image.

        Returns:
            The crop of the image, filled with the mean beyond it, and of the label, 255 there.
        """
        rows, columns = (
            slice(max(0, start), min(n, start + length))
            for start, length, n in zip(corner, size, self.sizes[index], strict=True)
        )
        image, label = self._tiled.read(index, rows, columns)
        if label.shape == tuple(size):
            return Pair(image, label)
        top, left = rows.start - corner[0], columns.start - corner[1]
        inside = (slice(top, top + label.shape[0]), slice(left, left + label.shape[1]))
        canvas = np.empty((*size, image.shape[-1]), image.dtype)
        canvas[:] = filling(image.dtype, self._mean)
        labels = np.full(size, IGNORE_INDEX, label.dtype)
        canvas[inside], labels[inside] = image, label
        return Pair(canvas, labels)

    def random_crop(self, index: int, size: tuple[int, int], *, seed: Sequence[int]) -> Example:
        """Reads a crop at a random place, which depends on the seed and the image's size alone.

        Args:
            index: Index of the image.
            size: Height and width of the crop. Along an axis that is longer, the crop lies inside
                the image; along a shorter one, the image lies inside the crop. All such places are
                equally likely.
            seed: Non-negative integers, such as the run's seed and the rank of the example.
        """
        rng = np.random.default_rng(seed)
        row, column = (
            int(rng.integers(min(0, n - length), max(0, n - length) + 1))
            for n, length in zip(self.sizes[index], size, strict=True)
        )
        image, label = self.crop(index, (row, column), size)
        return {"image": image, "label": label}

    def grid(self, size: tuple[int, int]) -> Source:
        """Crops that cover every image, in which each of its pixels counts once.

        Args:
            size: Height and width of the crops. They stand side by side; the last one of an axis
                is moved inside the image, and what it shares with the one before is ignored in its
                labels. Images that are smaller are filled.
        """
        return Source(_Grid(self, size))


class _Grid(Sequence[Pair]):
    """The crops of `NativeSource.grid`, image after image."""

    def __init__(self, source: NativeSource, size: tuple[int, int]):
        self._source, self._size = source, size
        self._places = [
            (index, row, column)
            for index, (height, width) in enumerate(source.sizes)
            for row in range(0, height, size[0])
            for column in range(0, width, size[1])
        ]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        number, row, column = self._places[index]
        height, width = self._source.sizes[number]
        top = min(row, max(0, height - self._size[0]))
        left = min(column, max(0, width - self._size[1]))
        image, label = self._source.crop(number, (top, left), self._size)
        label[: row - top] = IGNORE_INDEX
        label[:, : column - left] = IGNORE_INDEX
        return Pair(image, label)


def filling(dtype: np.dtype, mean: Sequence[float]) -> np.ndarray:
    """The pixel beyond an image: the mean, which normalizes to about 0.

    Args:
        dtype: Dtype of the image: integers, whose largest number is full brightness, or floats.
        mean: Mean of every channel in units of full brightness.

    Example:
        >>> filling(np.dtype("uint8"), (0.5, 0.25)).tolist()
        [128, 64]
    """
    values = np.asarray(mean, np.float64)
    if np.issubdtype(dtype, np.integer):
        values = np.rint(values * np.iinfo(dtype).max)
    return values.astype(dtype)


def crop_before_zoom(size: tuple[int, int], least_zoom: float) -> tuple[int, int]:
    """The size of a crop that still fills `size` once it has been zoomed.

    Args:
        size: Height and width that are to be filled.
        least_zoom: Smallest factor by which the crop is enlarged; above 0.

    Example:
        >>> crop_before_zoom((100, 64), 0.75), crop_before_zoom((100, 64), 1.5)
        ((134, 86), (100, 64))
    """
    height, width = (math.ceil(n / min(1.0, least_zoom)) for n in size)
    return height, width
