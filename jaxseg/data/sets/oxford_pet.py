"""Oxford-IIIT Pet: cats and dogs before their background."""

import os
from pathlib import Path

from jaxseg.data.dataset import Dataset
from jaxseg.data.folders.directories import DownloadHint, find_directory
from jaxseg.data.folders.file_pairs import FilePairs
from jaxseg.data.folders.name_lists import read_list
from jaxseg.data.folders.pairing import hold_out
from jaxseg.data.images.image_files import FilePair
from jaxseg.data.images.normalization import IMAGENET_MEAN, IMAGENET_STD
from jaxseg.data.masks import palettes
from jaxseg.data.masks.mask_values import IGNORE_INDEX

CLASSES = ("background", "pet")
_LABELS = {1: 1, 2: 0, 3: IGNORE_INDEX}  # the trimaps' pet, background and unclassified
_HINT = DownloadHint(
    name="oxford_pet",
    title="the Oxford-IIIT Pet data set",
    layout=(
        "the folder must hold images/*.jpg, annotations/trimaps/*.png, annotations/trainval.txt "
        "and annotations/test.txt"
    ),
    commands=(
        "mkdir pets && cd pets && "
        "wget https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz && "
        "wget https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz && "
        "tar xzf images.tar.gz && tar xzf annotations.tar.gz && "
        "export JAXSEG_OXFORD_PET=$PWD"
    ),
)


def oxford_pet(
    *,
    size: tuple[int, int] = (128, 128),
    directory: str | os.PathLike[str] | None = None,
    held_out: float = 0.15,
    crops: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Opens Oxford-IIIT Pet: cats and dogs before their background, 255 along their outlines.

    The test split is the official one, and the validation split is drawn from the official
    training images. There are 7349 images in all.

    Source: Parkhi, Vedaldi, Zisserman and Jawahar, "Cats and dogs", CVPR 2012.

    Args:
        size: Height and width in pixels. Images are scaled evenly and padded.
        directory: The folder; by default the environment variable JAXSEG_OXFORD_PET names it.
        held_out: Share of the official training images that makes the validation split. The draw
            depends on their names alone.
        crops: Keep the images at their own sizes, to train on random crops of `size`.
        data_dir: The root of prepared data sets; by default the environment variable
            `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory.

    Raises:
        ValueError: The folder is not found or is not laid out as expected, a file is not as
            expected, `held_out` is not between 0 and 1, or `data_dir` cannot be written to.
    """
    return file_pairs(find_directory(directory, _HINT), held_out).prepare(
        size, crops=crops, data_dir=data_dir
    )


def file_pairs(directory: Path, held_out: float) -> FilePairs:
    """The files of the folder, and what their trimaps mean.

    Args:
        directory: The folder that holds images/ and annotations/.
        held_out: Share of the training images that makes the validation split.

    Raises:
        ValueError: The folder is not laid out as expected, or `held_out` is no share.
    """
    if not 0 < held_out < 1:
        raise ValueError(
            f"held_out={held_out!r} is out of range, expected a share between 0 and 1 of the "
            "training images, for validation: pass for example 0.15"
        )
    known = _listed(directory, "trainval.txt")
    train, validation = hold_out(known, max(1, round(held_out * len(known))))
    return FilePairs(
        name="oxford_pet",
        root=directory,
        pairs={"train": train, "validation": validation, "test": _listed(directory, "test.txt")},
        labels=_LABELS,
        class_names=CLASSES,
        palette=palettes.with_background(2),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )


def _listed(directory: Path, name: str) -> list[FilePair]:
    return read_list(
        directory / "annotations" / name,
        lambda stem: directory / "images" / f"{stem}.jpg",
        lambda stem: directory / "annotations" / "trimaps" / f"{stem}.png",
        _HINT.text,
    )
