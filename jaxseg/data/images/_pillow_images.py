"""Images that Pillow reads, with all bits of their samples."""

import contextlib
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from jaxseg.data.images import orientation

FORMATS = ("PNG", "JPEG", "MPO", "BMP", "DIB", "GIF", "WEBP", "PPM", "TGA", "TIFF")
UNREADABLE = (OSError, SyntaxError, ValueError, IndexError, KeyError, struct.error)
LARGEST = 2**30
"""Most pixels of an image, height times width: about a gigapixel."""
_GRAY = ("1", "L", "LA", "La")
_MODES = (*_GRAY, "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr")
_LIMIT = threading.RLock()


class FileError(ValueError):
    """An error of this package's own, which names the file and the remedy already."""


@contextlib.contextmanager
def open_image(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Opens an image of up to `LARGEST` pixels, more than Pillow allows by default.

    Args:
        path: The file.

    Raises:
        ValueError: The file has more pixels, or it turns out to be damaged, or no image, while it
            is open.
    """
    try:
        # Pillow checks its limit, a global of its module, when it opens and when it decodes.
        with _LIMIT:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                with Image.open(path) as image:
                    check_pixels(path, image.height, image.width)
                    yield image
            finally:
                Image.MAX_IMAGE_PIXELS = limit
    except FileError:
        raise
    except UNREADABLE as error:
        raise unreadable(path, error) from error


def check_pixels(path: Path, height: int, width: int) -> None:
    """Checks that an image is not too large.

    Args:
        path: The file, for the message.
        height: Height in pixels.
        width: Width in pixels.

    Raises:
        ValueError: It has more than `LARGEST` pixels.
    """
    if height * width > LARGEST:
        raise FileError(
            f"{str(path)!r} has {width} x {height} pixels, expected at most {LARGEST:,}, the limit "
            "of this package: cut it into tiles"
        )


def unreadable(path: Path, error: BaseException) -> FileError:
    """Returns the error for a file that is damaged or no image.

    Args:
        path: The file.
        error: What the library said.
    """
    return FileError(
        f"{str(path)!r} cannot be read as an image ({error}), expected a whole one: copy or "
        "export it again"
    )


def head(path: Path) -> tuple[tuple[int, int, int], str, int]:
    """Reads what an image holds from the file's head only.

    Args:
        path: The file.

    Returns:
        Height, width and channels as stored; the name of the dtype; and the orientation tag.

    Raises:
        ValueError: The file cannot be read exactly.
    """
    with open_image(path) as image:
        _check(path, image)
        deep = _is_deep(image)
        gray = image.mode in _GRAY or image.mode.startswith("I;16") or _rawmode(image) == "LA;16B"
        shape = (image.height, image.width, 1 if gray else 3)
        return shape, "uint16" if deep else "uint8", _tag(path, image)


def read_orientation(path: Path) -> int:
    """Reads the orientation tag, 1 to 8; 1 where there is none.

    Args:
        path: The file.

    Raises:
        ValueError: The file cannot be read.
    """
    with open_image(path) as image:
        return _tag(path, image)


def pixels(path: Path) -> tuple[np.ndarray, int]:
    """Reads an image as it is stored, transparent pixels laid on black.

    Args:
        path: The file.

    Returns:
        The image, uint8 or uint16 of shape (height, width, 1 or 3), and the orientation tag.

    Raises:
        ValueError: The file cannot be read exactly.
    """
    with open_image(path) as image:
        _check(path, image)
        stored = _deep_samples(path, image) if _is_deep(image) else _samples(image)
        tag = orientation.check(image.getexif().get(orientation.TAG, 1))
    channels = 1 if stored.shape[-1] <= 2 else 3
    if stored.shape[-1] == channels:
        return stored, tag
    return _on_black(path, stored[..., :channels], stored[..., channels:]), tag


def both_bytes(path: Path, high: str, low: str) -> np.ndarray:
    """Reads 16-bit samples, of which Pillow keeps one byte in a mode such as RGB, byte by byte.

    Args:
        path: The file.
        high: Pillow's raw mode that keeps the high byte of each sample.
        low: Pillow's raw mode that keeps the low one.

    Returns:
        uint16 of shape (height, width, channels).
    """
    halves = []
    for rawmode in (high, low):
        with open_image(path) as image:
            image.tile = [_with_rawmode(tile, rawmode) for tile in image.tile]
            halves.append(np.asarray(image).astype(np.uint16))
    return halves[0] << 8 | halves[1]


def _tag(path: Path, image: ImageFile.ImageFile) -> int:
    """The orientation tag, without decoding the pixels unless it may stand behind them."""
    if image.format == "PNG" and "exif" not in image.info and not _text_follows_pixels(path):
        exif = Image.Image.getexif(image)  # that of PngImageFile decodes
    else:
        exif = image.getexif()
    return orientation.check(exif.get(orientation.TAG, 1))


def _text_follows_pixels(path: Path) -> bool:
    """Tells whether a PNG has EXIF or text behind its pixels; true also where that is unclear."""
    behind = False
    with path.open("rb") as file:
        file.seek(8)
        while len(start := file.read(8)) == 8:
            name = start[4:]
            behind = behind or name == b"IDAT"
            if name == b"IEND" or (behind and name in (b"eXIf", b"tEXt", b"zTXt", b"iTXt")):
                return name != b"IEND"
            file.seek(int.from_bytes(start[:4]) + 4, 1)
    return True


def _with_rawmode(tile, rawmode: str):
    """The same part of a file, whose samples are unpacked in another way."""
    args = rawmode if isinstance(tile.args, str) else (rawmode, *tile.args[1:])
    return tile._replace(args=args)


def _check(path: Path, image: ImageFile.ImageFile) -> None:
    """Refuses what Pillow would read in part only."""
    if image.format not in FORMATS:
        raise FileError(
            f"{str(path)!r} is a {image.format} file, of which it is not known whether all bits "
            "are read, expected PNG, TIFF, JPEG, BMP, WebP, GIF or .npy: convert it to .png or .tif"
        )
    # The further frames of an MPO, a camera's JPEG, are previews or depth.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise FileError(
            f"{str(path)!r} has {frames} frames, expected one image: save the frames "
            "as files of their own"
        )
    known = image.mode in _MODES or image.mode.startswith("I;16")
    if not known or (image.format == "PPM" and _largest_of_ppm(image) > 255):
        raise FileError(
            f"{str(path)!r} has the mode {image.mode!r} in a {image.format} file, which cannot be "
            "read with all its bits, expected gray or RGB samples: convert it to .png or .tif"
        )


def _largest_of_ppm(image: ImageFile.ImageFile) -> int:
    """The value of full brightness, where the decoder is told of one."""
    args = image.tile[0].args if image.tile else ()
    return args[-1] if isinstance(args, tuple) and args and isinstance(args[-1], int) else 255


def _rawmode(image: ImageFile.ImageFile) -> str:
    args = image.tile[0].args if image.tile else ""
    return args if isinstance(args, str) else ""


def _is_deep(image: ImageFile.ImageFile) -> bool:
    return image.mode.startswith("I;16") or _rawmode(image).endswith(";16B")


def _samples(image: ImageFile.ImageFile) -> np.ndarray:
    """8-bit samples (height, width, channels), the last of 2 or 4 channels the opacity."""
    gray = image.mode in _GRAY
    if _rawmode(image) in ("L;2", "L;4") and isinstance(key := image.info.get("transparency"), int):
        largest = 2 ** int(_rawmode(image)[-1]) - 1  # Pillow scales the samples and not the key
        image.info["transparency"] = (key & largest) * (255 // largest)
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        return rgba[..., (0, 3)] if gray else rgba
    array = np.asarray(image.convert("L" if gray else "RGB"))
    return array[..., None] if gray else array


def _deep_samples(path: Path, image: ImageFile.ImageFile) -> np.ndarray:
    """16-bit samples, likewise."""
    rawmode, key = _rawmode(image), image.info.get("transparency")
    if image.mode.startswith("I;16"):
        stored = np.asarray(image).astype(np.uint16)[..., None]
    elif rawmode == "LA;16B":  # the same four bytes a pixel
        image.tile = [_with_rawmode(tile, "RGBA") for tile in image.tile]
        stored = np.asarray(image).view(">u2").astype(np.uint16)
    else:
        stored = both_bytes(path, rawmode, rawmode.replace(";16B", ";16L"))
    if key is None or stored.shape[-1] not in (1, 3):
        return stored
    opaque = (stored != np.asarray(key, np.uint16)).any(-1, keepdims=True)
    return np.concatenate([stored, np.where(opaque, np.uint16(65535), np.uint16(0))], -1)


def _on_black(path: Path, colors: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Lays colors on black, rounded to the nearest number."""
    full = int(np.iinfo(colors.dtype).max)
    if (opacity == full).all():
        return np.ascontiguousarray(colors)
    if (opacity < full).all():
        raise FileError(
            f"{str(path)!r} has no pixel that its alpha channel says is opaque, expected a "
            "transparent background at most: if the channel is a band, save the bands as .tif or "
            ".npy, where each is a channel; else save the image without alpha"
        )
    product = colors.astype(np.uint32) * opacity
    return ((product + full // 2) // full).astype(colors.dtype)
