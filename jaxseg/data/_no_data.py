"""Pixels of TIFF files that hold no measurement, as GDAL marks them."""

from pathlib import Path

import numpy as np

from jaxseg.data._pillow_images import FileError

_NO_DATA = 42113  # GDAL's tag: the number of pixels without a measurement, as text


def check_no_data(path: Path, array: np.ndarray, page) -> None:
    """Checks that no pixel has the number that the file declares to be no measurement.

    Args:
        path: The file, for the message.
        array: Its samples as they are stored.
        page: Its page, with the tags.

    Raises:
        ValueError: A pixel has that number.
    """
    text = page.tags.valueof(_NO_DATA, default=None)
    try:
        number = float(str(text).strip().strip("\0"))
    except ValueError:  # there is no tag, or none that is a number
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
