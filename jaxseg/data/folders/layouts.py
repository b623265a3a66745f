"""Finds the pairs of images and masks in a folder, by the layouts that people use."""

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from jaxseg.data.folders.pairing import (
    IMAGE_SUFFIXES,
    hold_out,
    list_files,
    normal_form,
    pair_files,
    without_image_prefix,
    without_image_suffix,
    without_prefix,
    without_suffix,
)
from jaxseg.data.images.image_files import FilePair

LAYOUT = """one of
  images/ and masks/                     split by a fixed draw
  images and masks in one folder         img_01.png beside img_01_mask.png, split likewise
  any/images/ and any/masks/             in each of several folders, split likewise
  train/images/ and train/masks/, the same in validation/, and in test/ if you have one
  images/train/ and masks/train/, the same for validation and test
  train/ and train_masks/, the same for validation and test
with a mask of the same stem for every image (a mask may end in _mask, _label, _gt or _seg, or begin
with mask_, label_, gt_ or seg_, as mask_01.png beside img_01.png), in the same subfolder if there
are any. masks/ may be labels/, annotations/ or gt/; validation/ may be
val/, and without it a share of the training images is drawn. Masks are lossless files of class
numbers, 255 where a pixel is to be ignored; or of 0 and 255; or of colors that classes.txt lists.
Name the classes in classes.txt, one a line."""
HELD_OUT = 0.15
"""Share that makes the validation split, and the test split, unless asked otherwise."""
_IMAGE_FOLDERS = ("images", "image", "imgs", "img", "imgdir", "jpegimages", "inputs")
MASK_FOLDERS = (
    *("masks", "mask", "labels", "label", "annotations", "annotation", "annot", "gt", "gts"),
    *("groundtruth", "segmentations", "segmentation", "seg", "targets", "anndir"),
    "segmentationclass",
)
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}

_MASK_STRIPS = (without_suffix, without_prefix)
_IMAGE_STRIPS = (without_image_suffix, without_image_prefix)

_Pairs = dict[str, list[FilePair]]


def find_pairs(root: Path, *, held_out: float | None, seed: int | None) -> _Pairs:
    """The pairs of every split, by the layout that the folder has.

    Where it has no splits, validation and test are drawn; where only validation is missing, it is
    drawn from the training images, which is printed. An image's split depends on its path below
    the folder of images, in whatever form of Unicode that is written.

    Args:
        root: The folder.
        held_out: Share that makes the validation split, and the test split, of an unsplit folder;
            None is 0.15.
        seed: Seed of that draw; None is 0.

    Raises:
        ValueError: The folder has none of the layouts, a file is without its partner, or a share
            or a seed is given for a folder that is split already.
    """
    share, number = HELD_OUT if held_out is None else held_out, seed or 0
    images, masks = _child(root, _IMAGE_FOLDERS), _child(root, MASK_FOLDERS)
    splits = _split_folders(root, images, masks)
    if not splits:
        if images and masks:
            return _draw(_pair(images, masks), images, held_out=share, seed=number)
        if pairs := _pair_in_subfolders(root) or _pair_in_one_folder(root):
            return _draw(pairs, root, held_out=share, seed=number)
    if "train" not in splits:
        raise _no_split(root, "train")
    pairs = {split: _pair_split(*folders) for split, folders in splits.items()}
    if "validation" not in splits:
        return _draw_validation(root, pairs, splits["train"][0], held_out=share, seed=number)
    if held_out is not None or seed is not None:
        raise ValueError(
            f"held_out={held_out} and seed={seed} have no effect: {str(root)!r} is split into "
            f"{', '.join(splits)} already; leave --data.held-out and --data.seed out"
        )
    return pairs


def is_split(root: Path) -> bool:
    """Tell whether a folder has splits of its own, rather than shares that `find_pairs` draws.

    Args:
        root: The folder.
    """
    return bool(_split_folders(root, _child(root, _IMAGE_FOLDERS), _child(root, MASK_FOLDERS)))


def _split_folders(
    root: Path, images: Path | None, masks: Path | None
) -> dict[str, tuple[Path, Path | None]]:
    """The folders of images and of masks of every split that there is.

    Instead of a folder of masks there is None where images and masks share one.
    """
    if images and masks:
        return {
            split: (inside, _child(masks, names) or masks / inside.name)
            for split, names in _SPLITS.items()
            if (inside := _child(images, names))
        }
    found: dict[str, tuple[Path, Path | None]] = {}
    for split, names in _SPLITS.items():
        inside = _child(root, names)
        beside = _child(root, _combined(names, MASK_FOLDERS))
        pictures = _child(root, _combined(names, _IMAGE_FOLDERS)) or inside
        if pictures and beside:
            found[split] = (pictures, beside)
        elif inside:
            own, label = _child(inside, _IMAGE_FOLDERS), _child(inside, MASK_FOLDERS)
            shared = own is None and label is None and bool(_pair_in_one_folder(inside))
            folders = own or inside / _IMAGE_FOLDERS[0], label or inside / MASK_FOLDERS[0]
            found[split] = (inside, None) if shared else folders
    return found


def _pair_split(images: Path, masks: Path | None) -> list[FilePair]:
    return _pair_in_one_folder(images) if masks is None else _pair(images, masks)


def _pair(images: Path, masks: Path) -> list[FilePair]:
    """Pairs the files of two folders, those of their subfolders too."""
    hint = f"a data set is {LAYOUT}"
    image_files = list_files(images, IMAGE_SUFFIXES, hint, pattern="**/*")
    mask_files = list_files(masks, IMAGE_SUFFIXES, hint, pattern="**/*")
    stems = {_key(images)(path) for path in image_files}  # these may end in _mask or the like
    mask_key = _reduced(_key(masks), stems, _MASK_STRIPS, _image_bases(stems))
    bases = {mask_key(path) for path in mask_files}
    image_key = _reduced(_key(images), bases, _IMAGE_STRIPS, bases)
    return pair_files(image_files, mask_files, image_key=image_key, mask_key=mask_key)


def _pair_in_subfolders(root: Path) -> list[FilePair]:
    """Pairs the files of every subfolder that holds images/ and masks/; empty without any."""
    pairs = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        images, masks = _child(folder, _IMAGE_FOLDERS), _child(folder, MASK_FOLDERS)
        if images and masks:
            pairs += _pair(images, masks)
    return pairs


def _pair_in_one_folder(folder: Path) -> list[FilePair]:
    """Pairs each file with the one of the same folder that ends in _mask or begins with mask_.

    Empty where no file has such a partner.
    """
    key = _key(folder)
    files = list_files(folder, IMAGE_SUFFIXES, "", pattern="**/*", may_be_empty=True)
    bases = _image_bases({key(path) for path in files})
    masks = [
        path
        for path in files
        if any(strip(key(path)) in bases - {key(path)} for strip in _MASK_STRIPS)
    ]
    images = [path for path in files if path not in set(masks)]
    if not masks:
        return []
    mask_key = _reduced(key, (), _MASK_STRIPS, _image_bases({key(path) for path in images}))
    bases = {mask_key(path) for path in masks}
    image_key = _reduced(key, bases, _IMAGE_STRIPS, bases)
    return pair_files(images, masks, image_key=image_key, mask_key=mask_key)


def _key(folder: Path) -> Callable[[Path], str]:
    """A function that gives a file's path below the folder, without its ending."""
    return lambda path: normal_form(path.relative_to(folder).with_suffix("").as_posix())


def _image_bases(stems: Collection[str]) -> set[str]:
    """The stems of images, as they are and without an ending or a beginning such as img_."""
    return {*stems, *(strip(stem) for stem in stems for strip in _IMAGE_STRIPS)}


def _reduced(
    key: Callable[[Path], str],
    complete: Collection[str],
    strips: Sequence[Callable[[str], str]],
    bases: Collection[str],
) -> Callable[[Path], str]:
    """A key without the ending or the beginning that keeps a file from its partner.

    Args:
        key: The key with them.
        complete: Keys that stay as they are.
        strips: Functions that take an ending or a beginning away.
        bases: Keys that the partners may have: the first strip that gives one of them counts, or
            else the first of all.
    """

    def reduced(path: Path) -> str:
        stem = key(path)
        if stem in complete:
            return stem
        return next((s for s in (strip(stem) for strip in strips) if s in bases), strips[0](stem))

    return reduced


def _draw(pairs: list[FilePair], images: Path, *, held_out: float, seed: int) -> _Pairs:
    _check_share(held_out)
    count = max(1, round(held_out * len(pairs)))
    if len(pairs) < 2 * count + 1:
        raise ValueError(
            f"there are {len(pairs)} pairs of images and masks, expected at least {2 * count + 1} "
            "for three splits: add some, or lower the share (--data.held-out)"
        )
    others, test = hold_out(pairs, count, seed=seed, folder=images)
    train, validation = hold_out(others, count, seed=seed, folder=images)
    return {"train": train, "validation": validation, "test": test}


def _draw_validation(
    root: Path, pairs: _Pairs, images: Path, *, held_out: float, seed: int
) -> _Pairs:
    _check_share(held_out)
    listed = pairs["train"]
    count = max(1, round(held_out * len(listed)))
    if len(listed) < 2:
        raise ValueError(
            f"{str(root)!r} has no validation split and {len(listed)} training pair to draw one "
            f"from, expected at least 2, in {LAYOUT}"
        )
    train, validation = hold_out(listed, count, seed=seed, folder=images)
    print(
        f"{root.name}: there is no validation split, so {count} of the {len(listed)} training "
        "images are drawn for it, by name (--data.held-out, --data.seed)"
    )
    return {**pairs, "train": train, "validation": validation}


def _check_share(held_out: float) -> None:
    if not 0 < held_out < 0.5:
        raise ValueError(
            f"held_out={held_out!r} is out of range, expected a share between 0 and 0.5 for "
            "validation, and as much again for testing: pass for example --data.held-out 0.15"
        )


def _no_split(root: Path, split: str) -> ValueError:
    names = sorted(path.name for path in root.iterdir())
    return ValueError(
        f"{str(root)!r} holds {names[:8]}{' and more' if len(names) > 8 else ''} and no {split} "
        f"split that could be read, expected {LAYOUT}"
    )


def _combined(splits: Sequence[str], kinds: Sequence[str]) -> list[str]:
    return [f"{split}{kind}" for split in splits for kind in kinds]


def _child(parent: Path, names: Collection[str]) -> Path | None:
    """The folder in `parent` that has one of these names, whatever its capitals and hyphens."""
    matches = [path for path in parent.iterdir() if path.is_dir() and _plain(path.name) in names]
    if len(matches) > 1:
        shown = " and ".join(repr(path.name) for path in sorted(matches))
        raise ValueError(
            f"{str(parent)!r} holds {shown}, expected one of them: move the other elsewhere"
        )
    return matches[0] if matches else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", unicodedata.normalize("NFC", name).lower())
