"""The folder of a training run: which of its files are the run's, and how it is begun again.

What jaxseg writes into a folder is listed in `.jaxseg` there; a file of the same name that is not
listed is the user's and is never replaced. A run that is started again is set aside, in
`.previous`, until the first checkpoint of the new one is whole.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from jaxseg import files
from jaxseg.commands.outputs import MANIFEST as RESULTS
from jaxseg.commands.outputs import is_listed, read_manifest
from jaxseg.training.checkpoint.folders import complete_steps, folder_name, sweep

MANIFEST = ".jaxseg"
"""Name of the file that lists what jaxseg has written into a folder."""
_PREVIOUS, _DISCARDED = ".previous", ".discarded"
_STATE = "state.json"
_CHECKPOINTS = "checkpoints"


def written_files(folder: Path) -> set[str] | None:
    """The names of the files that jaxseg has written into a folder; None without a list of them.

    Args:
        folder: The folder.
    """
    try:
        names = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return {str(name) for name in names}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_free(folder: Path, names: Iterable[str], *, trusted: bool = False) -> None:
    """Check that files may be written: that they are missing, or jaxseg's own.

    Args:
        folder: The folder.
        names: The files' names in the folder, without patterns.
        trusted: Take the files for jaxseg's where the folder has no list, as in a run that was
            copied without its hidden files.

    Raises:
        ValueError: A file exists that jaxseg did not write, or the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(
            f"{folder} is a file, expected a folder for the results: give another --out."
        )
    listed = written_files(folder)
    if trusted and listed is None:
        return
    known = listed or set()
    foreign = [name for name in names if name not in known and os.path.lexists(folder / name)]
    if foreign:
        raise ValueError(
            f"{folder} holds {', '.join(foreign)}, which jaxseg did not write there and does not "
            "replace: give another --out, or move these files elsewhere."
        )


def claim(folder: Path, names: Iterable[str], *, trusted: bool = False) -> None:
    """List files as jaxseg's before they are written, unless they are somebody else's.

    Args:
        folder: The folder.
        names: The files' names in the folder, without patterns.
        trusted: Take the files for jaxseg's where the folder has no list.

    Raises:
        ValueError: A file exists that jaxseg did not write.
    """
    names = list(names)
    check_free(folder, names, trusted=trusted)
    known = sorted({*(written_files(folder) or ()), *names})
    record = {"about": "Files that jaxseg wrote here.", "files": known}
    files.write_text(folder / MANIFEST, json.dumps(record, indent=1) + "\n")


class RunFolder:
    """The folder of a run, of which this process has the lock.

    Args:
        folder: The folder.
        names: The names of the files that a run writes into it, besides its checkpoints.
    """

    def __init__(self, folder: Path, names: Iterable[str]):
        self.folder, self.names = folder, tuple(names)
        self._previous, self._discarded = folder / _PREVIOUS, folder / _DISCARDED

    @property
    def has_previous(self) -> bool:
        """True while an earlier run is set aside."""
        return self._previous.is_dir()

    def recover(self) -> None:
        """Finish what a killed process has begun: put the earlier run back, or remove it."""
        shutil.rmtree(self._discarded, ignore_errors=True)
        if not self.has_previous:
            return
        if self._is_aside() and complete_steps(self.folder / _CHECKPOINTS):
            self.discard()
        else:
            self.put_back()
            print(f"{self.folder} holds the run again that was about to be overwritten.")

    def set_aside(self) -> None:
        """Move the run's files into `.previous`; where there is no run, nothing is done.

        Evaluations and predictions in folders of the run go with it, as far as jaxseg wrote them
        and nobody edited them.
        """
        present = self._present(self.folder)
        if not present:
            return
        (self._previous / _CHECKPOINTS).mkdir(parents=True)
        results = _results(self.folder)
        for name in (*present, *results):
            _move(name, self.folder, self._previous)
        for parent in {(self.folder / name).parent for name in results}:
            with contextlib.suppress(OSError):  # somebody else's files are in it, too
                parent.rmdir()
        self._write_state(aside=True)

    def put_back(self) -> None:
        """Remove what the new run has written, and move the earlier one back."""
        if self._is_aside():
            for name in self._present(self.folder):
                path = self.folder / name
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            if (self.folder / _CHECKPOINTS).is_dir():
                sweep(self.folder / _CHECKPOINTS)
            self._write_state(aside=False)  # from here on, what is in the folder is the earlier run
        (self.folder / _CHECKPOINTS).mkdir(exist_ok=True)
        for name in (*self._present(self._previous), *_all_results(self._previous)):
            _move(name, self._previous, self.folder)
        self.discard()

    def discard(self) -> None:
        """Remove the earlier run: the new one has a checkpoint."""
        # Renamed first, since half an earlier run must not be taken for a whole one.
        self._previous.rename(self._discarded)
        shutil.rmtree(self._discarded, ignore_errors=True)

    def _present(self, folder: Path) -> list[str]:
        """The run's files and checkpoints that are in a folder; nothing else in it is touched."""
        steps = complete_steps(folder / _CHECKPOINTS)
        checkpoints = [f"{_CHECKPOINTS}/{folder_name(step)}" for step in steps]
        # What other commands have left in the folder, such as an export, is the run's as well.
        listed = {name for name in written_files(self.folder) or () if Path(name).name == name}
        names = sorted(listed.union(self.names))
        return [name for name in names if os.path.lexists(folder / name)] + checkpoints

    def _is_aside(self) -> bool:
        try:
            return bool(json.loads((self._previous / _STATE).read_text())["aside"])
        except (OSError, ValueError, KeyError, TypeError):
            return False  # killed while the files were being moved

    def _write_state(self, *, aside: bool) -> None:
        files.write_text(self._previous / _STATE, json.dumps({"aside": aside}))


def _results(folder: Path) -> list[str]:
    """Lists the files that evaluations and predictions left in a run's folders, manifests last."""
    names: list[str] = []
    for manifest in sorted(folder.glob(f"*/{RESULTS}")):
        digests, parent = read_manifest(manifest.parent), manifest.parent
        if parent.name.startswith("."):
            continue
        ours = [name for name in sorted(digests) if is_listed(parent / name, digests)]
        names += [f"{parent.name}/{name}" for name in (*ours, RESULTS)]
    return names


def _all_results(previous: Path) -> list[str]:
    """The results that have been set aside, whether or not all of them have."""
    paths = sorted(path for path in previous.glob("*/*") if path.parent.name != _CHECKPOINTS)
    # The lists first: until all is back, what is listed can be told from the user's files.
    paths.sort(key=lambda path: path.name != RESULTS)
    return [path.relative_to(previous).as_posix() for path in paths if path.is_file()]


def _move(name: str, source: Path, target: Path) -> None:
    (target / name).parent.mkdir(exist_ok=True)
    (source / name).rename(target / name)
