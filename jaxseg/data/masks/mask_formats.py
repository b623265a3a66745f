"""Checks that a mask's file gives back the numbers that were put into it."""

import re
import struct
from pathlib import Path

from PIL import Image

_LOSSLESS = ("PNG", "TIFF", "BMP", "GIF", "WEBP", "PPM")
_LOSSY = {"JPEG": "a JPEG", "MPO": "a JPEG", "JPEG2000": "a JPEG 2000", "AVIF": "an AVIF"}
_LOSSLESS_TIFF = {1, 2, 3, 4, 5, 8, 32773, 32809, 32946, 34925, 50000}
_TIFF_COMPRESSIONS = {
    6: "JPEG",
    7: "JPEG",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG",
    50001: "WebP",
    50002: "JPEG XL",
}
_REMEDY = "export the class numbers as 8-bit gray .png"
_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 258, 259, 262  # TIFF's tags
_SAMPLES, _EXTRA, _SIGN = 277, 338, 339
_REDUCED = 1  # the bit of the subfile type that marks a smaller copy of the first page


def check_format(image: Image.Image, path: Path) -> None:
    """Checks an opened file before its pixels are decoded.

    Args:
        image: The opened file.
        path: Its path, for the messages.

    Raises:
        ValueError: The compression may change values, there are several frames or pages, or the
            samples are such that they would not be read as they are stored.
    """
    name = repr(str(path))
    if image.format in _LOSSY:
        raise ValueError(
            f"{name} is {_LOSSY[image.format]}, whose compression may change the values of a mask, "
            f"expected a lossless file of {', '.join(_LOSSLESS)}: export the mask as .png"
        )
    if image.format not in _LOSSLESS:
        raise ValueError(
            f"{name} is of the format {image.format}, expected one of {', '.join(_LOSSLESS)}: "
            "export the mask as .png"
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and not (image.format == "TIFF" and _are_overviews(image, frames)):
        raise _several(name, frames)
    if image.format == "WEBP" and not _is_lossless_webp(path):
        raise _lossy(name, "lossy WebP")
    checks = {"TIFF": _check_tiff, "PNG": _check_png, "BMP": _check_bmp, "PPM": _check_ppm}
    if image.format in checks:
        checks[image.format](image, path)


def bits_per_sample(image: Image.Image, path: Path) -> int:
    """Bits of each stored sample of a gray PNG or TIFF; 8 in other formats.

    Args:
        image: The opened file.
        path: Its path.
    """
    if image.format == "PNG":
        return read_head(path, 25)[24]
    if image.format == "TIFF":
        return _tags(image).get(_BITS, (1,))[0]
    return 1 if image.mode == "1" else 8


def is_signed(image: Image.Image) -> bool:
    """Returns whether the samples are signed integers."""
    return image.format == "TIFF" and _tags(image).get(_SIGN, (1,))[0] == 2


def check_tiff(path: Path, compression: int, photometric: int | None, pages: int = 1) -> None:
    """Checks what a TIFF's tags say of its compression, its zero and its pages.

    Args:
        path: The file.
        compression: The tag 259.
        photometric: The tag 262, or None where it is missing.
        pages: Number of pages that are not smaller copies of the first.

    Raises:
        ValueError: The compression may change values, white is stored as zero, or there are
            several pages.
    """
    name = repr(str(path))
    if pages > 1:
        raise _several(name, pages)
    if compression not in _LOSSLESS_TIFF:
        kind = _TIFF_COMPRESSIONS.get(compression, f"compression {compression}")
        raise _lossy(name, f"a TIFF with {kind}")
    if photometric == 0:
        raise ValueError(
            f"{name} stores white as zero (photometric interpretation 0), so that its numbers and "
            "its brightnesses run against each other, and which of them are meant cannot be known, "
            f"expected black as zero: {_REMEDY}"
        )


def _check_tiff(image: Image.Image, path: Path) -> None:
    name, tags = repr(str(path)), _tags(image)
    check_tiff(path, tags.get(_COMPRESSION, 1), tags.get(_PHOTOMETRIC))
    bits, samples = tags.get(_BITS, (1,)), tags.get(_SAMPLES, 1)
    if samples > 1 and max(bits) > 8:
        raise _deep_colors(name, max(bits))
    has_alpha = tags.get(_EXTRA, ()) in ((1,), (2,))
    if samples not in (1, 3) and not (samples in (2, 4) and has_alpha):
        raise several_bands(path, f"has {samples} bands")


def several_bands(path: Path, found: str) -> ValueError:
    """The error for a mask of several numbers a pixel, such as one band a class.

    Args:
        path: The file.
        found: What is wrong, such as "has 4 bands".
    """
    return ValueError(
        f"{str(path)!r} {found}, expected a mask of one number or one color a pixel: "
        f"{_REMEDY}; where classes overlap, give each combination of them a number and a line of "
        "classes.txt (`cell = 1`, `nucleus = 2`, `both = 3`); nets with several labels a pixel are "
        "trained from Python, as the documentation of jaxseg.losses shows"
    )


def _check_png(image: Image.Image, path: Path) -> None:
    head = read_head(path, 26)
    bits, color = head[24], head[25]
    if bits > 8 and color != 0:
        raise _deep_colors(repr(str(path)), bits)


def _check_bmp(image: Image.Image, path: Path) -> None:
    """Refuses what Pillow misreads: gray palettes of other depths, and colors of 5 bits."""
    head = read_head(path, 30)
    size = struct.unpack_from("<I", head, 14)[0]
    bits = struct.unpack_from("<H", head, 24 if size == 12 else 28)[0]
    expected = {"1": (1,), "L": (8,), "P": (1, 2, 4, 8)}.get(image.mode, (24, 32))
    if bits not in expected:
        raise ValueError(
            f"{str(path)!r} is a BMP of {bits} bits a pixel in the mode {image.mode!r}, whose "
            f"values cannot be read exactly, expected 8 or 24 bits: {_REMEDY}"
        )


def _check_ppm(image: Image.Image, path: Path) -> None:
    """Refuses what Pillow scales or inverts: other maxima than 255 and 65535, and bitmaps."""
    text = re.sub(rb"#[^\n]*", b"", read_head(path, 512))
    kind, *numbers = text.split(maxsplit=4)[:4]
    if kind not in (b"P2", b"P3", b"P5", b"P6") or numbers[2] not in (b"255", b"65535"):
        raise ValueError(
            f"{str(path)!r} is a Netpbm file of the kind {kind.decode()} whose numbers are scaled "
            f"or inverted when it is read, expected one of the maximum 255 or 65535: {_REMEDY}"
        )
    if image.mode == "RGB" and numbers[2] != b"255":
        raise _deep_colors(repr(str(path)), 16)


def _several(name: str, frames: int) -> ValueError:
    return ValueError(
        f"{name} has {frames} frames or pages, expected one mask a file: export the one that "
        "belongs to the image; where each is one class, write all into one mask, with the number "
        "of the class at its pixels"
    )


def _lossy(name: str, kind: str) -> ValueError:
    return ValueError(
        f"{name} is {kind}, a compression that may change the values of a mask, expected a "
        "lossless file: export the mask as .png"
    )


def _deep_colors(name: str, bits: int) -> ValueError:
    return ValueError(
        f"{name} has several samples a pixel of {bits} bits each, expected a mask of one number a "
        f"pixel, or of 8-bit colors: {_REMEDY}"
    )


def _are_overviews(image: Image.Image, pages: int) -> bool:
    """Returns whether all further pages are smaller copies of the first one."""
    kinds = []
    for page in range(1, pages):
        image.seek(page)
        kinds.append(_tags(image).get(_SUBFILE, 0))
    image.seek(0)
    return all(kind & _REDUCED for kind in kinds)


def _tags(image: Image.Image) -> dict:
    return getattr(image, "tag_v2", {})


def _is_lossless_webp(path: Path) -> bool:
    """Looks for the chunk of lossless data among those of the container."""
    content = path.read_bytes()
    place = 12
    while place + 8 <= len(content):
        chunk, size = content[place : place + 4], struct.unpack_from("<I", content, place + 4)[0]
        if chunk in (b"VP8 ", b"VP8L"):
            return chunk == b"VP8L"
        place += 8 + size + size % 2
    return False


def read_head(path: Path, size: int) -> bytes:
    """Reads the first bytes of a file.

    Args:
        path: The file.
        size: Number of bytes.
    """
    with path.open("rb") as file:
        return file.read(size)
