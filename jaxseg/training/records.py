"""The records that a run leaves in its folder: its configuration, versions and revision."""

import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jaxseg.files import make_folder, write_text

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "tensorflow-datasets", "grain")


def open_run(
    folder: Path,
    config: Any,
    *,
    results: str,
    may_differ: Sequence[str] = (),
    written: Sequence[str] = (),
    resume: bool,
    overwrite: bool,
) -> None:
    """Makes the folder of a run, or enters an old one, and writes `config.json`.

    Args:
        folder: Where the files of the run go.
        config: A dataclass.
        results: Name of the file whose presence means that there was a run here.
        may_differ: Fields in which a resumed run may differ from its beginning; "a.b" is the field
            b of the field a.
        written: Files of an earlier run that are removed when this one starts afresh: names, or
            glob patterns such as "images/*.png".
        resume: Go on with what is there.
        overwrite: Start again over what is there.

    Raises:
        ValueError: There are results, and neither was asked for; or those to be resumed were made
            with another configuration.
    """
    make_folder(folder)
    saved, has_results = folder / "config.json", (folder / results).exists()
    if overwrite or not (resume or has_results):
        for path in [path for pattern in written for path in folder.glob(pattern)]:
            path.unlink(missing_ok=True)
    if has_results and not (resume or overwrite):
        raise ValueError(
            f"{folder} holds results of an earlier run: go on with --resume, start again with "
            "--overwrite, or give another --out."
        )
    if resume and not overwrite and (has_results or saved.exists()):
        check_unchanged(folder, config, may_differ=may_differ)
    write_config(folder, config)


def check_unchanged(folder: Path, config: Any, *, may_differ: Sequence[str] = ()) -> None:
    """Checks that a run goes on with the configuration, and the versions, that it began with.

    Args:
        folder: The folder of the run.
        config: A dataclass.
        may_differ: Fields in which it may differ; "a.b" is the field b of the field a.

    Raises:
        ValueError: Another field differs, or `config.json` is missing or damaged.
    """
    old = _flatten(read_config(folder / "config.json"))
    new = _flatten({**config_record(config), "versions": versions()})
    fields = {name for name in (*old, *new) if not {name, name.split(".")[0]} & {*may_differ}}
    changed = sorted(name for name in fields if old.get(name) != new.get(name))
    if changed:
        differences = "; ".join(
            f"{name}: {old.get(name)!r} there, {new.get(name)!r} now" for name in changed
        )
        raise ValueError(
            f"{folder} was made with other options ({differences}): resume with those, or "
            "give another --out."
        )


def write_config(folder: Path, config: Any) -> None:
    """Writes the `config.json` of a run: its configuration, and the versions of the packages.

    Args:
        folder: The folder of the run.
        config: A dataclass.
    """
    record = {**config_record(config), "versions": versions()}
    write_text(folder / "config.json", json.dumps(record, indent=2) + "\n")


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Locks the folder of a run, so that it is this process's alone within the context.

    Two runs in one folder would mix their metrics, and one would sweep away what the other is
    saving. The lock goes when the process goes, however that ends. Where the system or the file
    system has no such locks, nothing is held.

    Args:
        folder: The folder, made if need be.

    Raises:
        ValueError: Another process holds it, or it is a file.
    """
    make_folder(folder)
    if fcntl is None:
        yield
        return
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{folder} is being written by another run: wait for it, stop it, or give another "
                "--out."
            ) from error
        except OSError:  # this file system has no locks
            pass
        yield


def config_record(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON values, with the dataclasses in it as objects.

    Args:
        config: The dataclass; values that JSON does not know, such as paths, become texts.
    """
    return json.loads(json.dumps(asdict(config), default=str))


def read_config(path: Path) -> dict[str, Any]:
    """Reads a `config.json` that `open_run` wrote.

    Args:
        path: The file.

    Raises:
        ValueError: The file is missing or damaged.
    """
    try:
        config = json.loads(path.read_text())
        if not isinstance(config, dict):
            raise ValueError("not a configuration")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}), so the results beside it cannot be resumed: start "
            "again with --overwrite, or give another --out."
        ) from error
    return config


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **packages}


def revision(source: Path) -> str | None:
    """The git commit of a folder, followed by "+" where files differ from it.

    Args:
        source: A folder.

    Returns:
        The hexadecimal digits of the commit; None without git or outside a repository.
    """

    def git(*words: str) -> str:
        command = ["git", "-C", str(source), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository
        return None


def _flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by the dotted names of their fields."""
    flat = {}
    for name, value in record.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
