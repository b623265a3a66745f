"""Images and label maps as pictures."""

from collections.abc import Mapping, Sequence

import numpy as np


def image_strip(figure, strip: Mapping[str, np.ndarray], palette) -> None:
    """Draw rows of images and label maps, one row a name.

    Args:
        figure: A matplotlib figure or subfigure.
        strip: Name -> (n, height, width, channels) images in 0..1 or (n, height, width) labels.
        palette: A color a class, (red, green, blue) in 0..255.
    """
    count = len(next(iter(strip.values())))
    grid = figure.subplots(len(strip), count, squeeze=False)
    for row, (name, pictures) in zip(grid, strip.items(), strict=True):
        for axes, picture in zip(row, pictures, strict=True):
            axes.imshow(to_rgb(picture, palette), interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)


def to_rgb(picture: np.ndarray, palette: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Turn an image or a label map into (height, width, 3) in 0..1; ignored pixels are white.

    Args:
        picture: (height, width, channels) in 0..1, or (height, width) labels.
        palette: A color a class, (red, green, blue) in 0..255.
    """
    if picture.ndim == 3:
        return np.broadcast_to(np.clip(picture, 0, 1), (*picture.shape[:2], 3))
    colors = np.full((256, 3), 255, np.uint8)
    colors[: len(palette)] = palette
    return colors[picture.astype(np.uint8)] / 255
