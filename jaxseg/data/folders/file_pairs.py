"""Pairs of image and mask files, and how a data set is prepared from them."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.data.dataset import Dataset
from jaxseg.data.folders.file_originals import FileOriginals
from jaxseg.data.geometry import fit
from jaxseg.data.images.image_files import FilePair, upright_size
from jaxseg.data.images.orientation import MaskOrientation
from jaxseg.data.info import Color, DatasetInfo
from jaxseg.data.masks.mask_values import IGNORE_INDEX, unpack_color
from jaxseg.data.preparation._prepare import prepare
from jaxseg.data.preparation.recipe import ImageAndLabel, Recipe, digest
from jaxseg.data.preparation.tiles import TILE, cut_tiles, tile_count


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
        mask_values: The number or the color that masks hold for each class, in the order of the
            labels; () where that is the label.
        ignored_value: Likewise for ignored pixels; None where that is 255.
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
    mask_values: tuple[int | Color, ...] = ()
    ignored_value: int | Color | None = None
    keep_aspect: bool = True
    dtype: str = "uint8"
    mask_orientation: MaskOrientation = "unknown"
    edited: bool = False

    def prepare(
        self,
        size: tuple[int, int],
        *,
        crops: bool = False,
        data_dir: str | os.PathLike[str] | None = None,
    ) -> Dataset:
        """Prepares the files at one size or at their own, unless they are prepared already.

        Args:
            size: Height and width in pixels.
            crops: Keep the images at their own sizes, stored as tiles; `size` is that of the crops
                to train on. One preparation serves crops of all sizes.
            data_dir: The root of prepared data sets; by default the environment variable
                `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory.

        Raises:
            ValueError: `size` is not a pair of positive integers, a file is not as expected, or
                `data_dir` cannot be written to.
        """
        if not crops:
            prepared = prepare(self.recipe(size), data_dir=data_dir)
            return dataclasses.replace(prepared, root=self.root, pairs=self.pairs)
        check_size(size)
        sizes = {
            split: [upright_size(pair.image) for pair in pairs]
            for split, pairs in self.pairs.items()
        }
        dataset = prepare(self._tiles_recipe(sizes), data_dir=data_dir)
        return dataclasses.replace(
            dataset,
            info=dataclasses.replace(dataset.info, size=size, crops=True),
            splits={split: len(pairs) for split, pairs in self.pairs.items()},
            sizes=sizes,
            root=self.root,
            pairs=self.pairs,
        )

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
            mask_values=self.mask_values or self._values_of_classes(),
            ignored_value=self.ignored_value or self._value_of_ignored(),
            keep_aspect=self.keep_aspect,
            dtype=self.dtype,
            mask_labels=tuple(sorted((int(v), int(label)) for v, label in self.labels.items())),
            colored_masks=self.colored,
        )
        described = fingerprint(self.pairs, self.root, times=self.edited)
        options = {
            "size": size,
            "labels": sorted(self.labels.items()),
            "classes": self.class_names,
            "colored": self.colored,
            "keep_aspect": self.keep_aspect,
            **self._further_inputs(),
        }
        source = {"root": str(self.root.absolute()), "files": described, "variant": digest(options)}
        return Recipe(
            info=info,
            splits={split: len(pairs) for split, pairs in self.pairs.items()},
            examples=lambda split: self._examples(split, size),
            inputs={**options, "files": described},
            originals=self._originals,
            source=source if self.edited else None,
        )

    def _further_inputs(self) -> dict[str, Any]:
        """Lists further options that decide the examples, where they are not the defaults."""
        further: dict[str, Any] = {}
        if (len(self.mean), self.dtype) != (3, "uint8"):
            further |= {"images": [len(self.mean), self.dtype], "padding": self.mean}
        if self.mask_orientation != "unknown":
            further["mask_orientation"] = self.mask_orientation
        return further

    def _tiles_recipe(self, sizes: Mapping[str, Sequence[tuple[int, int]]]) -> Recipe:
        """The recipe of the tiles of all images, at the images' own sizes."""
        recipe = self.recipe((TILE, TILE))
        return dataclasses.replace(
            recipe,
            splits={split: sum(map(tile_count, each)) for split, each in sizes.items()},
            examples=self._tiles,
            inputs={**recipe.inputs, "tiles": True},
        )

    def _tiles(self, split: str) -> Iterator[ImageAndLabel]:
        for image, label, _ in self._originals(split):
            yield from cut_tiles(image, label)

    def _examples(self, split: str, size: tuple[int, int]) -> Iterator[ImageAndLabel]:
        for image, label, _ in self._originals(split):
            yield fit(image, label, size, keep_aspect=self.keep_aspect, mean=self.mean)

    def _originals(self, split: str) -> FileOriginals:
        return FileOriginals(
            self.pairs[split],
            self.labels,
            colored=self.colored,
            channels=len(self.mean),
            dtype=self.dtype,
            mask_orientation=self.mask_orientation,
        )

    def _values_of_classes(self) -> tuple[int | Color, ...]:
        """A value of each class in the masks, or nothing where each is the label itself."""
        classes = range(len(self.class_names))
        values = tuple(self._value_of(label) for label in classes)
        known = tuple(value for value in values if value is not None)
        return () if known == tuple(classes) or len(known) < len(values) else known

    def _value_of_ignored(self) -> int | Color | None:
        """A value of ignored pixels in the masks, or None where that is 255 or there is none."""
        plain = not self.colored and self.labels.get(IGNORE_INDEX) == IGNORE_INDEX
        return None if plain else self._value_of(IGNORE_INDEX)

    def _value_of(self, label: int) -> int | Color | None:
        for value, meaning in self.labels.items():
            if meaning == label:
                return unpack_color(value) if self.colored else value
        return None


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
