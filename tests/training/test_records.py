"""What a run leaves behind can be read back, and is never half written nor silently replaced."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from jaxseg.training import records


@dataclass(frozen=True)
class Config:
    size: tuple[int, int] = (4, 4)
    folder: Path = Path("a")
    rate: float = 0.1


def open_run(folder, config=None, resume=False, overwrite=False):
    records.open_run(
        folder, config or Config(), results="results.csv", resume=resume, overwrite=overwrite
    )


def test_the_revision_says_whether_files_differ_from_it(tmp_path, monkeypatch):
    assert records.revision(tmp_path / "nowhere") is None
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"):
        monkeypatch.setenv(name, "somebody")
    for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "somebody@example.org")

    def git(*words):
        command = ["git", "-C", str(tmp_path), *words]
        subprocess.run(command, check=True, capture_output=True)

    git("init")
    (tmp_path / "a.txt").write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    commit = records.revision(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", commit)
    (tmp_path / "a.txt").write_text("2")
    assert records.revision(tmp_path) == f"{commit}+"


# --- open_run ------------------------------------------------------------------------------------


def test_open_run_writes_configuration_and_versions(tmp_path):
    open_run(tmp_path / "a" / "b")
    saved = json.loads((tmp_path / "a" / "b" / "config.json").read_text())
    assert {*records.PACKAGES, "python"} == set(saved.pop("versions"))
    assert saved == {"size": [4, 4], "folder": "a", "rate": 0.1}


def test_results_are_neither_overwritten_nor_mixed_up(tmp_path):
    open_run(tmp_path)
    open_run(tmp_path)  # no results yet
    (tmp_path / "results.csv").write_text("x")
    config = (tmp_path / "config.json").read_text()
    with pytest.raises(ValueError, match=r"holds results .*--resume.*--overwrite.*another --out"):
        open_run(tmp_path)
    open_run(tmp_path, resume=True)
    with pytest.raises(ValueError, match=r"other options \(rate: 0\.1 there, 0\.2 now\): resume"):
        open_run(tmp_path, Config(rate=0.2), resume=True)
    with pytest.raises(ValueError, match=r"size: \[4, 4\] there, \[4, 5\] now"):
        open_run(tmp_path, Config(size=(4, 5)), resume=True)
    assert (tmp_path / "config.json").read_text() == config
    open_run(tmp_path, Config(rate=0.2), overwrite=True)
    assert json.loads((tmp_path / "config.json").read_text())["rate"] == 0.2


def test_an_option_that_one_of_the_two_lacks_is_a_difference(tmp_path):
    open_run(tmp_path)
    (tmp_path / "results.csv").write_text("x")
    path = tmp_path / "config.json"
    saved = json.loads(path.read_text())
    for missing in ("rate", "versions"):
        path.write_text(json.dumps({k: v for k, v in saved.items() if k != missing}))
        with pytest.raises(ValueError, match=rf"{missing}.*: None there, .* now"):
            open_run(tmp_path, resume=True)
    path.write_text(json.dumps({**saved, "depth": 3}))
    with pytest.raises(ValueError, match=r"depth: 3 there, None now"):
        open_run(tmp_path, resume=True)
    path.write_text(json.dumps(saved))
    open_run(tmp_path, resume=True)


def test_a_run_without_results_yet_is_not_resumed_as_another(tmp_path):
    open_run(tmp_path)
    with pytest.raises(ValueError, match=r"rate: 0\.1 there, 0\.2 now"):
        open_run(tmp_path, Config(rate=0.2), resume=True)
    open_run(tmp_path, Config(rate=0.2))  # it is not resumed: this one begins
    assert json.loads((tmp_path / "config.json").read_text())["rate"] == 0.2


def test_options_that_may_differ_may_and_only_they(tmp_path):
    @dataclass(frozen=True)
    class Outer:
        steps: int = 5
        inner: Config = Config()

    def resume(config, *may_differ):
        options = {"results": "results.csv", "resume": True, "overwrite": False}
        records.open_run(tmp_path, config, may_differ=may_differ, **options)

    resume(Outer())
    (tmp_path / "results.csv").write_text("x")
    resume(Outer(steps=6), "steps")
    resume(Outer(steps=6, inner=Config(rate=0.2)), "inner")
    resume(Outer(steps=6, inner=Config(rate=0.3)), "inner.rate")
    with pytest.raises(ValueError, match=r"options \(inner\.size: \[4, 4\] there, \[5, 4\] now\)"):
        resume(Outer(steps=6, inner=Config(size=(5, 4), rate=0.3)), "inner.rate")


def test_starting_afresh_removes_what_was_written_and_going_on_keeps_it(tmp_path):
    (tmp_path / "images").mkdir()
    names = ("results.csv", "images/a.npy", "images/b.npy", "images/notes.txt")
    for name in names:
        (tmp_path / name).write_text("old")
    written = ("results.csv", "images/*.npy", "absent.csv")
    options = {"results": "results.csv", "written": written}
    records.open_run(tmp_path, Config(), resume=False, overwrite=True, **options)
    assert [n for n in names if (tmp_path / n).exists()] == ["images/notes.txt"]
    for name in names:
        (tmp_path / name).write_text("old")
    records.open_run(tmp_path, Config(), resume=True, overwrite=False, **options)
    assert all((tmp_path / n).exists() for n in names)


def test_two_runs_do_not_share_a_folder(tmp_path):
    with records.only_run(tmp_path / "run"):
        again = records.only_run(tmp_path / "run")
        with pytest.raises(ValueError, match="being written by another run"), again:
            pass
        with records.only_run(tmp_path / "other"):
            pass
    with records.only_run(tmp_path / "run"):
        pass


def test_a_file_is_no_folder_of_a_run(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(ValueError, match=r"file is a file, expected a folder"):
            open_run(out)
        refused = pytest.raises(ValueError, match=r"file is a file, expected a folder")
        with refused, records.only_run(out):
            pass


@pytest.mark.parametrize("text", [None, "", '{"rate": 0.1', "[1]", "\udcff"])
def test_a_damaged_configuration_is_refused(tmp_path, text):
    open_run(tmp_path)
    (tmp_path / "results.csv").write_text("x")
    path = tmp_path / "config.json"
    path.unlink()
    if text is not None:
        path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(
        ValueError, match=r"config\.json cannot be read .*start again with --overwr"
    ):
        open_run(tmp_path, resume=True)
