"""The files that a prediction leaves: masks, overlays, uncertainties and probabilities."""

import io
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from jaxseg import data
from jaxseg.commands.outputs import Outputs
from jaxseg.commands.segmentation import Segmenter, to_rgb
from jaxseg.training.inference import Strip

_MOST_JPEG = 65_500
"""Pixels of a side up to which JPEG can hold an image."""
_ROWS = 512
"""Rows that are colored at once."""


class Writer:
    """Writes what is predicted of an image.

    Args:
        outputs: The folder.
        info: What the net was trained on.
        opacity: Opacity of the colors of the overlay, from 0 to 1; None for no overlay.
        uncertainty: Write the entropy of each pixel.
        probabilities: Write the probability of each class at each pixel.
    """

    def __init__(
        self,
        outputs: Outputs,
        info: data.DatasetInfo,
        *,
        opacity: float | None,
        uncertainty: bool,
        probabilities: bool,
    ):
        self.outputs, self.info, self.opacity = outputs, info, opacity
        self.uncertainty, self.probabilities = uncertainty, probabilities
        self.mask_suffix = ".tif" if _mask_type(info) == np.int32 else ".png"

    def files(self, name: str) -> list[str]:
        """List the files that are written for an image, whichever kind its overlay is of.

        Args:
            name: The image's name.
        """
        return [
            f"{name}_mask{self.mask_suffix}",
            *[f"{name}_overlay.jpg"] * (self.opacity is not None),
            *[f"{name}_uncertainty.png"] * self.uncertainty,
            *[f"{name}_probabilities.npy"] * self.probabilities,
        ]

    def write(self, name: str, image: np.ndarray, segmenter: Segmenter) -> None:
        """Segment an image and write the results.

        Args:
            name: The image's name.
            image: (height, width, channels).
            segmenter: The net.
        """
        size = image.shape[:2]
        uncertainty = np.empty(size, np.uint8) if self.uncertainty else None
        with ExitStack() as stack:
            probabilities = None
            if self.probabilities:
                path = stack.enter_context(self.outputs.path(f"{name}_probabilities.npy"))
                file = stack.enter_context(path.open("wb"))
                probabilities = ArrayFile(file, (*size, self.info.classes))

            def keep(strip: Strip) -> None:
                if probabilities is not None:
                    probabilities.write(strip)
                if uncertainty is not None:
                    gray = (255 * np.clip(strip.entropy(), 0, 1)).round().astype(np.uint8)
                    uncertainty[strip.rows, strip.columns] = gray

            labels = segmenter(image, on_strip=keep)
        self._save(f"{name}_mask{self.mask_suffix}", mask_image(labels, self.info))
        if uncertainty is not None:
            self._save(f"{name}_uncertainty.png", Image.fromarray(uncertainty))
        if self.opacity is not None:
            suffix = ".jpg" if max(size) <= _MOST_JPEG else ".png"
            picture = overlay(to_rgb(image), labels, self.info.palette, self.opacity)
            self._save(f"{name}_overlay{suffix}", Image.fromarray(picture))

    def _save(self, name: str, image: Image.Image) -> None:
        kind = {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF"}[Path(name).suffix]
        options = {"quality": 92} if kind == "JPEG" else {}
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        self.outputs.write(name, buffer.getvalue())


class ArrayFile:
    """A .npy file of float32 that is written strip by strip.

    A memory map would do the same, but a full disk would then kill the process without a word.

    Args:
        file: The file, open for writing.
        shape: Height, width and classes.
    """

    def __init__(self, file: BinaryIO, shape: tuple[int, int, int]):
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        self._file, self._begin, self._shape = file, file.tell(), shape

    def write(self, strip: Strip) -> None:
        """Write a strip to its place.

        Args:
            strip: Probabilities of some rows and columns.
        """
        _, width, classes = self._shape
        values = np.ascontiguousarray(strip.probabilities, "<f4")
        whole = values.shape[1] == width
        parts = [values] if whole else values
        for row, part in zip(range(strip.rows.start, strip.rows.stop), parts, strict=False):
            self._file.seek(self._begin + 4 * classes * (row * width + strip.columns.start))
            self._file.write(part.tobytes())


def mask_image(labels: np.ndarray, info: data.DatasetInfo) -> Image.Image:
    """Make a mask of the kind that the net was trained on.

    Where the training masks were of colors, so is it. Otherwise it holds their numbers: 0 and 255
    as gray, others up to 255 with the classes' palette, and larger ones with 16 or 32 bits.

    Args:
        labels: (height, width), uint8.
        info: What the net was trained on.
    """
    values = info.mask_values or tuple(range(info.classes))
    if any(isinstance(value, tuple) for value in values):
        colors = [value if isinstance(value, tuple) else (value,) * 3 for value in values]
        return Image.fromarray(np.array(colors, np.uint8)[labels])
    mask = Image.fromarray(np.array(values, _mask_type(info))[labels])
    if _mask_type(info) != np.uint8:
        return mask
    if values != (0, 255):
        palette = np.zeros((256, 3), np.uint8)
        palette[list(values)] = info.palette
        mask.putpalette(palette.tobytes())
    return mask


def overlay(
    image: np.ndarray, labels: np.ndarray, palette: Sequence[tuple[int, int, int]], opacity: float
) -> np.ndarray:
    """Lay the colors of the classes over an image.

    Args:
        image: (height, width, 3), uint8.
        labels: (height, width), uint8.
        palette: The color of every class.
        opacity: Opacity of the colors, from 0 to 1.

    Returns:
        (height, width, 3), uint8.
    """
    colors = np.zeros((256, 3), np.float32)
    colors[: len(palette)] = palette
    mixed = np.empty(image.shape, np.uint8)
    for top in range(0, len(image), _ROWS):
        rows = slice(top, top + _ROWS)
        part = (1 - opacity) * image[rows] + np.float32(opacity) * colors[labels[rows]]
        mixed[rows] = part.round()
    return mixed


def _mask_type(info: data.DatasetInfo) -> type[np.generic]:
    """The type of the numbers that masks hold: that of 8 or 16 bits, or signed ones of 32."""
    numbers = [value for value in info.mask_values if isinstance(value, int)]
    least, most = min(numbers, default=0), max(numbers, default=0)
    if least < 0 or most >= 1 << 16:
        return np.int32
    return np.uint8 if most < 1 << 8 else np.uint16
