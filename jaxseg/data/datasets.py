"""The data sets by their names, prepared on the first call."""

import os
from typing import Any

from jaxseg.data import homes, mosaic_builder, object_scenes, street_scenes
from jaxseg.data._prepare import prepare
from jaxseg.data.file_pairs import prepared
from jaxseg.data.pairing import find_directory
from jaxseg.data.sources import Dataset, DatasetInfo

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_Path = str | os.PathLike[str]


def mosaic(
    *, size: int = 32, cells: int = 6, data_dir: _Path | None = None, **options: Any
) -> Dataset:
    """The embedded default: Voronoi mosaics of brick, grass and gravel, grey, three classes.

    Args:
        size: Height and width of an image in pixels.
        cells: Voronoi cells in an image.
        data_dir: The root of prepared data sets; see `jaxseg.data._prepare.prepare`.
        **options: The other fields of `MosaicConfig`: numbers of examples, seed, scale, gain and
            offset.

    Raises:
        ValueError: A field is out of range, or `data_dir` cannot be written to.
    """
    recipe = mosaic_builder.MosaicConfig(size=size, cells=cells, **options).recipe()
    info = DatasetInfo(
        name="mosaic",
        size=recipe.shape[:2],
        class_names=recipe.class_names,
        palette=mosaic_builder.PALETTE,
        mean=(mosaic_builder.GREY_MEAN / 255,),
        std=(mosaic_builder.GREY_STD / 255,),
    )
    directory = prepare(mosaic_builder.TextureMosaic, recipe, data_dir=data_dir)
    return Dataset(info, directory, recipe.splits)


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
        data_dir: The root of prepared data sets; see `jaxseg.data._prepare.prepare`.

    Raises:
        ValueError: The folder is not found, or not laid out as expected; a file is not as
            expected; or `data_dir` cannot be written to.
    """
    root = find_directory(directory, homes.CAMVID)
    return prepared(street_scenes.camvid_scenes(root), size, data_dir)


def cityscapes(
    *,
    size: tuple[int, int] = (128, 256),
    directory: _Path | None = None,
    data_dir: _Path | None = None,
) -> Dataset:
    """Cityscapes: street scenes in 19 classes, 255 where the benchmark does not count.

    The splits are the official train and validation; the test frames have no public labels.

    Args:
        size: Height and width in pixels; images keep their aspect, see `pictures.fit`.
        directory: The folder, else the environment variable JAXSEG_CITYSCAPES names it.
        data_dir: The root of prepared data sets; see `jaxseg.data._prepare.prepare`.

    Raises:
        ValueError: As `camvid`.
    """
    root = find_directory(directory, homes.CITYSCAPES)
    scenes = street_scenes.cityscapes_scenes(root, IMAGENET_MEAN, IMAGENET_STD)
    return prepared(scenes, size, data_dir)


def oxford_pet(
    *,
    size: tuple[int, int] = (128, 128),
    directory: _Path | None = None,
    held_out: float = 0.15,
    data_dir: _Path | None = None,
) -> Dataset:
    """Oxford-IIIT Pet: cats and dogs before their background, 255 along their outlines.

    Args:
        size: Height and width in pixels; images keep their aspect, see `pictures.fit`.
        directory: The folder, else the environment variable JAXSEG_OXFORD_PET names it.
        held_out: The share of the official training images that is the validation split; the
            draw depends on their names alone. The test split is the official one.
        data_dir: The root of prepared data sets; see `jaxseg.data._prepare.prepare`.

    Raises:
        ValueError: As `camvid`; or `held_out` is not between 0 and 1.
    """
    root = find_directory(directory, homes.OXFORD_PET)
    scenes = object_scenes.oxford_pet_scenes(root, held_out, IMAGENET_MEAN, IMAGENET_STD)
    return prepared(scenes, size, data_dir)


def voc(
    *,
    size: tuple[int, int] = (256, 256),
    directory: _Path | None = None,
    augmented: bool = False,
    data_dir: _Path | None = None,
) -> Dataset:
    """PASCAL VOC 2012: 20 kinds of objects and the background, 255 along the outlines.

    The splits are the official train and validation; the test images have no public labels.

    Args:
        size: Height and width in pixels; images keep their aspect, see `pictures.fit`.
        directory: The folder, else the environment variable JAXSEG_VOC names it.
        augmented: Train on the larger list trainaug.txt, with the masks of SegmentationClassAug.
        data_dir: The root of prepared data sets; see `jaxseg.data._prepare.prepare`.

    Raises:
        ValueError: As `camvid`.
    """
    root = find_directory(directory, homes.VOC)
    scenes = object_scenes.voc_scenes(root, augmented, IMAGENET_MEAN, IMAGENET_STD)
    return prepared(scenes, size, data_dir)


def ade20k(
    *,
    size: tuple[int, int] = (256, 256),
    directory: _Path | None = None,
    data_dir: _Path | None = None,
) -> Dataset:
    """SceneParse150 of ADE20K: scenes of all kinds in 150 classes, 255 where there is none.

    The splits are the official training and validation; the test images have no public labels.

    Args:
        size: Height and width in pixels; images keep their aspect, see `pictures.fit`.
        directory: The folder, else the environment variable JAXSEG_ADE20K names it.
        data_dir: The root of prepared data sets; see `jaxseg.data._prepare.prepare`.

    Raises:
        ValueError: As `camvid`.
    """
    root = find_directory(directory, homes.ADE20K)
    scenes = object_scenes.ade20k_scenes(root, IMAGENET_MEAN, IMAGENET_STD)
    return prepared(scenes, size, data_dir)
