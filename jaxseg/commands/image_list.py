"""The image files that a command line means: files, folders and patterns."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxseg.commands.outputs import is_listed, read_manifest
from jaxseg.data.folders.pairing import IMAGE_SUFFIXES

_SHOWN = 3
_CONVERTIBLE = (".heic", ".heif", ".avif", ".jp2", ".jxl", ".psd", ".dng", ".cr2", ".nef", ".arw")
"""Endings of images that are not read, but that other programs convert."""


class ImageList(NamedTuple):
    """The images that are meant, and what lies beside them.

    Attributes:
        paths: The files, in the order given, each once.
        remarks: What was passed over, and why; a line for each reason.
    """

    paths: list[Path]
    remarks: list[str]


def find_images(patterns: Sequence[str]) -> ImageList:
    """Find the image files that are meant.

    A word is taken as it is typed where such a file or folder exists; only otherwise, and only in
    the parts of the path that do not exist, are *, ? and [] patterns (** stands for any folders).
    In folders and patterns, hidden files, subfolders, files that are no images and masks that
    jaxseg wrote are passed over.

    Args:
        patterns: Files, folders or patterns.

    Raises:
        ValueError: Nothing is given, or something names no image.
    """
    if not patterns:
        raise ValueError("no images are given: pass --images with files, folders or patterns.")
    paths: dict[str, Path] = {}
    remarks: list[str] = []
    for pattern in patterns:
        path = Path(pattern).expanduser()
        if path.is_file():
            chosen = [path]
        else:
            entries = path.iterdir() if path.is_dir() else expand(path)
            chosen, notes = _choose(sorted(entries), pattern, whole=path.is_dir())
            if not chosen:
                raise ValueError(
                    f"images={pattern!r} names no image: give files, a folder that holds some "
                    f"({', '.join(IMAGE_SUFFIXES)}), or a pattern in quotes."
                    + "".join(f" Passed over: {note}." for note in notes)
                )
            remarks += [f"{pattern}: passed over {note}" for note in notes]
        for match in chosen:
            paths.setdefault(os.path.abspath(match), match)
    return ImageList(list(paths.values()), remarks)


def expand(pattern: Path) -> Iterator[Path]:
    """Find the files and folders that a pattern means, each part as typed where that exists.

    Args:
        pattern: A path whose parts may hold *, ?, [] or be **.
    """
    bases = [Path(pattern.anchor)]
    for part in pattern.parts[1:] if pattern.anchor else pattern.parts:
        bases = [match for base in bases for match in _expand_part(base, part)]
    yield from dict.fromkeys(bases)


def _expand_part(base: Path, part: str) -> Iterator[Path]:
    if os.path.lexists(base / part):
        yield base / part
    elif part == "**":
        for folder, folders, _ in os.walk(base):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield Path(folder)
    elif base.is_dir() and any(sign in part for sign in "*?["):
        hidden = part.startswith(".")
        yield from (
            path for path in sorted(base.glob(part)) if hidden or not path.name.startswith(".")
        )


def _choose(entries: Sequence[Path], pattern: str, *, whole: bool) -> tuple[list[Path], list[str]]:
    """Choose the images among the entries of a folder, or what a pattern matches."""
    chosen: list[Path] = []
    passed: dict[str, list[Path]] = {}
    manifests: dict[Path, dict[str, set[str]]] = {}
    for path in entries:
        written = manifests.setdefault(path.parent, read_manifest(path.parent))
        if path.name.startswith(".") and not Path(pattern).name.startswith("."):
            kind = "hidden file"
        elif path.is_dir():
            kind = "subfolder"
        elif path.suffix.lower() not in IMAGE_SUFFIXES:
            kind = "file of another kind"
        elif is_listed(path, written):
            kind = "result of jaxseg"
        elif path.is_file():
            chosen.append(path)
            continue
        else:
            kind = "broken link"
        passed.setdefault(kind, []).append(path)
    return chosen, [_note(kind, paths, whole) for kind, paths in passed.items()]


def _note(kind: str, paths: Sequence[Path], whole: bool) -> str:
    count = len(paths)
    plural = {
        "file of another kind": "files of other kinds",
        "result of jaxseg": "results of jaxseg",
    }
    name = kind if count == 1 else plural.get(kind, f"{kind}s")
    shown = ", ".join(path.name for path in paths[:_SHOWN]) + (", …" if count > _SHOWN else "")
    remedy = ""
    if kind == "subfolder":
        remedy = ": name it too, or give a pattern such as 'FOLDER/**/*.jpg'" if whole else ""
    elif kind == "file of another kind":
        images = sorted({p.suffix.lower() for p in paths} & set(_CONVERTIBLE))
        remedy = f": convert {' and '.join(images)} to .png or .jpg" if images else ""
    return f"{count} {name} ({shown}){remedy}"


def output_names(paths: Sequence[Path]) -> list[str]:
    """Name each image's results: by its stem, and where that is not unique by more.

    Further names are tried for those that are not unique: the whole name, the name behind its
    folder's, and the name behind a number. Capitals do not tell two names apart, as on some file
    systems, and neither do the forms of accented letters.

    Args:
        paths: The image files.

    Example:
        >>> output_names([Path("a/x.png"), Path("a/y.png"), Path("b/X.jpg"), Path("c/x.jpg")])
        ['x.png', 'y', 'b_X.jpg', 'c_x.jpg']
    """
    names = [path.stem for path in paths]
    further = [
        [path.name for path in paths],
        [f"{path.absolute().parent.name}_{path.name}" for path in paths],
        [f"{number:05}_{path.name}" for number, path in enumerate(paths)],
    ]
    for longer in further:
        keys = [unicodedata.normalize("NFC", name).casefold() for name in names]
        counts = Counter(keys)
        names = [
            long if counts[key] > 1 else name
            for name, long, key in zip(names, longer, keys, strict=True)
        ]
    return names
