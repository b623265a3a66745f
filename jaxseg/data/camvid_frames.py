"""The files of CamVid's SegNet split: found, paired, read and checked."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

UNLABELLED = 11  # in the annotation files; IGNORED here
IGNORED = 255
ENVIRONMENT = "JAXSEG_CAMVID"

FOLDERS = {"train": "train", "validation": "val", "test": "test"}
_SUFFIXES = (".png", ".jpg", ".jpeg")
_LAYOUT = (
    "the folder must hold train/, val/ and test/ with .png or .jpg frames, and trainannot/, "
    "valannot/ and testannot/ with an 8-bit .png of the same stem for every frame, of labels "
    f"0..{UNLABELLED - 1} and {UNLABELLED} for unlabelled pixels"
)


class Frame(NamedTuple):
    """The files of one example."""

    image: Path
    annotation: Path


def find_directory(directory: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the SegNet split: the argument, else the environment variable JAXSEG_CAMVID.

    Raises:
        ValueError: Neither is given, or it is no folder.
    """
    given = directory or os.environ.get(ENVIRONMENT)
    if not given:
        raise ValueError(
            f"directory={directory!r} and {ENVIRONMENT} is not set, expected the folder of "
            f"CamVid's SegNet split in one of the two: {_LAYOUT}"
        )
    path = Path(given).expanduser()
    if not path.is_dir():
        raise ValueError(
            f"{str(path)!r} is not a folder, expected CamVid's SegNet split there; correct "
            f"`directory` or {ENVIRONMENT}: {_LAYOUT}"
        )
    return path


def list_frames(directory: Path, split: str) -> list[Frame]:
    """Pairs the frames of a split with their annotations, in the order of their names.

    Raises:
        ValueError: A folder is missing or empty, or a file is without its partner.
    """
    images = directory / FOLDERS[split]
    annotations = directory / f"{FOLDERS[split]}annot"
    for folder in (images, annotations):
        if not folder.is_dir():
            raise ValueError(f"the folder {str(folder)!r} is missing; complete it: {_LAYOUT}")
    paths = sorted(path for path in images.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise ValueError(f"the folder {str(images)!r} holds no frame; complete it: {_LAYOUT}")
    stems: set[str] = set()
    for path in paths:
        if path.stem in stems:
            raise ValueError(
                f"{str(path)!r} is a second frame of the stem {path.stem!r}, expected one: "
                "remove one of them"
            )
        stems.add(path.stem)
    frames = [Frame(path, annotations / f"{path.stem}.png") for path in paths]
    for frame in frames:
        if not frame.annotation.is_file():
            raise ValueError(
                f"{str(frame.annotation)!r} is missing, the annotation of {str(frame.image)!r}: "
                "add it, or remove the frame"
            )
    for path in sorted(annotations.glob("*.png")):
        if path.stem not in stems:
            raise ValueError(
                f"the frame of the annotation {str(path)!r} is missing, expected it in "
                f"{str(images)!r}: add it, or remove the annotation"
            )
    return frames


def read_frame(
    frame: Frame, size: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "height width 3"], UInt8[np.ndarray, "height width"]]:
    """Reads one example at a size of (height, width) pixels.

    The image is resampled with a triangle filter as wide as the reduction (so it averages every
    pixel and does not alias), the label by the nearest pixel; both keep the same pixel grid.

    Raises:
        ValueError: A file cannot be read, has another mode or size, or a label is out of range.
    """
    image = _open(frame.image, modes=("RGB",))
    annotation = _open(frame.annotation, modes=("L", "P"))  # P: the palette's indices are labels
    if image.size != annotation.size:
        raise ValueError(
            f"{str(frame.annotation)!r} has {annotation.size} pixels (width, height), expected "
            f"{image.size} as in {str(frame.image)!r}: export the annotation at the frame's size"
        )
    label = np.asarray(annotation)
    if label.max() > UNLABELLED:
        wrong = np.unique(label[label > UNLABELLED]).tolist()
        raise ValueError(
            f"{str(frame.annotation)!r} has labels {wrong}, expected 0..{UNLABELLED} (where "
            f"{UNLABELLED} is unlabelled): map the annotation to the 11 classes of SegNet's split"
        )
    height, width = size
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    label = np.asarray(annotation.resize((width, height), Image.Resampling.NEAREST))
    return np.asarray(image), np.where(label == UNLABELLED, np.uint8(IGNORED), label)


def _open(path: Path, *, modes: tuple[str, ...]) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
    except OSError as error:  # PIL's UnidentifiedImageError is one
        raise ValueError(
            f"{str(path)!r} cannot be read as an image ({error}), expected a whole .png or .jpg: "
            "copy it again"
        ) from error
    if image.mode not in modes:
        raise ValueError(
            f"{str(path)!r} has the mode {image.mode!r}, expected {' or '.join(modes)} (8 bits "
            "a channel): convert the file"
        )
    return image
