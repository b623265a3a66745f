"""A benchmark as a process: its first words, and its exit statuses."""

import signal

import pytest
from processes import FIRST_WORDS, Process

MODULE = "experiments.benchmarks.exactness"

pytestmark = pytest.mark.slow


def test_the_first_words_come_at_once_and_a_stop_is_heeded(tmp_path):
    process = Process(MODULE, tmp_path, "--out", str(tmp_path / "out"))
    process.wait_for(lambda: "exactness: loading" in process.errors, FIRST_WORDS)
    assert process.stop(signal.SIGTERM) == (143, "exactness: stopped by SIGTERM.")


def test_a_benchmark_is_stopped_while_it_measures(tmp_path):
    process = Process(MODULE, tmp_path, "--out", str(tmp_path / "out"))
    process.wait_for(lambda: "cases: " in process.errors)
    assert process.stop(signal.SIGINT) == (130, "exactness: stopped by Ctrl-C.")


def test_errors_and_help(tmp_path):
    process = Process(MODULE, tmp_path, "--preset", "tinny")
    status, line = process.end()
    assert status == 1
    assert line.endswith(
        "exactness: preset 'tinny' is unknown: give one of full, tiny. Did you mean tiny?"
    )
    process = Process(MODULE, tmp_path, "--help")
    assert process.end()[0] == 0
    assert f"usage: python -m {MODULE}" in process.output
    assert "--cases" in process.output
