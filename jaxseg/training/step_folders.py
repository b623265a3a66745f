"""The folders of checkpoints: their names, which of them count, and what cut-short work left."""

import re
import shutil
from pathlib import Path

from jaxseg.training.manifest import NAME as MANIFEST

_STEP = re.compile(r"step-(\d{8,})")
_LEFTOVER = re.compile(r"\.?step-\d{8,}\.(orbax-checkpoint-tmp|data-\d+\.json).*")


def folder_name(step: int) -> str:
    """The name of a step's folder, such that names sort as steps do."""
    return f"step-{step:08d}"


def complete_steps(folder: Path) -> list[int]:
    """The steps that have a manifest, ascending."""
    found = [_STEP.fullmatch(path.parent.name) for path in folder.glob(f"*/{MANIFEST}")]
    return sorted(int(match[1]) for match in found if match)


def remove(folder: Path, step: int) -> None:
    """Remove a checkpoint; a removal that is cut short leaves what `sweep` takes away."""
    (folder / folder_name(step) / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder / folder_name(step))


def sweep(folder: Path) -> None:
    """Remove what saves and removals that were cut short have left, and nothing else."""
    for path in folder.iterdir():
        bare = _STEP.fullmatch(path.name) and not (path / MANIFEST).exists()
        if path.is_symlink() or not (bare or _LEFTOVER.fullmatch(path.name)):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        elif not bare:
            path.unlink()
