"""The folders of checkpoints: their names, which of them count, and what a killed save left."""

import re
import shutil
from pathlib import Path

from jaxseg.training.checkpoint.manifest import NAME as MANIFEST

_STEP = re.compile(r"step-(\d{8,})")
_LEFTOVER = re.compile(r"\.?step-\d{8,}\.(orbax-checkpoint-tmp|data-\d+\.json).*")


def folder_name(step: int) -> str:
    """The name of a step's folder, such that names sort as steps do."""
    return f"step-{step:08d}"


def complete_steps(folder: Path) -> list[int]:
    """The steps whose folders have a manifest, ascending."""
    matches = [_STEP.fullmatch(path.parent.name) for path in folder.glob(f"*/{MANIFEST}")]
    return sorted(int(match[1]) for match in matches if match)


def remove(folder: Path, step: int) -> None:
    """Removes a checkpoint, its manifest first; `sweep` completes a removal that is cut short."""
    (folder / folder_name(step) / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder / folder_name(step))


def sweep(folder: Path) -> None:
    """Removes what saves and removals that were cut short have left, and nothing else."""
    for path in folder.iterdir():
        incomplete = _STEP.fullmatch(path.name) and not (path / MANIFEST).exists()
        if path.is_symlink() or not (incomplete or _LEFTOVER.fullmatch(path.name)):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        elif not incomplete:
            path.unlink()
