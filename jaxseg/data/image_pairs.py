"""Reads an image together with its mask, both upright and of one size."""

import numpy as np
from jaxtyping import Int
from PIL import Image

from jaxseg.data import image_files
from jaxseg.data.image_files import FilePair, read_image
from jaxseg.data.mask_files import StoredMask, read_mask, to_values


def read_pair(
    pair: FilePair, *, colored: bool = False
) -> tuple[Image.Image, Int[np.ndarray, "height width"]]:
    """Reads an image and the values of its mask, which must have the image's size.

    Args:
        pair: The two files.
        colored: The mask's values are its colors, each packed into one number.

    Returns:
        The image in 8-bit red, green and blue, and the values.

    Raises:
        ValueError: A file cannot be read exactly, or the sizes differ.
    """
    image, mask = read_stored_pair(pair)
    return image, turn_upright(to_values(mask, pair.mask, colored=colored), mask.orientation)


def read_stored_pair(pair: FilePair) -> tuple[Image.Image, StoredMask]:
    """Reads an image, upright, and its mask as it is stored.

    Args:
        pair: The two files.

    Raises:
        ValueError: A file cannot be read exactly, or the sizes differ.
    """
    image, mask = read_image(pair.image), read_mask(pair.mask)
    upright = turn_upright(mask.values, mask.orientation)
    check_sizes(pair, (image.height, image.width), upright.shape)
    return image, mask


def check_sizes(pair: FilePair, image: tuple[int, ...], mask: tuple[int, ...]) -> None:
    """Checks that a mask has its image's size.

    Args:
        pair: The two files.
        image: Height and width of the upright image.
        mask: Height and width of the upright mask.

    Raises:
        ValueError: They differ.
    """
    if image == mask:
        return
    remedy = "export the mask at the image's size"
    if image == mask[::-1] and image_files.is_turned(pair.image):
        remedy = (
            "the image's EXIF orientation turns it and the mask was drawn on the unturned one; "
            "remove the orientation, or turn the mask"
        )
    raise ValueError(
        f"{str(pair.mask)!r} has {mask[::-1]} pixels (width, height), expected {image[::-1]} as "
        f"in {str(pair.image)!r}: {remedy}"
    )


def turn_upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Turns a stored mask upright.

    Args:
        values: The mask as it is stored, (height, width).
        orientation: Value of its orientation tag, 1 to 8.
    """
    if orientation >= 5:
        values = values.T
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return np.ascontiguousarray(values[:, ::-1] if orientation in (2, 3, 6, 7) else values)
