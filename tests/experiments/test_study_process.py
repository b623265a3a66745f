"""A study as a process: its first words, signals, exit statuses, and how it goes on."""

import signal

import pytest
from processes import FIRST_WORDS, Process
from tiny_studies import tables

from jaxseg.studies import read_findings

NAME = "long_skips"
MODULE = f"experiments.{NAME}"

pytestmark = pytest.mark.slow


def start(folder, *words):
    """Start the study at `tiny` in the folder's "out"."""
    shared = ("--preset", "tiny", "--out", str(folder / "out"), "--data-dir", str(folder))
    return Process(MODULE, folder, *shared, *words)


def wait_for_rows(process, count):
    """Wait until results.csv has so many rows."""
    out = process.folder / "out"
    process.wait_for(lambda: len(tables(out).get("results.csv", ())) >= count)


def test_the_first_words_come_at_once_and_a_stop_is_heeded(tmp_path):
    process = start(tmp_path)
    process.wait_for(lambda: f"{NAME}: loading" in process.errors, FIRST_WORDS)
    assert process.stop(signal.SIGINT) == (130, f"{NAME}: stopped by Ctrl-C.")


def test_signals_end_a_study_and_resume_finishes_it(tmp_path):
    out = tmp_path / "out"
    advice = f"What is finished is in {out}: to go on, give the same command with --resume"
    process = start(tmp_path)
    wait_for_rows(process, 1)
    status, line = process.stop(signal.SIGINT)
    assert status == 130
    assert line.startswith(f"{NAME}: stopped by Ctrl-C. {advice}")
    rows = tables(out)["results.csv"]

    process = start(tmp_path, "--resume")
    wait_for_rows(process, len(rows) + 1)
    status, line = process.stop(signal.SIGTERM)
    assert status == 143
    assert line.startswith(f"{NAME}: stopped by SIGTERM. {advice}")
    assert read_findings(out) is None

    process = start(tmp_path, "--resume")
    assert process.end()[0] == 0
    findings = read_findings(out)
    assert findings.command == f"python -m experiments.{NAME}"
    assert findings.markdown() in process.output
    assert process.output.strip().endswith("study.json.")
    assert [row for row in tables(out)["results.csv"] if row in rows] == rows

    status, line = start(tmp_path).end()
    assert status == 1
    assert line.endswith(
        f"{NAME}: {out} holds results of an earlier run: go on with --resume, start again with "
        "--overwrite, or give another --out."
    )


def test_help_describes_the_study(tmp_path):
    process = Process(MODULE, tmp_path, "--help")
    assert process.end()[0] == 0
    assert f"usage: python -m experiments.{NAME}" in process.output
    assert f"python -m experiments.{NAME} --preset full" in process.output
    assert "--learning-rates" in process.output


def test_a_wrong_option_names_the_nearest_one(tmp_path):
    process = Process(MODULE, tmp_path, "--learning-rate", "0.1")
    assert process.end()[0] == 2
    assert "--learning-rates" in process.output + process.errors
