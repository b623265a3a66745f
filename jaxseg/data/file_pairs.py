"""Data sets of image and mask files: what each reader says of its own, and one builder for all."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from jaxseg.data._prepare import prepare
from jaxseg.data.builder import MaskBuilder, Recipe, recipe_name
from jaxseg.data.image_files import Files, fit, read_pair, to_labels
from jaxseg.data.sources import Dataset, DatasetInfo

Colour = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scenes:
    """Pairs of image and mask files, and what the masks' values mean.

    Attributes:
        name: Of the data set.
        root: The folder that holds all files.
        files: The pairs of every split.
        labels: The label of every value that a mask may have: 0..classes-1, or 255 for ignored.
        class_names: The name of every class, in the order of the labels.
        palette: The colour of every class as (red, green, blue) in 0..255.
        mean: Of every channel over training images, in units of full brightness.
        std: The standard deviation, likewise.
        coloured: The masks' values are packed colours: see `pictures.read_values`.
        keep_aspect: Images keep their aspect: see `pictures.fit`.
        edited: The user may edit the files, so they count by the time of their change too.
    """

    name: str
    root: Path
    files: Mapping[str, Sequence[Files]]
    labels: Mapping[int, int]
    class_names: tuple[str, ...]
    palette: tuple[Colour, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    coloured: bool = False
    keep_aspect: bool = True
    edited: bool = False

    def recipe(self, size: tuple[int, int]) -> Recipe:
        """The TFDS config, whose name changes with everything that changes the examples.

        Raises:
            ValueError: `size` is not a pair of positive integers.
        """
        check_size(size)
        height, width = size
        name = recipe_name(
            f"{self.name}-{height}x{width}",
            size=size,
            files=fingerprint(self.files, self.root, times=self.edited),
            labels=sorted(self.labels.items()),
            classes=self.class_names,
            coloured=self.coloured,
            keep_aspect=self.keep_aspect,
        )
        return Recipe(
            name=name,
            options=self,
            shape=(height, width, 3),
            class_names=self.class_names,
            splits={split: len(files) for split, files in self.files.items()},
        )


class SceneFiles(MaskBuilder, skip_registration=True):
    """TFDS builder of image and mask files; its config is made by `Scenes.recipe`."""

    VERSION = tfds.core.Version("1.0.0")

    @property
    def title(self) -> str:
        """The data set's own name, as the builder serves them all."""
        scenes: Scenes = self.recipe.options
        return scenes.name

    def examples(self, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Reads the pairs of a split, in the order that they are listed in."""
        scenes: Scenes = self.recipe.options
        height, width, _ = self.recipe.shape
        for files in scenes.files[split]:
            image, values = read_pair(files, coloured=scenes.coloured)
            label = to_labels(values, scenes.labels, files.mask)
            yield fit(image, label, (height, width), keep_aspect=scenes.keep_aspect)


def prepared(
    scenes: Scenes, size: tuple[int, int], data_dir: str | os.PathLike[str] | None
) -> Dataset:
    """Prepares the files at a size of (height, width) pixels, if they are not yet.

    Raises:
        ValueError: A file is not as expected, or `data_dir` cannot be written to.
    """
    recipe = scenes.recipe(size)
    info = DatasetInfo(
        name=scenes.name,
        size=size,
        class_names=scenes.class_names,
        palette=scenes.palette,
        mean=scenes.mean,
        std=scenes.std,
    )
    return Dataset(info, prepare(SceneFiles, recipe, data_dir=data_dir), recipe.splits)


def fingerprint(
    files: Mapping[str, Sequence[Files]], root: Path, *, times: bool
) -> dict[str, list[list[str | int]]]:
    """Every file's path below `root`, number of bytes and, if `times`, time of change.

    So a folder that is moved is not prepared anew, and one of other files is.
    """

    def describe(path: Path) -> list[str | int]:
        status = path.stat()
        changed = [status.st_mtime_ns] if times else []
        return [path.relative_to(root).as_posix(), status.st_size, *changed]

    return {
        split: [describe(path) for pair in pairs for path in pair] for split, pairs in files.items()
    }


def check_size(size: object) -> None:
    """Checks that a size is (height, width).

    Raises:
        ValueError: It is not a tuple of two positive integers.
    """
    sides = size if isinstance(size, tuple) else ()
    if len(sides) != 2 or not all(type(side) is int and side >= 1 for side in sides):
        raise ValueError(
            f"size={size!r} is not valid, expected a tuple (height, width) of positive integers: "
            "pass for example size=(96, 128)"
        )
