"""The texture mosaic: Voronoi mosaics of photographs of brick, grass and gravel.

Real pixels, exact masks and no download. By default all three photographs share one grey histogram,
and each cell has a gain and an offset of its own, so that a pixel's grey value says nothing of its
class: a net must look at the texture around it, and one that looks farther sees more.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8

from jaxseg.data import textures
from jaxseg.data.builder import MaskBuilder, Recipe, recipe_name

CLASS_NAMES = textures.NAMES
PALETTE = ((200, 80, 60), (80, 170, 70), (120, 120, 180))
GREY_MEAN = 128.0
GREY_STD = 40.0  # of a cell with gain 1: the 8 bits hold ± 3.2 of these


@dataclasses.dataclass(frozen=True, kw_only=True)
class MosaicConfig:
    """What a texture mosaic is made from.

    Attributes:
        size: Height and width of an image in pixels, at most 256 / `scale`.
        cells: Voronoi cells in an image; each draws its class on its own, so that neighbours may
            be of one class and then show a seam that is no boundary of the mask.
        train: Number of training images.
        validation: Number of validation images.
        test: Number of test images.
        seed: Seed of the drawing, a non-negative integer.
        scale: The photographs are shrunk by this integer. At 2, images of 32 pixels show single
            stones and the mortar between bricks; at 1 many cells show plain surface only.
        gain: A cell's contrast is multiplied by a factor drawn from [1 - gain, 1 + gain].
        offset: A cell's grey values are shifted by up to this many standard deviations (of
            `GREY_STD` grey levels) up or down.
        equal: All photographs share one grey histogram. Otherwise they keep their own, which
            differ a little: easier, for studies of what can be trained in few steps.

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
        """The TFDS config, whose name changes with every field and with the photographs."""
        fields = dataclasses.asdict(self) | {"photographs": textures.fingerprint()}
        return Recipe(
            name=recipe_name(f"size{self.size}-cells{self.cells}-seed{self.seed}", **fields),
            options=self,
            shape=(self.size, self.size, 1),
            class_names=CLASS_NAMES,
            splits={split: getattr(self, split) for split in textures.SPLITS},
        )


def mosaic_example(
    config: MosaicConfig, split: str, index: int, photographs: Sequence[np.ndarray] | None = None
) -> tuple[UInt8[np.ndarray, "size size"], UInt8[np.ndarray, "size size"]]:
    """Draws one example. It depends on the config's fields, the split and the index only.

    Args:
        config: The recipe; the numbers of examples play no part.
        split: `"train"`, `"validation"` or `"test"`.
        index: Which example of the split, from 0; there is no last one.
        photographs: the split's `textures.textures`, if already at hand.

    Returns:
        The grey image and its label, of classes 0 brick, 1 grass and 2 gravel.
    """
    if photographs is None:
        photographs = textures.textures(split, scale=config.scale, equal=config.equal)
    rng = np.random.default_rng((config.seed, textures.SPLITS.index(split), index))
    cell = _voronoi(rng, config.size, config.cells)
    classes = rng.integers(len(photographs), size=config.cells, dtype=np.uint8)
    image = np.zeros(cell.shape)
    for number, kind in enumerate(classes):
        patch = _random_patch(rng, photographs[kind], config.size)
        gain = 1 + config.gain * rng.uniform(-1, 1)
        offset = config.offset * rng.uniform(-1, 1)
        image = np.where(cell == number, gain * patch + offset, image)
    grey = np.clip(np.rint(GREY_MEAN + GREY_STD * image), 0, 255)
    return grey.astype(np.uint8), classes[cell]


class TextureMosaic(MaskBuilder, skip_registration=True):
    """TFDS builder of the texture mosaic; its config is made by `MosaicConfig.recipe`."""

    VERSION = tfds.core.Version("1.0.0")

    def examples(self, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Draws the examples of a split, grey and (size, size), with their labels."""
        config: MosaicConfig = self.recipe.options
        photographs = textures.textures(split, scale=config.scale, equal=config.equal)
        for index in range(self.recipe.splits[split]):
            yield mosaic_example(config, split, index, photographs)


def _check_integer(name: str, value: object, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"{name}={value!r} is not valid, expected an integer of at least {least}: "
            f"pass {name}={MosaicConfig.__dataclass_fields__[name].default} for the default"
        )


def _voronoi(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """The number of the nearest of `cells` random points for every pixel centre."""
    points = rng.uniform(0, size, (cells, 2))
    centre = np.arange(size) + 0.5
    rows = (centre[:, None] - points[:, 0]) ** 2
    columns = (centre[:, None] - points[:, 1]) ** 2
    return np.argmin(rows[:, None, :] + columns[None, :, :], axis=-1)


def _random_patch(rng: np.random.Generator, photograph: np.ndarray, size: int) -> np.ndarray:
    """A random square of the photograph in one of its eight orientations."""
    height, width = photograph.shape
    top = rng.integers(height - size + 1)
    left = rng.integers(width - size + 1)
    patch = np.rot90(photograph[top : top + size, left : left + size], int(rng.integers(4)))
    return patch[::-1] if rng.integers(2) else patch
