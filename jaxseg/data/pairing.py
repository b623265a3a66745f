"""Lists the files of folders, pairs images with their masks, and draws splits."""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from jaxseg.data.image_files import FilePair

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
"""Endings of the files that are taken for images and masks, in lower case."""


def list_files(
    folder: Path, suffixes: Sequence[str], hint: str, *, pattern: str = "*"
) -> list[Path]:
    """The files of a folder, sorted, without those whose names begin with a dot.

    Args:
        folder: The folder.
        suffixes: Endings that count, in lower case; a file's own may be in capitals.
        hint: What to do where files are missing, for the message.
        pattern: A glob pattern, relative to the folder.

    Raises:
        ValueError: The folder is missing, or holds no such file.
    """
    if not folder.is_dir():
        raise ValueError(f"the folder {str(folder)!r} is missing; complete it: {hint}")
    paths = sorted(
        path
        for path in folder.glob(pattern)
        if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith(".")
    )
    if not paths:
        raise ValueError(
            f"the folder {str(folder)!r} holds no file of {', '.join(suffixes)}; complete it: "
            f"{hint}"
        )
    return paths


def pair_files(
    images: Iterable[Path],
    masks: Iterable[Path],
    *,
    image_key: Callable[[Path], str] = lambda path: path.stem,
    mask_key: Callable[[Path], str] = lambda path: path.stem,
) -> list[FilePair]:
    """Pairs the images and masks that have the same key, in the order of the images.

    Args:
        images: Image files.
        masks: Mask files.
        image_key: The key of an image; by default its name without the ending.
        mask_key: The key of a mask, likewise.

    Raises:
        ValueError: A file is without its partner, or a second one has the same key.
    """
    image_of, mask_of = _by_key(images, image_key), _by_key(masks, mask_key)
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


def hold_out(
    pairs: Sequence[FilePair], count: int, *, seed: int = 0
) -> tuple[list[FilePair], list[FilePair]]:
    """Draws pairs to be held out.

    The draw depends on the images' names alone, so that an image that is added moves few others.

    Args:
        pairs: All pairs.
        count: How many are held out.
        seed: Seed of the draw.

    Returns:
        The remaining pairs and those held out, both in the order of `pairs`.
    """

    def rank(pair: FilePair) -> str:
        return hashlib.sha256(f"{seed}/{pair.image.stem}".encode()).hexdigest()

    held_out = set(sorted(pairs, key=rank)[:count])
    remaining = [pair for pair in pairs if pair not in held_out]
    return remaining, [pair for pair in pairs if pair in held_out]


def without_suffix(stem: str) -> str:
    """A mask's stem without an ending such as _mask, _label or _gt."""
    return re.sub(r"[_-](masks?|labels?|gt|seg|annotations?)$", "", stem, flags=re.IGNORECASE)


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
