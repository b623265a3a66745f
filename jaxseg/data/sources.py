"""Prepared data sets as random-access sources of images as they are stored, and labels."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Shaped, UInt8

from jaxseg.data.encoding import decode
from jaxseg.data.normalization import Images, denormalize, normalize
from jaxseg.data.originals import Original, PreparedOriginals

Example = dict[str, np.ndarray]
"""An image and its label by the names `"image"` and `"label"`, or a batch of them."""
Color = tuple[int, int, int]
"""Red, green and blue in 0..255."""


class Pair(NamedTuple):
    """An example as it is stored: an image of `DatasetInfo.dtype`, and its label of 8 bits."""

    image: Shaped[np.ndarray, "height width channels"]
    label: UInt8[np.ndarray, "height width"]


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """The meaning of the numbers of a data set's images and labels.

    Attributes:
        name: Name of the data set, such as `"mosaic"` or `"camvid"`.
        size: Height and width of every image in pixels.
        class_names: Name of every class, in the order of the labels.
        palette: Color of every class as (red, green, blue) in 0..255.
        mean: Mean of every channel, in units of full brightness.
        std: Standard deviation of every channel, likewise.
        mask_values: The number or the color that the user's masks hold for each class, in the order
            of the labels; () where that is the label.
        ignored_value: Likewise for ignored pixels; None where that is 255.
        dtype: Type that images are stored in: "uint8", "uint16" or "float32", whose full brightness
            is 255, 65535 and 1.
        keep_aspect: Images are scaled evenly and padded to `size`; otherwise they are stretched.
        crops: The images have sizes of their own, and nets are trained on random crops of them at
            native resolution; `size` is the crops'.
    """

    name: str
    size: tuple[int, int]
    class_names: tuple[str, ...]
    palette: tuple[Color, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mask_values: tuple[int | Color, ...] = ()
    ignored_value: int | Color | None = None
    dtype: str = "uint8"
    keep_aspect: bool = True
    crops: bool = False

    @property
    def classes(self) -> int:
        """Number of classes; labels are 0..classes-1, and 255 where they are ignored."""
        return len(self.class_names)

    @property
    def channels(self) -> int:
        """Number of channels of an image."""
        return len(self.mean)

    def normalize(self, images: Images) -> Float32[Array, "*shape channels"]:
        """Normalizes images: (brightness - mean) / std, channel by channel.

        8-bit images give the same bits as NumPy's `(images / 255 - mean) / std` in float32.

        Args:
            images: Images as they are stored, or their brightness as floats: in [0, 1], unless
                images are stored as floats.

        Raises:
            ValueError: The images are neither of the type that is stored nor floats, or have other
                channels.
        """
        integers = np.issubdtype(images.dtype, np.integer)
        if integers and images.dtype in (np.uint8, np.uint16) and images.dtype != self.dtype:
            raise ValueError(
                f"normalize: images have dtype {images.dtype}, expected {self.dtype}, as "
                f"{self.name} is stored, or floats: convert them to the same range"
            )
        return normalize(images, self.mean, self.std)

    def denormalize(
        self, images: Float[Array | np.ndarray, "*shape channels"]
    ) -> Float32[Array, "*shape channels"]:
        """Brightness of normalized images: the inverse of `normalize`.

        Args:
            images: Normalized images.

        Returns:
            Brightness, clipped to [0, 1] unless images are stored as floats.

        Raises:
            ValueError: The images are not floats, or have other channels.
        """
        return denormalize(images, self.mean, self.std, clip=self.dtype != "float32")

    def normalize_batch(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Makes of a batch as it is read what a training step takes; for the device.

        Args:
            batch: `"image"`, images as they are stored or their brightness as floats, and
                `"label"`, integers. What else it holds is kept as it is.

        Returns:
            The batch with normalized images, float32, and labels of int32.

        Raises:
            ValueError: The images are neither of the type that is stored nor floats, or have other
                channels.

        Example:
            >>> info = DatasetInfo("x", (1, 2), ("a", "b"), ((0, 0, 0), (9, 9, 9)), (0.5,), (0.25,))
            >>> image = np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)
            >>> batch = info.normalize_batch({"image": image, "label": np.array([[[0, 255]]])})
            >>> batch["image"].ravel().tolist(), batch["label"].dtype
            ([-2.0, 2.0], dtype('int32'))
        """
        label = jnp.asarray(batch["label"]).astype(jnp.int32)
        return {**batch, "image": self.normalize(batch["image"]), "label": label}


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A prepared data set: what its numbers mean, and where its files are.

    Attributes:
        info: What the numbers of the images and labels mean.
        directory: The folder of the prepared files.
        splits: Number of examples of every split, by name.
        read_originals: Opens the user's files of the split of a name; None where there are none.
        sizes: Height and width of every example of every split, where the examples are stored at
            sizes of their own, as tiles; otherwise empty, and all have `info.size`.
        root: The folder of the files that it was prepared from; None for one that is drawn.
        pairs: The image and the mask file of every example, by split and in the order of the
            examples; empty for a data set that is drawn.
    """

    info: DatasetInfo
    directory: Path
    splits: Mapping[str, int] = dataclasses.field(hash=False)
    read_originals: Callable[[str], Sequence[Original]] | None = dataclasses.field(
        default=None, compare=False, repr=False
    )
    sizes: Mapping[str, Sequence[tuple[int, int]]] = dataclasses.field(
        default_factory=dict, hash=False, repr=False
    )
    root: Path | None = None
    pairs: Mapping[str, Sequence[tuple[Path, Path]]] = dataclasses.field(
        default_factory=dict, hash=False, repr=False
    )

    def source(self, split: str, *, cache: bool = False) -> "Source":
        """Opens a split for reading.

        Args:
            split: `"train"`, `"validation"` or `"test"`.
            cache: Decode all examples now and keep them in memory as they are stored: with 8 bits
                about (channels + 1) × height × width bytes an example.

        Returns:
            The examples; those of a data set with `sizes` as a `NativeSource`.

        Raises:
            ValueError: There is no such split.
        """
        self._check_split(split)
        from jaxseg.data.builder import open_split  # here, since TFDS is slow to import

        pairs: Sequence[Pair] = _Records(open_split(self.directory, split), self.info.classes)
        pairs = list(pairs) if cache else pairs
        if not self.sizes:
            return Source(pairs)
        from jaxseg.data.crops import NativeSource  # here, since it builds on this module
        from jaxseg.data.tiles import TiledPairs

        return NativeSource(TiledPairs(pairs, self.sizes[split]), self.info.mean)

    def decoded_bytes(self, split: str) -> int:
        """The memory that the decoded examples of a split take.

        Args:
            split: `"train"`, `"validation"` or `"test"`.
        """
        each = self.sizes.get(split) or [self.info.size] * self.splits[split]
        pixel = self.info.channels * np.dtype(self.info.dtype).itemsize + 1
        return sum(height * width for height, width in each) * pixel

    def originals(self, split: str) -> Sequence[Original]:
        """Opens the examples of a split as they are in the user's files, at their own sizes.

        A data set without files, such as the mosaic, gives its prepared examples.

        Args:
            split: `"train"`, `"validation"` or `"test"`.

        Returns:
            A sequence that reads an example when it is asked for it, and then raises a `ValueError`
            where a file cannot be read.

        Raises:
            ValueError: There is no such split.
        """
        self._check_split(split)
        if self.read_originals is None:
            return PreparedOriginals(self.source(split))
        return self.read_originals(split)

    def _check_split(self, split: str) -> None:
        if split not in self.splits:
            raise ValueError(
                f"split={split!r} is not in {self.info.name}, expected one of "
                f"{list(self.splits)}: pass one of these names"
            )


class Source(Sequence[Example]):
    """The examples of a split as they are stored; slices are sources too.

    `source[i]` is a dict of `"image"`, of `DatasetInfo.dtype` and shape (height, width, channels),
    and `"label"`, uint8 of shape (height, width). Both are copies. They stay as they are stored,
    with 8 bits a quarter of the bytes to read and to send, until `DatasetInfo.normalize_batch`
    makes of them on the device what a net takes.

    Args:
        pairs: The examples.
    """

    def __init__(self, pairs: Sequence[Pair]):
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Source(_Chosen(self._pairs, range(len(self._pairs))[index]))
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
        label = decode(record["label"])[..., 0]
        check_labels(label, self._classes)
        return Pair(decode(record["image"]), label)


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
        classes: Number of classes; 0..classes-1 are valid.
        ignore_index: The one other value that is valid.

    Raises:
        ValueError: There are other values, or the array is not of integers.

    Example:
        >>> check_labels(np.array([0, 1, 255]), classes=2)
        >>> check_labels(np.array([0, 2]), classes=2)
        Traceback (most recent call last):
            ...
        ValueError: label has the values 2 in 1 pixels, expected 0..1 or 255 (ignored): ...
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
