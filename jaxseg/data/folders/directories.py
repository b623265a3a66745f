"""Finds the folder of a public data set, and says how to get it where it is missing."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class DownloadHint:
    """The layout of a public data set's folder and the way to get it, for error messages.

    Attributes:
        name: The data set's name; the environment variable is JAXSEG_ and it in capitals.
        title: What people call it.
        layout: What the folder must hold.
        commands: Commands that get it, to be pasted in a shell.
    """

    name: str
    title: str
    layout: str
    commands: str

    @property
    def variable(self) -> str:
        """The environment variable that names the folder."""
        return f"JAXSEG_{self.name.upper()}"

    @property
    def text(self) -> str:
        """The remedy where the folder is missing or incomplete."""
        return f"{self.layout}; to get it: {self.commands}"


def find_directory(directory: str | os.PathLike[str] | None, hint: DownloadHint) -> Path:
    """The data set's folder: the argument, else what the environment variable names.

    Args:
        directory: The folder, or None.
        hint: Names the environment variable, and says how to get the folder.

    Raises:
        ValueError: Neither is given, or it is no folder.
    """
    given = directory or os.environ.get(hint.variable)
    if not given:
        raise ValueError(
            f"directory={directory!r} and {hint.variable} is not set, expected the folder of "
            f"{hint.title} in one of the two: {hint.text}"
        )
    path = Path(given).expanduser()
    if not path.is_dir():
        raise ValueError(
            f"{str(path)!r} is not a folder, expected {hint.title} there; correct `directory` or "
            f"{hint.variable}: {hint.text}"
        )
    return path


def find_inside(directory: Path, inside: Sequence[str], marker: str, hint: DownloadHint) -> Path:
    """The folder that holds `marker`: the directory itself, or one inside it.

    Args:
        directory: A folder.
        inside: Paths of the folders inside it that may hold the marker.
        marker: Name of a file or folder.
        hint: Says how to get a complete folder.

    Raises:
        ValueError: None of the folders holds it.
    """
    for path in (directory, *(directory / name for name in inside)):
        if (path / marker).exists():
            return path
    raise ValueError(
        f"{str(directory / marker)!r} is missing, nor is it in {' or '.join(inside)} there; "
        f"complete it: {hint.text}"
    )
