"""Reads image files, and checks that they can be read exactly."""

from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageOps

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


def is_turned(path: Path) -> bool:
    """Returns whether an image's EXIF orientation exchanges height and width.

    Args:
        path: The file.
    """
    with Image.open(path) as image:
        return _turns(image)


def _turns(image: Image.Image) -> bool:
    """Returns whether the image's EXIF orientation exchanges height and width."""
    return image.getexif().get(_ORIENTATION, 1) >= 5
