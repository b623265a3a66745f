"""Examples before they are brought to one size: images and labels of their own sizes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped, UInt8

from jaxseg.data.images.image_files import FilePair


class Original(NamedTuple):
    """An example before it is brought to one size.

    Attributes:
        image: The image, upright, of the dtype that its file has.
        label: Its label, of the image's height and width: 0..classes-1, or 255 for ignored.
        paths: The files of both; None where there are no files.
    """

    image: Shaped[np.ndarray, "height width channels"]
    label: UInt8[np.ndarray, "height width"]
    paths: FilePair | None


class PreparedOriginals(Sequence[Original]):
    """The examples of a data set without files, which are at their own size as they are.

    Args:
        examples: Dicts of `"image"` and `"label"`.
    """

    def __init__(self, examples: Sequence[Mapping[str, np.ndarray]]):
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return PreparedOriginals(self._examples[index])
        example = self._examples[index]
        return Original(example["image"], example["label"], None)
