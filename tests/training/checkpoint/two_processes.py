"""Run twice at once by `test_checkpoints_processes.py`: two processes share their checkpoints."""

import json
import os
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxseg.training.checkpoint import Checkpoints
from jaxseg.training.preemption import stop_requests


def state_at(step, mesh):
    """An array in halves, one on both, a typed key on both, and what each process has alone."""
    rows = np.arange(12, dtype=np.float32).reshape(4, 3) + step

    def place(values, *names):
        sharding = NamedSharding(mesh, PartitionSpec(*names))
        return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])

    return {
        "rows": place(rows, "data"),
        "whole": place(rows[0]),
        "key": jax.random.wrap_key_data(place(np.array([0, step], np.uint32))),
        "count": jnp.int32(step),
        "own": jax.device_put(jnp.float32(step), jax.local_devices()[0]),
        "epoch": step,
    }


def assert_same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        if isinstance(b, jax.Array) and jnp.issubdtype(b.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        if isinstance(b, jax.Array):
            assert a.dtype == b.dtype
            assert a.sharding.is_equivalent_to(b.sharding, b.ndim), (a.sharding, b.sharding)
            assert a.committed == b.committed
            for x, y in zip(a.addressable_shards, b.addressable_shards, strict=True):
                np.testing.assert_array_equal(x.data, y.data)
        else:
            assert a == b


def main(folder, port, process):
    jax.config.update("jax_num_cpu_devices", 1)
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=process)
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    add = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1.0, tree), donate_argnums=0)

    with Checkpoints(folder, keep=2) as checkpoints:
        busy = state_at(0, mesh)["rows"]
        for step in (1, 2, 3):
            checkpoints.save(step, state_at(step, mesh), {"next_index": 10 * step + process})
            for _ in range(20):  # the devices talk to each other while files are written
                busy = add(busy)
                busy.sum().block_until_ready()
        checkpoints.wait()
        assert checkpoints.steps() == [2, 3]

    with Checkpoints(folder) as checkpoints:
        step, state, position = checkpoints.restore(state_at(0, mesh))
        assert (step, position) == (3, {"next_index": 30 + process})
        assert_same(state, state_at(3, mesh))
        checkpoints.discard_after(2)
        assert checkpoints.steps() == [2]
        checkpoints.save(3, state_at(4, mesh), {"next_index": process}, wait=True)
        assert_same(checkpoints.restore(state_at(0, mesh)).state, state_at(4, mesh))

    with stop_requests() as stop:
        asked = [stop.anywhere()]
        if process == 1:
            os.kill(os.getpid(), 15)
        asked.append(stop.anywhere())
    print(json.dumps({"asked": asked}), flush=True)
    jax.distributed.shutdown()
    os._exit(0)  # all is closed, and the interpreter's own way out then takes 5 s


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
