"""Runs as processes: stopped, killed, and shared by two."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("JAXSEG_KILLS", "2"))
"""How often the killed run is killed; more by hand."""
WORDS = [
    "--preset",
    "quick",
    "--model.widths",
    "4",
    "8",
    "--data.size",
    "16",
    "16",
    "--model.dropout",
    "0",
    "--steps",
    "60",
    "--batch-size",
    "4",
    "--log-every",
    "2",
    "--save-every",
    "6",
    "--evaluate-every",
    "30",
]

pytestmark = pytest.mark.slow


def begin(out, *words, **variables):
    command = [sys.executable, "-m", "jaxseg", "train", *WORDS, "--out", str(out)]
    shared = out.parents[1]  # of all the tests of one session
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TFDS_DATA_DIR": f"{shared}/data",
        # The same programs again and again: compiled once.
        "JAXSEG_CACHE": f"{shared}/compiled",
        **variables,
    }
    return subprocess.Popen(
        [*command, *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said


def log(out):
    path = out / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def losses(out):
    return [record["loss"] for record in log(out) if "loss" in record]


def results(out):
    return (out / "results.csv").read_text()


def wait_for(what, process):
    for _ in range(2400):
        if what() or process.poll() is not None:
            return
        time.sleep(0.05)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    finish(begin(out))
    return out


def test_a_run_that_is_told_to_end_saves_and_goes_on(whole, tmp_path):
    out = tmp_path / "run"
    process = begin(out)
    wait_for(lambda: len(losses(out)) >= 2, process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, said
    saved = max(int(p.name.removeprefix("step-")) for p in (out / "checkpoints").glob("step-*"))
    assert saved // 2 == len(losses(out)) < 30  # within a step, not at the next line of the log
    assert said.replace("\r", "\n").strip().splitlines()[-1] == (
        f"jaxseg train: stopped by SIGTERM. Step {saved} is saved. To go on: jaxseg train --out "
        f"{out} --resume"
    )
    finish(begin(out, "--resume"))
    assert losses(out) == losses(whole)
    assert results(out) == results(whole)


def test_a_run_that_is_killed_loses_nothing_that_was_saved(whole, tmp_path):
    out, chance, saved = tmp_path / "run", random.Random(0), 0
    for number in range(KILLS):
        process = begin(out, *(["--resume"] if log(out) else []))
        before = len(losses(out))
        wait_for(lambda: len(losses(out)) != before and losses(out), process)  # noqa: B023
        time.sleep(chance.random() * 0.6)
        process.kill()
        process.communicate()
        complete = [p.parent.name for p in out.glob("checkpoints/step-*/manifest.json")]
        newest = max((int(name.removeprefix("step-")) for name in complete), default=0)
        assert newest >= saved, f"kill {number}: step {saved} was saved, now only {newest}"
        saved = newest
    finish(begin(out, "--resume"))
    assert losses(out) == losses(whole)
    assert results(out) == results(whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_at_any_moment_ends_in_one_line(number, whole, tmp_path):
    out, chance = tmp_path / "run", random.Random(number)
    for _ in range(KILLS):
        goes_on = (out / "config.json").exists()
        process = begin(out, *(["--resume"] if goes_on else []))
        assert process.stderr is not None
        first = process.stderr.read(12)
        time.sleep(chance.random() * 8)
        process.send_signal(number)
        _, rest = process.communicate(timeout=240)
        lines = (first + rest).replace("\r", "\n").strip().splitlines()
        assert "Traceback" not in rest
        assert process.returncode in (0, 128 + number), rest  # 0: it had ended
        if process.returncode:
            cause = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
            assert lines[-1].startswith(f"jaxseg train: stopped by {cause}.")
            assert sum("jaxseg train: stopped" in line for line in lines) == 1
    finish(begin(out, *(["--resume"] if (out / "config.json").exists() else [])))
    assert losses(out) == losses(whole)
    assert results(out) == results(whole)


def slurm(number, port):
    """Variables that srun sets for one of two tasks on this machine."""
    return {
        "SLURM_JOB_ID": "1",
        "SLURM_STEP_NODELIST": "127.0.0.1",
        "SLURM_NTASKS": "2",
        "SLURM_PROCID": str(number),
        "SLURM_LOCALID": str(number),
        "JAX_COORDINATOR_PORT": str(port),
    }


@pytest.mark.parametrize("cluster", [False, True])
def test_two_processes_train_what_one_trains(cluster, whole, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    out = tmp_path / "run"
    shared = ["--coordinator", f"127.0.0.1:{port}", "--processes", "2", "--process"]
    both = [
        begin(out, "--coordinator", "auto", **slurm(number, port))
        if cluster
        else begin(out, *shared, str(number))
        for number in range(2)
    ]
    for process in both:
        finish(process)
    assert losses(out) == pytest.approx(losses(whole), rel=1e-5)
