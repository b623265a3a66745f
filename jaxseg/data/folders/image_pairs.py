"""Reads an image together with its mask, both upright and of one size."""

import numpy as np
from jaxtyping import Int

from jaxseg.data.images import orientation
from jaxseg.data.images.image_files import FilePair, read_image, read_orientation
from jaxseg.data.images.orientation import MaskOrientation
from jaxseg.data.masks.mask_files import read_mask
from jaxseg.data.masks.stored_masks import StoredMask, to_values


def read_pair(
    pair: FilePair,
    *,
    colored: bool = False,
    channels: int | None = None,
    dtype: str | None = None,
    mask_orientation: MaskOrientation = "unknown",
) -> tuple[np.ndarray, Int[np.ndarray, "height width"]]:
    """Reads an image and the values of its mask, both upright, which must have one size.

    Args:
        pair: The two files.
        colored: The mask's values are its colors, each packed into one number.
        channels: Channels that the image must have, as `read_image` explains; None takes its own.
        dtype: Type that it must have, likewise.
        mask_orientation: Pixels that a mask without an orientation tag was drawn on, where its
            image bears one: those that a viewer shows, or the stored ones.

    Returns:
        The image as `read_image` returns it, and the values.

    Raises:
        ValueError: A file cannot be read exactly, the sizes differ, or it cannot be told which
            pixels the mask was drawn on.
    """
    image, mask = read_stored_pair(
        pair, channels=channels, dtype=dtype, mask_orientation=mask_orientation
    )
    upright = upright_mask(pair, mask, image.shape[:2], mask_orientation)
    return image, to_values(upright, pair.mask, colored=colored)


def read_stored_pair(
    pair: FilePair,
    *,
    channels: int | None = None,
    dtype: str | None = None,
    mask_orientation: MaskOrientation = "unknown",
) -> tuple[np.ndarray, StoredMask]:
    """Reads an image, upright, and its mask as it is stored.

    Args:
        pair: The two files.
        channels: Channels that the image must have; None takes its own.
        dtype: Type that it must have, likewise.
        mask_orientation: Pixels that a mask without an orientation tag was drawn on.

    Raises:
        ValueError: As `read_pair` does.
    """
    image, mask = read_image(pair.image, channels=channels, dtype=dtype), read_mask(pair.mask)
    upright_mask(pair, mask, image.shape[:2], mask_orientation)
    return image, mask


def upright_mask(
    pair: FilePair,
    mask: StoredMask,
    image: tuple[int, ...],
    mask_orientation: MaskOrientation = "unknown",
) -> StoredMask:
    """Turns a mask as its image is turned, and checks that it has the image's size.

    Args:
        pair: The two files.
        mask: The mask as it is stored.
        image: Height and width of the upright image.
        mask_orientation: Pixels that masks without an orientation tag were drawn on.

    Returns:
        The mask with upright values.

    Raises:
        ValueError: The sizes differ, or it cannot be told which pixels the mask was drawn on.
    """
    height, width = image
    tag = read_orientation(pair.image)
    values = orientation.turn_mask(
        mask.values,
        (height, width),
        paths=pair,
        tags=(tag, mask.orientation),
        mask_orientation=mask_orientation,
    )
    _check_sizes(pair, (height, width), values.shape)
    return mask._replace(values=values, orientation=1)


def _check_sizes(pair: FilePair, image: tuple[int, int], mask: tuple[int, ...]) -> None:
    """Checks that the height and width of an upright mask are those of its image."""
    if mask == image:
        return
    remedy = "export the mask at the image's size"
    if mask == image[::-1] and orientation.exchanges_sides(read_orientation(pair.image)):
        remedy = (
            "the image's EXIF orientation turns it and the mask was drawn on the unturned one; "
            'pass mask_orientation="stored" (--data.mask-orientation stored), remove the '
            "orientation, or turn the mask"
        )
    raise ValueError(
        f"{str(pair.mask)!r} has {mask[::-1]} pixels (width, height), expected {image[::-1]} as in "
        f"{str(pair.image)!r}: {remedy}"
    )
