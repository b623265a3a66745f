"""The data sets by their names, prepared on the first call."""

import os
from typing import Any

from jaxseg.data import camvid_builder, mosaic_builder
from jaxseg.data.camvid_frames import find_directory
from jaxseg.data.prepare import prepare
from jaxseg.data.sources import Dataset

_Path = str | os.PathLike[str]


def mosaic(
    *,
    size: int = 32,
    cells: int = 6,
    data_dir: _Path | None = None,
    **options: Any,
) -> Dataset:
    """The embedded default: Voronoi mosaics of brick, grass and gravel, grey, three classes.

    Args:
        size: Height and width of an image in pixels.
        cells: Voronoi cells in an image.
        data_dir: The root of prepared data sets; see `jaxseg.data.prepare.prepare`.
        **options: The other fields of `MosaicConfig`: numbers of examples, seed, scale, gain and
            offset.

    Raises:
        ValueError: A field is out of range, or `data_dir` cannot be written to.
    """
    recipe = mosaic_builder.MosaicConfig(size=size, cells=cells, **options).recipe()
    return Dataset(
        name="mosaic",
        directory=prepare(mosaic_builder.TextureMosaic, recipe, data_dir=data_dir),
        size=recipe.shape[:2],
        class_names=recipe.class_names,
        palette=mosaic_builder.PALETTE,
        mean=(mosaic_builder.GREY_MEAN / 255,),
        std=(mosaic_builder.GREY_STD / 255,),
        splits=recipe.splits,
    )


def camvid(
    *,
    size: tuple[int, int] = (60, 80),
    directory: _Path | None = None,
    data_dir: _Path | None = None,
) -> Dataset:
    """CamVid in the SegNet split: street scenes in colour, 11 classes, 255 where unlabelled.

    Args:
        size: Height and width in pixels that images and labels are resampled to.
        directory: The folder of the split, else the environment variable JAXSEG_CAMVID names it.
        data_dir: The root of prepared data sets; see `jaxseg.data.prepare.prepare`.

    Raises:
        ValueError: The folder is not found, or not laid out as expected; a file is not as
            expected; or `data_dir` cannot be written to.
    """
    config = camvid_builder.CamvidConfig(size=size, directory=find_directory(directory))
    recipe = config.recipe()
    return Dataset(
        name="camvid",
        directory=prepare(camvid_builder.Camvid, recipe, data_dir=data_dir),
        size=recipe.shape[:2],
        class_names=recipe.class_names,
        palette=camvid_builder.PALETTE,
        mean=camvid_builder.MEAN,
        std=camvid_builder.STD,
        splits=recipe.splits,
    )
