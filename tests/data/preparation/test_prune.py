"""Copies of an edited folder that can never be asked for again are removed, and nothing else."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jaxseg import data
from jaxseg.data.preparation import _prune


def make_folder(root, count=6):
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for number in range(count):
        add_pair(root, number)
    return root


def add_pair(root, number, label=1):
    mask = np.zeros((8, 8), np.uint8)
    mask[: number % 7 + 1] = label
    image = np.full((8, 8, 3), 20 * number % 256, np.uint8)
    Image.fromarray(image).save(root / "images" / f"{number}.png")
    Image.fromarray(mask).save(root / "masks" / f"{number}.png")


def touch(root, number, seconds):
    path = root / "masks" / f"{number}.png"
    os.utime(path, (seconds, seconds))


@pytest.fixture
def forget():
    """Copies are no longer in use, as in a new process."""

    def release():
        for file in _prune._held.values():
            file.close()
        _prune._held.clear()

    yield release
    release()


def copies(tmp_path):
    return sorted((tmp_path / "p" / "jaxseg").glob("folder-*"))


def test_an_edit_replaces_the_copy(tmp_path, forget, capsys):
    root = make_folder(tmp_path / "mine")
    for edit in range(3):
        touch(root, 0, 1000 + edit)
        first = data.folder(root, (8, 8), data_dir=tmp_path / "p")
        assert [path.name for path in copies(tmp_path)] == [first.directory.parent.name]
        forget()
    printed = capsys.readouterr().out
    assert printed.count("mine: removed 1 older prepared copy of this folder, which has been") == 2
    assert len(first.source("train")) == first.splits["train"]


def test_the_copy_of_a_list_that_can_still_be_read_is_kept(tmp_path, forget):
    root = make_folder(tmp_path / "mine")
    small = data.folder(root, (8, 8), data_dir=tmp_path / "p")
    forget()
    for number in (6, 7):  # the folder grows: what was there is as it was
        add_pair(root, number)
        grown = data.folder(root, (8, 8), data_dir=tmp_path / "p")
        forget()
    # Of those that are not current, the one used last: that of seven pairs.
    assert len(copies(tmp_path)) == 2
    assert not small.directory.exists()
    again = data.folder(root, (8, 8), pairs=small.pairs, data_dir=tmp_path / "p")
    assert again.splits == small.splits
    assert grown.directory.exists()
    assert len(copies(tmp_path)) == 2


def test_other_folders_sizes_and_files_stay(tmp_path, forget):
    root, other = make_folder(tmp_path / "mine"), make_folder(tmp_path / "other")
    kept = [
        data.folder(root, (16, 16), data_dir=tmp_path / "p").directory,
        data.folder(other, (8, 8), data_dir=tmp_path / "p").directory,
        data.mosaic(size=8, train=2, validation=1, test=1, data_dir=tmp_path / "p").directory,
    ]
    foreign = tmp_path / "p" / "jaxseg" / "folder-8x8-mine" / "1.0.0"
    foreign.mkdir(parents=True)
    (foreign / "notes.txt").write_text("mine")
    data.folder(root, (8, 8), data_dir=tmp_path / "p")
    forget()
    add_pair(root, 6)
    data.folder(root, (8, 8), data_dir=tmp_path / "p")
    assert all(directory.exists() for directory in kept)
    assert (foreign / "notes.txt").exists()


def test_a_copy_that_another_process_reads_stays(tmp_path, forget):
    root = make_folder(tmp_path / "mine")
    first = data.folder(root, (8, 8), data_dir=tmp_path / "p")
    forget()
    code = (
        "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_SH);"
        "print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(first.directory / _prune.SOURCE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        touch(root, 0, 1000)
        data.folder(root, (8, 8), data_dir=tmp_path / "p")
        assert first.directory.exists()
        reader.communicate()
    forget()
    touch(root, 0, 2000)
    data.folder(root, (8, 8), data_dir=tmp_path / "p")
    assert len(copies(tmp_path)) == 1


def test_a_copy_that_is_removed_while_it_is_opened_is_made_again(tmp_path, monkeypatch, forget):
    root = make_folder(tmp_path / "mine")
    hold, calls = _prune.hold, []

    def removed_first(directory):
        calls.append(directory)
        if len(calls) == 1:
            shutil.rmtree(directory)
        return hold(directory)

    monkeypatch.setattr("jaxseg.data.preparation._prepare.hold", removed_first)
    dataset = data.folder(root, (8, 8), data_dir=tmp_path / "p")
    assert len(dataset.source("train")) == dataset.splits["train"]
    assert len(calls) == 2
