"""Pairs of image and mask files, and how a data set is prepared from them."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.data._prepare import prepare
from jaxseg.data.image_files import FilePair
from jaxseg.data.image_pairs import read_pair
from jaxseg.data.letterbox import fit
from jaxseg.data.mask_values import to_labels
from jaxseg.data.orientation import MaskOrientation
from jaxseg.data.recipe import ImageAndLabel, Recipe
from jaxseg.data.sources import Color, Dataset, DatasetInfo


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilePairs:
    """Pairs of image and mask files, and what the values of the masks mean.

    Attributes:
        name: Name of the data set.
        root: The folder that holds all files.
        pairs: The pairs of every split, in the order of its examples.
        labels: The label of every value that a mask may have: 0..classes-1, or 255 for ignored.
        class_names: The name of every class, in the order of the labels.
        palette: The color of every class as (red, green, blue) in 0..255.
        mean: Mean of every channel over training images, in units of full brightness.
        std: Standard deviation of every channel, likewise.
        colored: Masks are colors, and the values in `labels` are packed as
            `mask_values.pack_color` packs them.
        keep_aspect: Images are scaled evenly and padded; otherwise they are stretched.
        dtype: Type of the images: "uint8", "uint16" or "float32".
        mask_orientation: Pixels that masks without an orientation tag were drawn on: the "stored"
            ones of their images, or the "upright" ones that a viewer shows; "unknown" refuses the
            pairs where it makes a difference.
        edited: The user may edit the files, so that a change of their times counts as one.
    """

    name: str
    root: Path
    pairs: Mapping[str, Sequence[FilePair]]
    labels: Mapping[int, int]
    class_names: tuple[str, ...]
    palette: tuple[Color, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    colored: bool = False
    keep_aspect: bool = True
    dtype: str = "uint8"
    mask_orientation: MaskOrientation = "unknown"
    edited: bool = False

    def prepare(
        self, size: tuple[int, int], *, data_dir: str | os.PathLike[str] | None = None
    ) -> Dataset:
        """Prepares the files at one size, unless they are prepared already.

        Args:
            size: Height and width in pixels.
            data_dir: The root of prepared data sets; by default the environment variable
                `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory.

        Raises:
            ValueError: `size` is not a pair of positive integers, a file is not as expected, or
                `data_dir` cannot be written to.
        """
        return prepare(self.recipe(size), data_dir=data_dir)

    def recipe(self, size: tuple[int, int]) -> Recipe:
        """The recipe of the data set of one size.

        Args:
            size: Height and width in pixels.

        Raises:
            ValueError: `size` is not a pair of positive integers.
        """
        check_size(size)
        info = DatasetInfo(
            name=self.name,
            size=size,
            class_names=self.class_names,
            palette=self.palette,
            mean=self.mean,
            std=self.std,
            dtype=self.dtype,
        )
        return Recipe(
            info=info,
            splits={split: len(pairs) for split, pairs in self.pairs.items()},
            examples=lambda split: self._examples(split, size),
            inputs={
                "size": size,
                "files": fingerprint(self.pairs, self.root, times=self.edited),
                "labels": sorted(self.labels.items()),
                "classes": self.class_names,
                "colored": self.colored,
                "keep_aspect": self.keep_aspect,
                **self._further_inputs(),
            },
        )

    def _further_inputs(self) -> dict[str, Any]:
        """What else decides the examples, where it is not the default of before it was known."""
        further: dict[str, Any] = {}
        if (len(self.mean), self.dtype) != (3, "uint8"):
            further |= {"images": [len(self.mean), self.dtype], "padding": self.mean}
        if self.mask_orientation != "unknown":
            further["mask_orientation"] = self.mask_orientation
        return further

    def _examples(self, split: str, size: tuple[int, int]) -> Iterator[ImageAndLabel]:
        for pair in self.pairs[split]:
            image, values = read_pair(
                pair,
                colored=self.colored,
                channels=len(self.mean),
                dtype=self.dtype,
                mask_orientation=self.mask_orientation,
            )
            label = to_labels(values, self.labels, pair.mask)
            yield fit(image, label, size, keep_aspect=self.keep_aspect, mean=self.mean)


def fingerprint(
    pairs: Mapping[str, Sequence[FilePair]], root: Path, *, times: bool
) -> dict[str, list[list[str | int]]]:
    """Every file's path below `root`, number of bytes and, if `times`, time of change.

    A folder that is moved is thus not prepared anew, and one with other files is.

    Args:
        pairs: The pairs of every split.
        root: The folder that holds all files.
        times: Whether a file of the same name and size counts as another when its time differs.

    Raises:
        ValueError: A file is missing.
    """

    def describe(path: Path) -> list[str | int]:
        try:
            status = path.stat()
        except FileNotFoundError as error:
            raise ValueError(
                f"{str(path)!r} is missing, expected a file of the data set: put it back, or "
                "leave it out of the pairs"
            ) from error
        changed = [status.st_mtime_ns] if times else []
        return [path.relative_to(root).as_posix(), status.st_size, *changed]

    return {
        split: [describe(path) for pair in listed for path in pair]
        for split, listed in pairs.items()
    }


def check_size(size: object) -> None:
    """Checks that a size is (height, width).

    Args:
        size: What was given as one.

    Raises:
        ValueError: It is not a tuple of two positive integers.
    """
    sides = size if isinstance(size, tuple) else ()
    if len(sides) != 2 or not all(type(side) is int and side >= 1 for side in sides):
        raise ValueError(
            f"size={size!r} is not valid, expected a tuple (height, width) of positive integers: "
            "pass for example size=(96, 128)"
        )
