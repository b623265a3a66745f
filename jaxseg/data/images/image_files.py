"""Reads image files as arrays of their own channels and bits, upright."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxseg.data.images import _npy_images, _pillow_images, _tiff_images, orientation
from jaxseg.data.images._pillow_images import unreadable

DTYPES = ("uint8", "uint16", "float32")
"""The types that images are read as."""
MOST_CHANNELS = _tiff_images.MOST_CHANNELS
"""Most channels of an image."""
_LARGEST_EXACT = 2**24  # float32 holds every integer up to it
# ITU-R BT.601-7, as Pillow computes it for 8 bits: in units of 1/65536, rounded.
_LUMA = (19595, 38470, 7471)


class FilePair(NamedTuple):
    """The files of one example: an image and its mask."""

    image: Path
    mask: Path


class ImageFormat(NamedTuple):
    """The array that `read_image` makes of a file, as its head tells.

    Attributes:
        height: Height in pixels, upright.
        width: Width in pixels, upright.
        channels: Number of channels.
        dtype: One of `DTYPES`.
        orientation: Value of the file's orientation tag, 1 to 8; 1 without one.
    """

    height: int
    width: int
    channels: int
    dtype: str
    orientation: int


def image_format(path: Path) -> ImageFormat:
    """Reads what an image file holds from its head, without its pixels.

    Args:
        path: The file.

    Raises:
        ValueError: The file cannot be read exactly.
    """
    (height, width, channels), dtype, tag = _reader(path).head(path)
    if orientation.exchanges_sides(tag):
        height, width = width, height
    return ImageFormat(height, width, channels, _dtype_read(np.dtype(dtype)), tag)


def read_image(path: Path, *, channels: int | None = None, dtype: str | None = None) -> np.ndarray:
    """Reads an image with its own channels and all bits, upright as its orientation tag says.

    Gray images have one channel, colors three; the bands of a TIFF and of a .npy file, which is
    (height, width) or (height, width, bands), are as many channels, up to 32. Palettes, CMYK and
    YCbCr become red, green and blue; samples of fewer than 8 bits are scaled to 8. Transparency is
    what PNG, GIF and WebP files say it is, and is laid on black; the bands of a TIFF are channels,
    the one that is marked as alpha too. Samples of 8 and 16 bits keep their type, and others become
    float32.

    Args:
        path: The file: PNG, TIFF, JPEG, BMP, WebP, GIF, PPM, TGA or .npy, of at most 2³⁰ pixels.
        channels: The number of channels that is needed: gray is repeated to make three of it, and
            red, green and blue are mixed to gray (ITU-R BT.601) to make one; all else must have as
            many. None takes the file's.
        dtype: The type that is needed, one of `DTYPES`; None takes the file's.

    Returns:
        The image, (height, width, channels), of type uint8, uint16 or float32.

    Raises:
        ValueError: The file cannot be read exactly, has numbers that are not finite or not exact
            in float32, or has other channels or another type than needed.
    """
    stored, tag = _reader(path).pixels(path)
    image = orientation.turn_upright(_to_known_type(stored, path), tag)
    if dtype is not None and image.dtype != dtype:
        raise ValueError(
            f"{str(path)!r} holds {image.dtype} numbers{_more_bits(image.dtype)}, expected {dtype} "
            "as in the other images: which range corresponds to theirs cannot be known; save it "
            "in their type"
        )
    return image if channels is None else _with_channels(image, channels, path)


def upright_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as `read_image` turns it, read from the file's head only.

    Args:
        path: The file.

    Raises:
        ValueError: The file cannot be read.
    """
    return image_format(path)[:2]


def marks_alpha(path: Path) -> bool:
    """Returns whether a file marks a band that `read_image` takes for a channel as alpha.

    Args:
        path: The file.

    Raises:
        ValueError: The file cannot be read.
    """
    return _reader(path) is _tiff_images and _tiff_images.marks_alpha(path)


def pages_as_bands(path: Path) -> int:
    """Returns how many pages of a TIFF `read_image` takes for channels; 0 where none are.

    Args:
        path: The file.

    Raises:
        ValueError: The file cannot be read.
    """
    return _tiff_images.pages_as_bands(path) if _reader(path) is _tiff_images else 0


def read_orientation(path: Path) -> int:
    """Reads the orientation tag of an image or a mask, 1 to 8; 1 where there is none.

    Args:
        path: The file.

    Raises:
        ValueError: The file cannot be read.
    """
    reader = _reader(path)
    if reader is _npy_images:
        return 1
    return reader.read_orientation(path)


def _reader(path: Path) -> Any:
    """The module that reads the file: by its ending for .npy, else by its first bytes."""
    if path.suffix.lower() == ".npy":
        return _npy_images
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise unreadable(path, error) from error
    is_tiff = start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    return _tiff_images if is_tiff else _pillow_images


def _dtype_read(dtype: np.dtype) -> str:
    """Name of the type that samples of a type are read as."""
    name = dtype.newbyteorder("=").name
    return {"bool": "uint8"}.get(name, name if name in DTYPES else "float32")


def _to_known_type(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "uif":
        raise ValueError(
            f"{str(path)!r} holds numbers of type {array.dtype}, expected integers or floats: "
            "convert them"
        )
    name = _dtype_read(array.dtype)
    if name != "float32":
        return array.astype(name, copy=False)
    if array.dtype.kind in "ui" and max(-int(array.min()), int(array.max())) > _LARGEST_EXACT:
        raise ValueError(
            f"{str(path)!r} has {array.dtype} values from {array.min()} to {array.max()}, expected "
            f"at most {_LARGEST_EXACT:,}, up to which float32 is exact: scale them"
        )
    with np.errstate(over="ignore"):  # what overflows is named below
        floats = array.astype(np.float32, copy=False)
    wrong = int(floats.size - np.isfinite(floats).sum())
    if wrong:
        raise ValueError(
            f"{str(path)!r} has {wrong} values that are not finite in float32 (NaN, infinity or "
            "too large), expected numbers: replace them by a number, and give their pixels the "
            "mask's value for ignored ones"
        )
    return floats


def _with_channels(image: np.ndarray, channels: int, path: Path) -> np.ndarray:
    """Repeats gray, or mixes red, green and blue to gray, where that gives the channels needed."""
    own = image.shape[-1]
    if own == channels:
        return image
    if (own, channels) == (1, 3):
        return np.repeat(image, 3, axis=-1)
    if (own, channels) == (3, 1):
        if image.dtype == np.float32:
            return image @ (np.array(_LUMA, np.float32)[:, None] / 65536)
        mixed = image.astype(np.uint64) @ np.array(_LUMA, np.uint64)[:, None]
        return (mixed + 32768 >> np.uint64(16)).astype(image.dtype)
    raise ValueError(
        f"{str(path)!r} has {own} channels, expected {channels} as in the other images: save it "
        "with the same bands as those"
    )


def _more_bits(dtype: np.dtype) -> str:
    return " (more than 8 bits a channel)" if dtype.itemsize > 1 else ""
