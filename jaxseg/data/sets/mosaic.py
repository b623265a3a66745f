"""The texture mosaic: Voronoi mosaics of photographs of brick, grass and gravel.

Real pixels, exact masks and no download. By default all three photographs share one histogram of
gray values, and each cell has a gain and an offset of its own, so that the gray value of a pixel
says nothing of its class: a net must look at the texture around it, and one that looks farther
sees more.
"""

import dataclasses
import math
import os
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from jaxseg.data import textures
from jaxseg.data.dataset import Dataset
from jaxseg.data.info import DatasetInfo
from jaxseg.data.preparation._prepare import prepare
from jaxseg.data.preparation.recipe import ImageAndLabel, Recipe

CLASSES = textures.NAMES
# Red, green and blue that differ in lightness too, so that the color-blind can tell them apart.
PALETTE = ((168, 54, 36), (176, 212, 100), (96, 124, 206))
GRAY_MEAN = 128.0
GRAY_STD = 40.0  # of a cell with gain 1: 8 bits hold ± 3.2 of these


@dataclasses.dataclass(frozen=True, kw_only=True)
class MosaicConfig:
    """All that a texture mosaic is made from.

    Attributes:
        size: Height and width of an image in pixels, at most 256 / `scale`.
        cells: Number of Voronoi cells in an image. Each draws its class on its own, so that
            neighbors may be of one class, with a seam between them that is no boundary of the
            mask.
        train: Number of training images.
        validation: Number of validation images.
        test: Number of test images.
        seed: Seed of all draws, a non-negative integer.
        scale: The photographs are shrunk by this integer. At 2, images of 32 pixels show single
            stones and the mortar between bricks; at 1 many cells show plain surface only.
        gain: A cell's contrast is multiplied by a factor drawn from [1 - gain, 1 + gain].
        offset: A cell's gray values are shifted up or down by up to this many standard deviations
            (of `GRAY_STD` gray levels).
        equal: All photographs share one histogram of gray values. Otherwise they keep their own,
            which differ a little: easier, for studies of what can be trained in few steps.

    Raises:
        ValueError: A field is outside its range.
    """

    size: int = 32
    cells: int = 6
    train: int = 512
    validation: int = 64
    test: int = 64
    seed: int = 0
    scale: int = 2
    gain: float = 0.2
    offset: float = 0.3
    equal: bool = True

    def __post_init__(self):
        for name in ("size", "cells", "train", "validation", "test", "seed", "scale"):
            _check_integer(name, getattr(self, name), least=0 if name == "seed" else 1)
        largest = textures.largest_size(self.scale)
        if self.size > largest:
            raise ValueError(
                f"size={self.size} is larger than the areas that the photographs are split into, "
                f"expected at most {largest} pixels at scale={self.scale}: choose a smaller size "
                "or a smaller scale"
            )
        for name, most in (("gain", 1.0), ("offset", math.inf)):
            value = getattr(self, name)
            if not 0.0 <= value < most:
                raise ValueError(
                    f"{name}={value!r} is out of range, expected 0 <= {name} < {most}: "
                    f"{name}=0 switches this variation off"
                )

    def recipe(self) -> Recipe:
        """The recipe of the data set."""
        info = DatasetInfo(
            name="mosaic",
            size=(self.size, self.size),
            class_names=CLASSES,
            palette=PALETTE,
            mean=(GRAY_MEAN / 255,),
            std=(GRAY_STD / 255,),
        )
        return Recipe(
            info=info,
            splits={split: getattr(self, split) for split in textures.SPLITS},
            examples=self._examples,
            inputs=dataclasses.asdict(self) | {"photographs": textures.fingerprint()},
        )

    def _examples(self, split: str) -> Iterator[ImageAndLabel]:
        photographs = textures.load_textures(split, scale=self.scale, equal=self.equal)
        for index in range(getattr(self, split)):
            yield mosaic_example(self, split, index, photographs)


def mosaic(
    *,
    size: int | tuple[int, int] = 32,
    cells: int = 6,
    train: int = 512,
    validation: int = 64,
    test: int = 64,
    seed: int = 0,
    scale: int = 2,
    gain: float = 0.2,
    offset: float = 0.3,
    equal: bool = True,
    directory: None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Draws the embedded data set: gray mosaics of brick, grass and gravel, three classes.

    Args:
        size: Height and width of an image in pixels, or both, which must be equal; at most
            256 / `scale`.
        cells: Number of Voronoi cells in an image.
        train: Number of training images.
        validation: Number of validation images.
        test: Number of test images.
        seed: Seed of all draws, a non-negative integer.
        scale: The photographs are shrunk by this integer.
        gain: A cell's contrast is multiplied by a factor drawn from [1 - gain, 1 + gain].
        offset: A cell's gray values are shifted by up to this many standard deviations.
        equal: All photographs share one histogram of gray values.
        directory: None: the mosaic is drawn, not read from files.
        data_dir: The root of prepared data sets; by default the environment variable
            `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory.

    Raises:
        ValueError: A number is out of range, `size` is not square, a directory is given, or
            `data_dir` cannot be written to.
    """
    if directory is not None:
        raise ValueError(
            f"directory={str(directory)!r} does not go with the mosaic, which is drawn, expected "
            "None: leave it out, or open the directory's own data set, such as data.folder"
        )
    config = MosaicConfig(
        size=_side(size),
        cells=cells,
        train=train,
        validation=validation,
        test=test,
        seed=seed,
        scale=scale,
        gain=gain,
        offset=offset,
        equal=equal,
    )
    return prepare(config.recipe(), data_dir=data_dir)


def mosaic_example(
    config: MosaicConfig, split: str, index: int, photographs: Sequence[np.ndarray] | None = None
) -> tuple[UInt8[np.ndarray, "size size"], UInt8[np.ndarray, "size size"]]:
    """Draws one example. It depends on the config's fields, the split and the index only.

    Args:
        config: What the mosaic is made from; the numbers of examples play no part.
        split: `"train"`, `"validation"` or `"test"`.
        index: Index of the example in its split, from 0; there is no last one.
        photographs: What `textures.load_textures` gives for the split; read again by default.

    Returns:
        The gray image and its label, of classes 0 brick, 1 grass and 2 gravel.

    Example:
        >>> image, label = mosaic_example(MosaicConfig(size=8, cells=2), "train", 0)
        >>> image.shape, image.dtype, label.shape
        ((8, 8), dtype('uint8'), (8, 8))
    """
    if photographs is None:
        photographs = textures.load_textures(split, scale=config.scale, equal=config.equal)
    rng = np.random.default_rng((config.seed, textures.SPLITS.index(split), index))
    cell = _voronoi(rng, config.size, config.cells)
    classes = rng.integers(len(photographs), size=config.cells, dtype=np.uint8)
    image = np.zeros(cell.shape)
    for number, kind in enumerate(classes):
        patch = _random_patch(rng, photographs[kind], config.size)
        gain = 1 + config.gain * rng.uniform(-1, 1)
        offset = config.offset * rng.uniform(-1, 1)
        image = np.where(cell == number, gain * patch + offset, image)
    gray = np.clip(np.rint(GRAY_MEAN + GRAY_STD * image), 0, 255)
    return gray.astype(np.uint8), classes[cell]


def _side(size: int | tuple[int, int]) -> int:
    if not isinstance(size, tuple):
        return size
    if len(size) != 2 or size[0] != size[1]:
        raise ValueError(
            f"size={size} is not square, expected equal sides for the mosaic: pass for example "
            f"size={(size[0], size[0]) if size else (32, 32)}"
        )
    return size[0]


def _check_integer(name: str, value: object, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"{name}={value!r} is not valid, expected an integer of at least {least}: "
            f"pass {name}={MosaicConfig.__dataclass_fields__[name].default} for the default"
        )


def _voronoi(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """The number of the nearest of `cells` random points for every pixel center."""
    points = rng.uniform(0, size, (cells, 2))
    center = np.arange(size) + 0.5
    rows = (center[:, None] - points[:, 0]) ** 2
    columns = (center[:, None] - points[:, 1]) ** 2
    return np.argmin(rows[:, None, :] + columns[None, :, :], axis=-1)


def _random_patch(rng: np.random.Generator, photograph: np.ndarray, size: int) -> np.ndarray:
    """A random square of the photograph in one of its eight orientations."""
    height, width = photograph.shape
    top = rng.integers(height - size + 1)
    left = rng.integers(width - size + 1)
    patch = np.rot90(photograph[top : top + size, left : left + size], int(rng.integers(4)))
    return patch[::-1] if rng.integers(2) else patch
