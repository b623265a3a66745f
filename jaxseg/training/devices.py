"""One training run over all devices and processes: its mesh, and how arrays get there."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

DATA, SPACE = "data", "space"
"""Names of the mesh's axes: devices that share a batch, and those that share an image's height."""


def join_processes(coordinator: str | None, processes: int, process: int) -> None:
    """Makes this process one of several of the same run; call it before anything else of JAX.

    Args:
        coordinator: "host:port" of process 0, the same in all; None for a run of one process.
        processes: Number of processes.
        process: Index of this one, from 0.

    Raises:
        ValueError: The numbers do not fit each other, or several processes have no coordinator.
    """
    if not 0 <= process < processes:
        raise ValueError(
            f"process={process} must be at least 0 and below processes={processes}: "
            "correct --process or --processes."
        )
    if coordinator is None:
        if processes > 1:
            raise ValueError(
                f"processes={processes} need a coordinator: give all the host:port of process 0 "
                "(--coordinator)."
            )
        return
    jax.distributed.initialize(coordinator, num_processes=processes, process_id=process)


def batch_mesh(batch_size: int, *, space: int = 1) -> Mesh:
    """A mesh of all devices of all processes, with the axes `DATA` and `SPACE`.

    Args:
        batch_size: Examples a step, of all devices together.
        space: Devices that share the height of each image.

    Raises:
        ValueError: The numbers do not share out evenly.
    """
    count, local = jax.device_count(), jax.local_device_count()
    if space < 1 or local % space:
        raise ValueError(
            f"space={space} must divide the {local} devices of a process: choose a divisor "
            "(--space)."
        )
    if batch_size < 1 or batch_size % (count // space):
        raise ValueError(
            f"batch_size={batch_size} does not share out among {count // space} groups of devices: "
            "choose a multiple (--batch-size), or fewer devices (--devices)."
        )
    devices = np.array(jax.devices()).reshape(-1, space)
    return Mesh(devices, (DATA, SPACE), axis_types=(AxisType.Auto, AxisType.Auto))


def batch_placer(mesh: Mesh) -> Callable[[dict[str, np.ndarray]], dict[str, jax.Array]]:
    """A function that puts this process's part of a batch where the step wants it.

    The first axis is shared out along `DATA`, and the second of images and labels along `SPACE`.

    Args:
        mesh: The mesh that `batch_mesh` returned.

    Returns:
        The function `(batch) -> arrays`. It raises a `ValueError` for images whose height does not
        share out.
    """
    rows = mesh.shape[SPACE]

    def put(array: np.ndarray) -> jax.Array:
        spec = PartitionSpec(DATA, SPACE) if array.ndim > 2 else PartitionSpec(DATA)
        if array.ndim > 2 and array.shape[1] % rows:
            raise ValueError(
                f"images of height {array.shape[1]} do not share out among space={rows} devices: "
                "choose a height that is a multiple (--data.size, or --augmentation.crop)."
            )
        return jax.make_array_from_process_local_data(NamedSharding(mesh, spec), array)

    return lambda batch: {name: put(np.asarray(array)) for name, array in batch.items()}


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Puts the same arrays on every device.

    Args:
        tree: A pytree of arrays.
        mesh: The devices.
    """
    sharding = NamedSharding(mesh, PartitionSpec())
    # Through a compiled identity, since a process can only fill the devices of its own.
    return jax.jit(lambda tree: tree, out_shardings=sharding)(tree)
