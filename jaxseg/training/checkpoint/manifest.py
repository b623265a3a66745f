"""The manifest of a checkpoint: what it holds, and the size and the SHA-256 of every file."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jaxseg.files import sha256, write_text
from jaxseg.training.checkpoint.arrays import Specs

NAME = "manifest.json"
VERSION = 1


class Damaged(ValueError):
    """A file of a checkpoint differs from what was written.

    Args:
        path: The file.
        what: How it differs, in words.
    """

    def __init__(self, path: Path, what: str):
        super().__init__(f"{path} {what}")
        self.path, self.what = path, what


@dataclass(frozen=True)
class Manifest:
    """The contents of a checkpoint.

    Attributes:
        step: Number of steps taken.
        processes: Number of processes that saved it together.
        leaves: Dtype and shape of every leaf of the state.
        metrics: The metrics that were given.
        files: Size in bytes and SHA-256 in hexadecimal of every file, by its path in the
            checkpoint.
        version: Version of this format.
    """

    step: int
    processes: int
    leaves: Specs
    metrics: dict[str, float]
    files: dict[str, tuple[int, str]]
    version: int = VERSION


def file_digests(folder: Path) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of every file below a folder, except for its manifest."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / NAME)
    return {p.relative_to(folder).as_posix(): (p.stat().st_size, sha256(p)) for p in paths}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest of the checkpoint in a folder, whole or not at all."""
    body = asdict(manifest)
    write_text(folder / NAME, json.dumps({"sha256": _body_digest(body), **body}))


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest of the checkpoint in a folder, and checks it, but not the files.

    Raises:
        Damaged: It cannot be read, or is not what was written.
    """
    path = folder / NAME
    try:
        body = json.loads(path.read_bytes())
        intact = body.pop("sha256") == _body_digest(body)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise Damaged(path, f"cannot be read ({error})") from error
    if not intact:
        raise Damaged(path, "does not have the SHA-256 that it names")
    if body["version"] != VERSION:
        raise Damaged(path, f"is of version {body['version']}, where this program reads {VERSION}")
    body["leaves"] = {k: (dtype, tuple(shape)) for k, (dtype, shape) in body["leaves"].items()}
    body["files"] = {k: (size, digest) for k, (size, digest) in body["files"].items()}
    return Manifest(**body)


def read_verified(folder: Path, step: int, steps: list[int]) -> Manifest:
    """Reads the manifest of the checkpoint in a folder, and compares every file with it.

    Args:
        folder: The checkpoint.
        step: Its step.
        steps: The steps of all complete checkpoints, ascending.

    Raises:
        ValueError: A file is missing or damaged; the message says how to go on.
    """
    try:
        manifest = read_manifest(folder)
        verify_files(folder, manifest)
    except Damaged as error:
        raise ValueError(f"{error}: {damage_remedy(step, steps)}") from error
    return manifest


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Compares every file of a checkpoint with its manifest, the sizes first.

    Args:
        folder: The checkpoint.
        manifest: Its manifest.

    Raises:
        Damaged: A file is missing, of another size, or of another content.
    """
    for name, (size, _) in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise Damaged(path, "is missing")
        if path.stat().st_size != size:
            raise Damaged(path, f"has {path.stat().st_size} bytes, not the {size} that were saved")
    for name, (_, digest) in manifest.files.items():
        if sha256(folder / name) != digest:
            raise Damaged(folder / name, "does not have the SHA-256 that was saved")


def damage_remedy(step: int, steps: list[int]) -> str:
    """The way on from a damaged checkpoint, in words.

    Args:
        step: The step of the damaged checkpoint.
        steps: The steps of all complete checkpoints, ascending.
    """
    earlier = [s for s in steps if s < step]
    if not earlier:
        return f"the checkpoint of step {step} is damaged, and there is no earlier one: start anew."
    return (
        f"the checkpoint of step {step} is damaged. The one before it is of step {earlier[-1]}: "
        "go on from there."
    )


def _body_digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
