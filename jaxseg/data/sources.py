"""Prepared data sets as random-access sources of standardised images and integer labels."""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8
from PIL import Image

from jaxseg.data._prepare import open_split
from jaxseg.data.normalization import standardise, to_float

Example = dict[str, np.ndarray]


class Pair(NamedTuple):
    """An example as it is stored: an image of 8-bit channels and a label of 8 bits."""

    image: UInt8[np.ndarray, "height width channels"]
    label: UInt8[np.ndarray, "height width"]


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What the numbers of a data set's images and labels mean.

    Attributes:
        name: Its name, such as `"mosaic"` or `"camvid"`.
        size: Height and width of every image in pixels.
        class_names: The name of every class, in the order of the labels.
        palette: The colour of every class as (red, green, blue) in 0..255.
        mean: The mean of every channel, in units of full brightness.
        std: The standard deviation of every channel, likewise.
    """

    name: str
    size: tuple[int, int]
    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def classes(self) -> int:
        """The number of classes; labels are 0..classes-1, and 255 where ignored."""
        return len(self.class_names)

    @property
    def channels(self) -> int:
        """The number of channels of an image."""
        return len(self.mean)

    def standardise(self, images: jax.Array) -> jax.Array:
        """Images of 8 bits, or floating ones from 0 to 1, to what the nets take."""
        floating = jnp.issubdtype(images.dtype, jnp.floating)
        return standardise(images if floating else to_float(images), self.mean, self.std)


@dataclasses.dataclass(frozen=True)
class Dataset(DatasetInfo):
    """A prepared data set: what its numbers mean, and where they lie.

    Attributes:
        directory: Where the prepared files are.
        splits: The number of examples of every split.
    """

    directory: Path
    splits: Mapping[str, int] = dataclasses.field(hash=False)

    @property
    def info(self) -> DatasetInfo:
        """The data set without its files."""
        names = [field.name for field in dataclasses.fields(DatasetInfo)]
        return DatasetInfo(**{name: getattr(self, name) for name in names})

    def source(self, split: str, *, cache: bool = False) -> "Source":
        """Opens a split for reading.

        Args:
            split: `"train"`, `"validation"` or `"test"`.
            cache: Decode all examples now and keep them in memory, as 8-bit numbers: about
                (channels + 1) × height × width bytes an example.

        Raises:
            ValueError: There is no such split.
        """
        if split not in self.splits:
            raise ValueError(
                f"split={split!r} is not in {self.name}, expected one of {list(self.splits)}: "
                "pass one of these names"
            )
        pairs: Sequence[Pair] = _Records(open_split(self.directory, split), self.classes)
        if cache:
            pairs = list(pairs)
        return Source(pairs, mean=self.mean, std=self.std)


class Source(Sequence[Example]):
    """A sequence of examples; slices are sources too.

    `source[i]` is a dict of `"image"`, float32 of shape (height, width, channels) and standardised
    by the data set's mean and standard deviation, and `"label"`, int32 of shape (height, width).
    `source.pixels[i]` is the same example as it is stored.
    """

    def __init__(self, pairs: Sequence[Pair], *, mean: Sequence[float], std: Sequence[float]):
        self._pairs = pairs
        self._mean = np.asarray(mean, np.float32)
        self._std = np.asarray(std, np.float32)

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            chosen = _Chosen(self._pairs, range(len(self._pairs))[index])
            return Source(chosen, mean=self._mean.tolist(), std=self._std.tolist())
        pair = self._pairs[index]
        brightness = pair.image.astype(np.float32) / np.float32(255)
        image: Float32[np.ndarray, "height width channels"] = (brightness - self._mean) / self._std
        label: Int32[np.ndarray, "height width"] = pair.label.astype(np.int32)
        return {"image": image, "label": label}

    @property
    def pixels(self) -> "Pixels":
        """The same examples in 8 bits: a quarter of the bytes to read, to batch and to send.

        `to_float` and `standardise` make them on the device what `source[i]` is.
        """
        return Pixels(self._pairs)


class Pixels(Sequence[Example]):
    """A sequence of examples as they are stored; slices are such sequences too.

    `pixels[i]` is a dict of `"image"`, uint8 of shape (height, width, channels), and `"label"`,
    uint8 of shape (height, width). Both are copies.
    """

    def __init__(self, pairs: Sequence[Pair]):
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Pixels(_Chosen(self._pairs, range(len(self._pairs))[index]))
        image, label = self._pairs[index]
        return {"image": image.copy(), "label": label.copy()}


class _Records(Sequence[Pair]):
    """Decodes records when they are asked for."""

    def __init__(self, records: Any, classes: int):
        self._records = records
        self._classes = classes

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: Any) -> Any:
        record = self._records[range(len(self))[index]]  # the range checks and counts from the end
        label = _decode(record["label"])
        check_labels(label, self._classes)
        image = _decode(record["image"])
        return Pair(image if image.ndim == 3 else image[..., None], label)


class _Chosen(Sequence[Pair]):
    """Some of the pairs, by their indices."""

    def __init__(self, pairs: Sequence[Pair], indices: range):
        self._pairs = pairs
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> Any:
        return self._pairs[self._indices[index]]


def check_labels(label: Int[np.ndarray, "..."], classes: int, ignore_index: int = 255) -> None:
    """Checks that every label is a class or ignored.

    Args:
        label: An integer array of any shape.
        classes: The number of classes; 0..classes-1 are valid.
        ignore_index: The one other value that is valid.

    Raises:
        ValueError: There are other values, or the array is not of integers.
    """
    if not np.issubdtype(label.dtype, np.integer):
        raise ValueError(
            f"label has dtype {label.dtype}, expected integers: pass class numbers, such as int32"
        )
    wrong = ((label < 0) | (label >= classes)) & (label != ignore_index)
    if wrong.any():
        values = np.unique(label[wrong]).tolist()
        shown = ", ".join(map(str, values[:8])) + (", …" if len(values) > 8 else "")
        raise ValueError(
            f"label has the values {shown} in {int(wrong.sum())} pixels, expected "
            f"0..{classes - 1} or {ignore_index} (ignored): pass the right number of classes, or "
            f"map other values to {ignore_index}"
        )


def _decode(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)
