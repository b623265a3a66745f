"""PASCAL VOC 2012: 20 kinds of objects and the background."""

import os
from pathlib import Path

from jaxseg.data.dataset import Dataset
from jaxseg.data.folders.directories import DownloadHint, find_directory, find_inside
from jaxseg.data.folders.file_pairs import FilePairs
from jaxseg.data.folders.name_lists import read_list
from jaxseg.data.images.image_files import FilePair
from jaxseg.data.images.normalization import IMAGENET_MEAN, IMAGENET_STD
from jaxseg.data.masks import palettes
from jaxseg.data.masks.mask_values import IGNORE_INDEX

CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "dining table",
    "dog",
    "horse",
    "motorbike",
    "person",
    "potted plant",
    "sheep",
    "sofa",
    "train",
    "tv/monitor",
)
_LISTS = Path("ImageSets") / "Segmentation"
_HINT = DownloadHint(
    name="voc",
    title="PASCAL VOC 2012",
    layout=(
        "the folder must hold VOCdevkit/VOC2012 (or be one of the two) with JPEGImages/*.jpg, "
        "SegmentationClass/*.png and ImageSets/Segmentation/train.txt and val.txt; with "
        "augmented=True also SegmentationClassAug/*.png and ImageSets/Segmentation/trainaug.txt "
        "(or train_aug.txt)"
    ),
    commands=(
        "wget http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar && "
        "tar xf VOCtrainval_11-May-2012.tar && "
        "export JAXSEG_VOC=$PWD/VOCdevkit/VOC2012"
    ),
)


def voc(
    *,
    size: tuple[int, int] = (256, 256),
    directory: str | os.PathLike[str] | None = None,
    augmented: bool = False,
    crops: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Opens PASCAL VOC 2012: 20 kinds of objects and the background, 255 along the outlines.

    The splits are the official 1464 training and 1449 validation images; the test images have no
    public labels.

    Source: Everingham et al., "The PASCAL visual object classes challenge: a retrospective",
    International Journal of Computer Vision, 2015. Augmented: Hariharan et al., "Semantic contours
    from inverse detectors", ICCV 2011.

    Args:
        size: Height and width in pixels. Images are scaled evenly and padded.
        directory: The folder; by default the environment variable JAXSEG_VOC names it.
        augmented: Train on the 10582 images of trainaug.txt, with the masks of
            SegmentationClassAug.
        crops: Keep the images at their own sizes, to train on random crops of `size`.
        data_dir: The root of prepared data sets; by default the environment variable
            `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory.

    Raises:
        ValueError: The folder is not found or is not laid out as expected, a file is not as
            expected, or `data_dir` cannot be written to.
    """
    return file_pairs(find_directory(directory, _HINT), augmented).prepare(
        size, crops=crops, data_dir=data_dir
    )


def file_pairs(directory: Path, augmented: bool) -> FilePairs:
    """The files of the folder, and what their masks mean.

    Args:
        directory: VOC2012, or a folder that holds it.
        augmented: Whether the training split is the augmented one.

    Raises:
        ValueError: The folder is not laid out as expected.
    """
    inside = ("VOC2012", "VOCdevkit/VOC2012")
    root = find_inside(directory, inside, _LISTS.as_posix(), _HINT)
    if augmented:
        has_underscore = (root / _LISTS / "train_aug.txt").is_file()
        name = "train_aug.txt" if has_underscore else "trainaug.txt"
        train = _listed(root, name, "SegmentationClassAug")
    else:
        train = _listed(root, "train.txt", "SegmentationClass")
    classes = {label: label for label in range(len(CLASSES))}
    return FilePairs(
        name="voc",
        root=root,
        pairs={"train": train, "validation": _listed(root, "val.txt", "SegmentationClass")},
        labels={**classes, IGNORE_INDEX: IGNORE_INDEX},
        class_names=CLASSES,
        palette=palettes.voc_colormap(len(CLASSES)),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )


def _listed(root: Path, name: str, masks: str) -> list[FilePair]:
    return read_list(
        root / _LISTS / name,
        lambda stem: root / "JPEGImages" / f"{stem}.jpg",
        lambda stem: root / masks / f"{stem}.png",
        _HINT.text,
    )
