"""Files from the network: downloaded once, whole, checked and kept in the user's cache."""

import contextlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jaxseg import files
from jaxseg.progress import alive, progress_bar
from jaxseg.user_cache import private_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_PIECE = 1 << 20  # bytes
_TIMEOUT = 30.0  # seconds without an answer
_DROPS = 5  # connections in a row that may break off


def download(url: str, *, sha256: str | None = None) -> Path:
    """Download a file into the user's cache, unless it is there.

    A download that was interrupted goes on where it broke off, if the server takes ranges. The file
    appears under its name only when it is whole and its hash is right.

    Args:
        url: Address of the file.
        sha256: First digits, or all 64, of the file's SHA-256 in hexadecimal; None takes those at
            the end of the file's name, such as "net-cd0a2569.pth".

    Returns:
        The path of the file.

    Raises:
        ValueError: No hash is known, the server cannot be reached or does not have the file, the
            file has another hash, or the cache folder is not private.
        OSError: The file cannot be written.
    """
    name = url.rsplit("/", 1)[-1]
    expected = (sha256 or _hash_in_name(name)).lower()
    folder = private_folder("weights")
    path = folder / name
    if path.exists() and files.sha256(path).startswith(expected):
        return path
    with _locked(folder / f"{name}.part") as part:
        # Another process may have finished it while this one waited for the lock.
        if path.exists() and files.sha256(path).startswith(expected):
            return path
        _fetch(url, part, path)
        part.flush()
        os.fsync(part.fileno())
        actual = files.sha256(Path(part.name))
        if not actual.startswith(expected):
            part.truncate(0)
            raise ValueError(
                f"{url} has the SHA-256 {actual}, expected {expected}: nothing was kept; try "
                "again, or download the file by other means and give its path."
            )
        os.replace(part.name, path)
    return path


def _hash_in_name(name: str) -> str:
    match = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    if match is None:
        raise ValueError(
            f"download: the name {name!r} does not end in digits of its SHA-256: give sha256."
        )
    return match[1]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open a partial file for appending, as the only process where the system has locks.

    Args:
        path: The file, made if need be.
    """
    with path.open("ab") as file:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # this file system has no locks
                fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield file
        finally:
            # A process that waited may have opened a file that has been renamed since.
            if path.exists() and path.stat().st_size == 0:
                path.unlink()


def _fetch(url: str, part: BinaryIO, path: Path) -> None:
    """Append what is missing to a partial file, and connect again when a connection breaks off.

    Args:
        url: Address of the file.
        part: The partial file.
        path: Where the whole file will be, for the messages.
    """
    drops = 0
    while True:
        start = part.seek(0, os.SEEK_END)
        try:
            if _append(url, part, start):
                return
        except urllib.error.HTTPError as error:
            if error.code == 416 and start:  # the part is as long as the file, or longer
                return
            raise ValueError(
                f"{url}: the server answers {error.code} {error.reason}; {_advice(url, path)}"
            ) from error
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            problem: BaseException = error
        except urllib.error.URLError as error:
            raise ValueError(
                f"{url} cannot be reached ({error.reason}): connect this machine to the network "
                f"and try again; {_advice(url, path)}"
            ) from error
        else:
            problem = ConnectionError("the connection broke off")
        drops = 0 if part.seek(0, os.SEEK_END) > start else drops + 1
        if drops >= _DROPS:
            raise ValueError(
                f"{url}: {problem}; what has arrived is kept, and the same call goes on from "
                f"there; {_advice(url, path)}"
            ) from problem


def _append(url: str, part: BinaryIO, start: int) -> bool:
    """Append the rest of a file, with a progress bar; return whether all of it has arrived.

    Args:
        url: Address of the file.
        part: The partial file, whose bytes go if the server sends the file from its beginning.
        start: Number of bytes that the partial file has.
    """
    headers = {"Range": f"bytes={start}-"} if start else {}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
        span = answer.headers.get("Content-Range", "")
        if start and not (answer.status == 206 and span.startswith(f"bytes {start}-")):
            part.truncate(0)
            start = 0
            if answer.status == 206:  # another range than was asked for
                return False
        length = answer.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        title = f"downloading {url.rsplit('/', 1)[-1]}"
        bar = progress_bar(desc=title, total=total, initial=start, unit="B", unit_scale=True)
        with bar, alive(bar):
            while piece := answer.read(_PIECE):
                part.write(piece)
                part.flush()
                start += len(piece)
                bar.update(len(piece))
    return total is None or start >= total


def _advice(url: str, path: Path) -> str:
    return f"or download {url} elsewhere and put it at {path}."
