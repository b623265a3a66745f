"""Image and mask files: opened, checked, and brought to one size."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageOps

IGNORED = 255
PADDING = (124, 116, 104)
"""Red, green and blue beside an image that is letterboxed: ImageNet's mean, which normalizes to
about 0."""

_ORIENTATION = 0x0112  # EXIF's tag; 5 to 8 exchange height and width
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class Files(NamedTuple):
    """The files of one example."""

    image: Path
    mask: Path


def read_image(path: Path) -> Image.Image:
    """Opens an image as 8-bit red, green and blue, upright as its EXIF orientation says.

    Grey, palette, CMYK and other 8-bit modes are converted. Transparent pixels are laid on black.

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


def read_values(path: Path, *, coloured: bool = False) -> Int[np.ndarray, "height width"]:
    """Reads the values of a mask: class numbers as they are stored, or packed colours.

    Args:
        path: A lossless file of one channel of whole numbers or a palette, whose indices count;
            or of colours. A grey mask stored as colours is taken for its grey values.
        coloured: The values are the colours, as `pack_colour` makes them.

    Raises:
        ValueError: The file cannot be read, is a JPEG, has colours that are not asked for, has
            transparent pixels, or a value beyond 8 bits.
    """
    mask = _open(path)
    if mask.format == "JPEG":
        raise ValueError(
            f"{str(path)!r} is a JPEG, whose compression changes the values of a mask, expected a "
            "lossless file: export the mask as .png"
        )
    if coloured or mask.mode in ("RGB", "RGBA", "LA"):
        return _colours(mask, path, coloured)
    if mask.mode not in ("1", "L", "P", "I") and not mask.mode.startswith("I;16"):
        raise ValueError(
            f"{str(path)!r} has the mode {mask.mode!r}, expected a mask of whole numbers: export "
            "the class numbers as 8-bit grey .png"
        )
    values = np.asarray(mask)
    if values.dtype.itemsize > 1 and (values.min() < 0 or values.max() > 255):
        raise ValueError(
            f"{str(path)!r} has values from {values.min()} to {values.max()}, expected 0..255: "
            "map the classes to these and export the mask as 8-bit .png"
        )
    return values.astype(np.uint8)


def pack_colour(colour: Int[np.ndarray, "... 3"]) -> Int[np.ndarray, "..."]:
    """One number a colour: red × 65536 + green × 256 + blue."""
    red, green, blue = np.moveaxis(np.asarray(colour, np.int32), -1, 0)
    return red * 65536 + green * 256 + blue


def read_pair(
    files: Files, *, coloured: bool = False
) -> tuple[Image.Image, Int[np.ndarray, "height width"]]:
    """Reads an image with the values of its mask, which must have the image's size.

    Raises:
        ValueError: A file is not as `read_image` and `read_values` expect it, or the sizes differ.
    """
    image = read_image(files.image)
    values = read_values(files.mask, coloured=coloured)
    height, width = values.shape
    if image.size != (width, height):
        remedy = "export the mask at the image's size"
        if image.size == (height, width) and _is_turned(files.image):
            remedy = (
                "the image's EXIF orientation turns it and the mask was drawn on the unturned one; "
                "remove the orientation, or turn the mask"
            )
        raise ValueError(
            f"{str(files.mask)!r} has {(width, height)} pixels (width, height), expected "
            f"{image.size} as in {str(files.image)!r}: {remedy}"
        )
    return image, values


def to_labels(
    values: Int[np.ndarray, "height width"], labels: Mapping[int, int], path: Path
) -> UInt8[np.ndarray, "height width"]:
    """Replaces a mask's values by labels.

    Args:
        values: What `read_values` returns.
        labels: The label of every value: 0..classes-1, or 255 for ignored pixels.
        path: The mask's file, for the message.

    Raises:
        ValueError: A value is not among `labels`.
    """
    found = present(values)
    wrong = [value for value in found if value not in labels]
    if wrong:
        raise ValueError(
            f"{str(path)!r} has the values {_listed(wrong)}, expected {_listed(sorted(labels))}: "
            "correct the mask, or list its classes"
        )
    new = np.array([labels[value] for value in found], np.uint8)
    if values.dtype != np.uint8:
        return new[np.searchsorted(found, values)]
    table = np.zeros(256, np.uint8)
    table[found] = new
    return table[values]


def present(values: Int[np.ndarray, "height width"]) -> list[int]:
    """The values that occur, in ascending order."""
    if values.dtype != np.uint8:
        return np.unique(values).tolist()
    return np.flatnonzero(np.bincount(values.ravel(), minlength=256)).tolist()


def show_value(value: int) -> str:
    """A mask's value for people: a number up to 255, else the colour that it packs."""
    return str(value) if value < 256 else str((value >> 16, value >> 8 & 255, value & 255))


def shrink(image: Image.Image, size: tuple[int, int], *, keep_aspect: bool) -> Image.Image:
    """Resamples an image to fit `size`, (height, width): inside it if `keep_aspect`, else exactly.

    A triangle filter as wide as the reduction averages every pixel, so that nothing aliases.
    """
    return image.resize(_inner(image.size, size, keep_aspect), Image.Resampling.BILINEAR)


def fit(
    image: Image.Image,
    label: UInt8[np.ndarray, "height width"],
    size: tuple[int, int],
    *,
    keep_aspect: bool,
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Brings an image and its label to one size, (height, width), on the same pixel grid.

    Args:
        image: Red, green and blue.
        label: Of the image's size; resampled to the nearest pixel.
        size: Of the results.
        keep_aspect: Scale both axes alike and centre the result; what is left beside it is
            `PADDING` with label 255. Otherwise both are stretched.
    """
    pixels = np.asarray(shrink(image, size, keep_aspect=keep_aspect))
    height, width = pixels.shape[:2]
    small = Image.fromarray(label).resize((width, height), Image.Resampling.NEAREST)
    if (height, width) == size:
        return pixels, np.asarray(small)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    inside = slice(top, top + height), slice(left, left + width)
    canvas, labels = np.full((*size, 3), PADDING, np.uint8), np.full(size, IGNORED, np.uint8)
    canvas[inside], labels[inside] = pixels, np.asarray(small)
    return canvas, labels


def upright_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as `read_image` turns it, read from the file's head only.

    Raises:
        ValueError: The file cannot be read.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION, 1) >= 5
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    return (width, height) if turned else (height, width)


def _inner(image: tuple[int, int], size: tuple[int, int], keep_aspect: bool) -> tuple[int, int]:
    """Width and height of an image of this width and height once it is resampled."""
    height, width = size
    if not keep_aspect:
        return width, height
    scale = min(width / image[0], height / image[1])
    inner_width, inner_height = (max(1, round(side * scale)) for side in image)
    return min(inner_width, width), min(inner_height, height)


def _colours(mask: Image.Image, path: Path, coloured: bool) -> Int[np.ndarray, "height width"]:
    pixels = np.asarray(mask.convert("RGBA"))
    if (pixels[..., 3] < 255).any():
        raise ValueError(
            f"{str(path)!r} has transparent pixels, expected a mask without: flatten it, so that "
            "every pixel has the value of one class"
        )
    if coloured:
        return pack_colour(pixels[..., :3])
    if (pixels[..., :1] != pixels[..., 1:3]).any():
        raise ValueError(
            f"{str(path)!r} is a mask of colours, expected class numbers: export 8-bit grey, or "
            "say which colour is which class, in classes.txt (lines of `name red green blue`) or "
            "as class_names and palette"
        )
    return pixels[..., 0]


def _listed(values: list[int]) -> str:
    return ", ".join(map(show_value, values[:12])) + (", …" if len(values) > 12 else "")


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
        return image.getexif().get(_ORIENTATION, 1) >= 5
