import errno
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from jaxseg import data
from jaxseg.data.preparation._prepare import is_complete
from jaxseg.data.sets import mosaic

TINY = {"size": 16, "cells": 4, "train": 12, "validation": 5, "test": 3}  # as in conftest.py

KILLED = """
import sys, time
from jaxseg import data
from jaxseg.data.sets import mosaic

draw = mosaic.mosaic_example

def slow(config, split, index, photographs):
    if split == "validation":
        time.sleep(60)
    return draw(config, split, index, photographs)

mosaic.mosaic_example = slow
data.mosaic(size=16, cells=4, train=12, validation=5, test=3, data_dir=sys.argv[1])
"""


@pytest.fixture
def drawn(monkeypatch):
    """Counts the examples that are drawn."""
    draw, calls = mosaic.mosaic_example, []

    def counted(*arguments):
        calls.append(arguments[1:3])
        return draw(*arguments)

    monkeypatch.setattr(mosaic, "mosaic_example", counted)
    return calls


def everything(root):
    return sorted(path.name for path in root.rglob("*"))


def test_prepared_once_and_used_again(tmp_path, drawn):
    first = data.mosaic(**TINY, data_dir=tmp_path)
    assert len(drawn) == 12 + 5 + 3
    files = everything(tmp_path)
    second = data.mosaic(**TINY, data_dir=tmp_path)
    assert len(drawn) == 12 + 5 + 3
    assert second == first
    assert everything(tmp_path) == files
    assert not any(name.startswith("incomplete.") for name in files)


@pytest.mark.parametrize(
    "change", [{"size": 17}, {"cells": 5}, {"seed": 1}, {"train": 13}, {"gain": 0.1}, {"scale": 1}]
)
def test_every_field_has_its_own_directory(change):
    names = {
        data.MosaicConfig(**TINY).recipe().name,
        data.MosaicConfig(**TINY | change).recipe().name,
    }
    assert len(names) == 2


def test_another_seed_is_not_read_from_the_same_place(tiny, tiny_root):
    other = data.mosaic(**TINY, seed=1, data_dir=tiny_root)
    assert other.directory != tiny.directory
    assert is_complete(other.directory)
    assert is_complete(tiny.directory)


def shard(directory):
    return next(directory.glob("*-train.array_record*"))


def remove(path):
    path.unlink()


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [remove, truncate, flip_a_bit, empty])
@pytest.mark.parametrize("which", ["shard", "dataset_info.json", "manifest.json"])
def test_damage_is_found_and_rebuilt(tmp_path, drawn, damage, which):
    small = {"size": 4, "train": 2, "validation": 1, "test": 1}
    dataset = data.mosaic(**small, data_dir=tmp_path)
    files, before = everything(tmp_path), shard(dataset.directory).read_bytes()
    path = shard(dataset.directory) if which == "shard" else dataset.directory / which
    damage(path)
    assert not is_complete(dataset.directory)
    drawn.clear()
    again = data.mosaic(**small, data_dir=tmp_path)
    assert len(drawn) == 4
    assert again == dataset
    assert shard(again.directory).read_bytes() == before
    assert everything(tmp_path) == files
    assert len(list(again.source("train"))) == 2


def test_damage_of_any_file_is_found(tiny, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny.directory, copy)
    assert is_complete(copy)
    files = sorted(copy.iterdir())
    assert len(files) == 3 + 3 + 1  # a shard a split, three of TFDS, and the manifest
    for path in files:
        content = path.read_bytes()
        for damage in (flip_a_bit, truncate, remove):
            damage(path)
            assert not is_complete(copy)
            path.write_bytes(content)
        assert is_complete(copy)


def test_a_directory_that_only_looks_prepared_is_rebuilt(tmp_path, drawn):
    recipe = data.MosaicConfig(**TINY).recipe()
    (tmp_path / "jaxseg" / recipe.name / "1.0.0").mkdir(parents=True)
    dataset = data.mosaic(**TINY, data_dir=tmp_path)
    assert len(drawn) == 20
    assert len(list(dataset.source("test"))) == 3


def test_a_killed_preparation_leaves_nothing_that_is_trusted(tmp_path, drawn):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while not list(tmp_path.rglob("*-train.array_record*")) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert any(name.startswith("incomplete.") for name in everything(tmp_path))
    dataset = data.mosaic(**TINY, data_dir=tmp_path)
    assert len(drawn) == 20
    assert not any(name.startswith("incomplete.") for name in everything(tmp_path))
    assert len(list(dataset.source("train"))) == 12


def test_of_two_preparations_at_once_the_first_to_finish_wins(tmp_path, monkeypatch):
    draw, nested = mosaic.mosaic_example, []

    def overtaken(*arguments):
        if not nested:
            nested.append(None)  # from here on the example is drawn as ever
            nested.append(data.mosaic(**TINY, data_dir=tmp_path))
        return draw(*arguments)

    monkeypatch.setattr(mosaic, "mosaic_example", overtaken)
    dataset = data.mosaic(**TINY, data_dir=tmp_path)
    assert dataset == nested[1]
    assert is_complete(dataset.directory)
    assert not any(name.startswith("incomplete.") for name in everything(tmp_path))


def test_two_processes_prepare_at_once(tmp_path):
    code = "import sys; from jaxseg import data; d = data.mosaic(data_dir=sys.argv[1]);"
    code += "print(len(list(d.source('train'))))"
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path)]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] for process in pair] == ["512\n", "512\n"]
    assert not any(name.startswith("incomplete.") for name in everything(tmp_path))


def test_partial_directories_are_swept_when_their_process_is_gone(tmp_path):
    parent = data.mosaic(**TINY, data_dir=tmp_path).directory.parent
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host, day = socket.gethostname(), 24 * 60 * 60
    stay = [f"incomplete.{host}.{os.getppid()}.abc", "incomplete.elsewhere.5.abc"]
    go = [
        f"incomplete.{host}.{gone.pid}.abc",
        f"incomplete.{host}.{os.getppid()}.old",  # the number is another process's by now
        "incomplete.ABCDEF_1.0.0",
        "incomplete.x.5.abc",
    ]
    for name in stay + go:
        (parent / name / "inside").mkdir(parents=True)
    for name in go[1:]:
        os.utime(parent / name, (time.time() - 2 * day,) * 2)
    data.mosaic(**TINY, data_dir=tmp_path)
    assert sorted(p.name for p in parent.iterdir()) == sorted([*stay, "1.0.0"])


def test_an_unwritable_data_dir_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ValueError, match=r"data_dir '.*file/inside' cannot be written to .*TFDS_DATA"
    ):
        data.mosaic(**TINY, data_dir=tmp_path / "file" / "inside")


def test_a_read_only_data_dir_is_named_but_can_be_read(tmp_path, monkeypatch):
    dataset = data.mosaic(**TINY, data_dir=tmp_path)

    def refused(**arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refused)  # nothing is read-only to root
    assert data.mosaic(**TINY, data_dir=tmp_path) == dataset
    with pytest.raises(ValueError, match=r"cannot be written to .Permission denied.*TFDS_DATA"):
        data.mosaic(**TINY, seed=1, data_dir=tmp_path)


def test_the_default_place_is_that_of_tfds(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert data.mosaic(**TINY).directory.is_relative_to(tmp_path)


def test_the_terminal_shows_progress_and_nothing_else(tmp_path, capfd):
    level = logging.getLogger("absl").level
    data.mosaic(**TINY, data_dir=tmp_path)
    out, err = capfd.readouterr()
    assert out == ""
    assert "preparing mosaic, train" in err
    lines = [line for line in err.replace("\r", "\n").splitlines() if line.strip()]
    assert all(line.startswith("preparing mosaic") for line in lines)
    data.mosaic(**TINY, data_dir=tmp_path)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("absl").level == level


def test_a_failed_preparation_leaves_nothing(tmp_path, monkeypatch):
    def fails(*arguments):
        raise ValueError("no such luck")

    monkeypatch.setattr(mosaic, "mosaic_example", fails)
    with pytest.raises(ValueError, match="no such luck"):
        data.mosaic(**TINY, data_dir=tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not list(tmp_path.rglob("incomplete.*"))
