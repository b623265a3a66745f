"""Finds the images of a folder that no pair of image and mask uses."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jaxseg.data.folders.pairing import IMAGE_SUFFIXES, walk_files
from jaxseg.data.images.image_files import FilePair

_SUFFIXES = (
    *IMAGE_SUFFIXES,
    *(".pbm", ".tga", ".dib", ".jfif", ".jp2", ".jxl", ".heic", ".heif", ".avif", ".exr", ".psd"),
)
MANIFESTS = (".jaxseg", ".jaxseg.jsonl")
"""Files that list what the commands wrote into a folder: a run's, and those of results."""
_SHOWN = 3


def unused_files(root: Path, pairs: Mapping[str, Iterable[FilePair]]) -> list[Path]:
    """Lists the files that look like images and broken links to such, and that no pair uses.

    Hidden files and folders do not count, nor do the folders of runs and predictions, nor a second
    link to the same file.

    Args:
        root: The folder, whose links to folders are followed.
        pairs: The pairs of every split.
    """
    used = [path for listed in pairs.values() for pair in listed for path in pair]
    names = set(map(str, used))
    known: set[str] = set()
    unused = []
    for path in walk_files(root, skip=is_written_folder):
        is_broken = path.is_symlink() and not path.exists()
        is_image = path.suffix.lower() in _SUFFIXES or (is_broken and not path.suffix)
        if not is_image or str(path) in names:
            continue
        known = known or set(map(os.path.realpath, used))
        real = os.path.realpath(path.parent if is_broken else path)
        real = os.path.join(real, path.name) if is_broken else real
        if real not in known:
            known.add(real)
            unused.append(path)
    written = _written(root)
    return [path for path in unused if path.parent != root or path.name not in written]


def is_written_folder(folder: Path) -> bool:
    """Returns whether the commands wrote into a folder.

    Args:
        folder: The folder.
    """
    return any((folder / name).is_file() for name in MANIFESTS)


def describe_unused(root: Path, files: Sequence[Path]) -> str:
    """Writes a remark on files that no pair uses, or nothing where there are none.

    Args:
        root: The folder.
        files: The files, as `unused_files` returns them.
    """
    if not files:
        return ""
    shown = [
        repr(path.relative_to(root).as_posix()) + ("" if path.exists() else " (a broken link)")
        for path in _spread(files)
    ]
    more = f" and {len(files) - len(shown)} more" if len(files) > len(shown) else ""
    are = "image file is" if len(files) == 1 else "image files are"
    return f"{len(files)} {are} in no pair and not used: {', '.join(shown)}{more}"


def _spread(files: Sequence[Path]) -> list[Path]:
    """The first files, one of each folder before a second one of any."""
    first = {path.parent: path for path in reversed(files)}
    chosen = sorted(first.values())[:_SHOWN]
    chosen += [path for path in files if path not in chosen][: _SHOWN - len(chosen)]
    return sorted(chosen)


def _written(root: Path) -> set[str]:
    """Names of the files that the commands wrote into the folder itself."""
    names: set[str] = set()
    for manifest in MANIFESTS:
        try:
            text = (root / manifest).read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        for part in (text, *text.splitlines()):
            try:
                record = json.loads(part)
                names |= {record["file"]} if "file" in record else set(record["files"])
            except (ValueError, KeyError, TypeError):  # the other form, or torn by a kill
                continue
    return names
