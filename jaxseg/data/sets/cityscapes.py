"""Cityscapes with its fine annotations: street scenes in 19 classes."""

import os
from pathlib import Path

from jaxseg.data.dataset import Dataset
from jaxseg.data.folders.directories import DownloadHint, find_directory
from jaxseg.data.folders.file_pairs import FilePairs
from jaxseg.data.folders.pairing import list_files, pair_files
from jaxseg.data.images.normalization import IMAGENET_MEAN, IMAGENET_STD
from jaxseg.data.masks.mask_values import IGNORE_INDEX

CLASSES = {
    "road": (7, (128, 64, 128)),
    "sidewalk": (8, (244, 35, 232)),
    "building": (11, (70, 70, 70)),
    "wall": (12, (102, 102, 156)),
    "fence": (13, (190, 153, 153)),
    "pole": (17, (153, 153, 153)),
    "traffic light": (19, (250, 170, 30)),
    "traffic sign": (20, (220, 220, 0)),
    "vegetation": (21, (107, 142, 35)),
    "terrain": (22, (152, 251, 152)),
    "sky": (23, (70, 130, 180)),
    "person": (24, (220, 20, 60)),
    "rider": (25, (255, 0, 0)),
    "car": (26, (0, 0, 142)),
    "truck": (27, (0, 0, 70)),
    "bus": (28, (0, 60, 100)),
    "train": (31, (0, 80, 100)),
    "motorcycle": (32, (0, 0, 230)),
    "bicycle": (33, (119, 11, 32)),
}
"""Id in *_labelIds.png and color of every class, in the order of the training ids, as in the table
`labels` of cityscapesScripts. All other ids are ignored in training and in evaluation."""

_IDS = 34
_IMAGE, _MASK = "_leftImg8bit", "_gtFine_labelIds"
_HINT = DownloadHint(
    name="cityscapes",
    title="Cityscapes with its fine annotations",
    layout=(
        "the folder must hold leftImg8bit/train/CITY/*_leftImg8bit.png and "
        "gtFine/train/CITY/*_gtFine_labelIds.png, and the same under val/"
    ),
    commands=(
        "pip install cityscapesscripts && "
        "mkdir cityscapes && csDownload -d cityscapes gtFine_trainvaltest.zip "
        "leftImg8bit_trainvaltest.zip && "
        "cd cityscapes && unzip -q gtFine_trainvaltest.zip && "
        "unzip -q -o leftImg8bit_trainvaltest.zip && export JAXSEG_CITYSCAPES=$PWD "
        "(it asks for the account that https://www.cityscapes-dataset.com gives on registering)"
    ),
)


def cityscapes(
    *,
    size: tuple[int, int] = (128, 256),
    directory: str | os.PathLike[str] | None = None,
    crops: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Opens Cityscapes: street scenes in 19 classes, 255 where the benchmark does not count.

    The splits are the official 2975 training and 500 validation frames; the test frames have no
    public labels.

    Source: Cordts et al., "The Cityscapes dataset for semantic urban scene understanding", CVPR
    2016, arXiv:1604.01685.

    Args:
        size: Height and width in pixels. Images are scaled evenly and padded.
        directory: The folder; by default the environment variable JAXSEG_CITYSCAPES names it.
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
        directory: The folder that holds leftImg8bit/ and gtFine/.

    Raises:
        ValueError: It is not laid out as expected.
    """
    pairs = {}
    for split, name in (("train", "train"), ("validation", "val")):
        images, masks = directory / "leftImg8bit" / name, directory / "gtFine" / name
        pairs[split] = pair_files(
            list_files(images, (".png",), _HINT.text, pattern=f"*/*{_IMAGE}.png"),
            list_files(masks, (".png",), _HINT.text, pattern=f"*/*{_MASK}.png"),
            image_key=lambda path: path.stem.removesuffix(_IMAGE),
            mask_key=lambda path: path.stem.removesuffix(_MASK),
        )
    ignored = dict.fromkeys((*range(_IDS), IGNORE_INDEX), IGNORE_INDEX)
    return FilePairs(
        name="cityscapes",
        root=directory,
        pairs=pairs,
        labels=ignored | {id_: label for label, (id_, _) in enumerate(CLASSES.values())},
        class_names=tuple(CLASSES),
        palette=tuple(color for _, color in CLASSES.values()),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )
