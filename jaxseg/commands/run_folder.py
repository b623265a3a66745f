"""The folder of a training run: which of its files are the run's, and how it is begun again.

What jaxseg writes into a folder is listed in `.jaxseg` there; a file of the same name that is not
listed is the user's and is never replaced. A run that is started again is set aside, in
`.previous`, until the first checkpoint of the new one is whole.
"""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from jaxseg import files
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
        """Move the run's files into `.previous`; where there is no run, nothing is done."""
        if not self._present(self.folder):
            return
        (self._previous / _CHECKPOINTS).mkdir(parents=True)
        for name in self._present(self.folder):
            (self.folder / name).rename(self._previous / name)
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
        for name in self._present(self._previous):
            (self._previous / name).rename(self.folder / name)
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
