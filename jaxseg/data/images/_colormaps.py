"""Palettes of TIFF files, whose numbers have 16 bits, but in some files 8."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

_COLORMAP = 320  # TIFF's tag


def to_8_bits(colormap: np.ndarray | Sequence[int]) -> UInt8[np.ndarray, "colors 3"]:
    """Returns the colors of a palette; numbers up to 255 throughout are 8-bit ones, as in libtiff.

    Args:
        colormap: The numbers of the tag: all reds, all greens, all blues.
    """
    numbers = np.asarray(colormap, np.uint16).reshape(3, -1).T
    return (numbers if numbers.max(initial=0) < 256 else numbers >> 8).astype(np.uint8)


def restore_palette(image: Image.Image) -> None:
    """Gives an opened TIFF of 8-bit palette numbers its colors, which Pillow reads as black.

    Args:
        image: The file, of any format.
    """
    colormap = getattr(image, "tag_v2", {}).get(_COLORMAP)
    if image.mode == "P" and colormap and max(colormap) < 256:
        image.load()
        image.putpalette(to_8_bits(colormap).tobytes())
