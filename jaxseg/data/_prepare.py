"""Prepares a data set once, in the user's data directory, and never trusts half of one.

A preparation is written beside its destination and renamed when it is complete, with a manifest
of sizes and SHA-256 digests as the last file. So a killed preparation leaves no destination,
damage of any kind is found when the data set is next asked for, and of two processes that
prepare at once, one wins and the other takes what the first made.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core import constants
from tensorflow_datasets.core.utils import tqdm_utils

from jaxseg.data.builder import MaskBuilder, Recipe

_MANIFEST = "manifest.json"
_PARTIAL = "incomplete."
_STALE_SECONDS = 24 * 60 * 60  # for partial directories whose process cannot be looked up


def prepare(
    builder: type[MaskBuilder], recipe: Recipe, *, data_dir: str | os.PathLike[str] | None = None
) -> Path:
    """Makes sure that the data set is prepared and undamaged, and says where it lies.

    Args:
        builder: The class of the builder; its name and version are part of the path.
        recipe: Its configuration.
        data_dir: The root of prepared data sets. By default TFDS's: the environment variable
            `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory.

    Returns:
        The directory `<data_dir>/<builder>/<recipe>/<version>`, for `open_split`.

    Raises:
        ValueError: `data_dir` cannot be written to, or the builder rejects its input.
    """
    root = data_root(data_dir)
    target = root / builder.name / recipe.name / str(builder.VERSION)
    _sweep(target.parent)
    if is_complete(target):
        return target
    staging = _make_staging(target.parent, root)
    try:
        made = _generate(builder, recipe, staging)
        _write_manifest(made)
        _publish(made, target, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def data_root(data_dir: str | os.PathLike[str] | None) -> Path:
    """The root of prepared data sets: `data_dir`, else TFDS's own, see `prepare`."""
    return Path(data_dir or constants.get_default_data_dir()).expanduser()


def keep_text(path: Path, text: str, root: Path) -> None:
    """Writes a file below the root of prepared data sets, whole or not at all.

    Raises:
        ValueError: `root` cannot be written to.
    """
    with _writing_to(root):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(text)
        os.replace(file.name, path)


def is_complete(directory: Path) -> bool:
    """Whether every file of the directory's manifest is there, with its size and its digest."""
    try:
        manifest = json.loads((directory / _MANIFEST).read_text())
        return bool(manifest) and all(
            _describe(directory / name) == expected for name, expected in manifest.items()
        )
    except (OSError, ValueError, AttributeError):  # missing, unreadable or not our JSON
        return False


def open_split(directory: Path, split: str) -> Any:
    """Opens one split of a prepared data set, undecoded.

    Args:
        directory: What `prepare` returned.
        split: A name, or a slice of one in TFDS's notation such as `"train[:25%]"`.

    Returns:
        A random-access sequence of `{"image": bytes, "label": bytes}`, both PNG files.
    """
    with _quiet():
        builder: Any = tfds.builder_from_directory(directory)
        # TFDS would decode with OpenCV where that is installed, and OpenCV turns masks stored
        # with a palette or with one bit into something else; so the bytes are taken as they are.
        skip = {key: tfds.decode.SkipDecoding() for key in ("image", "label")}
        return builder.as_data_source(split, decoders=skip)


def _generate(builder: type[MaskBuilder], recipe: Recipe, staging: Path) -> Path:
    """Runs TFDS and returns the directory that it made."""
    with _quiet():
        instance = builder(data_dir=staging, config=recipe)
        instance.download_and_prepare(
            file_format="array_record",  # the default, tfrecord, needs TensorFlow
            download_config=tfds.download.DownloadConfig(try_download_gcs=False),
        )
    return Path(instance.data_dir)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps off the terminal what TFDS says, and restores all as it was.

    It warns of every config made in code, prints the temporary directory's name as if the data
    set were to stay there, and its progress bars know no totals; the builders have one that does.
    """
    logger = logging.getLogger("absl")
    level = logger.level
    bars = not isinstance(tqdm_utils.tqdm(disable=True), tqdm_utils.EmptyTqdm)
    logger.setLevel(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
        if bars:
            tfds.enable_progress_bar()


def _describe(path: Path) -> list[int | str]:
    with path.open("rb") as file:
        return [path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()]


def _write_manifest(directory: Path) -> None:
    manifest = {path.name: _describe(path) for path in sorted(directory.iterdir())}
    (directory / _MANIFEST).write_text(json.dumps(manifest, indent=1))


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


def _publish(made: Path, target: Path, staging: Path) -> None:
    """Renames `made` to `target`, unless another process has been faster."""
    for _ in range(2):
        try:
            made.rename(target)
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
    host, _, rest = path.name.removeprefix(_PARTIAL).rpartition(".")[0].rpartition(".")
    if host == socket.gethostname() and rest.isdecimal() and os.name == "posix":
        return not _is_alive(int(rest)) or age > _STALE_SECONDS
    return age > _STALE_SECONDS


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 is not sent: it only asks whether the process exists
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True
