"""Finds the same picture in two splits, whatever its files are called."""

import hashlib

import numpy as np


class RepeatedPictures:
    """The pictures of a data set by their pixels.

    Attributes:
        across_splits: The files of each picture that is in two splits: the first one met, and a
            later one of another split.
    """

    def __init__(self):
        self.across_splits: list[tuple[str, str]] = []
        self._files: dict[str, dict[str, str]] = {}  # picture -> split -> its first file there

    def add(self, pixels: np.ndarray, split: str, file: str) -> None:
        """Takes note of a further picture.

        Args:
            pixels: Its pixels; the same ones in another file format are the same picture.
            split: The split that it is in.
            file: Its path.
        """
        content = np.ascontiguousarray(pixels)
        name = hashlib.sha256(content.data).hexdigest() + f"{content.shape}{content.dtype}"
        files = self._files.setdefault(name, {})
        self.across_splits.extend((other, file) for key, other in files.items() if key != split)
        files.setdefault(split, file)


def describe_repeated(pairs: tuple[tuple[str, str], ...]) -> str:
    """Returns a remark on pictures that are in two splits; empty where there are none.

    Args:
        pairs: What `RepeatedPictures.across_splits` holds.
    """
    if not pairs:
        return ""
    shown = "; ".join(f"{first} and {second}" for first, second in pairs[:6])
    more = f"; and {len(pairs) - 6} more" if len(pairs) > 6 else ""
    return (
        f"the same picture is in two splits, so that scores will flatter the net: {shown}{more}; "
        "keep one of each"
    )
