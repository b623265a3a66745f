"""Any folder of images and masks as a data set."""

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from jaxseg.data import class_lists
from jaxseg.data.class_lists import ClassList
from jaxseg.data.file_pairs import FilePairs, check_size
from jaxseg.data.image_files import upright_size
from jaxseg.data.layouts import LAYOUT, find_pairs
from jaxseg.data.orientation import MaskOrientation
from jaxseg.data.sources import Color, Dataset
from jaxseg.data.statistics import folder_statistics

_LONGEST = 256
_MULTIPLE = 8


def folder(
    directory: str | os.PathLike[str] | None,
    size: tuple[int, int] | None = None,
    *,
    class_names: Sequence[str] | None = None,
    palette: Sequence[Color] | None = None,
    keep_aspect: bool = True,
    mask_orientation: MaskOrientation = "unknown",
    held_out: float | None = None,
    seed: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Opens any folder of images and masks, of any sizes, and prepares it at one size.

    The folder holds one of

    - `images/` and `masks/`, which are split by a fixed draw,
    - images and masks in one folder, such as `img_01.png` beside `img_01_mask.png`, likewise,
    - `train/images/` and `train/masks/`, the same in `validation/`, and in `test/` if there is one,
    - `images/train/` and `masks/train/`, the same for validation and test,
    - `train/` and `train_masks/`, the same for validation and test,

    with a mask of the same stem for every image, in the same subfolder if there are any. Without a
    validation split, one is drawn from the training images. Masks are lossless files of class
    numbers, 255 where a pixel is to be ignored; or of 0 and 255; or of colors that `classes.txt`
    lists.

    Without names, every value that the masks have is a class, named by it, and 255 is ignored;
    masks of nothing but 0 and 255 are background and foreground. What was concluded is printed.
    Images keep their channels and bits, as `image_files.read_image` explains, and all must have the
    same; gray ones among red, green and blue ones are repeated to three channels. The mean and the
    standard deviation are those of the training images; the latter is at least one step of the
    numbers that are stored.

    Files with an orientation tag (EXIF) are turned upright, images and masks alike, which is
    printed. Where only one of a pair has a tag and the sizes do not tell what the mask was drawn
    on, `mask_orientation` must.

    Args:
        directory: The folder.
        size: Height and width in pixels. By default the median aspect of the images, the longer
            side their median but at most 256, both multiples of 8.
        class_names: The classes in the order of the labels. By default `classes.txt` in the folder
            lists them, one a line: `name`, `name red green blue` or `red green blue name`.
        palette: A color for each of `class_names`: that of the masks where masks are colors, and
            that of figures.
        keep_aspect: Scale images evenly and pad them, with the label 255; otherwise stretch them.
        mask_orientation: Pixels that masks without an orientation tag were drawn on: the "stored"
            ones of their images, or the "upright" ones that a viewer shows; "unknown" refuses the
            pairs where it makes a difference.
        held_out: Share that makes the validation split, and as large a share the test split, where
            the folder is not split; None is 0.15.
        seed: Seed of that draw, in which an image's split depends on its name; None is 0.
        data_dir: The root of prepared data sets; by default the environment variable
            `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory.

    Raises:
        ValueError: The folder is not laid out so; a file is without its partner, unreadable, or
            not as expected; an argument is out of range; or `data_dir` cannot be written to.
    """
    root = _check_directory(directory)
    pairs = find_pairs(root, held_out=held_out, seed=seed)
    if size is None:
        size = default_size([upright_size(pair.image) for pair in pairs["train"]])
    check_size(size)
    listed = _class_list(root, class_names, palette)
    found = folder_statistics(
        root,
        pairs,
        listed,
        size,
        keep_aspect=keep_aspect,
        mask_orientation=mask_orientation,
        data_dir=data_dir,
    )
    for remark in found.remarks:
        print(f"{root.name}: {remark}")
    if listed is not None and found.colored:
        classes = listed.by_color()
    else:
        classes = class_lists.from_values(found.values, listed)
    if classes.remark:
        print(f"{root.name}: {classes.remark}")
    return FilePairs(
        name="folder",
        root=root,
        pairs=pairs,
        labels=classes.labels,
        class_names=classes.names,
        palette=classes.palette,
        mean=found.mean,
        std=found.std,
        colored=found.colored,
        keep_aspect=keep_aspect,
        dtype=found.dtype,
        mask_orientation=mask_orientation,
        edited=True,
    ).prepare(size, data_dir=data_dir)


def default_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The size that images of these heights and widths are prepared at by default."""
    aspect = median(width / height for height, width in sizes)
    longest = min(_LONGEST, median(max(size) for size in sizes))
    sides = (longest / max(1, aspect), longest * min(1, aspect))
    height, width = (max(_MULTIPLE, _MULTIPLE * round(side / _MULTIPLE)) for side in sides)
    return height, width


def _check_directory(directory: str | os.PathLike[str] | None) -> Path:
    path = Path(directory).expanduser() if directory else None
    if path is None or not path.is_dir():
        shown = None if path is None else str(path)
        raise ValueError(f"directory={shown!r} is not a folder, expected {LAYOUT}")
    return path


def _class_list(
    root: Path, names: Sequence[str] | None, palette: Sequence[Color] | None
) -> ClassList | None:
    if names is not None:
        return class_lists.check_classes(names, palette)
    if palette is not None:
        raise ValueError(
            f"palette={palette!r} is given without class_names, expected both: name the classes"
        )
    path = root / class_lists.FILE
    return class_lists.read_classes(path) if path.is_file() else None
