"""Reads image and mask files, and checks that they can be read exactly."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from PIL import Image, ImageOps

from jaxseg.data.mask_values import pack_color

_ORIENTATION = 0x0112  # EXIF's tag; 5 to 8 exchange height and width
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class FilePair(NamedTuple):
    """The files of one example: an image and its mask."""

    image: Path
    mask: Path


def read_image(path: Path) -> Image.Image:
    """Opens an image as 8-bit red, green and blue, upright as its EXIF orientation says.

    Gray, palette, CMYK and other 8-bit modes are converted. Transparent pixels are laid on black.

    Args:
        path: The file.

    Raises:
        ValueError: The file cannot be read, or has more than 8 bits a channel.
    """
    image = _open(path)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise ValueError(
            f"{str(path)!r} has the mode {image.mode!r}, more than 8 bits a channel, expected 8: "
            "which range of values is black to white cannot be known; stretch it to 0..255 and "
            "save it as an 8-bit .png"
        )
    try:
        image = ImageOps.exif_transpose(image)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return image.convert("RGB")


def read_values(path: Path, *, colored: bool = False) -> Int[np.ndarray, "height width"]:
    """Reads the values of a mask: class numbers as they are stored, or packed colors.

    Args:
        path: A lossless file of one channel of whole numbers; or with a palette, whose indices
            count; or of colors. A gray mask that is stored as colors is taken for its gray values.
        colored: Read the colors, each packed into one number as `mask_values.pack_color` does.

    Raises:
        ValueError: The file cannot be read, is a JPEG, has colors though `colored` is false, has
            transparent pixels, or a value beyond 8 bits.
    """
    mask = _open(path)
    if mask.format == "JPEG":
        raise ValueError(
            f"{str(path)!r} is a JPEG, whose compression changes the values of a mask, expected a "
            "lossless file: export the mask as .png"
        )
    if colored or mask.mode in ("RGB", "RGBA", "LA"):
        return _read_colors(mask, path, colored)
    if mask.mode not in ("1", "L", "P", "I") and not mask.mode.startswith("I;16"):
        raise ValueError(
            f"{str(path)!r} has the mode {mask.mode!r}, expected a mask of whole numbers: export "
            "the class numbers as 8-bit gray .png"
        )
    values = np.asarray(mask)
    if values.dtype.itemsize > 1 and (values.min() < 0 or values.max() > 255):
        raise ValueError(
            f"{str(path)!r} has values from {values.min()} to {values.max()}, expected 0..255: "
            "map the classes to these and export the mask as 8-bit .png"
        )
    return values.astype(np.uint8)


def read_pair(
    pair: FilePair, *, colored: bool = False
) -> tuple[Image.Image, Int[np.ndarray, "height width"]]:
    """Reads an image and the values of its mask, which must have the image's size.

    Args:
        pair: The two files.
        colored: The mask's values are its colors, each packed into one number.

    Returns:
        The image in 8-bit red, green and blue, and the values.

    Raises:
        ValueError: A file cannot be read exactly, or the sizes differ.
    """
    image = read_image(pair.image)
    values = read_values(pair.mask, colored=colored)
    height, width = values.shape
    if image.size != (width, height):
        remedy = "export the mask at the image's size"
        if image.size == (height, width) and _is_turned(pair.image):
            remedy = (
                "the image's EXIF orientation turns it and the mask was drawn on the unturned one; "
                "remove the orientation, or turn the mask"
            )
        raise ValueError(
            f"{str(pair.mask)!r} has {(width, height)} pixels (width, height), expected "
            f"{image.size} as in {str(pair.image)!r}: {remedy}"
        )
    return image, values


def upright_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as `read_image` turns it, read from the file's head only.

    Args:
        path: The file.

    Raises:
        ValueError: The file cannot be read.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = _turns(image)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    return (width, height) if turned else (height, width)


def _read_colors(mask: Image.Image, path: Path, colored: bool) -> Int[np.ndarray, "height width"]:
    pixels = np.asarray(mask.convert("RGBA"))
    if (pixels[..., 3] < 255).any():
        raise ValueError(
            f"{str(path)!r} has transparent pixels, expected a mask without: flatten it, so that "
            "every pixel has the value of one class"
        )
    if colored:
        return pack_color(pixels[..., :3])
    if (pixels[..., :1] != pixels[..., 1:3]).any():
        raise ValueError(
            f"{str(path)!r} is a mask of colors, expected class numbers: export 8-bit gray, or "
            "say which color is which class, in classes.txt (lines of `name red green blue`) or "
            "as class_names and palette"
        )
    return pixels[..., 0]


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    return image


def _unreadable(path: Path, error: BaseException) -> ValueError:
    return ValueError(
        f"{str(path)!r} cannot be read as an image ({error}), expected a whole one: copy or "
        "export it again"
    )


def _is_turned(path: Path) -> bool:
    with Image.open(path) as image:
        return _turns(image)


def _turns(image: Image.Image) -> bool:
    """Returns whether the image's EXIF orientation exchanges height and width."""
    return image.getexif().get(_ORIENTATION, 1) >= 5
