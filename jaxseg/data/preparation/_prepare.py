"""Prepares a data set once, in the user's data directory, and never trusts half of one.

A preparation is written beside its destination and renamed when it is complete, with a manifest
of sizes and SHA-256 digests as the last file. So a killed preparation leaves no destination,
damage of any kind is found when the data set is next asked for, and of two processes that
prepare at once, one wins and the other takes what the first made.
"""

import contextlib
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from jaxseg import files
from jaxseg.data.dataset import Dataset
from jaxseg.data.preparation._prune import hold, prune, write_source
from jaxseg.data.preparation.recipe import Recipe

_MANIFEST = "manifest.json"
_PARTIAL = "incomplete."
_STALE_SECONDS = 24 * 60 * 60  # for partial directories whose process cannot be looked up


def prepare(recipe: Recipe, *, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Prepares a data set, unless it is there already and undamaged.

    Args:
        recipe: What the data set is prepared from.
        data_dir: The root of prepared data sets. By default TFDS's: the environment variable
            `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory.

    Returns:
        The data set, in the directory `<data_dir>/jaxseg/<recipe.name>/<recipe.version>`.

    Raises:
        ValueError: `data_dir` cannot be written to, or the recipe rejects its input.
    """
    target = prepared_root(data_dir) / recipe.name / recipe.version
    _sweep(target.parent)
    if not is_complete(target):
        _make(recipe, target, data_root(data_dir))
    if recipe.source is not None:
        if not hold(target):  # another process has just removed it, as one of an older folder
            _make(recipe, target, data_root(data_dir))
            hold(target)
        prune(target, recipe.source)
    return Dataset(recipe.info, target, recipe.splits, recipe.originals)


def data_root(data_dir: str | os.PathLike[str] | None) -> Path:
    """The root of prepared data sets: `data_dir`, else the default that `prepare` describes."""
    default = os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets"
    return Path(data_dir or default).expanduser()


def prepared_root(data_dir: str | os.PathLike[str] | None) -> Path:
    """The folder below `data_root` that holds what this package prepares."""
    return data_root(data_dir) / "jaxseg"


def write_cached(path: Path, text: str, root: Path) -> None:
    """Writes a file below the root of prepared data sets, whole or not at all.

    Args:
        path: The file; its folder is made if need be.
        text: What the file is to hold.
        root: The root of prepared data sets, for the message.

    Raises:
        ValueError: `root` cannot be written to.
    """
    with _writing_to(root):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, text)


def is_complete(directory: Path) -> bool:
    """Checks that every file of the directory's manifest is there, of its size and its digest."""
    try:
        manifest = json.loads((directory / _MANIFEST).read_text())
        return bool(manifest) and all(
            _describe(directory / name) == expected for name, expected in manifest.items()
        )
    except (OSError, ValueError, AttributeError):  # missing, unreadable or not our JSON
        return False


def _make(recipe: Recipe, target: Path, root: Path) -> None:
    from jaxseg.data.preparation.builder import write_dataset  # here, since TFDS is slow to import

    staging = _make_staging(target.parent, root)
    try:
        written = write_dataset(recipe, staging)
        if recipe.source is not None:
            write_source(written, recipe.source)
        _write_manifest(written)
        _publish(written, target, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _describe(path: Path) -> list[int | str]:
    return [path.stat().st_size, files.sha256(path)]


def _write_manifest(directory: Path) -> None:
    manifest = {path.name: _describe(path) for path in sorted(directory.iterdir())}
    files.write_text(directory / _MANIFEST, json.dumps(manifest, indent=1))


def _make_staging(parent: Path, root: Path) -> Path:
    with _writing_to(root):
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{_owner()}.", dir=parent))


@contextlib.contextmanager
def _writing_to(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"data_dir {str(root)!r} cannot be written to ({error.strerror}), expected a folder to "
            "prepare data sets in: pass another data_dir, or set TFDS_DATA_DIR to one"
        ) from error


def _publish(written: Path, target: Path, staging: Path) -> None:
    """Renames `written` to `target`, unless another process has been faster."""
    for _ in range(2):
        try:
            written.rename(target)
            return
        except OSError:
            if is_complete(target):
                return
            if not target.exists():
                raise
            # A damaged one is in the way. It is moved, which is atomic, and goes with the staging.
            with contextlib.suppress(FileNotFoundError):
                target.rename(staging / "damaged")
    raise ValueError(
        f"{str(target)!r} is being replaced by another program, expected it to stay: try again "
        "when no other program prepares the data set"
    )


def _owner() -> str:
    return f"{_PARTIAL}{socket.gethostname()}.{os.getpid()}"


def _sweep(parent: Path) -> None:
    """Removes the partial directories that preparations left behind when they were killed."""
    for path in parent.glob(f"{_PARTIAL}*"):
        if _is_stale(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_stale(path: Path) -> bool:
    try:
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:  # its own process has just removed it
        return False
    host, _, process = path.name.removeprefix(_PARTIAL).rpartition(".")[0].rpartition(".")
    if host == socket.gethostname() and process.isdecimal() and os.name == "posix":
        return not _is_alive(int(process)) or age > _STALE_SECONDS
    return age > _STALE_SECONDS


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 is not sent: it only asks whether the process exists
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True
