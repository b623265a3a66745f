"""Files that are written whole or not at all, and the SHA-256 of what they hold."""

import contextlib
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np


def make_folder(folder: Path) -> None:
    """Makes a folder for results, and those above it.

    Args:
        folder: The folder, which a command was given as `--out`; it may exist.

    Raises:
        ValueError: It is a file, or lies below one.
        OSError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        blocking = next((p for p in (folder, *folder.parents) if p.exists()), folder)
        raise ValueError(
            f"{blocking} is a file, expected a folder for the results: give another --out."
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all: whatever interrupts this, an old file stays as it was.

    Args:
        path: The file, in a folder that exists.
        content: What the file is to hold.

    Raises:
        OSError: The folder is missing, cannot be written to, or is full.
    """
    with naming(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(name, 0o644)  # mkstemp makes files that only their owner reads
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Lets errors of the system name a file: that of a full disk names none.

    Args:
        path: The file that is read or written within.
    """
    try:
        yield
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8, whole or not at all.

    Args:
        path: The file, in a folder that exists.
        text: What the file is to hold; its line ends are kept.

    Raises:
        OSError: The folder is missing, cannot be written to, or is full.
    """
    write_bytes(path, text.encode())


def read_text(path: Path) -> str:
    """Reads a text file in UTF-8, with or without a byte order mark, whatever the locale.

    Args:
        path: The file.

    Returns:
        The text without the mark; its line ends are kept.

    Raises:
        OSError: The file is missing or cannot be read.
        ValueError: The file is in another encoding.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
        if "\0" not in text:  # UTF-16 without a mark, of Latin letters, decodes too
            return text
        found = "zero bytes, as UTF-16 and UTF-32 have"
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{content[error.start]:02x} in line {line}"
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            found = "the byte order mark of UTF-16"
    raise ValueError(
        f"{str(path)!r} is not UTF-8 text (it has {found}), expected UTF-8: save it again with "
        "the encoding UTF-8"
    )


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes an array as `numpy.save` does, whole or not at all.

    Args:
        path: The file, in a folder that exists; a name that ends in .npy.
        array: An array of numbers.

    Raises:
        OSError: The folder is missing, cannot be written to, or is full.
    """
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def read_array(path: Path) -> np.ndarray:
    """Reads an array that `write_array` wrote.

    Args:
        path: The file.

    Raises:
        ValueError: The file is missing or damaged.
    """
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}): start again with --overwrite, or give another --out."
        ) from error


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits.

    Args:
        path: The file, which is read in pieces.

    Raises:
        OSError: The file is missing or cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
