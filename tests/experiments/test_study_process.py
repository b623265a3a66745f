"""A study as a process: its first words, signals, exit statuses, and how it goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_studies import ROOT, tables

from jaxseg.studies import read_findings

NAME = "long_skips"
FIRST_WORDS = 4.0
"""Seconds within which a study says something, on a machine that does other things too."""
LIMIT = 600.0
"""Seconds within which a tiny study is finished, likewise."""
# A shell that runs the tests in the background ignores SIGINT, and so would what they start.
HEEDING = (
    "import os, signal, sys; signal.signal(2, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)

pytestmark = pytest.mark.slow


class Process:
    """A study in a process, whose output goes to files: a pipe that nobody reads would fill up."""

    def __init__(self, folder: Path, *words: str):
        self.folder = folder
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            # The same programs again and again: compiled once.
            "JAX_COMPILATION_CACHE_DIR": str(folder / "programs"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        self.started = time.monotonic()
        with (folder / "output").open("w") as output, (folder / "errors").open("w") as errors:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    HEEDING,
                    sys.executable,
                    "-m",
                    f"experiments.{NAME}",
                    *words,
                ],
                env=environment,
                stdout=output,
                stderr=errors,
            )

    @classmethod
    def tiny(cls, folder: Path, *words: str) -> "Process":
        """Start the study at `tiny` in the folder's "out"."""
        shared = ("--preset", "tiny", "--out", str(folder / "out"), "--data-dir", str(folder))
        return cls(folder, *shared, *words)

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    @property
    def errors(self) -> str:
        return (self.folder / "errors").read_text(errors="replace")

    def wait_for(self, happened, limit: float = LIMIT) -> None:
        while not happened():
            if self.process.poll() is not None or time.monotonic() - self.started > limit:
                self.process.kill()
                raise AssertionError(self.errors[-2000:])
            time.sleep(0.05)

    def wait_for_rows(self, count: int) -> None:
        """Wait until results.csv has so many rows."""
        out = self.folder / "out"
        self.wait_for(lambda: len(tables(out).get("results.csv", ())) >= count)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and the last line of the errors."""
        try:
            status = self.process.wait(LIMIT)
        finally:
            self.process.kill()
        assert "Traceback" not in self.errors
        return status, (self.errors.strip().splitlines() or [""])[-1]

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal, and wait for the end."""
        self.process.send_signal(number)
        return self.end()


def test_the_first_words_come_at_once_and_a_stop_is_heeded(tmp_path):
    process = Process.tiny(tmp_path)
    process.wait_for(lambda: f"{NAME}: loading" in process.errors, FIRST_WORDS)
    assert process.stop(signal.SIGINT) == (130, f"{NAME}: stopped by Ctrl-C.")


def test_signals_end_a_study_and_resume_finishes_it(tmp_path):
    out = tmp_path / "out"
    advice = f"What is finished is in {out}: to go on, give the same command with --resume"
    process = Process.tiny(tmp_path)
    process.wait_for_rows(1)
    status, line = process.stop(signal.SIGINT)
    assert status == 130
    assert line.startswith(f"{NAME}: stopped by Ctrl-C. {advice}")
    rows = tables(out)["results.csv"]

    process = Process.tiny(tmp_path, "--resume")
    process.wait_for_rows(len(rows) + 1)
    status, line = process.stop(signal.SIGTERM)
    assert status == 143
    assert line.startswith(f"{NAME}: stopped by SIGTERM. {advice}")
    assert read_findings(out) is None

    process = Process.tiny(tmp_path, "--resume")
    assert process.end()[0] == 0
    findings = read_findings(out)
    assert findings.command == f"python -m experiments.{NAME}"
    assert findings.markdown() in process.output
    assert process.output.strip().endswith("study.json.")
    assert [row for row in tables(out)["results.csv"] if row in rows] == rows

    status, line = Process.tiny(tmp_path).end()
    assert status == 1
    assert line.endswith(
        f"{NAME}: {out} holds results of an earlier run: go on with --resume, start again with "
        "--overwrite, or give another --out."
    )


def test_help_describes_the_study(tmp_path):
    process = Process(tmp_path, "--help")
    assert process.end()[0] == 0
    assert f"usage: python -m experiments.{NAME}" in process.output
    assert f"python -m experiments.{NAME} --preset full" in process.output
    assert "--learning-rates" in process.output


def test_a_wrong_option_names_the_nearest_one(tmp_path):
    process = Process(tmp_path, "--learning-rate", "0.1")
    assert process.end()[0] == 2
    assert "--learning-rates" in process.output + process.errors
