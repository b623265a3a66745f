"""Checkpoints of a process that is killed, and of two processes at once."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.training.checkpoint import Checkpoints

HERE = Path(__file__).parent
# One thread of OpenBLAS: what forks must have no other threads.
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}


def start(script, *arguments):
    return subprocess.Popen(
        [sys.executable, HERE / script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def outputs(*processes):
    """The lines each prints; none is left running."""
    try:
        said = [p.communicate(timeout=100) for p in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, err) in zip(processes, said, strict=True):
        assert process.returncode == 0, err
    return [out.splitlines() for out, _ in said]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_killed_in_the_middle_of_saves(tmp_path):
    """What was reported complete is there, or a later one, with exactly its values."""
    rounds = 20
    (lines,) = outputs(start("killed_saves.py", tmp_path, rounds))
    assert len(lines) == 2 * rounds
    reported, cut_short = 0, 0
    for report, newest in zip(lines[::2], lines[1::2], strict=True):
        found = json.loads(report)
        reported = max(reported, found["reported"])
        cut_short += bool(found["half"])
        assert int(newest) >= reported
    assert cut_short >= 5  # or this has tested little
    with Checkpoints(tmp_path) as checkpoints:
        assert sorted(p.name for p in tmp_path.iterdir()) == [
            f"step-{step:08d}" for step in checkpoints.steps()
        ]


def test_two_processes(tmp_path):
    """Each gets its shards and its position back; one process alone gets the whole state."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = outputs(*(start("two_processes.py", tmp_path, port, process) for process in (0, 1)))
    assert [json.loads(lines[-1])["asked"] for lines in both] == [[False, True]] * 2

    like = {
        "rows": jnp.zeros((4, 3)),
        "whole": jnp.zeros(3),
        "key": jax.random.key(0),
        "count": jnp.int32(0),
        "own": jnp.float32(0),
        "epoch": 0,
    }
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(ValueError, match="iterator states of 2 processes, and there are 1 now"):
            checkpoints.restore(like)
        step, state, data = checkpoints.restore(like, with_iterator_state=False)
    assert (step, state["epoch"], int(state["count"]), data) == (3, 4, 4, None)
    np.testing.assert_array_equal(state["rows"], np.arange(12.0).reshape(4, 3) + 4)
    np.testing.assert_array_equal(jax.random.key_data(state["key"]), [0, 4])
