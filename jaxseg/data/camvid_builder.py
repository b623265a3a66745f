"""CamVid in the SegNet split, from a folder that the user has: 701 frames, 11 classes.

Source: Brostow, Fauqueur and Cipolla, "Semantic object classes in video: a high-definition ground
truth database", Pattern Recognition Letters, 2009. Split and classes: Badrinarayanan, Kendall and
Cipolla, "SegNet: a deep convolutional encoder-decoder architecture for image segmentation", 2015.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from jaxseg.data.builder import MaskBuilder, Recipe, recipe_name
from jaxseg.data.camvid_frames import FOLDERS, Frame, list_frames, read_frame

CLASS_NAMES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
PALETTE = (
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (60, 40, 222),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
)
# Of the 367 training frames at 480 × 360: red, green and blue, in units of full brightness.
MEAN = (0.4116, 0.4249, 0.4322)
STD = (0.3068, 0.3114, 0.3069)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CamvidConfig:
    """What to prepare CamVid at, and from where.

    Attributes:
        size: Height and width in pixels.
        directory: The folder of the SegNet split.

    Raises:
        ValueError: `size` is not a pair of positive integers.
    """

    size: tuple[int, int]
    directory: Path

    def __post_init__(self):
        valid = isinstance(self.size, tuple) and len(self.size) == 2
        if not valid or not all(type(side) is int and side >= 1 for side in self.size):
            raise ValueError(
                f"size={self.size!r} is not valid, expected a tuple (height, width) of positive "
                "integers: pass size=(360, 480) for the frames' own size, size=(60, 80) for a sixth"
            )

    def recipe(self) -> Recipe:
        """The TFDS config, whose name changes with the size and with the folder's files.

        The files count by name and number of bytes, so that a moved folder is not prepared anew.

        Raises:
            ValueError: The folder is not laid out as expected.
        """
        frames = {split: list_frames(self.directory, split) for split in FOLDERS}
        files = [
            (path.relative_to(self.directory).as_posix(), path.stat().st_size)
            for split in frames.values()
            for frame in split
            for path in frame
        ]
        height, width = self.size
        return Recipe(
            name=recipe_name(f"{height}x{width}", size=self.size, files=files),
            options=frames,
            shape=(height, width, 3),
            class_names=CLASS_NAMES,
            splits={split: len(frames[split]) for split in FOLDERS},
        )


class Camvid(MaskBuilder, skip_registration=True):
    """TFDS builder of CamVid; its config is made by `CamvidConfig.recipe`."""

    VERSION = tfds.core.Version("1.0.0")

    def examples(self, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Reads the frames of a split, (height, width, 3), in the order of their names."""
        height, width, _ = self.recipe.shape
        frames: dict[str, list[Frame]] = self.recipe.options
        return (read_frame(frame, (height, width)) for frame in frames[split])
