"""TIFF images of any number of bands, read by tifffile.

Bands are channels: the samples of a page, together or in planes, or pages of one sample each. None
is taken for opacity, since most programs that write four bands mark the fourth as alpha. Where
tifffile lacks a codec, Pillow decompresses, as far as it keeps all bits.
"""

import sys
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageFile, UnidentifiedImageError

from jaxseg.data.images import orientation
from jaxseg.data.images._colormaps import restore_palette, to_8_bits
from jaxseg.data.images._no_data import check_no_data
from jaxseg.data.images._pillow_images import (
    FileError,
    both_bytes,
    check_pixels,
    open_image,
    unreadable,
)

MOST_CHANNELS = 32
"""Most channels of an image."""
_BLACK_IS_ZERO = tifffile.PHOTOMETRIC.MINISBLACK
_WHITE_IS_ZERO = tifffile.PHOTOMETRIC.MINISWHITE
_SAMPLES = (_BLACK_IS_ZERO, _WHITE_IS_ZERO, tifffile.PHOTOMETRIC.RGB)
_ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)


def head(path: Path) -> tuple[tuple[int, int, int], str, int]:
    """Reads what an image holds from the file's tags only.

    Args:
        path: The file.

    Returns:
        Height, width and channels as stored; the name of the samples' dtype; the orientation tag.

    Raises:
        ValueError: The file cannot be read exactly, or holds several images.
    """
    with _Open(path) as file:
        return file.shape, str(file.dtype), file.tag


def marks_alpha(path: Path) -> bool:
    """Returns whether the file marks one of its bands, all of which are channels, as alpha.

    Args:
        path: The file.

    Raises:
        ValueError: The file cannot be read.
    """
    with _Open(path) as file:
        return any(sample in _ALPHA for sample in file.page.extrasamples)


def pages_as_bands(path: Path) -> int:
    """Returns how many pages of one sample each are the bands of the image; 0 where none are.

    Args:
        path: The file.

    Raises:
        ValueError: The file cannot be read.
    """
    with _Open(path) as file:
        of_pages = file.axis == 0 and file.page.samplesperpixel == 1 and file.shape[2] > 1
        return file.shape[2] if of_pages else 0


def read_orientation(path: Path) -> int:
    """Reads the orientation tag of the first page, 1 to 8; 1 where there is none.

    Args:
        path: The file.

    Raises:
        ValueError: The file cannot be read.
    """
    try:
        with tifffile.TiffFile(path) as file:
            return _orientation(file.pages.first)
    except Exception as error:  # damaged files raise errors of every kind
        raise unreadable(path, error) from error


def pixels(path: Path) -> tuple[np.ndarray, int]:
    """Reads an image as it is stored.

    Args:
        path: The file.

    Returns:
        The image, (height, width, channels) of the samples' dtype, 0 being black; and the
        orientation tag, 1 where the pixels are upright already.

    Raises:
        ValueError: The file cannot be read exactly, or holds several images.
    """
    with _Open(path) as file:
        if file.page.photometric not in _SAMPLES and file.page.compression != 1:
            return _converted(path, file.page), 1
        try:
            array = file.series.asarray()
        except Exception as error:  # damaged files raise errors of every kind
            if "imagecodecs" not in str(error):
                raise unreadable(path, error) from error
            array = _decompressed(path, file.page)
            check_no_data(path, array, file.page)
            return array, 1
        check_no_data(path, array, file.page)
        if file.page.photometric not in _SAMPLES:
            return _colors(path, array, file), file.tag
        return _bright(path, file.bands_last(array), file.page), file.tag


class _Open:
    """An open file whose one image is known: `page`, `series`, `shape`, `dtype` and `tag`."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.file = tifffile.TiffFile(path)
        except Exception as error:  # as above
            raise unreadable(path, error) from error

    def __enter__(self) -> "_Open":
        try:
            try:
                self._look()
            except FileError:
                raise
            except Exception as error:  # as above
                raise unreadable(self.path, error) from error
        except BaseException:
            self.file.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def _look(self) -> None:
        # Smaller copies of an image and masks of its outline are marked as such.
        chosen = [s for s in self.file.series if not (s.keyframe.is_reduced or s.keyframe.is_mask)]
        if not chosen:
            raise unreadable(self.path, ValueError("it holds no image"))
        if len(chosen) > 1:
            raise self._several(f"{len(chosen)} images of different sizes or types")
        self.series, self.page = chosen[0], chosen[0].keyframe
        self.axis = self._band_axis()
        sides = [n for axis, n in enumerate(self.series.shape) if axis != self.axis]
        height, width = [n for n in sides if n != 1] if len(sides) > 2 else sides
        channels = 1 if self.axis is None else self.series.shape[self.axis]
        if self.page.photometric not in _SAMPLES:
            channels = 3
        if not 1 <= channels <= MOST_CHANNELS:
            raise FileError(
                f"{str(self.path)!r} has {channels} bands of {width} x {height} pixels, expected 1 "
                f"to {MOST_CHANNELS}: keep those that matter"
            )
        self.shape = (height, width, channels)
        check_pixels(self.path, height, width)
        self.dtype = np.dtype(np.uint8 if self._is_converted() else self.series.dtype)
        self.tag = _orientation(self.page)

    def _is_converted(self) -> bool:
        return self.page.photometric not in _SAMPLES or self.page.bitspersample < 8

    def _band_axis(self) -> int | None:
        """The axis of the bands among those of the series; None where it has one band."""
        axes, shape = self.series.axes, self.series.shape
        others = [a for a, name in enumerate(axes) if name not in "YX" and shape[a] != 1]
        if not others:
            return next((a for a, name in enumerate(axes) if name not in "YX"), None)
        names = "".join(axes[a] for a in others)
        if len(others) > 1 or names not in "SCQI":
            count = int(np.prod([shape[a] for a in others if axes[a] != "S"]))
            what = {"Z": "slices", "T": "time points"}.get(names, "images")
            raise self._several(f"{count} {what} (axes {axes}, shape {shape})")
        # An array (height, width, bands) that tifffile wrote without being told of bands: it is
        # taken for pages of (width, bands).
        if names == "Q" and len(shape) == 3 and shape[2] <= MOST_CHANNELS and shape[2] < shape[0]:
            return 2
        return others[0]

    def _several(self, what: str) -> FileError:
        return FileError(
            f"{str(self.path)!r} holds {what}, expected one image: save each as a file of its own, "
            "or, if they are bands of one image, as pages or samples of one file without further "
            "axes, or as .npy of (height, width, bands)"
        )

    def bands_last(self, array: np.ndarray) -> np.ndarray:
        """Brings the series' array to (height, width, channels)."""
        if self.axis is not None:
            array = np.moveaxis(array, self.axis, -1)
        return array.reshape(self.shape)


def _orientation(page) -> int:
    value = page.tags.valueof(orientation.TAG, default=1)
    return orientation.check(int(value) if isinstance(value, int) else 1)


def _bright(path: Path, array: np.ndarray, page) -> np.ndarray:
    """Makes 0 black, and samples of fewer than 8 bits as bright as their share of the largest."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    largest = 2**page.bitspersample - 1
    if page.bitspersample < 8:
        array = array.astype(np.uint8) * np.uint8(255 // largest)
        largest = 255
    if page.photometric == _WHITE_IS_ZERO:
        if array.dtype.kind != "u":
            raise FileError(
                f"{str(path)!r} says that white is 0 and has {array.dtype} samples, expected "
                "unsigned integers: save it with black as 0"
            )
        array = (largest - array).astype(array.dtype)
    return array


def _colors(path: Path, array: np.ndarray, file: "_Open") -> np.ndarray:
    """Palettes and CMYK, uncompressed, as 8-bit red, green and blue."""
    page = file.page
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
        return to_8_bits(page.colormap)[array.reshape(file.shape[:2])]
    if page.photometric == tifffile.PHOTOMETRIC.SEPARATED and array.dtype == np.uint8:
        inks = np.moveaxis(array, file.axis, -1) if file.axis is not None else array
        if inks.shape[-1] == 4:
            inks = np.ascontiguousarray(inks.reshape(*file.shape[:2], 4))
            image = Image.frombytes("CMYK", inks.shape[1::-1], inks.tobytes())
            return np.asarray(image.convert("RGB"))
    if file.tag < 5:  # Pillow scrambles uncompressed files that exchange the sides
        return orientation.turn_back(_converted(path, page), file.tag)
    raise _not_exact(path, page, "that is turned")


def _converted(path: Path, page) -> np.ndarray:
    """Palettes, CMYK and YCbCr as upright 8-bit red, green and blue, as Pillow converts them."""
    with open_image(path) as image:
        if image.mode in ("P", "RGB", "CMYK", "YCbCr") and page.bitspersample <= 8:
            restore_palette(image)
            return np.asarray(image.convert("RGB"))
        mode = image.mode
    raise _not_exact(path, page, f"(mode {mode!r})")


def _not_exact(path: Path, page, what: str) -> FileError:
    return FileError(
        f"{str(path)!r} has {page.bitspersample}-bit samples of {page.photometric.name} {what}, "
        "which cannot be read exactly, expected gray, RGB or bands: convert it"
    )


def _decompressed(path: Path, page) -> np.ndarray:
    """The upright samples of a page that Pillow decompresses with all its bits."""
    try:
        with open_image(path) as image:
            array = _all_bits(path, image, page)
    except FileError as error:
        if not isinstance(error.__cause__, UnidentifiedImageError):
            raise
        array = None
    if array is not None:
        return array
    raise FileError(
        f"{str(path)!r} has {page.samplesperpixel} bands of {page.bitspersample} bits compressed "
        f"by {page.compression.name}, which needs another package: pip install imagecodecs, or "
        "save it uncompressed or with Deflate"
    )


def _all_bits(path: Path, image: ImageFile.ImageFile, page) -> np.ndarray | None:
    """The upright samples, or None where Pillow drops bands or bits."""
    args = image.tile[0].args if image.tile else ""
    rawmode = str(args[0]) if isinstance(args, tuple) else str(args)
    whole = len(image.getbands()) == page.samplesperpixel and "RGBa" not in rawmode
    if not whole or getattr(image, "n_frames", 1) > 1:
        return None
    kind, _, order = rawmode.partition(";16")
    if order and page.samplesperpixel > 1:
        low = {"little": "B", "big": "L"}[sys.byteorder]
        return both_bytes(path, f"{kind};16N", f"{kind};16{low}")
    if page.bitspersample in (1, 2, 4, 8) or order or image.mode == "F":
        return _array(image)
    return None


def _array(image: Image.Image) -> np.ndarray:
    if image.mode in ("1", "P"):
        image = image.convert("L")
    elif image.mode in ("CMYK", "YCbCr"):
        image = image.convert("RGB")
    array = np.asarray(image)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array if array.ndim == 3 else array[..., None]
