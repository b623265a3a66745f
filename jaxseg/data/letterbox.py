"""Brings images and labels to one size: evenly scaled and padded, or stretched."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from jaxseg.data.mask_values import IGNORE_INDEX

PADDING = (124, 116, 104)
"""Red, green and blue of the padding of 8-bit images: ImageNet's mean, near 0 once normalized."""
_FULL = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}


def shrink(image: np.ndarray, size: tuple[int, int], *, keep_aspect: bool) -> np.ndarray:
    """Resamples an image to a size.

    A triangle filter as wide as the reduction averages every pixel, so that nothing aliases.

    Args:
        image: The image, (height, width, channels) of uint8, uint16 or float32.
        size: Height and width in pixels.
        keep_aspect: Scale both axes alike, so that the image fits inside `size`; otherwise stretch
            it to exactly that.
    """
    inner = _inner((image.shape[1], image.shape[0]), size, keep_aspect)
    if image.dtype == np.uint8 and image.shape[-1] == 3:
        return np.asarray(Image.fromarray(image).resize(inner, Image.Resampling.BILINEAR))
    # Each band alone: as four, they would be taken for colors and opacity.
    bands = [_shrink_band(image[..., band], inner) for band in range(image.shape[-1])]
    return np.stack(bands, axis=-1)


def fit(
    image: np.ndarray,
    label: UInt8[np.ndarray, "height width"],
    size: tuple[int, int],
    *,
    keep_aspect: bool,
    mean: Sequence[float],
) -> tuple[np.ndarray, UInt8[np.ndarray, "h w"]]:
    """Brings an image and its label to one size, on the same grid of pixels.

    Args:
        image: The image, (height, width, channels) of uint8, uint16 or float32.
        label: The image's label, of its size; it is resampled to the nearest pixel.
        size: Height and width of the results in pixels.
        keep_aspect: Scale both axes alike and center the result; the rest is filled, and has the
            label 255. Otherwise both axes are stretched.
        mean: Mean of every channel, in units of full brightness: the filling. In 8-bit images of
            red, green and blue it is `PADDING`.

    Returns:
        The image and the label.
    """
    pixels = shrink(image, size, keep_aspect=keep_aspect)
    height, width = pixels.shape[:2]
    small = np.asarray(Image.fromarray(label).resize((width, height), Image.Resampling.NEAREST))
    if (height, width) == size:
        return pixels, small
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    inside = slice(top, top + height), slice(left, left + width)
    canvas = np.empty((*size, image.shape[-1]), image.dtype)
    canvas[:] = _filling(image.dtype, mean)
    labels = np.full(size, IGNORE_INDEX, np.uint8)
    canvas[inside], labels[inside] = pixels, small
    return canvas, labels


def _filling(dtype: np.dtype, mean: Sequence[float]) -> np.ndarray:
    if dtype == np.uint8 and len(mean) == 3:
        return np.asarray(PADDING, np.uint8)
    values = np.asarray(mean, np.float64) * _FULL[dtype.name]
    return (values if dtype.kind == "f" else values.round()).astype(dtype)


def _shrink_band(band: np.ndarray, inner: tuple[int, int]) -> np.ndarray:
    kind = np.uint8 if band.dtype == np.uint8 else np.float32
    image = Image.fromarray(np.ascontiguousarray(band, kind))
    resized = np.asarray(image.resize(inner, Image.Resampling.BILINEAR))
    return np.rint(resized).astype(np.uint16) if band.dtype == np.uint16 else resized


def _inner(image: tuple[int, int], size: tuple[int, int], keep_aspect: bool) -> tuple[int, int]:
    """Width and height of an image of this width and height once it is resampled."""
    height, width = size
    if not keep_aspect:
        return width, height
    scale = min(width / image[0], height / image[1])
    inner_width, inner_height = (max(1, round(side * scale)) for side in image)
    return inner_width, inner_height
