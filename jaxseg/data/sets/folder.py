"""Any folder of images and masks as a data set."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from jaxseg.data import class_lists
from jaxseg.data.class_lists import ClassList
from jaxseg.data.file_pairs import FilePairs, check_size
from jaxseg.data.image_files import FilePair, upright_size
from jaxseg.data.pairing import IMAGE_SUFFIXES, hold_out, list_files, pair_files, without_suffix
from jaxseg.data.sources import Color, Dataset
from jaxseg.data.statistics import folder_statistics

LAYOUT = """one of
  images/ and masks/                     split by a fixed draw
  train/images/ and train/masks/, the same in validation/, and in test/ if you have one
  images/train/ and masks/train/, the same for validation and test
with a mask of the same stem for every image (a mask may end in _mask, _label, _gt or _seg).
masks/ may be labels/ or annotations/; validation/ may be val/. Masks are lossless files of class
numbers, 255 where a pixel is to be ignored; or of 0 and 255; or of colors that classes.txt lists.
Name the classes in classes.txt, one a line."""
_IMAGE_FOLDERS = ("images", "image", "imgs")
_MASK_FOLDERS = ("masks", "mask", "labels", "annotations")
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
_LONGEST = 256
_MULTIPLE = 8
_HELD_OUT = 0.15


def folder(
    directory: str | os.PathLike[str] | None,
    size: tuple[int, int] | None = None,
    *,
    class_names: Sequence[str] | None = None,
    palette: Sequence[Color] | None = None,
    keep_aspect: bool = True,
    held_out: float | None = None,
    seed: int | None = None,
    pairs: Mapping[str, Sequence[FilePair]] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Opens any folder of images and masks, of any sizes, and prepares it at one size.

    The folder holds one of

    - `images/` and `masks/`, which are split by a fixed draw,
    - `train/images/` and `train/masks/`, the same in `validation/`, and in `test/` if there is one,
    - `images/train/` and `masks/train/`, the same for validation and test,

    with a mask of the same stem for every image. Masks are lossless files of class numbers, 255
    where a pixel is to be ignored; or of 0 and 255; or of colors that `classes.txt` lists.

    Without names, every value that the masks have is a class, named by it, and 255 is ignored;
    masks of nothing but 0 and 255 are background and foreground. What was concluded is printed.
    Images become 8-bit red, green and blue, upright by their EXIF orientation, with transparent
    pixels on black. The mean and the standard deviation are those of the training images, and at
    least 1/255.

    Args:
        directory: The folder.
        size: Height and width in pixels. By default the median aspect of the images, the longer
            side their median but at most 256, both multiples of 8.
        class_names: The classes in the order of the labels. By default `classes.txt` in the folder
            lists them, one a line: `name`, `name red green blue` or `red green blue name`.
        palette: A color for each of `class_names`: that of the masks where masks are colors, and
            that of figures.
        keep_aspect: Scale images evenly and pad them, with the label 255; otherwise stretch them.
        held_out: Share that makes the validation split, and as large a share the test split, where
            the folder is not split; None is 0.15.
        seed: Seed of that draw, in which an image's split depends on its name; None is 0.
        pairs: The files of every split, below the folder, instead of those that it holds now.
        data_dir: The root of prepared data sets; by default the environment variable
            `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory.

    Raises:
        ValueError: The folder is not laid out so; a file is without its partner, unreadable, or
            not as expected; an argument is out of range; or `data_dir` cannot be written to.
    """
    root = _check_directory(directory)
    if pairs is None:
        pairs = find_pairs(root, held_out=held_out, seed=seed)
    if size is None:
        size = default_size([upright_size(pair.image) for pair in pairs["train"]])
    check_size(size)
    listed = _class_list(root, class_names, palette)
    found = folder_statistics(root, pairs, listed, size, keep_aspect=keep_aspect, data_dir=data_dir)
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
        edited=True,
    ).prepare(size, data_dir=data_dir)


def find_pairs(
    root: Path, *, held_out: float | None, seed: int | None
) -> dict[str, list[FilePair]]:
    """The pairs of every split, by the layout that the folder has.

    Args:
        root: The folder.
        held_out: Share that makes the validation split, and the test split, of an unsplit folder;
            None is 0.15.
        seed: Seed of that draw; None is 0.

    Raises:
        ValueError: The folder has none of the layouts, a file is without its partner, or a share
            or a seed is given for a folder that is split already.
    """
    images, masks = _child(root, _IMAGE_FOLDERS), _child(root, _MASK_FOLDERS)
    if images and masks:
        splits = {
            split: (inside, _child(masks, names) or masks / inside.name)
            for split, names in _SPLITS.items()
            if (inside := _child(images, names))
        }
        if not splits:
            share = _HELD_OUT if held_out is None else held_out
            return _draw(_pair(images, masks), held_out=share, seed=seed or 0)
    else:
        splits = {
            split: tuple(
                _child(inside, names) or inside / names[0]
                for names in (_IMAGE_FOLDERS, _MASK_FOLDERS)
            )
            for split, names in _SPLITS.items()
            if (inside := _child(root, names))
        }
    for split in ("train", "validation"):
        if split not in splits:
            names = sorted(path.name for path in root.iterdir())
            raise ValueError(
                f"{str(root)!r} holds {names[:8]}{' and more' if len(names) > 8 else ''} and no "
                f"{split} split that could be read, expected {LAYOUT}"
            )
    if held_out not in (None, _HELD_OUT) or seed not in (None, 0):
        raise ValueError(
            f"held_out={held_out} and seed={seed} have no effect: {str(root)!r} is split into "
            f"{', '.join(splits)} already; leave --data.held-out and --data.seed out"
        )
    return {split: _pair(*folders) for split, folders in splits.items()}


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


def _pair(images: Path, masks: Path) -> list[FilePair]:
    hint = f"a data set is {LAYOUT}"
    image_files = list_files(images, IMAGE_SUFFIXES, hint)
    stems = {path.stem for path in image_files}
    return pair_files(
        image_files,
        list_files(masks, IMAGE_SUFFIXES, hint),
        mask_key=lambda path: path.stem if path.stem in stems else without_suffix(path.stem),
    )


def _draw(pairs: list[FilePair], *, held_out: float, seed: int) -> dict[str, list[FilePair]]:
    if not 0 < held_out < 0.5:
        raise ValueError(
            f"held_out={held_out!r} is out of range, expected a share between 0 and 0.5 for "
            "validation, and as much again for testing: pass for example --data.held-out 0.15"
        )
    count = max(1, round(held_out * len(pairs)))
    if len(pairs) < 2 * count + 1:
        raise ValueError(
            f"there are {len(pairs)} pairs of images and masks, expected at least {2 * count + 1} "
            "for three splits: add some, or lower the share (--data.held-out)"
        )
    others, test = hold_out(pairs, count, seed=seed)
    train, validation = hold_out(others, count, seed=seed)
    return {"train": train, "validation": validation, "test": test}


def _child(parent: Path, names: Sequence[str]) -> Path | None:
    """The folder in `parent` that has one of these names, whatever its capitals."""
    matches = [path for path in parent.iterdir() if path.is_dir() and path.name.lower() in names]
    if len(matches) > 1:
        shown = " and ".join(repr(path.name) for path in sorted(matches))
        raise ValueError(
            f"{str(parent)!r} holds {shown}, expected one of them: move the other elsewhere"
        )
    return matches[0] if matches else None
