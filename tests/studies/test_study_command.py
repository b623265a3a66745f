"""A study's command: its folder, what it leaves there, and how it ends."""

import json
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from jaxseg.startup import Stopped
from jaxseg.studies import (
    Findings,
    Results,
    StudyConfig,
    Verdict,
    command,
    execute,
    main,
    read_findings,
)
from jaxseg.training import records

VERDICT = Verdict("Dilation", "It doubles", "derived", "2", "2", seeds=0, verdict="agrees")


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """A study.

    Attributes:
        size: What it measures.
    """

    size: int = 3


PRESETS = {"quick": Config(), "tiny": Config(size=1)}


def measure(config: Config) -> Findings:
    """Leave a row and a figure."""
    results = Results(config.out / "results.csv", {"size": int}, resume=config.resume)
    if not results.rows:
        results.add([{"size": config.size}])
    return Findings(
        title="Sizes",
        about="No nets.",
        verdicts=[VERDICT],
        figures={"sizes.png": "Sizes"},
        drawings={"sizes.png": Figure()},
    )


def stopped(config: Config) -> Findings:
    measure(config)
    raise Stopped(signal.SIGINT)


def test_findings_say_what_made_them(tmp_path, capsys):
    config = Config(preset="tiny", out=tmp_path / "out")
    findings = execute("sizes", measure, config, program="python -m sizes")
    assert read_findings(config.out) == replace(findings, drawings={}, verdicts=(VERDICT,))
    assert (findings.study, findings.command) == ("sizes", "python -m sizes")
    assert (findings.preset, findings.versions) == ("tiny", records.versions())
    printed = capsys.readouterr().out
    assert findings.markdown() in printed
    assert printed.endswith(f"In {config.out}: sizes.png, study.json.\n")


def test_every_core_is_used_unless_told_otherwise(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("jaxseg.studies._command.use_all_cores", asked.append)
    execute("sizes", measure, Config(out=tmp_path / "out", devices=5))
    assert asked == [5]


def test_a_stop_says_how_to_go_on(tmp_path):
    config = Config(out=tmp_path / "out")
    with pytest.raises(Stopped) as caught:
        execute("sizes", stopped, config)
    assert caught.value.advice == (
        f"What is finished is in {config.out}: to go on, give the same command with --resume (and "
        "without --overwrite)."
    )
    assert read_findings(config.out) is None
    execute("sizes", measure, replace(config, resume=True))
    assert read_findings(config.out)


def test_what_an_earlier_run_found_goes_when_a_run_begins(tmp_path):
    config = Config(out=tmp_path / "out")
    execute("sizes", measure, config)
    with pytest.raises(Stopped):
        execute("sizes", stopped, replace(config, resume=True))
    assert read_findings(config.out) is None


def test_a_refused_run_changes_nothing(tmp_path):
    config = Config(out=tmp_path / "out")
    execute("sizes", measure, config)
    before = {path: path.read_bytes() for path in config.out.iterdir()}
    for refused, message in (
        (config, "go on with --resume"),
        (replace(config, resume=True, size=9), "size: 3 there, 9 now"),
    ):
        with pytest.raises(ValueError, match=message):
            execute("sizes", measure, refused)
    with records.only_run(config.out), pytest.raises(ValueError, match="by another run"):
        execute("sizes", measure, replace(config, overwrite=True))
    assert {path: path.read_bytes() for path in config.out.iterdir()} == before


def test_the_folder_is_free_afterwards(tmp_path):
    config = Config(out=tmp_path / "out")
    with pytest.raises(Stopped):
        execute("sizes", stopped, config)
    with records.only_run(config.out):
        pass


def test_overwrite_removes_what_studies_write_and_nothing_else(tmp_path):
    config = Config(out=tmp_path / "out")
    execute("sizes", measure, config)
    old = ("more.csv", "more.png", "members/a.npz", "arrays/a.npy")
    kept = ("notes.txt", "members/notes.txt", "more/more.csv")
    for name in (*old, *kept):
        (config.out / name).parent.mkdir(exist_ok=True)
        (config.out / name).touch()
    execute("sizes", measure, replace(config, overwrite=True, size=9))
    assert [name for name in (*old, *kept) if (config.out / name).exists()] == [*kept]
    assert (config.out / "results.csv").read_text() == "size\n9\n"


def test_a_run_may_go_on_with_another_preset_and_elsewhere(tmp_path):
    config = Config(out=tmp_path / "out")
    execute("sizes", measure, config)
    moved = config.out.rename(tmp_path / "moved")
    execute("sizes", measure, replace(config, out=moved, resume=True, preset="else", devices=1))
    assert read_findings(moved).preset == "else"


@pytest.mark.parametrize(
    ("presets", "words", "size"),
    [
        (PRESETS, [], 3),
        (PRESETS, ["--preset", "tiny"], 1),
        (PRESETS, ["--preset", "tiny", "--size", "7"], 7),
        # Without "quick" the first one is the default.
        ({"small": Config(size=5), "large": Config(size=50)}, [], 5),
    ],
)
def test_the_command_line_is_read(presets, words, size, tmp_path):
    command(
        "sizes",
        measure,
        presets,
        description="Sizes.",
        program="python -m sizes",
        args=[*words, "--out", str(tmp_path / "out")],
    )
    assert json.loads((tmp_path / "out" / "config.json").read_text())["size"] == size
    assert read_findings(tmp_path / "out").command == "python -m sizes"


@pytest.mark.parametrize(
    ("run", "words", "status", "line"),
    [
        (measure, [], 0, ""),
        (stopped, [], 130, "sizes: stopped by Ctrl-C. What is finished is in "),
        (measure, ["--preset", "tinny"], 1, "sizes: preset 'tinny' is unknown: give one of quick"),
    ],
)
def test_a_program_ends_with_a_status_and_a_line(
    run, words, status, line, tmp_path, capsys, monkeypatch
):
    def end(status):  # behind a signal, the process would end here
        raise SystemExit(status)

    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(SystemExit) as caught:
        main("sizes", run, PRESETS, description=None, args=[*words, "--out", str(tmp_path / "out")])
    assert caught.value.code == status
    last = (capsys.readouterr().err.strip().splitlines() or [""])[-1]
    assert line in last


def test_help_ends_a_program_well(capsys):
    with pytest.raises(SystemExit) as caught:
        main("sizes", measure, PRESETS, description="All sizes.", program="size", args=["--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("All sizes.", "usage: size", "What it measures"))


def test_nothing_is_made_where_a_folder_cannot_be(tmp_path):
    path = Path(tmp_path / "file")
    path.touch()
    with pytest.raises(ValueError, match=r"/file is a file, expected a folder .*another --out"):
        execute("sizes", measure, Config(out=path))
