"""A mask as its file stores it, and the values that are taken from it: numbers or colors."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxseg.data.masks.mask_values import distinct_values

NO_COLOR = -1
"""Stands in a palette for an index that is transparent."""


class StoredMask(NamedTuple):
    """A mask as its file stores it; its orientation tag is not obeyed yet.

    Attributes:
        values: Class numbers of any bit depth, indices of `palette`, or packed colors.
        kind: `"gray"`, `"palette"` or `"color"`.
        palette: For a palette, the packed color of each index.
        bits: Bits of each number.
        format: Name of the file format, such as `"PNG"`.
        orientation: Value of the orientation tag, 1 to 8; 1 where there is none.
        no_data: Value of the pixels that the file declares to be of no class, by the tag
            GDAL_NODATA of a TIFF; None where there is none.
    """

    values: Int[np.ndarray, "height width"]
    kind: str
    palette: Int[np.ndarray, " indices"] | None
    bits: int
    format: str
    orientation: int = 1
    no_data: int | None = None

    def color_of(self, value: int) -> int | None:
        """Returns the packed color that a value is shown in, or None where that is unknown."""
        if self.kind == "color":
            return value
        if self.palette is not None:
            color = int(self.palette[value]) if value < len(self.palette) else NO_COLOR
            return None if color == NO_COLOR else color
        most = (1 << min(self.bits, 8)) - 1
        return value * 255 // most * 0x010101 if 0 <= value <= most else None

    def number_of(self, value: int) -> int | None:
        """Returns the number that a value stands for, or None for a color that is not gray."""
        if self.kind != "color":
            return value
        return value & 255 if value == (value & 255) * 0x010101 else None


def to_values(
    mask: StoredMask, path: Path, *, colored: bool = False
) -> Int[np.ndarray, "height width"]:
    """The values of a mask that is read, as `read_values` returns them.

    Args:
        mask: The mask.
        path: Its file, for the messages.
        colored: Return the colors that the file shows, each packed into one number.

    Raises:
        ValueError: The mask has colors though `colored` is false, or values without a color though
            it is true.
    """
    if colored:
        return _to_colors(mask, path)
    if mask.kind != "color":
        return mask.values
    gray = mask.values & 255
    if (mask.values != gray * 0x010101).any():
        raise ValueError(
            f"{str(path)!r} is a mask of colors, expected class numbers: export 8-bit gray, or "
            "say which color is which class, in classes.txt (lines of `name red green blue`) or "
            "as class_names and palette"
        )
    return gray.astype(np.uint8)


def _to_colors(mask: StoredMask, path: Path) -> Int[np.ndarray, "height width"]:
    if mask.kind == "color":
        return mask.values
    present = distinct_values(mask.values)
    colors = [mask.color_of(value) for value in present]
    if None in colors:
        raise ValueError(
            f"{str(path)!r} has the value {present[colors.index(None)]}, which no color is known "
            "for, expected a mask of colors as the others: export it as they are"
        )
    return np.array(colors, np.int32)[np.searchsorted(present, mask.values)]
