"""What jaxseg did not write it never replaces, and an earlier run is lost to no interruption."""

import json
import os
import shutil
from pathlib import Path

import pytest

from jaxseg.commands import run_folder
from jaxseg.commands.outputs import Outputs
from jaxseg.commands.run_folder import RunFolder, check_free, claim, written_files

NAMES = ("config.json", "metrics.jsonl")
STEP = "checkpoints/step-00000004"


class Killed(BaseException):
    """Stands for the end of the process."""


def write_run(folder, text, step=STEP):
    """A run as far as the folder is concerned."""
    folder.mkdir(exist_ok=True)
    claim(folder, NAMES)
    for name in NAMES:
        (folder / name).write_text(text)
    (folder / step).mkdir(parents=True)
    for name in ("manifest.json", "data"):
        (folder / step / name).write_text(text)


def write_results(folder, text):
    """An evaluation and a prediction, with a file of the user's beside each of them."""
    for name in ("test/results.csv", "test/edited.csv", "predictions/a_mask.png"):
        Outputs((folder / name).parent).write(Path(name).name, text.encode())
    for name in ("test/edited.csv", "predictions/notes.txt", "mine/results.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")


def contents(folder):
    """Every file but the list of files."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (run_folder.MANIFEST, run_folder.RESULTS)
    }


def test_files_of_the_user_are_refused_and_stay(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("mine")
    for check in (check_free, claim):
        with pytest.raises(ValueError, match=r"holds metrics\.jsonl, which jaxseg did not write"):
            check(tmp_path, NAMES)
    assert contents(tmp_path) == {"metrics.jsonl": "mine"}
    assert written_files(tmp_path) is None


def test_files_of_ours_are_known_again(tmp_path):
    claim(tmp_path, ["a.csv"])
    (tmp_path / "a.csv").write_text("ours")
    claim(tmp_path, ["a.csv", "b.csv"])
    assert written_files(tmp_path) == {"a.csv", "b.csv"}
    (tmp_path / run_folder.MANIFEST).write_text("{")
    with pytest.raises(ValueError, match=r"holds a\.csv"):
        check_free(tmp_path, ["a.csv"])


def test_a_link_into_nowhere_is_a_file_of_the_user(tmp_path):
    (tmp_path / "config.json").symlink_to(tmp_path / "gone")
    with pytest.raises(ValueError, match=r"holds config\.json"):
        check_free(tmp_path, NAMES)


def test_a_run_that_was_copied_without_its_list_goes_on(tmp_path):
    write_run(tmp_path, "old")
    (tmp_path / run_folder.MANIFEST).unlink()
    claim(tmp_path, NAMES, trusted=True)
    assert written_files(tmp_path) == set(NAMES)
    (tmp_path / "results.csv").write_text("mine")
    with pytest.raises(ValueError, match=r"holds results\.csv"):
        claim(tmp_path, ["results.csv"], trusted=True)


def test_an_earlier_run_is_set_aside_and_put_back(tmp_path):
    write_run(tmp_path, "old")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "checkpoints" / "best.pt").write_text("mine")
    before = contents(tmp_path)
    folder = RunFolder(tmp_path, NAMES)
    folder.set_aside()
    assert folder.has_previous
    mine = {"notes.txt": "mine", "checkpoints/best.pt": "mine"}
    aside = {name: text for name, text in contents(tmp_path).items() if ".previous" not in name}
    assert aside == mine
    (tmp_path / "config.json").write_text("new")
    half = tmp_path / "checkpoints" / "step-00000002"
    half.mkdir()
    (half / "data").write_text("new")
    folder.recover()
    assert contents(tmp_path) == before
    assert not folder.has_previous


def test_an_earlier_run_goes_once_the_new_one_has_a_checkpoint(tmp_path):
    write_run(tmp_path, "old")
    folder = RunFolder(tmp_path, NAMES)
    folder.set_aside()
    write_run(tmp_path, "new", "checkpoints/step-00000002")
    after = {name: text for name, text in contents(tmp_path).items() if ".previous" not in name}
    folder.recover()
    assert contents(tmp_path) == after
    assert set(after.values()) == {"new"}


def test_results_go_and_come_back_with_the_run_and_what_is_the_users_stays(tmp_path):
    write_run(tmp_path, "old")
    write_results(tmp_path, "old")
    before = contents(tmp_path)
    folder = RunFolder(tmp_path, NAMES)
    folder.set_aside()
    left = {name: text for name, text in contents(tmp_path).items() if ".previous" not in name}
    assert left == dict.fromkeys(
        ("test/edited.csv", "predictions/notes.txt", "mine/results.csv"), "mine"
    )
    folder.recover()
    assert contents(tmp_path) == before
    folder.set_aside()
    write_run(tmp_path, "new", "checkpoints/step-00000002")
    folder.recover()
    left = contents(tmp_path)
    assert set(left.values()) == {"new", "mine"}
    assert "test/results.csv" not in left
    Outputs(tmp_path / "test").check(["results.csv"])


def test_a_folder_of_results_alone_goes(tmp_path):
    write_run(tmp_path, "old")
    Outputs(tmp_path / "test").write("results.csv", b"old")
    folder = RunFolder(tmp_path, NAMES)
    folder.set_aside()
    assert not (tmp_path / "test").exists()


def interruptions(monkeypatch, count):
    """Kill the process at its `count`-th change of the file system."""
    left = [count]

    def wrap(function):
        def change(*args, **options):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return function(*args, **options)

        return change

    for owner, names in ((Path, ("rename", "mkdir", "unlink")), (os, ("replace",))):
        for name in names:
            monkeypatch.setattr(owner, name, wrap(getattr(owner, name)))
    monkeypatch.setattr(shutil, "rmtree", wrap(shutil.rmtree))


@pytest.mark.parametrize("count", range(24))
@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_a_kill_at_any_moment_leaves_one_whole_run(tmp_path, count, has_checkpoint):
    write_run(tmp_path, "old")
    new = dict.fromkeys(contents(tmp_path), "new")
    Outputs(tmp_path / "test").write("results.csv", b"old")
    Outputs(tmp_path / "test").write("images.csv", b"old")
    old = contents(tmp_path)
    folder = RunFolder(tmp_path, NAMES)
    with pytest.MonkeyPatch.context() as patch:
        interruptions(patch, count)
        try:
            folder.set_aside()
            for name in NAMES:
                (tmp_path / name).write_text("new")
            if has_checkpoint:
                os.makedirs(tmp_path / STEP)
                for name in ("data", "manifest.json"):
                    (tmp_path / STEP / name).write_text("new")
            folder.recover()
        except Killed:
            pass
    folder.recover()
    left = contents(tmp_path)
    assert left in (old, new)
    assert left == old or has_checkpoint
    assert not (tmp_path / ".previous").exists()
    assert not (tmp_path / ".discarded").exists()


def test_without_a_run_nothing_is_set_aside(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    folder = RunFolder(tmp_path, NAMES)
    folder.set_aside()
    assert not folder.has_previous
    assert contents(tmp_path) == {"notes.txt": "mine"}


def test_a_state_that_cannot_be_read_is_that_of_an_unfinished_move(tmp_path):
    write_run(tmp_path, "old")
    before = contents(tmp_path)
    folder = RunFolder(tmp_path, NAMES)
    folder.set_aside()
    (tmp_path / ".previous" / "state.json").write_text(json.dumps([]))
    folder.recover()
    assert contents(tmp_path) == before
