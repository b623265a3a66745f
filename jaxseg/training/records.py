"""What a run leaves in its folder: configuration, versions, metrics, tables."""

import csv
import importlib.metadata
import io
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "tensorflow-datasets", "grain")


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: a killed run leaves the old one."""
    write_bytes(path, text.encode())


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as `numpy.save` does, whole or not at all."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_bytes(path, buffer.getvalue())


def read_array(path: Path) -> np.ndarray:
    """Read an array that `write_array` wrote.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        return np.load(path)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}): start again with --overwrite, or give another --out."
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a killed run leaves the old one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # mkstemp makes files that only their owner reads; a run's records are for all.
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


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
    """Make the run's folder, or step into an old one, and write `config.json`.

    Args:
        folder: where the run's files go.
        config: a dataclass.
        results: the file whose presence means that a run was here.
        may_differ: fields with which a run may go on otherwise than it began; "a.b" is a field of
            the field a.
        written: files of an earlier run, removed where this one starts afresh; names or glob
            patterns such as "images/*.png".
        resume: go on with what is there.
        overwrite: start again over what is there.

    Raises:
        ValueError: results are there and neither was asked for, or those to resume were made
            with another configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    saved = folder / "config.json"
    fresh = {**config_record(config), "versions": versions()}
    if overwrite or not (resume or (folder / results).exists()):
        for path in [path for pattern in written for path in folder.glob(pattern)]:
            path.unlink(missing_ok=True)
    if not overwrite and ((folder / results).exists() or (resume and saved.exists())):
        if not resume:
            raise ValueError(
                f"{folder} holds results of an earlier run: go on with --resume, start again with "
                "--overwrite, or give another --out."
            )
        old, new = _flat(read_config(saved)), _flat(fresh)
        fields = {k for k in (*old, *new) if not {k, k.split(".")[0]} & {*may_differ}}
        changed = sorted(k for k in fields if old.get(k) != new.get(k))
        if changed:
            differences = "; ".join(
                f"{k}: {old.get(k)!r} there, {new.get(k)!r} now" for k in changed
            )
            raise ValueError(
                f"{folder} was made with other options ({differences}): resume with those, or "
                "give another --out."
            )
    write_text(saved, json.dumps(fresh, indent=2) + "\n")


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Within, the run's folder, made if need be, is this process's alone.

    Two runs in one folder would mix their metrics, and one would sweep away what the other is
    saving. The lock goes when the process goes, however that ends. Where the system or the file
    system has no such locks, nothing is held.

    Raises:
        ValueError: another process is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
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
    """The dataclass as plain JSON values, dataclasses in it as objects."""
    return json.loads(json.dumps(asdict(config), default=str))


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by the dotted names of their fields."""
    found = {}
    for name, value in record.items():
        inner = _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else None
        found |= {f"{prefix}{name}": value} if inner is None else inner
    return found


def read_config(path: Path) -> dict[str, Any]:
    """What `open_run` wrote.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        old = json.loads(path.read_text())
        if not isinstance(old, dict):
            raise ValueError("not a configuration")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}), so the results beside it cannot be resumed: start "
            "again with --overwrite, or give another --out."
        ) from error
    return old


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **found}


def revision(source: Path) -> str | None:
    """The git commit of the folder, with "+" behind it where files differ; None without git."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(source), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository
        return None


def keep_jsonl(path: Path, keep: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Drop the lines that a resumed run will write again, and those that a kill has torn.

    Args:
        path: the file; it need not exist.
        keep: whether a record stays.

    Returns:
        the records that stay.
    """
    records = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and keep(record):
            records.append(record)
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))
    return records


def append_jsonl(path: Path, record: Mapping[str, Any]) -> None:
    """Add one line of JSON, behind a line that a kill may have torn."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
            file.write(b"\n" if torn else b"")
        file.write(json.dumps(record).encode() + b"\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table whole; numbers so that reading them back gives the same."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")  # quotes what holds a comma or a line's end
    writer.writerow(columns)
    writer.writerows([str(row[c]) for c in columns] for row in rows)
    write_text(path, text.getvalue())


def markdown_table(head: str, rows: Iterable[str]) -> list[str]:
    """The lines of a table in Markdown, whose cells " | " divides."""
    rule = "|---" * (head.count(" | ") + 1) + "|"
    return [f"| {head} |", rule, *(f"| {row} |" for row in rows)]


def read_csv(path: Path, columns: Mapping[str, type]) -> list[dict[str, Any]]:
    """Read a table that `write_csv` wrote.

    Args:
        path: the file.
        columns: name -> the type of its values.

    Raises:
        ValueError: other columns, or a row that does not parse: the file is damaged.
    """
    try:
        with path.open(newline="") as file:
            header, *lines = list(csv.reader(file)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path} is damaged ({error}): move the file away or start again with --overwrite."
        ) from error
    if header != list(columns):
        raise ValueError(
            f"{path} has the columns {header}, not {list(columns)}: it is damaged or of another "
            "version; move it away or start again with --overwrite."
        )
    rows = []
    for number, line in enumerate(lines, start=2):
        try:
            values = [kind(v) for kind, v in zip(columns.values(), line, strict=True)]
        except ValueError as error:
            raise ValueError(
                f"{path}, line {number}, is damaged ({error}): move the file away or start again "
                "with --overwrite."
            ) from error
        rows.append(dict(zip(columns, values, strict=True)))
    return rows
