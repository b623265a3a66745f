"""The manifest of a checkpoint: what it holds, and the size and SHA-256 of every file."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jaxseg.training.leaves import Specs
from jaxseg.training.records import write_text

NAME = "manifest.json"
VERSION = 1


class Damaged(ValueError):
    """A file of a checkpoint is not what was written; `path` is which."""

    def __init__(self, path: Path, what: str):
        super().__init__(f"{path} {what}")
        self.path, self.what = path, what


@dataclass(frozen=True)
class Manifest:
    """What was saved.

    Attributes:
        step: of the training.
        processes: how many saved it together.
        leaves: of the state.
        metrics: as they were given.
        files: path within the checkpoint -> (bytes, SHA-256 in hexadecimal).
        version: of this format.
    """

    step: int
    processes: int
    leaves: Specs
    metrics: dict[str, float]
    files: dict[str, tuple[int, str]]
    version: int = VERSION


def file_digests(folder: Path) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of every file below a folder, but for its manifest."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / NAME)
    return {p.relative_to(folder).as_posix(): (p.stat().st_size, _sha256(p)) for p in paths}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it whole or not at all."""
    body = asdict(manifest)
    write_text(folder / NAME, json.dumps({"sha256": _body_digest(body), **body}))


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest itself, not yet the files.

    Raises:
        Damaged: it cannot be read, or is not what was written.
    """
    path = folder / NAME
    try:
        body = json.loads(path.read_bytes())
        right = body.pop("sha256") == _body_digest(body)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise Damaged(path, f"cannot be read ({error})") from error
    if not right:
        raise Damaged(path, "does not have the SHA-256 that it names")
    if body["version"] != VERSION:
        raise Damaged(path, f"is of version {body['version']}, where this program reads {VERSION}")
    body["leaves"] = {k: (dtype, tuple(shape)) for k, (dtype, shape) in body["leaves"].items()}
    body["files"] = {k: (size, digest) for k, (size, digest) in body["files"].items()}
    return Manifest(**body)


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Compare every file with the manifest, the sizes first.

    Raises:
        Damaged: one is missing, of another size, or of another content.
    """
    for name, (size, _) in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise Damaged(path, "is missing")
        if path.stat().st_size != size:
            raise Damaged(path, f"has {path.stat().st_size} bytes, not the {size} that were saved")
    for name, (_, digest) in manifest.files.items():
        if _sha256(folder / name) != digest:
            raise Damaged(folder / name, "does not have the SHA-256 that was saved")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _body_digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
