"""The values of masks: class numbers or packed colors, and the labels that they stand for."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

IGNORE_INDEX = 255
"""Label of the pixels that count in no loss and no metric."""


def to_labels(
    values: Int[np.ndarray, "height width"],
    labels: Mapping[int, int],
    path: Path,
    *,
    colored: bool = False,
) -> UInt8[np.ndarray, "height width"]:
    """Replaces the values of a mask by labels.

    Args:
        values: The values, as `mask_files.read_values` returns them.
        labels: The label of every value: 0..classes-1, or 255 for ignored pixels.
        path: The mask's file, for the message.
        colored: The values are packed colors.

    Raises:
        ValueError: A value is not among `labels`.
    """
    present = distinct_values(values)
    unknown = [value for value in present if value not in labels]
    if unknown:
        count = int(np.isin(values, unknown).sum())
        raise ValueError(
            f"{str(path)!r} has the values {list_values(unknown, colored=colored)} in {count} "
            f"pixels, expected {list_values(sorted(labels), colored=colored)}: correct the mask, "
            "or list its classes"
        )
    new = np.array([labels[value] for value in present], np.uint8)
    if values.dtype != np.uint8:
        return new[np.searchsorted(present, values)]
    table = np.zeros(256, np.uint8)
    table[present] = new
    return table[values]


def distinct_values(values: Int[np.ndarray, "height width"]) -> list[int]:
    """The values that occur, in ascending order."""
    if values.dtype != np.uint8:
        return np.unique(values).tolist()
    return np.flatnonzero(np.bincount(values.ravel(), minlength=256)).tolist()


def pack_color(color: Int[np.ndarray, "... 3"]) -> Int[np.ndarray, "..."]:
    """One number for a color: red × 65536 + green × 256 + blue."""
    red, green, blue = np.moveaxis(np.asarray(color, np.int32), -1, 0)
    return red * 65536 + green * 256 + blue


def unpack_color(color: int) -> tuple[int, int, int]:
    """Red, green and blue of a packed color."""
    return color >> 16, color >> 8 & 255, color & 255


def show_value(value: int, *, colored: bool) -> str:
    """A mask's value for people: a number, or the color that it packs."""
    return str(unpack_color(value)) if colored else str(value)


def list_values(values: Collection[int], *, colored: bool = False) -> str:
    """Some values for people, in their order; those after the twelfth are left out.

    Args:
        values: The values.
        colored: They are packed colors.
    """
    shown = [show_value(value, colored=colored) for value in list(values)[:12]]
    return ", ".join(shown) + (", …" if len(values) > 12 else "")
