"""Images in .npy files: (height, width) or (height, width, bands)."""

from pathlib import Path

import numpy as np

from jaxseg.data.images._pillow_images import FileError, check_pixels, unreadable
from jaxseg.data.images._tiff_images import MOST_CHANNELS


def head(path: Path) -> tuple[tuple[int, int, int], str, int]:
    """Reads the shape and the type of the array from the file's head.

    Args:
        path: The file.

    Returns:
        Height, width and channels; the name of the dtype; and 1, for upright.

    Raises:
        ValueError: The file is damaged, or its array is no image.
    """
    array = _load(path)
    return (*array.shape[:2], array.shape[2]), str(array.dtype), 1


def pixels(path: Path) -> tuple[np.ndarray, int]:
    """Reads the array.

    Args:
        path: The file.

    Returns:
        The array, (height, width, channels); and 1, for upright.

    Raises:
        ValueError: The file is damaged, or its array is no image.
    """
    return np.array(_load(path)), 1


def _load(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise unreadable(path, error) from error
    image = array[..., None] if array.ndim == 2 else array
    if image.ndim != 3 or image.size == 0 or image.shape[2] > MOST_CHANNELS:
        raise FileError(
            f"{str(path)!r} holds an array of shape {array.shape}, expected (height, width) or "
            f"(height, width, bands) with at most {MOST_CHANNELS} bands: if the bands come first, "
            "save np.moveaxis(array, 0, -1)"
        )
    check_pixels(path, *image.shape[:2])
    return image
