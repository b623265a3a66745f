"""Brings images and labels to one size: evenly scaled and padded, or stretched."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from jaxseg.data.mask_values import IGNORE_INDEX

PADDING = (124, 116, 104)
"""Red, green and blue of the padding: ImageNet's mean, which normalizes to about 0."""


def shrink(image: Image.Image, size: tuple[int, int], *, keep_aspect: bool) -> Image.Image:
    """Resamples an image to a size.

    A triangle filter as wide as the reduction averages every pixel, so that nothing aliases.

    Args:
        image: The image.
        size: Height and width in pixels.
        keep_aspect: Scale both axes alike, so that the image fits inside `size`; otherwise stretch
            it to exactly that.
    """
    return image.resize(_inner(image.size, size, keep_aspect), Image.Resampling.BILINEAR)


def fit(
    image: Image.Image,
    label: UInt8[np.ndarray, "height width"],
    size: tuple[int, int],
    *,
    keep_aspect: bool,
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Brings an image and its label to one size, on the same grid of pixels.

    Args:
        image: Red, green and blue.
        label: The image's label, of its size; it is resampled to the nearest pixel.
        size: Height and width of the results in pixels.
        keep_aspect: Scale both axes alike and center the result; the rest is filled with `PADDING`
            and the label 255. Otherwise both axes are stretched.

    Returns:
        The image and the label.
    """
    pixels = np.asarray(shrink(image, size, keep_aspect=keep_aspect))
    height, width = pixels.shape[:2]
    small = np.asarray(Image.fromarray(label).resize((width, height), Image.Resampling.NEAREST))
    if (height, width) == size:
        return pixels, small
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    inside = slice(top, top + height), slice(left, left + width)
    canvas, labels = np.full((*size, 3), PADDING, np.uint8), np.full(size, IGNORE_INDEX, np.uint8)
    canvas[inside], labels[inside] = pixels, small
    return canvas, labels


def _inner(image: tuple[int, int], size: tuple[int, int], keep_aspect: bool) -> tuple[int, int]:
    """Width and height of an image of this width and height once it is resampled."""
    height, width = size
    if not keep_aspect:
        return width, height
    scale = min(width / image[0], height / image[1])
    inner_width, inner_height = (max(1, round(side * scale)) for side in image)
    return inner_width, inner_height
