"""Images and label maps as pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch


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


def label_maps(
    strip: Mapping[str, np.ndarray],
    palette: Sequence[tuple[int, int, int]],
    class_names: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Draw rows of images and label maps with a key of the classes, one row a name.

    Args:
        strip: Name -> (n, height, width, channels) images in 0..1 or (n, height, width) labels.
        palette: A color a class, (red, green, blue) in 0..255.
        class_names: A name a class.
        title: Title of the figure.
    """
    columns = len(next(iter(strip.values())))
    size = (1.6 + 1.4 * columns, 0.6 + 1.43 * len(strip))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02))
    image_strip(figure, strip, palette)
    handles = [
        Patch(color=(red / 255, green / 255, blue / 255), label=name)
        for name, (red, green, blue) in zip(class_names, palette, strict=True)
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9, frameon=False
    )
    figure.suptitle(title, fontsize=10)
    return figure


def image_row(
    panels: Mapping[str, np.ndarray], *, differences: Sequence[str] = (), title: str = ""
) -> Figure:
    """Draw gray images side by side.

    Args:
        panels: Title -> (height, width) in 0..1.
        differences: Titles of panels that hold differences in -0.5..0.5, drawn from blue to red.
        title: Title of the figure.
    """
    figure = Figure(figsize=(0.2 + 2.2 * len(panels), 2.7), layout="constrained")
    for axes, (name, pixels) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        low, high, colors = (-0.5, 0.5, "RdBu_r") if name in differences else (0, 1, "gray")
        axes.imshow(pixels, cmap=colors, vmin=low, vmax=high)
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=9)
    figure.suptitle(title, fontsize=9)
    return figure


def displayable(image: np.ndarray, *, bands: tuple[int, int, int] | None = None) -> np.ndarray:
    """Turn a stored image of any type and number of channels into (height, width, 3) in 0..1.

    8-bit images of 1 or 3 channels are shown as they are. Of others, each band that is shown is
    stretched so that all but its darkest and brightest percent lie between black and white.

    Args:
        image: (height, width, channels) of uint8, uint16 or floats.
        bands: The channels that are shown as red, green and blue; by default the first three, or
            the first as gray where there are fewer.

    Example:
        >>> displayable(np.full((1, 1, 1), 51, np.uint8)).tolist()
        [[[0.2, 0.2, 0.2]]]
        >>> displayable(np.array([[[0.0], [500.0]]])).tolist()
        [[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]]
    """
    channels = image.shape[-1]
    if bands is None:
        bands = (0, 1, 2) if channels >= 3 else (0, 0, 0)
    picture = image[..., list(bands)]
    if image.dtype == np.uint8 and channels in (1, 3):
        return picture / 255
    values = picture.astype(np.float64)
    low, high = np.percentile(values, (1, 99), axis=(0, 1))
    return np.clip((values - low) / np.where(high > low, high - low, 1), 0, 1)


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
