"""Many runs at once: `vmap` over members, the members shared out among the devices."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXIS = "members"
_QUICK: dict[str, Any] = {"xla_backend_optimization_level": 1}


def use_all_cores(devices: int = 0) -> None:
    """Give every CPU core an XLA device of its own; call it before anything else of JAX.

    XLA's CPU convolutions leave cores idle on small images. With one device a core, the members
    of an ensemble run side by side. Does nothing where JAX has found its devices already.

    Args:
        devices: Number of devices; 0 means one a core that this process may use, by its affinity
            and by its container's CPU quota.

    Raises:
        ValueError: The number is negative.
    """
    if devices < 0:
        raise ValueError(f"devices={devices} must not be negative: 0 means one a core.")
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else (os.cpu_count() or 1)
    allowed = min(cores, cpu_quota() or cores)
    try:
        jax.config.update("jax_num_cpu_devices", devices or allowed)
    except RuntimeError:  # JAX is running already: its devices are what they are
        return


def cpu_quota(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Read how many cores' time a container may use, rounded up; None without a limit.

    Args:
        root: Folder in which the control groups are mounted, of version 2 (cpu.max) or 1
            (cpu.cfs_*).
    """
    try:
        if (root / "cpu.max").exists():
            quota, period = map(int, (root / "cpu.max").read_text().split())
        else:
            quota = int((root / "cpu" / "cpu.cfs_quota_us").read_text())
            period = int((root / "cpu" / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):  # no such files, or "max" for a quota
        return None
    return max(1, math.ceil(quota / period)) if quota > 0 and period > 0 else None


def member_mesh(members: int) -> Mesh:
    """Make a mesh of the local devices along one axis, at most one for each member.

    Args:
        members: Number of members.
    """
    devices = np.array(jax.local_devices()[: max(1, members)])
    return Mesh(devices, (AXIS,), axis_types=(AxisType.Auto,))


def over_members(
    fn: Callable[..., Any], mesh: Mesh, *, in_axes: tuple[int | None, ...], few_calls: bool = False
) -> Callable[..., Any]:
    """Compile `vmap(fn)`, with the members shared out among the devices of `mesh`.

    Args:
        fn: Function of one member.
        mesh: Devices, from `member_mesh`.
        in_axes: An entry for each argument: 0 for one with a leading member axis, whose length must
            be a multiple of the number of devices (see `pad_members`), None for one that all share.
        few_calls: Compile quickly rather than well, for what runs once or twice.

    Returns:
        The compiled function; its outputs have a leading member axis.
    """
    specs = tuple(PartitionSpec() if axis is None else PartitionSpec(AXIS) for axis in in_axes)
    # Each device works for itself. Were it checked what differs between devices, a gradient in
    # what does not, as in a shared image or zeros made inside, would be summed over the devices.
    mapped = jax.shard_map(
        jax.vmap(fn, in_axes),
        mesh=mesh,
        in_specs=specs,
        out_specs=PartitionSpec(AXIS),
        check_vma=False,
    )
    # Drawing the kernels of a net took 3.8 s to compile in full, .7 s at this level.
    return jax.jit(mapped, compiler_options=_QUICK if few_calls else None)


def pad_members(members: list[Any], mesh: Mesh) -> list[Any]:
    """Repeat the last member until every device has as many.

    Args:
        members: What describes each member.
        mesh: Devices, from `member_mesh`.
    """
    short = -len(members) % mesh.size
    return members + members[-1:] * short


def to_members(tree: Any, mesh: Mesh) -> Any:
    """Put arrays with a leading member axis where `over_members` wants them.

    Args:
        tree: A pytree of arrays, whose leading axes are multiples of the number of devices.
        mesh: Devices, from `member_mesh`.
    """
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(AXIS)))


def over_batch(loss: Callable[..., jax.Array], mesh: Mesh) -> Callable[..., tuple[jax.Array, Any]]:
    """Make `value_and_grad` of a mean over examples, which are shared out among the devices.

    Each device differentiates its own share and the results are averaged once, at the end. Left to
    XLA (a batch sharded under plain `jit`), every layer of a scanned stack waits for all devices:
    256 residual blocks took 7.8 s so, 6.5 s here (two cores). Batch norm sees one share only: with
    it, shard the batch under plain `jit`.

    Args:
        loss: `loss(params, batch)`, a mean over the leading axis that all leaves of `batch` share.
        mesh: Devices, from `member_mesh`, whose number divides that axis.

    Returns:
        A function `(params, batch) -> (value, gradients)`, to be jitted.
    """

    def share(params, batch):
        own = jax.tree.map(lambda a: jax.lax.pcast(a, (AXIS,), to="varying"), params)
        return jax.lax.pmean(jax.value_and_grad(loss)(own, batch), AXIS)

    specs = (PartitionSpec(), PartitionSpec(AXIS))
    return jax.shard_map(share, mesh=mesh, in_specs=specs, out_specs=PartitionSpec())
