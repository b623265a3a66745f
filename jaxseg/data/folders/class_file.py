"""Finds the list of classes of a folder."""

from pathlib import Path

from jaxseg.data.folders.unused_files import is_written_folder
from jaxseg.data.masks.class_lists import FILE


def find_list(folder: Path) -> Path | None:
    """Finds the list of classes in a folder, whatever its capitals.

    Args:
        folder: The folder.

    Raises:
        ValueError: There are two of them; it is no file; or it lies in the folder of masks.
    """
    paths = sorted(path for path in folder.iterdir() if path.name.lower() == FILE)
    for path in paths:
        if not path.is_file():
            what = "a folder" if path.is_dir() else "a link to a file that is missing"
            raise ValueError(
                f"{str(path)!r} is {what}, expected the list of classes as a text file: remove it, "
                "or put the list there"
            )
    if not paths:
        _check_misplaced(folder)
    if len(paths) > 1:
        raise ValueError(
            f"{str(folder)!r} holds {' and '.join(repr(path.name) for path in paths)}, expected "
            "one list of classes: remove the other"
        )
    return paths[0] if paths else None


def _check_misplaced(folder: Path) -> None:
    """Refuses a list in one of the folder's own folders, such as masks/, where it has no effect."""
    for path in sorted(folder.glob("*/*")):
        hidden = path.parent.name.startswith(".")
        if path.name.lower() == FILE and not hidden and not is_written_folder(path.parent):
            raise ValueError(
                f"{str(path)!r} has no effect there, expected the list of classes in "
                f"{str(folder)!r}: move it there, or rename it"
            )
