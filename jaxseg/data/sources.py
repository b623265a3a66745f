"""Random-access sources of images as they are stored, and labels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Shaped, UInt8

from jaxseg.data.preparation.encoding import decode

Example = dict[str, np.ndarray]
"""An image and its label by the names `"image"` and `"label"`, or a batch of them."""


class Pair(NamedTuple):
    """An example as it is stored: an image of `DatasetInfo.dtype`, and its label of 8 bits."""

    image: Shaped[np.ndarray, "height width channels"]
    label: UInt8[np.ndarray, "height width"]


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


class Records(Sequence[Pair]):
    """Records of a split, decoded when they are asked for.

    Args:
        records: What `builder.open_split` returns.
        classes: Number of classes; a label with another one is refused.
    """

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
