"""The first second of a command: signals, one-line errors, exit statuses, signs of life."""

import errno
import importlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from tqdm import tqdm

from jaxseg.progress import alive, busy, progress_bar
from jaxseg.startup import SIGNALS, Stopped, interruptible, launch, raise_if_stopped


class Ended(BaseException):
    """Stands for the end of the process."""


def exit_status(command):
    """The status that a command ends with, as the process does behind a signal."""

    def end(status):
        raise Ended(status)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "_exit", end)
        with pytest.raises((SystemExit, Ended)) as caught:
            launch("dig", lambda: command, ["deep"])
    return caught.value.args[0]


def test_a_command_is_given_its_words():
    assert exit_status(lambda words: None if words == ["deep"] else 9) == 0
    assert exit_status(lambda words: 3) == 3


@pytest.mark.parametrize("error", [ValueError("depth=1 must be 2."), OSError("no space left")])
def test_errors_are_one_line(error, capsys):
    def command(words):
        raise error

    assert exit_status(command) == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].endswith(f"dig: {error}")


def test_other_errors_are_not_hidden():
    def command(words):
        raise KeyError("a fault of ours")

    with pytest.raises(KeyError):
        launch("dig", lambda: command)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_command_in_one_line(number, status, capsys):
    def command(words):
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except Stopped as stop:
            stop.advice = "Dig on tomorrow."
            raise

    before = [signal.getsignal(n) for n in SIGNALS]
    assert exit_status(command) == status
    assert [signal.getsignal(n) for n in SIGNALS] == before
    cause = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last == f"dig: stopped by {cause}. Dig on tomorrow."


def test_a_signal_that_a_library_made_an_error_of_is_a_signal(capsys):
    def command(words):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except Stopped as stop:
            raise RuntimeError("INTERNAL: callback failed") from stop

    assert exit_status(command) == 143
    assert "INTERNAL" not in capsys.readouterr().err


def test_a_signal_where_nothing_can_be_raised_is_not_reported_and_not_lost(capsys):
    class Deleted:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    assert exit_status(lambda words: Deleted() and None) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_signal_that_a_library_swallowed_is_not_lost():
    def command(words):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except KeyboardInterrupt:
            pass

    assert exit_status(command) == 143

    def looping(words):
        command(words)
        raise_if_stopped()
        raise AssertionError("went on")

    assert exit_status(looping) == 143


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_command_is_imported_ends_it_at_once(number, status, capsys, monkeypatch):
    def end(status):
        raise Ended(status)

    def load():
        os.kill(os.getpid(), number)
        raise AssertionError("went on")

    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(Ended) as caught:
        launch("dig", load, [])
    assert caught.value.args[0] == status
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("dig: stopped by")


def test_a_signal_in_the_middle_of_an_import_is_obeyed_behind_it(tmp_path, monkeypatch, capsys):
    module = "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nwhole = True\n"
    (tmp_path / "slow_to_import.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    imported = []

    def command(words):
        imported.append(importlib.import_module("slow_to_import").whole)
        time.sleep(5)
        raise AssertionError("went on")

    assert exit_status(command) == 143
    assert imported == [True]
    assert "Traceback" not in capsys.readouterr().err


def test_a_full_disk_is_one_line_whoever_met_it(capsys):
    def command(words):
        raise RuntimeError("RESOURCE_EXHAUSTED: write: No space left on device [28]\nat line 3")

    assert exit_status(command) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.endswith("dig: No space left on device")


def test_a_full_disk_met_in_a_thread_is_left_to_the_one_who_waits(monkeypatch):
    reported = []
    monkeypatch.setattr(threading, "excepthook", lambda raised: reported.append(raised.exc_value))

    def fill(number):
        raise OSError(number, os.strerror(number))

    def command(words):
        for number in (errno.ENOSPC, errno.EIO):
            thread = threading.Thread(target=fill, args=(number,))
            thread.start()
            thread.join()

    assert exit_status(command) == 0
    assert [error.errno for error in reported] == [errno.EIO]


def test_a_stop_that_a_library_prints_where_it_meets_it_is_not_reported(monkeypatch):
    reported = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, traceback: reported.append(error))
    for owner, name in ((sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(owner, name, lambda raised: reported.append(raised.exc_value))
    before = sys.excepthook, sys.unraisablehook, threading.excepthook
    wrapped, fault = RuntimeError("call_soon_threadsafe"), KeyError("a fault of ours")
    wrapped.__cause__ = Stopped(signal.SIGTERM)
    with interruptible():
        for error in (Stopped(signal.SIGTERM), wrapped, fault):
            sys.excepthook(type(error), error, None)
            raised = SimpleNamespace(exc_type=type(error), exc_value=error)
            sys.unraisablehook(raised)
            threading.excepthook(raised)
    assert reported == [fault] * 3
    assert before == (sys.excepthook, sys.unraisablehook, threading.excepthook)


def test_after_a_command_nothing_is_remembered():
    raise_if_stopped()


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible():
            os.kill(os.getpid(), signal.SIGINT)
            raise_if_stopped()
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_nothing_is_installed():
    failures = []

    def body():
        try:
            with interruptible():
                pass
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert not failures


def test_nothing_heavy_is_imported():
    code = "import sys, jaxseg.startup; print({'jax', 'numpy', 'flax'} & {*sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_a_long_step_gives_signs_of_life(capsys):
    with busy("compiling"):
        time.sleep(2.5)
    lines = capsys.readouterr().err.splitlines()
    assert len({*lines}) == len(lines) >= 2  # the clock moves
    assert all(line.startswith("compiling, 00:0") for line in lines)


def test_a_long_step_moves_the_clock_of_a_terminal(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    with busy("compiling"):
        time.sleep(2.5)
    shown = [line for line in terminal.getvalue().split("\r") if "compiling" in line]
    assert len({*shown}) >= 3


def test_nested_bars_are_plain_lines_where_there_is_no_terminal(capsys):
    with progress_bar(desc="training", total=4) as outer, alive(outer):
        for _ in range(2):
            for _ in progress_bar(range(3), desc="evaluating"):
                time.sleep(0.7)
            outer.update()
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert "\r" not in shown
    lines = shown.splitlines()
    assert {line.split(":")[0] for line in lines} == {"training", "evaluating"}
    assert [line for line in lines if line.startswith("training: 1/4 [00:0")]
    assert not [line for line in lines if "|" in line or not line.strip()]


def test_a_disabled_bar_is_left_alone(capsys):
    with tqdm(disable=True) as bar, alive(bar):
        time.sleep(0.01)
    assert capsys.readouterr().err == ""
