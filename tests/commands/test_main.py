"""The `jaxseg` command as a shell sees it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from jaxseg.commands.main import COMMANDS, main, overview

ONE_PAGE = ("export", "merge")
"""Commands of so few options that one page of help has them all."""


def exit_status(*words):
    with pytest.raises(SystemExit) as caught:
        main(words)
    return caught.value.code


def test_the_first_page_names_every_command(capsys):
    assert exit_status("--help") == 0
    text = capsys.readouterr().out
    assert text == overview() + "\n"
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert len(text.splitlines()) < 25
    assert exit_status() == 2


def test_the_version_is_the_package_s(capsys):
    assert exit_status("--version") == 0
    assert capsys.readouterr().out.startswith("jaxseg ")


def test_a_command_that_is_nearly_right_is_suggested(capsys):
    assert exit_status("trian") == 2
    assert "'trian' is no command" in (text := capsys.readouterr().err)
    assert "Did you mean train?" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_page_of_help(name, capsys):
    assert exit_status(name, "--help") == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: jaxseg {name}")
    assert f"jaxseg {name}" in text.split("options", 1)[1] or name in ONE_PAGE
    if name not in ONE_PAGE:
        assert len(text.splitlines()) < 60
        assert f"jaxseg {name} --help-all" in text


def test_errors_are_one_line(tmp_path, capsys):
    assert exit_status("evaluate", "--run", str(tmp_path)) == 1
    lines = capsys.readouterr().err.replace("\r", "\n").strip().splitlines()
    assert lines[-1].startswith(f"jaxseg evaluate: {tmp_path} is no training run")


def test_a_wrong_option_names_the_right_one(capsys):
    assert exit_status("train", "--data.nmae", "camvid") == 2
    assert "--data.name" in capsys.readouterr().err


def run(*words):
    command = [sys.executable, "-m", "jaxseg", *words]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_are_obeyed_while_jax_is_still_loading(number, status, tmp_path):
    process = run("train", "--out", str(tmp_path / "run"))
    assert process.stderr is not None
    began = time.monotonic()
    first = os.read(process.stderr.fileno(), 100)
    assert b"jaxseg train: loading" in first
    assert time.monotonic() - began < 4  # two seconds, on a loaded machine
    process.send_signal(number)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == status
    assert b"jaxseg train: stopped by" in rest
    assert not (tmp_path / "run").exists()
