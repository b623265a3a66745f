"""Orientation tags of image files (EXIF, TIFF), and the one rule for an image and its mask.

Every file, image or mask, is turned upright as its own tag says. Where only one of the two bears a
tag, it must be known which pixels the mask was drawn on: the stored ones, or those that a viewer
shows. The sizes tell where a tag exchanges the height and the width of a picture that is not
square; otherwise nothing does, and the pair is refused until `mask_orientation` settles it.
"""

from pathlib import Path
from typing import Literal

import numpy as np

TAG = 0x0112
"""Number of the tag in EXIF and in TIFF."""
NAMES = {
    1: "upright",
    2: "mirrored left to right",
    3: "upside down",
    4: "mirrored top to bottom",
    5: "mirrored across the main diagonal",
    6: "to be turned clockwise",
    7: "mirrored across the other diagonal",
    8: "to be turned counterclockwise",
}
"""Value of the tag -> how the stored picture has to be turned."""

MaskOrientation = Literal["unknown", "upright", "stored"]
"""Picture that the masks without a tag were drawn on: the images as a viewer shows them
("upright"), or their stored pixels ("stored"). "unknown" refuses the pairs where it makes a
difference."""


def check(value: object) -> int:
    """Returns the value of a tag; 1, upright, for values that the standard does not define."""
    return value if isinstance(value, int) and value in NAMES else 1


def exchanges_sides(orientation: int) -> bool:
    """Returns whether turning a picture upright exchanges its height and width."""
    return orientation >= 5


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns a stored picture upright.

    Args:
        pixels: The stored picture, (height, width, ...).
        orientation: Value of its tag, 1 to 8.

    Returns:
        The picture as a viewer shows it, contiguous in memory.

    Example:
        >>> turn_upright(np.array([[1, 2, 3]]), 6).tolist()  # clockwise
        [[1], [2], [3]]
        >>> turn_upright(np.array([[1, 2, 3]]), 3).tolist()
        [[3, 2, 1]]
    """
    if exchanges_sides(orientation):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def turn_back(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undoes `turn_upright`.

    Args:
        pixels: The upright picture, (height, width, ...).
        orientation: Value of its tag, 1 to 8.
    """
    return turn_upright(pixels, {6: 8, 8: 6}.get(orientation, orientation))


def turn_mask(
    values: np.ndarray,
    image: tuple[int, int],
    *,
    paths: tuple[Path, Path],
    tags: tuple[int, int],
    mask_orientation: MaskOrientation,
) -> np.ndarray:
    """Turns a mask as its upright image is turned.

    Args:
        values: The mask as it is stored, (height, width).
        image: Height and width of the upright image.
        paths: Files of the image and of the mask, for the message.
        tags: Orientation of the image and of the mask, 1 to 8; 1 where a file bears no tag.
        mask_orientation: What masks without a tag were drawn on.

    Returns:
        The mask on the pixels of the upright image; of another size where the files do not fit.

    Raises:
        ValueError: It cannot be told whether the mask was drawn on the stored pixels.
    """
    image_tag, mask_tag = tags
    if mask_tag == 1 and image_tag != 1 and mask_orientation != "unknown":
        return turn_upright(values, image_tag) if mask_orientation == "stored" else values
    turned = turn_upright(values, mask_tag)
    either = {exchanges_sides(tag) for tag in tags} == {True, False}
    tells = turned.shape != image or (either and image[0] != image[1])
    if image_tag == mask_tag or tells:  # the files are alike, or their sizes tell, or do not fit
        return turned
    raise _undecided(paths, tags)


def _undecided(paths: tuple[Path, Path], tags: tuple[int, int]) -> ValueError:
    """The error for a pair of which it cannot be told what the mask was drawn on."""
    image_tag, mask_tag = tags
    path, other = paths if image_tag != 1 else paths[::-1]
    tag = image_tag if image_tag != 1 else mask_tag
    if mask_tag == 1:
        remedy = (
            "if the mask was drawn on the image as viewers show it, pass "
            'mask_orientation="upright" (--data.mask-orientation upright); if on its stored '
            'pixels, pass "stored"; or save the image without the tag'
        )
    else:
        remedy = "save both files without the tag, after looking at them"
    return ValueError(
        f"{str(path)!r} has the orientation tag {tag} ({NAMES[tag]}) and {str(other)!r} "
        f"{'has none' if 1 in tags else f'has {mask_tag}'}, expected both or neither, since the "
        f"sizes do not tell which pixels the mask was drawn on: {remedy}"
    )
