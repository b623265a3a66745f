r"""Segment images with a trained net.

    jaxseg predict --run runs/deeplab --images photo.jpg
    jaxseg predict --run runs/deeplab --images photos/ "more/*.png" --out masks

Images may have any size: each is brought to the size of training as the training images were, and
its predictions back to its own size, exactly as `jaxseg evaluate` does it. For NAME.jpg it leaves
NAME_mask.png, with the values of the training masks (numbers with the classes' palette, 0 and 255,
or colors), NAME_overlay.jpg, and on request NAME_uncertainty.png (0 is certain, 255 undecided) and
NAME_probabilities.npy (height, width, classes; float32).

A file that cannot be read is named and the rest goes on; the exit status is then 1. Nothing in the
folder is replaced that jaxseg did not write: .jaxseg there lists what it wrote.
"""

import io
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from tqdm import tqdm

from jaxseg import cli, data
from jaxseg.commands.image_list import find_images, output_names
from jaxseg.commands.outputs import Outputs
from jaxseg.commands.run import load_run
from jaxseg.commands.segmentation import Segmenter, Strip, to_rgb
from jaxseg.data.image_files import read_image
from jaxseg.progress import busy, counting
from jaxseg.training.inference import InferenceConfig

COMMON = (
    "run",
    "images",
    "out",
    "checkpoint",
    "overlay",
    "uncertainty",
    "probabilities",
    "inference.flip",
    "inference.scales",
)
"""Fields on the first page of help."""
_MOST_JPEG = 65_500
"""Pixels of a side up to which JPEG can hold an image."""
_ROWS = 512
"""Rows that are colored at once."""


@dataclass(frozen=True)
class Config:
    """A prediction.

    Attributes:
        run: Folder of the training run.
        images: Files, folders of images, or patterns such as "photos/*.jpg".
        out: Folder of the masks; None is RUN/predictions.
        inference: How the net is applied to each image.
        overlay: Write each image under the colors of its mask.
        opacity: Opacity of the colors over the image.
        uncertainty: Write the entropy of each pixel too.
        probabilities: Write the probability of each class at each pixel too.
        checkpoint: "best", "last" or the number of a step.
        preset: Not used.
    """

    run: Path = Path("runs/quick")
    images: tuple[str, ...] = ()
    out: Path | None = None
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    overlay: bool = True
    opacity: float = 0.5
    uncertainty: bool = False
    probabilities: bool = False
    checkpoint: str = "best"
    preset: str = ""

    def __post_init__(self):
        """Refuse numbers that are out of range."""
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity={self.opacity} must be from 0 to 1.")


def main(config: Config) -> int:
    """Predict every image; return how many could not be."""
    paths, remarks = find_images(config.images)
    for remark in remarks:
        print(remark)
    run = load_run(config.run, checkpoint=config.checkpoint)
    writer = Writer(config, run.info, Outputs(config.out or config.run / "predictions"))
    names, failed, start = output_names(paths), 0, time.monotonic()
    writer.outputs.check([file for name in names for file in writer.files(name)])
    segmenter = Segmenter(run, config.inference)
    with busy("compiling"):
        segmenter.compile()
    with counting(len(paths), "predicting", "images") as bar:
        for path, name in zip(paths, names, strict=True):
            try:
                image = read(path, run.info)
            except (ValueError, OSError) as error:
                failed += 1
                tqdm.write(f"Failed: {error}", file=sys.stderr)
            else:
                writer.write(name, image, segmenter)
            bar.update()
    seconds = time.monotonic() - start
    done = len(paths) - failed
    print(
        f"{done} of {len(paths)} images segmented in {seconds:.1f} s "
        f"({done / seconds:.2g} images a second), in {writer.outputs.folder}"
        + (f"; {failed} failed, which are named above" if failed else "")
    )
    return failed


def read(path: Path, info: data.DatasetInfo) -> np.ndarray:
    """Read an image, (height, width, channels), as the training images were read.

    Args:
        path: The file.
        info: What the net was trained on.

    Raises:
        ValueError: The file is no image, is damaged, or has other channels or another type.
    """
    return read_image(path, channels=info.channels, dtype=info.dtype)


class Writer:
    """Writes what is predicted of an image.

    Args:
        config: What is wanted.
        info: What the net was trained on.
        outputs: The folder.
    """

    def __init__(self, config: Config, info: data.DatasetInfo, outputs: Outputs):
        self.config, self.info, self.outputs = config, info, outputs
        self.mask_suffix = ".tif" if _largest(info) > 65535 else ".png"

    def files(self, name: str) -> list[str]:
        """List the files that are written for an image, whichever kind its overlay is of.

        Args:
            name: The image's name.
        """
        config = self.config
        return [
            f"{name}_mask{self.mask_suffix}",
            *[f"{name}_overlay.jpg"] * config.overlay,
            *[f"{name}_uncertainty.png"] * config.uncertainty,
            *[f"{name}_probabilities.npy"] * config.probabilities,
        ]

    def write(self, name: str, image: np.ndarray, segmenter: Segmenter) -> None:
        """Segment an image and write the results.

        Args:
            name: The image's name.
            image: (height, width, channels).
            segmenter: The net.
        """
        size, config = image.shape[:2], self.config
        uncertainty = np.empty(size, np.uint8) if config.uncertainty else None
        with ExitStack() as stack:
            probabilities = None
            if config.probabilities:
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
        if config.overlay:
            suffix = ".jpg" if max(size) <= _MOST_JPEG else ".png"
            picture = overlay(to_rgb(image), labels, self.info.palette, config.opacity)
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
    largest = _largest(info)
    if largest > 255:
        return Image.fromarray(
            np.array(values, np.uint16 if largest < 1 << 16 else np.int32)[labels]
        )
    mask = Image.fromarray(np.array(values, np.uint8)[labels])
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


def _largest(info: data.DatasetInfo) -> int:
    """The largest number that masks have; 0 where they have colors."""
    return max((value for value in info.mask_values if isinstance(value, int)), default=0)


def command(args: Sequence[str]) -> int:
    """Read the command line and predict; return the exit status."""
    config = cli.parse(
        {"default": Config()},
        "default",
        description=__doc__,
        args=args,
        program="jaxseg predict",
        common=COMMON,
    )
    return 1 if main(config) else 0
