"""Reads mask files: the numbers as they are stored, and the colors that they are shown in."""

import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from PIL import Image, UnidentifiedImageError

from jaxseg.data.images._colormaps import restore_palette
from jaxseg.data.images._no_data import NO_DATA, parse_no_data
from jaxseg.data.images._pillow_images import unreadable
from jaxseg.data.masks.mask_formats import (
    bits_per_sample,
    check_format,
    check_tiff,
    is_signed,
    read_head,
    several_bands,
)
from jaxseg.data.masks.mask_values import pack_color
from jaxseg.data.masks.stored_masks import NO_COLOR, StoredMask, to_values

_DAMAGED = (OSError, SyntaxError, EOFError, IndexError)
_UNREADABLE = (*_DAMAGED, ValueError)
_MOST_PIXELS = 2**30
_ORIENTATION = 0x0112  # EXIF's tag; 5 to 8 exchange height and width
_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_LARGEST_EXACT = 2**53  # float64 holds every integer up to it
_LOCK = threading.Lock()


def read_mask(path: Path) -> StoredMask:
    """Reads a mask as it is stored.

    Args:
        path: A lossless .png, .tif, .bmp, .gif or .webp, or a .npy; of one channel of whole
            numbers of any bit depth, with a palette, or of colors. A GIF of grays is read by them,
            since the order of its palette is that of its writer.

    Raises:
        ValueError: The file cannot be read exactly: it is damaged, of a lossy format, of several
            frames, not of whole numbers, or has transparent pixels.
    """
    if path.suffix.lower() == ".npy":
        return _from_array(_load_array(path), path, "NumPy")
    opened = _open(path)
    if opened is None:
        return _read_tiff(path)
    image, bits, signed = opened
    orientation, file_format = read_orientation(image), image.format or ""
    if image.mode in ("RGB", "RGBA", "LA"):
        mask = StoredMask(_read_colors(image, path), "color", None, 8, file_format)
    elif image.mode == "P":
        mask = _from_palette(image, file_format)
    elif image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
        numbers = _read_numbers(image, bits, signed)
        mask = StoredMask(_whole(numbers, path), "gray", None, bits, file_format)
    else:
        raise _not_numbers(path, f"has the mode {image.mode!r}")
    return _with_no_data(mask, getattr(image, "tag_v2", {}).get(NO_DATA))._replace(
        orientation=orientation
    )


def _with_no_data(mask: StoredMask, text: object) -> StoredMask:
    """The mask with the value that a tag's text declares to be no data, if it is whole."""
    number = parse_no_data(text)
    if number is None or not number.is_integer():
        return mask
    value = int(number) * (0x010101 if mask.kind == "color" else 1)
    return mask._replace(no_data=value)


def read_values(path: Path, *, colored: bool = False) -> Int[np.ndarray, "height width"]:
    """Reads the values of a mask: class numbers as they are stored, or packed colors.

    The orientation tag is not obeyed: the pixels stand as they are stored.

    Args:
        path: A lossless file of one channel of whole numbers; or with a palette, whose indices
            count; or of colors. A gray mask that is stored as colors is taken for its gray values.
        colored: Read the colors that the file shows, each packed into one number as
            `mask_values.pack_color` does.

    Raises:
        ValueError: The file cannot be read exactly, or it has colors though `colored` is false.
    """
    return to_values(read_mask(path), path, colored=colored)


def read_orientation(image: Image.Image) -> int:
    """Reads the orientation tag of an opened file, 1 to 8; 1 where there is none.

    Args:
        image: The opened file.
    """
    tag = image.getexif().get(_ORIENTATION, 1)
    return tag if tag in range(1, 9) else 1


def _open(path: Path) -> tuple[Image.Image, int, bool] | None:
    """Opens a whole file, with the bits and the sign of its samples.

    Returns None for a TIFF of samples that Pillow does not know, or with an orientation tag, which
    Pillow would turn, and scramble where the sides are exchanged.
    """
    try:
        image = _open_head(path)
    except UnidentifiedImageError as error:
        if read_head(path, 4) in _TIFF_HEADS:
            return None
        raise unreadable(path, error) from error
    except _UNREADABLE as error:
        raise unreadable(path, error) from error
    with image:
        if image.width * image.height > _MOST_PIXELS:
            raise ValueError(
                f"{str(path)!r} has {image.width} x {image.height} pixels, expected at most "
                f"{_MOST_PIXELS}: cut the image and its mask into tiles"
            )
        try:
            check_format(image, path)
            if image.format == "TIFF" and read_orientation(image) != 1:
                return None
            bits, signed = bits_per_sample(image, path), is_signed(image)
            image.load()
        except _DAMAGED as error:
            raise unreadable(path, error) from error
    return image, bits, signed


def _read_numbers(image: Image.Image, bits: int, signed: bool) -> np.ndarray:
    values = np.asarray(image)
    if image.mode == "L" and bits in (2, 4):
        return values // (255 // ((1 << bits) - 1))  # Pillow scales the numbers to brightness
    if image.mode == "L" and signed:
        return values.view(np.int8)
    if image.mode == "I" and image.format == "TIFF" and bits == 32 and not signed:
        return values.view(np.uint32)
    return values


def _open_head(path: Path) -> Image.Image:
    """Opens a file without Pillow's limit of pixels, which is below what cameras and scans have."""
    with _LOCK:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _read_tiff(path: Path) -> StoredMask:
    """Reads a TIFF that Pillow does not: of 64-bit numbers, for example."""
    import tifffile  # here, since few files need it; scikit-image brings it along

    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            orientation = int(page.tags[_ORIENTATION].value) if _ORIENTATION in page.tags else 1
            compression, photometric = int(page.compression), int(page.photometric)
            pages, bits, values = len(file.pages), int(page.bitspersample), page.asarray()
            no_data = page.tags.valueof(NO_DATA, default=None)
    except (struct.error, KeyError, *_UNREADABLE) as error:
        raise unreadable(path, error) from error
    check_tiff(path, compression, photometric, pages)
    if photometric not in (1, 2):
        raise ValueError(
            f"{str(path)!r} is a TIFF of the photometric interpretation {photometric} with an "
            "orientation tag, expected numbers or colors, or no tag: export the mask as .png"
        )
    mask = _with_no_data(_from_array(values, path, "TIFF"), no_data)
    return mask._replace(bits=bits, orientation=orientation)


def _load_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise unreadable(path, error) from error


def _from_array(array: np.ndarray, path: Path, file_format: str) -> StoredMask:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8:
        _check_no_bands(array, path)
        return StoredMask(pack_color(array), "color", None, 8, file_format)
    if array.ndim == 3 and array.dtype.kind in "biuf":
        raise several_bands(path, f"has the shape {array.shape}")
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise _not_numbers(path, f"has the shape {array.shape} and the type {array.dtype}")
    bits = 1 if array.dtype == bool else 8 * array.dtype.itemsize
    return StoredMask(_whole(array, path), "gray", None, bits, file_format)


def _from_palette(image: Image.Image, file_format: str) -> StoredMask:
    restore_palette(image)
    values = np.asarray(image)
    colors = np.array(image.getpalette("RGB") or [], np.int32).reshape(-1, 3)
    if (colors == np.arange(len(colors))[:, None]).all():  # it shows the numbers as grays
        return StoredMask(values, "gray", None, 8, file_format)
    if file_format == "GIF" and (colors == colors[:, :1]).all():  # GIF has no other way for grays
        return StoredMask(colors[:, 0].astype(np.uint8)[values], "gray", None, 8, file_format)
    palette = pack_color(colors)
    alpha = image.info.get("transparency", b"")
    if isinstance(alpha, int):
        alpha = bytes([255] * alpha + [0])
    palette[: len(alpha)][np.frombuffer(alpha, np.uint8)[: len(palette)] < 255] = NO_COLOR
    return StoredMask(values, "palette", palette, 8, file_format)


def _check_no_bands(colors: np.ndarray, path: Path) -> None:
    """Refuses three bands of 0 and 1, which are no colors; where all are equal, it is a gray."""
    if colors.max(initial=0) == 1 and (colors != colors[..., :1]).any():
        raise several_bands(path, "has 3 bands of 0 and 1")


def _whole(values: np.ndarray, path: Path) -> np.ndarray:
    """The values as integers of the machine's byte order."""
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or (values != np.round(values)).any():
            raise _not_numbers(path, "has values that are not whole numbers")
        if (np.abs(values) > _LARGEST_EXACT).any():
            raise _not_numbers(path, f"has values beyond {_LARGEST_EXACT}, which are not exact")
        return values.astype(np.int64)
    return values.astype(values.dtype.newbyteorder("="))


def _read_colors(image: Image.Image, path: Path) -> Int[np.ndarray, "height width"]:
    pixels = np.asarray(image.convert("RGBA"))
    if (pixels[..., 3] < 255).any():
        raise ValueError(
            f"{str(path)!r} has transparent pixels, expected a mask without: flatten it, so that "
            "every pixel has the value of one class"
        )
    _check_no_bands(pixels[..., :3], path)
    return pack_color(pixels[..., :3])


def _not_numbers(path: Path, found: str) -> ValueError:
    return ValueError(
        f"{str(path)!r} {found}, expected a mask of whole numbers: export the class numbers as "
        "8-bit gray .png"
    )
