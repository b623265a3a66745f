"""One training run over all devices and processes: its mesh, and how arrays get there."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

DATA, SPACE = "data", "space"
"""Names of the mesh's axes: devices that share a batch, and those that share an image's height."""
_DETECTED = ("auto", "mpi4py")


def join_processes(coordinator: str | None, processes: int, process: int) -> None:
    """Makes this process one of several of the same run; call it before anything else of JAX.

    Args:
        coordinator: "host:port" of process 0, the same in all; None for a run of one process.
            "auto" takes everything from the cluster that started the processes, as
            `jax.distributed.initialize` does: SLURM, Kubernetes, Open MPI or a Cloud TPU; "mpi4py"
            takes it from any MPI by that package.
        processes: Number of processes; 1 where the cluster says it.
        process: Index of this one, from 0; 0 where the cluster says it.

    Raises:
        ValueError: The numbers do not fit each other, several processes have no coordinator, or
            there is no cluster.
    """
    if coordinator in _DETECTED:
        _join_cluster(coordinator, processes, process)
        return
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


def _join_cluster(coordinator: str, processes: int, process: int) -> None:
    """Join the processes that a cluster has started.

    Args:
        coordinator: "auto" or "mpi4py".
        processes: As in `join_processes`.
        process: As in `join_processes`.
    """
    if (processes, process) != (1, 0):
        raise ValueError(
            f"coordinator={coordinator} takes the processes from the cluster: leave out processes="
            f"{processes} and process={process} (--processes, --process)."
        )
    method = None if coordinator == "auto" else coordinator
    try:
        jax.distributed.initialize(cluster_detection_method=method)
    except ValueError as error:  # nothing was detected
        raise ValueError(
            f"coordinator={coordinator}: no cluster has started this process ({error}): start it "
            "by srun, by mpirun or as a Kubernetes job, or give the host:port of process 0 "
            "(--coordinator)."
        ) from error


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
