"""Run by `test_checkpoints_processes.py`: saves in a loop, and is killed in the middle, many times.

Importing JAX and orbax takes longer than all the saves, so one process imports them and forks the
others, which is safe as long as it has started neither JAX's devices nor a thread.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1  # noqa: F401  before the forks, not in each at its first save

from jaxseg.training.checkpoint import Checkpoints


def expected(step):
    """The state and position of a step."""
    draw = np.random.default_rng(step)
    w = jnp.asarray(draw.normal(size=(64, 64)), jnp.float32)
    state = {"w": w, "b": [draw.normal(size=3), step]}
    return state, {"next_index": step}


def check(restored):
    """The restored checkpoint is that of its step."""
    step, state, position = restored
    right, where = expected(step)
    assert position == where
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    return step


def save_forever(folder, out):
    """Go on from the newest checkpoint; report each that is complete."""
    with Checkpoints(folder) as checkpoints:
        step = check(checkpoints.restore(expected(0)[0])) if checkpoints.latest() else 0
        os.write(out, b"0\n")
        while True:
            step += 1
            state, position = expected(step)
            checkpoints.save(step, state, position)
            checkpoints.wait()
            os.write(out, f"{step}\n".encode())


def main(folder, rounds):
    """For every round, print the last step reported and what was cut short, then the newest."""
    draw = random.Random(0)
    for _ in range(rounds):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            save_forever(folder, writer)
        os.close(writer)
        with os.fdopen(reader) as lines:
            reported = int(next(lines))
            time.sleep(draw.uniform(0.0, 0.2))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            reported = max([reported, *map(int, lines)])
        half = [p.name for p in folder.iterdir() if not (p / "manifest.json").exists()]
        print(json.dumps({"reported": reported, "half": sorted(half)}), flush=True)
        verify(folder)


def verify(folder):
    """In a process of its own, print the newest checkpoint, if its values are right."""
    child = os.fork()
    if child == 0:
        checkpoints = Checkpoints(folder, read_only=True)
        newest = checkpoints.latest()
        print(check(checkpoints.restore(expected(0)[0])) if newest else 0, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
