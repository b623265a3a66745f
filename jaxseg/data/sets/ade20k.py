"""SceneParse150, the scene parsing benchmark of ADE20K: scenes of all kinds in 150 classes."""

import os
from pathlib import Path

from jaxseg import files
from jaxseg.data.dataset import Dataset
from jaxseg.data.folders.directories import DownloadHint, find_directory, find_inside
from jaxseg.data.folders.file_pairs import FilePairs
from jaxseg.data.folders.pairing import list_files, pair_files
from jaxseg.data.images.normalization import IMAGENET_MEAN, IMAGENET_STD
from jaxseg.data.masks import palettes
from jaxseg.data.masks.mask_values import IGNORE_INDEX

CLASSES = 150
_NAMES_FILE = "objectInfo150.txt"
_HINT = DownloadHint(
    name="ade20k",
    title="the MIT scene parsing benchmark of ADE20K (SceneParse150)",
    layout=(
        "the folder must hold ADEChallengeData2016 (or be it) with images/training/*.jpg, "
        "images/validation/*.jpg and annotations/training/*.png, annotations/validation/*.png"
    ),
    commands=(
        "wget http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip && "
        "unzip -q ADEChallengeData2016.zip && "
        "export JAXSEG_ADE20K=$PWD/ADEChallengeData2016"
    ),
)


def ade20k(
    *,
    size: tuple[int, int] = (256, 256),
    directory: str | os.PathLike[str] | None = None,
    crops: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Opens SceneParse150 of ADE20K: scenes of all kinds in 150 classes, 255 where there is none.

    The splits are the official 20210 training and 2000 validation images; the test images have no
    public labels. Classes are named by objectInfo150.txt, or by numbers where that is missing.

    Source: Zhou et al., "Scene parsing through ADE20K dataset", CVPR 2017.

    Args:
        size: Height and width in pixels. Images are scaled evenly and padded.
        directory: The folder; by default the environment variable JAXSEG_ADE20K names it.
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
    """The files of the folder, and what their masks mean: 0 is no class.

    Args:
        directory: ADEChallengeData2016, or a folder that holds it.

    Raises:
        ValueError: The folder is not laid out as expected.
    """
    root = find_inside(directory, ("ADEChallengeData2016",), "annotations", _HINT)
    pairs = {}
    for split, name in (("train", "training"), ("validation", "validation")):
        images = list_files(root / "images" / name, (".jpg",), _HINT.text)
        masks = list_files(root / "annotations" / name, (".png",), _HINT.text)
        pairs[split] = pair_files(images, masks)
    return FilePairs(
        name="ade20k",
        root=root,
        pairs=pairs,
        labels={0: IGNORE_INDEX} | {label + 1: label for label in range(CLASSES)},
        class_names=class_names(root / _NAMES_FILE),
        palette=palettes.distinct(CLASSES),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )


def class_names(path: Path) -> tuple[str, ...]:
    """The first name of each of the 150 classes in objectInfo150.txt; numbers without that file.

    Args:
        path: The file, which need not exist.

    Raises:
        ValueError: The file is there and does not name 150 classes.
    """
    if not path.is_file():
        return tuple(f"class {label}" for label in range(CLASSES))
    lines = [line for line in files.read_text(path).splitlines() if line.strip()]
    rows = [line.split("\t") for line in lines[1:]]  # the first line names the columns
    names = tuple(row[-1].split(",")[0].strip() for row in rows)
    if len(set(names)) != CLASSES or len(names) != CLASSES:
        raise ValueError(
            f"{str(path)!r} names {len(set(names))} classes in {len(names)} rows, expected "
            f"{CLASSES} of tab-separated columns: copy it again, or remove it"
        )
    return names
