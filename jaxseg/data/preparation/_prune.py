"""Removes prepared copies of a folder that has been edited since.

Each edit of a user's folder makes another data set of it, prepared in a directory of its own. A
copy whose files have changed can never be asked for again; of those that still can, such as that of
a run's own list of files, the one used last is kept besides the current one. Nothing else is
touched: a copy says itself, in `source.json`, which folder it was prepared from, and a process that
reads a copy holds a lock on that file.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from jaxseg import files

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, and so nothing is removed
    fcntl = None

SOURCE = "source.json"
"""Name of the file of a prepared copy that says what it was prepared from."""
_held: dict[Path, IO[str]] = {}
"""Open files whose locks this process holds until it ends, by their copies."""


def write_source(directory: Path, source: Mapping[str, Any]) -> None:
    """Write what a copy is prepared from.

    Args:
        directory: The copy.
        source: The folder as "root"; its "files", as `file_pairs.fingerprint` describes them; and
            as "variant" a digest of all other options.
    """
    files.write_text(directory / SOURCE, json.dumps(source))


def hold(directory: Path) -> bool:
    """Keep a copy from being removed while this process lives, and note that it is used.

    Args:
        directory: The copy.

    Returns:
        False if it has just been removed.
    """
    path = directory / SOURCE
    if fcntl is None or directory in _held:
        return path.exists()
    try:
        file = path.open()
    except FileNotFoundError:
        return False
    with contextlib.suppress(OSError):  # a file system without locks, or a foreign copy
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.utime(path)
    if not path.exists():
        file.close()
        return False
    _held[directory] = file
    return True


def prune(current: Path, source: Mapping[str, Any]) -> None:
    """Remove older copies of the folder that a copy was prepared from, and say so.

    Args:
        current: The copy in use, `<root>/<name>/<version>`.
        source: What it was prepared from, as `write_source` wrote it.
    """
    if fcntl is None:
        return
    removable, spare = [], []
    for path, record in _copies(current):
        if record.get("root") != source["root"] or path.parent == current:
            continue
        changed = not _is_unchanged(record)
        if changed:
            removable.append(path.parent)
        elif record.get("variant") == source["variant"]:
            spare.append((path.stat().st_mtime_ns, path.parent))
    removable += [copy for _, copy in sorted(spare)[:-1]]
    removed = [size for copy in removable if (size := _remove(copy)) is not None]
    if removed:
        copies = f"{len(removed)} older prepared {'copy' if len(removed) == 1 else 'copies'}"
        print(
            f"{Path(source['root']).name}: removed {copies} of this folder, which has been edited "
            f"since, from {current.parents[1]} ({sum(removed) / 1e6:.1f} MB)."
        )


def _copies(current: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The `source.json` of every prepared copy of any folder, and what it says."""
    for path in current.parents[1].glob(f"*/{current.name}/{SOURCE}"):
        with contextlib.suppress(OSError, ValueError):
            record = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(record, dict):
                yield path, record


def _is_unchanged(record: Mapping[str, Any]) -> bool:
    """True where all files are as they were when the copy was prepared."""
    try:
        root = Path(record["root"])
        for described in record["files"].values():
            for name, size, changed in described:
                status = (root / name).stat()
                if (status.st_size, status.st_mtime_ns) != (size, changed):
                    return False
    except (OSError, KeyError, ValueError, TypeError, AttributeError):
        return False
    return True


def _remove(copy: Path) -> int | None:
    """Remove a copy that no process uses; return its bytes, or None where it stays."""
    if fcntl is None:
        return None
    try:
        with (copy / SOURCE).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = sum(path.stat().st_size for path in copy.rglob("*") if path.is_file())
            # Renamed first, so that no half of a copy is ever taken for one.
            away = copy.with_name(f".{copy.name}.removed.{os.getpid()}")
            copy.rename(away)
            shutil.rmtree(away, ignore_errors=True)
            with contextlib.suppress(OSError):  # not empty: another version is there
                copy.parent.rmdir()
            return size
    except OSError:  # in use, gone, or on a file system without locks
        return None
