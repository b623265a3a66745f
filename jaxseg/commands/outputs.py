"""Folders of results in which nothing is replaced that was not written by jaxseg itself."""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jaxseg import files
from jaxseg.training import tables

MANIFEST = ".jaxseg.jsonl"
"""File that lists what was written into its folder: a line of JSON a file, with its SHA-256."""
_SHOWN = 3


class Outputs:
    """A folder of results.

    Args:
        folder: The folder, which is made if need be.

    Raises:
        ValueError: It is a file, or lies below one.
        OSError: It cannot be made.
    """

    def __init__(self, folder: Path):
        files.make_folder(folder)
        self.folder = folder
        self._digests = read_manifest(folder)

    def check(self, names: Iterable[str]) -> None:
        """Check that files can be written without loss.

        Args:
            names: Names of the files.

        Raises:
            ValueError: One of them is there and was not written by jaxseg, or was edited since.
        """
        foreign = [name for name in names if not self._is_free(name)]
        if foreign:
            shown = ", ".join(str(self.folder / name) for name in foreign[:_SHOWN])
            more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
            raise ValueError(
                f"{shown}{more} would be replaced, but jaxseg did not write "
                f"{'them' if len(foreign) > 1 else 'it'}, or somebody has edited "
                f"{'them' if len(foreign) > 1 else 'it'} since: give another folder by --out, or "
                "move what is there."
            )

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all.

        Args:
            name: Name of the file.
            content: What it is to hold.

        Raises:
            ValueError: A file of that name is there that jaxseg did not write.
            OSError: The folder cannot be written to, or is full.
        """
        with self.path(name) as path:
            path.write_bytes(content)

    @contextmanager
    def path(self, name: str) -> Iterator[Path]:
        """Give a path to write to; at the end of the block that file gets its name.

        Args:
            name: Name of the file.

        Raises:
            ValueError: A file of that name is there that jaxseg did not write.
            OSError: The folder cannot be written to, or is full.
        """
        self.check([name])
        handle, temporary = tempfile.mkstemp(
            dir=self.folder, prefix=f".{Path(name).stem}.", suffix=Path(name).suffix
        )
        os.close(handle)
        try:
            yield Path(temporary)
            os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner reads
            digest = files.sha256(Path(temporary))
            # Listed first: a kill in between then leaves no file that seems to be another's.
            self._digests.setdefault(name, set()).add(digest)
            tables.append_jsonl(self.folder / MANIFEST, {"file": name, "sha256": digest})
            os.replace(temporary, self.folder / name)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _is_free(self, name: str) -> bool:
        path = self.folder / name
        return not os.path.lexists(path) or is_listed(path, self._digests)


def read_manifest(folder: Path) -> dict[str, set[str]]:
    """Read which files jaxseg wrote into a folder.

    Args:
        folder: The folder; it need not hold a manifest.

    Returns:
        The SHA-256 of all that was written under each name.
    """
    digests: dict[str, set[str]] = {}
    path = folder / MANIFEST
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        with suppress(ValueError, KeyError, TypeError):  # torn by a kill
            record = json.loads(line)
            digests.setdefault(record["file"], set()).add(record["sha256"])
    return digests


def is_listed(path: Path, digests: dict[str, set[str]]) -> bool:
    """Tell whether a file is what a manifest says that jaxseg wrote.

    Args:
        path: The file.
        digests: What `read_manifest` gives for its folder.
    """
    listed = digests.get(path.name)
    return bool(listed) and path.is_file() and files.sha256(path) in listed
