"""Lists the files of folders, pairs images with their masks, and draws splits."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from jaxseg.data.images.image_files import FilePair

IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy"),
    *(".ppm", ".pgm", ".pnm"),
)
"""Endings of the files that are taken for images and masks, in lower case."""


_MASK = r"(masks?|labels?|gts?|segs?|segmentations?|annotations?|ground[_\- ]?truth|targets?)"
_IMAGE = r"(images?|imgs?|sat|rgb)"
# Before a digit a beginning needs no separator, as in mask01 beside img01.
_FIRST, _THEN = r"(?:^|(?<=/))", r"([_\-. ]+(?=[^/]+$)|(?=\d[^/]*$))"
_ENDING = re.compile(rf"[_\-. ]{_MASK}$", re.IGNORECASE)
_IMAGE_ENDING = re.compile(rf"[_\-. ]{_IMAGE}$", re.IGNORECASE)
_BEGINNING = re.compile(_FIRST + _MASK + _THEN, re.IGNORECASE)
_IMAGE_BEGINNING = re.compile(_FIRST + _IMAGE + _THEN, re.IGNORECASE)


def list_files(
    folder: Path,
    suffixes: Sequence[str],
    hint: str,
    *,
    pattern: str = "*",
    may_be_empty: bool = False,
) -> list[Path]:
    """The files of a folder, sorted, without hidden ones.

    Hidden are the names that begin with a dot, those in folders of such names, and the folders
    __MACOSX that archives made by macOS hold. The order does not depend on the form of Unicode that
    names are written in.

    Args:
        folder: The folder.
        suffixes: Endings that count, in lower case; a file's own may be in capitals.
        hint: What to do where files are missing, for the message.
        pattern: A glob pattern, relative to the folder; `**/*` follows links to folders.
        may_be_empty: Whether a folder without such files is no error.

    Raises:
        ValueError: The folder is missing, or holds no such file.
    """
    if not folder.is_dir():
        raise ValueError(f"the folder {str(folder)!r} is missing; complete it: {hint}")
    matches = (
        path
        for path in (walk_files(folder, strict=True) if pattern == "**/*" else folder.glob(pattern))
        if path.suffix.lower() in suffixes and path.is_file() and not _is_hidden(path, folder)
    )
    paths = sorted(matches, key=lambda path: [normal_form(part) for part in path.parts])
    if not paths and not may_be_empty:
        raise ValueError(
            f"the folder {str(folder)!r} holds no file of {', '.join(suffixes)}; complete it: "
            f"{hint}"
        )
    return paths


def walk_files(
    folder: Path, *, skip: Callable[[Path], bool] | None = None, strict: bool = False
) -> Iterator[Path]:
    """Yields the files below a folder in order, and broken links, without hidden ones.

    Links to folders are followed, except to folders that the link itself lies in.

    Args:
        folder: The folder.
        skip: Tells which subfolders are passed over, or None.
        strict: Refuse folders that cannot be read, rather than pass them over.

    Raises:
        ValueError: A folder cannot be read, and `strict` is true.
    """
    yield from _walk(folder, (os.path.realpath(folder),), skip, strict)


def _walk(
    folder: Path, above: tuple[str, ...], skip: Callable[[Path], bool] | None, strict: bool
) -> Iterator[Path]:
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        if not strict:
            return
        raise ValueError(
            f"the folder {str(folder)!r} cannot be read ({error.strerror}), expected one of images "
            "or masks: change its permissions, or move it elsewhere"
        ) from error
    for path in paths:
        if _is_hidden(path, folder):
            continue
        if not path.is_dir():
            yield path
        elif (real := os.path.realpath(path)) not in above and not (skip and skip(path)):
            yield from _walk(path, (*above, real), skip, strict)


def pair_files(
    images: Iterable[Path],
    masks: Iterable[Path],
    *,
    image_key: Callable[[Path], str] = lambda path: normal_form(path.stem),
    mask_key: Callable[[Path], str] = lambda path: normal_form(path.stem),
) -> list[FilePair]:
    """Pairs the images and masks that have the same key, in the order of the images.

    Args:
        images: Image files.
        masks: Mask files.
        image_key: The key of an image; by default its name without the ending, whatever the form of
            Unicode that it is written in.
        mask_key: The key of a mask, likewise.

    Raises:
        ValueError: A file is without its partner, or a second one has the same key.
    """
    image_of, mask_of = _by_key(images, image_key), _by_key(masks, mask_key)
    _check_one_mask_each(image_of, mask_of)
    for key, path in image_of.items():
        if key not in mask_of:
            folder = next(iter(mask_of.values())).parent if mask_of else path.parent
            raise ValueError(
                f"the mask of the image {str(path)!r} is missing, expected one of the same stem "
                f"{key!r} in {str(folder)!r}: add it, or remove the image"
            )
    for key, path in mask_of.items():
        if key not in image_of:
            folder = next(iter(image_of.values())).parent
            raise ValueError(
                f"the image of the mask {str(path)!r} is missing, expected one of the same stem "
                f"{key!r} in {str(folder)!r}: add it, or remove the mask"
            )
    return [FilePair(path, mask_of[key]) for key, path in image_of.items()]


def _check_one_mask_each(image_of: Mapping[str, Path], mask_of: Mapping[str, Path]) -> None:
    """Refuses an image without a mask to which several masks seem to belong, by their names.

    These have its name in several folders, as those of single classes have, or more behind it; or
    it is the only image.
    """
    key, image = next(((k, path) for k, path in image_of.items() if k not in mask_of), ("", None))
    if image is None:
        return
    others = [mask for mask in mask_of if mask not in image_of]
    if len(image_of) > 1:
        longer = re.compile(rf"{re.escape(key)}[_\W]")
        name = Path(key).name
        others = [mask for mask in others if Path(mask).name == name or longer.match(mask)]
    if len(others) > 1:
        shown = " and ".join(repr(str(mask_of[mask])) for mask in others[:2])
        raise ValueError(
            f"the image {str(image)!r} seems to have {len(others)} masks, such as {shown}, "
            "expected one mask an image: where each shows one class or one object, write them into "
            "one file, with the number of the class at its pixels"
        )


def hold_out(
    pairs: Sequence[FilePair], count: int, *, seed: int = 0, folder: Path | None = None
) -> tuple[list[FilePair], list[FilePair]]:
    """Draws pairs to be held out.

    The draw depends on the images' names alone, so that an image that is added moves few others.
    The form of Unicode that they are written in plays no part.

    Args:
        pairs: All pairs.
        count: How many are held out.
        seed: Seed of the draw.
        folder: A folder of all images: of their names, the path below it counts, without the
            ending. By default the file's name alone, likewise.

    Returns:
        The remaining pairs and those held out, both in the order of `pairs`.
    """

    def rank(pair: FilePair) -> str:
        path = pair.image.relative_to(folder) if folder else Path(pair.image.name)
        name = normal_form(path.with_suffix("").as_posix())
        return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()

    held_out = set(sorted(pairs, key=rank)[:count])
    remaining = [pair for pair in pairs if pair not in held_out]
    return remaining, [pair for pair in pairs if pair in held_out]


def normal_form(name: str) -> str:
    """A name in the composed form of Unicode (NFC); macOS may write names decomposed (NFD)."""
    return unicodedata.normalize("NFC", name)


def without_suffix(stem: str) -> str:
    """A mask's stem without an ending such as _mask, _label or _gt."""
    return _ENDING.sub("", stem)


def without_image_suffix(stem: str) -> str:
    """An image's stem without an ending such as _image, _rgb or _sat."""
    return _IMAGE_ENDING.sub("", stem)


def without_prefix(stem: str) -> str:
    """A mask's stem without a beginning such as mask_, label_ or gt_."""
    return _BEGINNING.sub("", stem)


def without_image_prefix(stem: str) -> str:
    """An image's stem without a beginning such as img_, image_ or rgb_."""
    return _IMAGE_BEGINNING.sub("", stem)


def _is_hidden(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") for part in parts) or "__MACOSX" in parts


def _by_key(paths: Iterable[Path], key: Callable[[Path], str]) -> dict[str, Path]:
    by_key: dict[str, Path] = {}
    for path in paths:
        if key(path) in by_key:
            raise ValueError(
                f"{str(path)!r} is a second file of the stem {key(path)!r} beside "
                f"{str(by_key[key(path)])!r}, expected one: remove one of them"
            )
        by_key[key(path)] = path
    return by_key
