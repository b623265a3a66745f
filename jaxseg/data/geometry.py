"""The one geometry: images of any size are brought to the size of a net, and scores back.

The preparation of training images, evaluation and prediction all come through here, so that a net
sees an image at the same scale and on the same padding whichever of them shows it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from PIL import Image

from jaxseg.data.images.normalization import FULL_BRIGHTNESS
from jaxseg.data.masks.mask_values import IGNORE_INDEX

PADDING = (124, 116, 104)
"""Red, green and blue of the padding of 8-bit images: ImageNet's mean."""
_STRIP_BYTES = 1 << 25

Array = Shaped[np.ndarray, "height width channels"]


class Placement(NamedTuple):
    """The rectangle of the net's image that an image fills; what lies beside it is padding.

    Attributes:
        top: First row.
        left: First column.
        height: Number of rows.
        width: Number of columns.
    """

    top: int
    left: int
    height: int
    width: int

    @property
    def inside(self) -> tuple[slice, slice]:
        """The rows and columns of the rectangle."""
        return (slice(self.top, self.top + self.height), slice(self.left, self.left + self.width))


def placement(original: tuple[int, int], size: tuple[int, int], *, keep_aspect: bool) -> Placement:
    """Finds the rectangle that an image fills once it is brought to the size of a net.

    Args:
        original: Height and width of the image in pixels.
        size: Height and width of the net's images.
        keep_aspect: Both axes are scaled alike and the result is centered; otherwise the image is
            stretched to exactly `size`.

    Example:
        >>> placement((100, 200), (64, 64), keep_aspect=True)
        Placement(top=16, left=0, height=32, width=64)
    """
    if not keep_aspect:
        return Placement(0, 0, *size)
    scale = min(size[1] / original[1], size[0] / original[0])
    height, width = (max(1, round(side * scale)) for side in original)
    return Placement((size[0] - height) // 2, (size[1] - width) // 2, height, width)


def shrink(image: Array, size: tuple[int, int], *, keep_aspect: bool) -> Array:
    """Resamples an image so that it fits into a size, without padding.

    A triangle filter as wide as the reduction averages every pixel, so that nothing aliases.

    Args:
        image: The image, of uint8, uint16 or float32 and any number of channels.
        size: Height and width in pixels.
        keep_aspect: Scale both axes alike, so that the image fits inside `size`; otherwise stretch
            it to exactly that.

    Returns:
        The smaller or larger image, of the same dtype and channels.

    Raises:
        ValueError: The image has another dtype or no channel axis.
    """
    _check_image(image)
    inner = placement(image.shape[:2], size, keep_aspect=keep_aspect)
    new = (inner.width, inner.height)
    if image.dtype == np.uint8 and image.shape[-1] == 3:
        return np.asarray(Image.fromarray(image).resize(new, Image.Resampling.BILINEAR))
    # Each channel alone: four channels as one image would be taken for colors and opacity.
    bands = [_shrink_band(image[..., band], new) for band in range(image.shape[-1])]
    return np.stack(bands, axis=-1)


def fit_image(
    image: Array, size: tuple[int, int], *, keep_aspect: bool, mean: Sequence[float]
) -> Array:
    """Brings an image of any size to the size of a net.

    Args:
        image: The image, of uint8, uint16 or float32 and any number of channels.
        size: Height and width of the result in pixels.
        keep_aspect: Scale both axes alike, center the result and pad the rest; otherwise stretch
            both axes.
        mean: Mean of every channel in units of full brightness, with which the rest is filled. In
            8-bit images of red, green and blue the rest is `PADDING`.

    Returns:
        The image at that size, of the same dtype and channels.

    Raises:
        ValueError: The image has another dtype or no channel axis.
    """
    pixels = shrink(image, size, keep_aspect=keep_aspect)
    if pixels.shape[:2] == size:
        return pixels
    inner = placement(image.shape[:2], size, keep_aspect=keep_aspect)
    canvas = np.empty((*size, image.shape[-1]), image.dtype)
    canvas[:] = padding(image.dtype, mean)
    canvas[inner.inside] = pixels
    return canvas


def fit_label(
    label: UInt8[np.ndarray, "height width"], size: tuple[int, int], *, keep_aspect: bool
) -> UInt8[np.ndarray, "h w"]:
    """Brings labels to the size of a net, on the same grid of pixels as `fit_image`.

    Args:
        label: The labels, which are resampled to the nearest pixel.
        size: Height and width of the result in pixels.
        keep_aspect: Scale both axes alike, center the result and ignore the rest; otherwise stretch
            both axes.
    """
    inner = placement(label.shape[:2], size, keep_aspect=keep_aspect)
    new = (inner.width, inner.height)
    small = np.asarray(Image.fromarray(label).resize(new, Image.Resampling.NEAREST))
    if small.shape == size:
        return small
    canvas = np.full(size, IGNORE_INDEX, np.uint8)
    canvas[inner.inside] = small
    return canvas


def fit(
    image: Array,
    label: UInt8[np.ndarray, "height width"],
    size: tuple[int, int],
    *,
    keep_aspect: bool,
    mean: Sequence[float],
) -> tuple[Array, UInt8[np.ndarray, "h w"]]:
    """Brings an image and its label to the size of a net: `fit_image` and `fit_label`.

    Args:
        image: The image, of uint8, uint16 or float32 and any number of channels.
        label: The image's label, of its height and width.
        size: Height and width of the results in pixels.
        keep_aspect: Scale both axes alike and pad the rest; otherwise stretch both axes.
        mean: Mean of every channel in units of full brightness, with which the rest is filled.

    Returns:
        The image and the label.

    Raises:
        ValueError: The image has another dtype or no channel axis.
    """
    return (
        fit_image(image, size, keep_aspect=keep_aspect, mean=mean),
        fit_label(label, size, keep_aspect=keep_aspect),
    )


def padding(dtype: np.dtype, mean: Sequence[float]) -> np.ndarray:
    """The pixel that images are padded with.

    Args:
        dtype: The dtype of the images: uint8, uint16 or float32.
        mean: Mean of every channel in units of full brightness.

    Example:
        >>> padding(np.dtype("uint16"), (0.5,)).tolist()
        [32768]
    """
    if dtype == np.uint8 and len(mean) == 3:
        return np.asarray(PADDING, np.uint8)
    values = np.asarray(mean, np.float64) * FULL_BRIGHTNESS[dtype.name]
    return (values if dtype.kind == "f" else values.round()).astype(dtype)


def restore(
    scores: Float32[np.ndarray, "h w classes"],
    size: tuple[int, int],
    *,
    keep_aspect: bool,
    rows: slice = slice(None),
) -> Float32[np.ndarray, "rows width classes"]:
    """Brings the scores of a net's image back to the size of the image that it was made from.

    The padding is cut off, and the rest is interpolated linearly along both axes, with pixels as
    areas (half-pixel centers, PyTorch's `align_corners=False`).

    Args:
        scores: Scores of every pixel of the net's image.
        size: Height and width of the original image.
        keep_aspect: What `fit_image` was given.
        rows: The rows of the original image that are wanted, without a step.

    Returns:
        Scores of these rows.

    Example:
        >>> scores = np.array([[[0.0], [1.0]]], np.float32)
        >>> restore(scores, (1, 4), keep_aspect=False)[..., 0].tolist()
        [[0.0, 0.25, 0.75, 1.0]]
    """
    inner = placement(size, scores.shape[:2], keep_aspect=keep_aspect)
    planes = np.moveaxis(scores[inner.inside], -1, 0)
    above, below, share = (part[rows] for part in _neighbors(size[0], inner.height))
    planes = _mix(planes[:, above], planes[:, below], share[:, None])
    left, right, share = _neighbors(size[1], inner.width)
    planes = _mix(planes[..., left], planes[..., right], share)
    return np.moveaxis(planes, 0, -1)


def strips(size: tuple[int, int], classes: int) -> Iterator[slice]:
    """Cuts an image into strips of rows whose scores take little memory.

    Args:
        size: Height and width of the image.
        classes: Scores a pixel.

    Example:
        >>> list(strips((3, 5), 2))
        [slice(0, 3, None)]
    """
    count = max(1, _STRIP_BYTES // (4 * size[1] * classes))
    for top in range(0, size[0], count):
        yield slice(top, min(top + count, size[0]))


def _check_image(image: np.ndarray) -> None:
    if image.ndim != 3 or image.dtype.name not in FULL_BRIGHTNESS:
        raise ValueError(
            f"an image has shape {image.shape} and dtype {image.dtype}, expected (height, width, "
            f"channels) of {', '.join(FULL_BRIGHTNESS)}: convert it"
        )


def _shrink_band(band: np.ndarray, new: tuple[int, int]) -> np.ndarray:
    """Resamples one channel to a width and a height."""
    if band.dtype == np.uint8:
        image = Image.fromarray(np.ascontiguousarray(band))
        return np.asarray(image.resize(new, Image.Resampling.BILINEAR))
    image = Image.fromarray(np.ascontiguousarray(band, np.float32))
    resized = np.asarray(image.resize(new, Image.Resampling.BILINEAR))
    if band.dtype == np.uint16:
        return np.clip(resized.round(), 0, 65535).astype(np.uint16)
    return resized


def _neighbors(length: int, available: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two pixels of a shorter axis that each pixel of a longer one lies between.

    Returns:
        The index of the first, the index of the second, and the second one's share.
    """
    centers = (np.arange(length) + 0.5) * (available / length) - 0.5
    centers = np.clip(centers, 0, available - 1)
    first = np.floor(centers).astype(np.int64)
    return first, np.minimum(first + 1, available - 1), (centers - first).astype(np.float32)


def _mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """First × (1 - share) + second × share, with as few temporary arrays as possible."""
    second = second - first
    second *= share
    second += first
    return second
