"""Pixels of TIFF files that hold no measurement, as GDAL marks them."""

from pathlib import Path

import numpy as np

from jaxseg.data.images._pillow_images import FileError

NO_DATA = 42113
"""GDAL's tag: the number of pixels without a measurement, as text."""


def parse_no_data(text: object) -> float | None:
    """Returns the number that a tag holds as text, or None where there is no tag or no number.

    Args:
        text: The value of the tag, or None.
    """
    try:
        return float(str(text).strip().strip("\0"))
    except ValueError:
        return None


def check_no_data(path: Path, array: np.ndarray, page) -> None:
    """Checks that no pixel has the number that the file declares to be no measurement.

    Args:
        path: The file, for the message.
        array: Its samples as they are stored.
        page: Its page, with the tags.

    Raises:
        ValueError: A pixel has that number.
    """
    number = parse_no_data(page.tags.valueof(NO_DATA, default=None))
    if number is None:
        return
    with np.errstate(over="ignore"):
        stored = array.dtype.type(number) if array.dtype.kind == "f" else number
    count = int((array == stored).sum())
    if count:
        raise FileError(
            f"{str(path)!r} has {count} values of {number:g}, which its tag GDAL_NODATA declares "
            "to be no measurement, expected none: replace them by a number, and give their pixels "
            "the mask's value for ignored ones; or remove the tag if they are measurements"
        )
