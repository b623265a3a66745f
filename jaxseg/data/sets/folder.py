"""Any folder of images and masks as a data set."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxseg.data.dataset import Dataset
from jaxseg.data.folders.class_file import find_list
from jaxseg.data.folders.default_size import default_crop, default_size, padded_share
from jaxseg.data.folders.file_pairs import FilePairs, check_size
from jaxseg.data.folders.layouts import LAYOUT, find_pairs
from jaxseg.data.folders.statistics import folder_statistics
from jaxseg.data.folders.unused_files import describe_unused, unused_files
from jaxseg.data.images.image_files import FilePair, upright_size
from jaxseg.data.images.orientation import MaskOrientation
from jaxseg.data.images.repeated_pictures import describe_repeated
from jaxseg.data.info import Color
from jaxseg.data.masks import class_lists
from jaxseg.data.masks.class_lists import ClassList
from jaxseg.data.masks.mask_labels import assign_labels

_SAID = 0.0005  # share of padding that is printed, since it is shown with one decimal of a percent


def folder(
    directory: str | os.PathLike[str] | None,
    size: tuple[int, int] | None = None,
    *,
    class_names: Sequence[str] | None = None,
    palette: Sequence[Color] | None = None,
    keep_aspect: bool = True,
    mask_orientation: MaskOrientation = "unknown",
    crops: bool = False,
    held_out: float | None = None,
    seed: int | None = None,
    pairs: Mapping[str, Sequence[FilePair]] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Opens any folder of images and masks, of any sizes, and prepares it at one size.

    With `crops` it is prepared without resizing instead.

    The folder holds one of

    - `images/` and `masks/`, which are split by a fixed draw,
    - images and masks in one folder, such as `img_01.png` beside `img_01_mask.png`, likewise,
    - `train/images/` and `train/masks/`, the same in `validation/`, and in `test/` if there is one,
    - `images/train/` and `masks/train/`, the same for validation and test,
    - `train/` and `train_masks/`, the same for validation and test,

    with a mask of the same stem for every image, in the same subfolder if there are any; it may end
    in `_mask` or begin with `mask_` and the like. Without a validation split, one is drawn from the
    training images. Masks are lossless files (.png, .tif, .bmp, .gif, lossless .webp) of class
    numbers of any bit depth, 255 where a pixel is to be ignored; or of 0 and 255; or of colors,
    which `classes.txt` lists. Pixels of the number that a TIFF's tag GDAL_NODATA gives are ignored.

    `classes.txt` in the folder names the classes in the order of the labels, one a line, in UTF-8.
    What follows # and a space does not count, and a line that cannot be understood is refused.

    - `name`: the masks hold 0 for the first name, 1 for the second and so on; or as many other
      numbers as there are names, in ascending order; or 0 and 255 for two names.
    - `name red green blue`, `red green blue name` or `name #rrggbb`: the masks show this color, as
      pixels or in their palette. Masks that show none of the colors are read by number, and the
      colors are those of figures; a mask that says one thing by its number and another by its
      color is refused.
    - `name = 3`, `name: 3`, `name = 3, 7`, `name = 128-255`, each also after a color: the masks
      hold one of these numbers, or these indices of their palette, whatever they show.
    - `ignored = 255`, `ignored 255` or `ignored red green blue`: such pixels count nowhere.

    Without such a list, every number that the masks hold is a class, named by it, and 255 is
    ignored; masks of nothing but 0 and 255 (or 65535) are background and foreground. What was
    concluded is printed. Masks that leave open what they mean are refused: smooth edges, values of
    a few stray pixels, 255 beside 1 where no mask has both, 255 beside levels of gray, palettes
    that differ, numbers that count objects (`background = 0` and `object = 1-65535` make one class
    of them), masks of several labels a pixel. `jaxseg inspect` shows the counts and drafts a
    `classes.txt` that settles it. A picture that is in two splits is named, as are images that are
    in no pair. Where the list has no colors, the classes have those of the masks' palettes.

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
            side their median but at most 256, both multiples of 8; how much of it is padding is
            printed. With `crops`, the median height and width, both at most 256 and multiples of 8.
        class_names: The classes in the order of the labels, instead of those in `classes.txt`.
        palette: A color for each of `class_names`: that of the masks where masks are colors, and
            that of figures.
        keep_aspect: Scale images evenly and pad them, with the label 255; otherwise stretch them.
        mask_orientation: Pixels that masks without an orientation tag were drawn on: the "stored"
            ones of their images, or the "upright" ones that a viewer shows; "unknown" refuses the
            pairs where it makes a difference.
        crops: Keep the images at their own sizes, to train on random crops of `size`; smaller
            images are padded, with the label 255.
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
    if crops and not keep_aspect:
        raise ValueError(
            "keep_aspect=False has no effect with crops=True, which resizes nothing, expected one "
            "of the two: leave the other out"
        )
    if pairs is None:
        pairs = find_pairs(root, held_out=held_out, seed=seed)
        _print_remarks(root, describe_unused(root, unused_files(root, pairs)))
    if size is None:
        size = _choose_size(root, pairs["train"], keep_aspect, crops)
    check_size(size)
    statistics = folder_statistics(
        root,
        pairs,
        None if crops else size,
        keep_aspect=keep_aspect,
        mask_orientation=mask_orientation,
        data_dir=data_dir,
    )
    classes = assign_labels(statistics.masks, class_list(root, class_names, palette))
    _print_remarks(
        root, *statistics.remarks, classes.remark, describe_repeated(statistics.repeated)
    )
    return FilePairs(
        name="folder",
        root=root,
        pairs=pairs,
        labels=classes.labels,
        class_names=classes.names,
        palette=classes.palette,
        mean=statistics.mean,
        std=statistics.std,
        colored=classes.colored,
        mask_values=classes.mask_values,
        ignored_value=classes.ignored_value,
        keep_aspect=keep_aspect,
        dtype=statistics.dtype,
        mask_orientation=mask_orientation,
        edited=True,
    ).prepare(size, crops=crops, data_dir=data_dir)


def _print_remarks(root: Path, *remarks: str) -> None:
    for remark in remarks:
        if remark:
            print(f"{root.name}: {remark}")


def _choose_size(
    root: Path, pairs: Sequence[FilePair], keep_aspect: bool, crops: bool
) -> tuple[int, int]:
    """Chooses the size for a folder, and says how much of it is padding."""
    sizes = [upright_size(pair.image) for pair in pairs]
    if crops:
        return default_crop(sizes)
    height, width = default_size(sizes)
    share = padded_share(sizes, (height, width)) if keep_aspect else 0.0
    if share >= _SAID:
        print(
            f"{root.name}: images are scaled to {height}x{width} pixels (height x width), of which "
            f"{share:.1%} are padding, which is ignored; --data.size HEIGHT WIDTH sets another size"
        )
    return height, width


def _check_directory(directory: str | os.PathLike[str] | None) -> Path:
    path = Path(directory).expanduser() if directory else None
    if path is None or not path.is_dir():
        shown = None if path is None else str(path)
        raise ValueError(f"directory={shown!r} is not a folder, expected {LAYOUT}")
    return path


def class_list(
    root: Path, names: Sequence[str] | None = None, palette: Sequence[Color] | None = None
) -> ClassList | None:
    """Returns the classes that are given, else those that the folder's list gives, else None.

    Args:
        root: The folder.
        names: The classes in the order of the labels, or None.
        palette: A color for each, or None.

    Raises:
        ValueError: There is a palette without names, or the list cannot be read.
    """
    if names is not None:
        return class_lists.check_classes(names, palette)
    if palette is not None:
        raise ValueError(
            f"palette={palette!r} is given without class_names, expected both: name the classes"
        )
    path = find_list(root)
    return class_lists.read_classes(path) if path else None
