"""Recipes: all that a data set is prepared from."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg.data.info import DatasetInfo
from jaxseg.data.originals import Original

ImageAndLabel = tuple[np.ndarray, np.ndarray]
"""An image of `DatasetInfo.dtype`, (height, width[, channels]), and its label, uint8."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a data set is prepared from.

    Attributes:
        info: What the numbers of its images and labels mean.
        splits: Number of examples of every split, by name.
        examples: Yields the images and labels of the split of a name, in order, as many as
            `splits` says, of the size and the channels that `info` says.
        inputs: All that decides what the examples are, as values that JSON can hold. Where one
            differs, the data set is prepared in another folder.
        version: Raise it when the same inputs give other examples.
        originals: Opens the user's files of the split of a name; None where there are none.
        source: The user's folder that it is prepared from, as `_prune.write_source` describes it;
            copies of it as it was before an edit are removed. None keeps all.
    """

    info: DatasetInfo
    splits: Mapping[str, int]
    examples: Callable[[str], Iterable[ImageAndLabel]]
    inputs: Mapping[str, Any]
    version: str = "1.0.0"
    originals: Callable[[str], Sequence[Original]] | None = None
    source: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """A folder name that differs whenever the examples do: `camvid-60x80-0123456789ab`."""
        return f"{self.info.name}-{'x'.join(map(str, self.info.size))}-{digest(self.inputs)}"


def digest(values: Mapping[str, Any]) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of some values.

    Args:
        values: Values that JSON can hold, by name; the order of the names plays no part.
    """
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
