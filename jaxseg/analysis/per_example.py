"""Gradients of single examples: right on one device, and on a batch shared out among many.

`vmap(grad(loss))` over examples that are split over devices is silently wrong on every shard but
the first for `lax`'s own convolution, whose batched weight gradient XLA partitions wrongly (jax
0.10.1). Three ways are right, and each batch goes the one that fits it: `shard_map`, where every
device sees its own examples alone; `vmap`, where there is one device; and one example after
another, where a tracer does not tell on how many devices it will lie.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from jaxseg.numerics import safe_norm

Loss = Callable[[Any, Any], jax.Array]
"""(params, example) -> a scalar."""


def per_example_gradients(
    loss: Loss, params: Any, batch: Any, *, batch_size: int | None = None, mesh: Mesh | None = None
) -> Any:
    """Gradient of every example's own loss.

    Args:
        loss: `loss(params, example)`, a scalar. An example is `batch` without its leading axis: a
            net that wants a batch is called on `image[None]`. Batch norm over a batch's own
            statistics couples the examples, so that none has a gradient of its own: use
            `GroupNorm`, or running statistics (`train=False`).
        params: what to differentiate in, a pytree of real floating arrays (a dict, an `nnx.State`,
            an `nnx.Module`).
        batch: a pytree whose leaves share a leading axis of examples. Where that axis is split
            over the devices of a mesh, every device works on its own examples.
        batch_size: at most so many examples at once on each device, chunk by chunk, as in
            `lax.map`; None: all.
        mesh: share the examples out among all of its devices. Under `jit` an Auto mesh cannot be
            seen: without `mesh`, where there is more than one device, the examples are then taken
            one at a time, which is right for every sharding. A mesh of one device says that the
            batch lies on one.

    Returns:
        the pytree of `params`, its leaves (examples, *leaf.shape); split over devices if the batch
        was. Each call traces `loss` anew: `jit` what is called often.

    Raises:
        ValueError: leaves of `batch` without a common leading axis, or that do not divide by the
            mesh; no leaves; leaves of `params` that are not real floating; `batch_size` < 1; a
            loss that is not a real scalar.
    """
    return _per_example(lambda gradient: gradient, loss, params, batch, batch_size, mesh)


def layer_gradient_norms(
    loss: Loss, params: Any, batch: Any, *, batch_size: int | None = 4, mesh: Mesh | None = None
) -> Any:
    """Euclidean norm of every example's own gradient, leaf by leaf.

    No more than `batch_size` examples' gradients are held at a time on each device. A leaf that
    stacks the layers of an `nn.Stack` has one norm an example; `stack_gradient_norms` tells its
    layers apart. `leading_norms` of the result is the norm over all leaves, (examples,).

    Args:
        loss: as in `per_example_gradients`, like `params`, `batch` and `mesh`.
        params: see `loss`.
        batch: see `loss`.
        batch_size: see `per_example_gradients`.
        mesh: see `loss`.

    Returns:
        the pytree of `params`, every leaf (examples,) float32; see `numerics.safe_norm`.

    Raises:
        ValueError: as `per_example_gradients`.
    """
    return _per_example(safe_norm, loss, params, batch, batch_size, mesh)


def _per_example(
    summary: Callable[[jax.Array], Float[Array, "..."]],
    loss: Loss,
    params: Any,
    batch: Any,
    batch_size: int | None,
    mesh: Mesh | None,
) -> Any:
    """`summary` of each leaf of each example's gradient."""
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1, or None for all at once.")
    _check_params(params)
    examples = _count(batch)
    leaves, tree = jax.tree.flatten(params)

    def scalar(leaves, example):
        return _checked(loss(jax.tree.unflatten(tree, leaves), example))

    def share(leaves, batch, together=True):
        one = lambda example: [summary(g) for g in jax.grad(scalar)(leaves, example)]  # noqa: E731
        return _over_examples(one, batch, batch_size if together else 1)

    where, axes = _split(batch) if mesh is None else (mesh, mesh.axis_names)
    if where is None:
        together = not _may_be_sharded((leaves, batch))
        return jax.tree.unflatten(tree, share(_varying_like(batch, leaves), batch, together))
    _check_even(examples, where, axes)
    split, whole = PartitionSpec(axes), PartitionSpec()
    # Unchecked: each device then differentiates in parameters of its own, with no sum over
    # devices, just as `pcast(..., to="varying")` has it; and a loss may start a scan from zeros,
    # which the check would take for a carry that begins to vary.
    shared_out = jax.shard_map(
        share, mesh=where, in_specs=(whole, split), out_specs=split, check_vma=False
    )
    found = jax.jit(shared_out)(_put(leaves, where, whole), _put(batch, where, split))
    return jax.tree.unflatten(tree, found)


def _over_examples(one: Callable[[Any], Any], batch: Any, batch_size: int | None) -> Any:
    """`one` of every example, at most `batch_size` of them at once."""
    examples = _count(batch)
    if batch_size == 1 and examples:
        return lax.map(one, batch)
    if batch_size is None or batch_size >= examples:
        return jax.vmap(one)(batch)
    return lax.map(one, batch, batch_size=batch_size)


# --- where the examples lie --------------------------------------------------------------------


def _split(batch: Any) -> tuple[Any, tuple[str, ...]]:
    """The mesh and those of its axes that the examples are seen to be split over; or None, ()."""
    for leaf in [] if _inside_shard_map() else jax.tree.leaves(batch):
        sharding = _sharding(leaf)
        if isinstance(sharding, NamedSharding) and sharding.spec and sharding.spec[0]:
            axes = sharding.spec[0]
            return sharding.mesh, axes if isinstance(axes, tuple) else (axes,)
    return None, ()


def _sharding(leaf: Any) -> Any:
    """Of an array; of a tracer what its type says, which is nothing on an Auto mesh."""
    if _traced(leaf):
        return jax.typeof(leaf).sharding
    return getattr(leaf, "sharding", None)


def _traced(leaf: Any) -> bool:
    """A tracer is an array that has no sharding but in its type."""
    return isinstance(leaf, jax.Array) and not hasattr(leaf, "sharding")


def _may_be_sharded(tree: Any) -> bool:
    """Whether XLA may yet partition what is computed from these arrays."""
    if jax.device_count() == 1 or _inside_shard_map():
        return False
    shardings = [_sharding(a) for a in jax.tree.leaves(tree) if not _traced(a)]
    apart = any(s is not None and not s.is_fully_replicated for s in shardings)
    return apart or any(map(_traced, jax.tree.leaves(tree)))


def _inside_shard_map() -> bool:
    """Whether every axis of the mesh, of which there is one, is the caller's own business."""
    return set(jax.sharding.get_abstract_mesh().axis_types) == {AxisType.Manual}


def _varying_like(batch: Any, leaves: list[Any]) -> list[Any]:
    """Inside `shard_map`: parameters of each device's own, whose gradients are not summed."""
    own = [jax.typeof(a).manual_axis_type.varying for a in leaves]
    wanted = [jax.typeof(a).manual_axis_type.varying for a in jax.tree.leaves(batch)]
    axes = frozenset().union(*wanted)
    return [
        lax.pcast(a, tuple(axes - has), to="varying") if axes - has else a
        for a, has in zip(leaves, own, strict=True)
    ]


def _put(tree: Any, mesh: Any, spec: PartitionSpec) -> Any:
    """Arrays to the mesh; tracers too where its axes are Explicit (`shard_map` does the rest)."""
    sharding = NamedSharding(mesh, spec)
    abstract = isinstance(mesh, jax.sharding.AbstractMesh)
    explicit = AxisType.Explicit in mesh.axis_types

    def put(leaf):
        if _traced(leaf):
            return jax.sharding.reshard(leaf, sharding) if explicit else leaf
        return leaf if abstract else jax.device_put(leaf, sharding)

    return jax.tree.map(put, tree)


# --- what is refused ---------------------------------------------------------------------------


def _count(batch: Any) -> int:
    """How many examples there are."""
    shapes = {
        f"batch{jax.tree_util.keystr(path)}": jax.typeof(leaf).shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(batch)
    }
    if not shapes:
        raise ValueError("batch has no leaves: give a pytree of arrays, (examples, ...) each.")
    if () in shapes.values() or len({shape[0] for shape in shapes.values()}) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(
            f"The leaves of batch must share a leading axis of examples, but they are {listed}: "
            "what all examples share, close over in the loss."
        )
    return next(iter(shapes.values()))[0]


def _check_params(params: Any) -> None:
    with_paths = jax.tree_util.tree_leaves_with_path(params)
    if not with_paths:
        raise ValueError("params has no leaves: there is nothing to differentiate in.")
    for path, leaf in with_paths:
        dtype = jax.typeof(leaf).dtype
        if not jnp.issubdtype(dtype, jnp.floating):
            raise ValueError(
                f"params{jax.tree_util.keystr(path)} is {dtype}, which has no real gradient: pass "
                "the floating leaves alone (nnx.split(module, nnx.Param, ...)) and close over the "
                "others in the loss."
            )


def _check_even(examples: int, mesh: Any, axes: tuple[str, ...]) -> None:
    devices = 1
    for axis in axes:
        devices *= mesh.shape[axis]
    if examples % devices:
        raise ValueError(
            f"{examples} examples do not divide by the {devices} devices of the mesh's axes "
            f"{axes}: repeat examples up to a multiple of {devices} and drop their results, or "
            "give a smaller mesh."
        )


def _checked(value: Any) -> jax.Array:
    """The loss of one example, if it is one."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        raise ValueError(
            f"The loss of one example must be a scalar array, but is of type "
            f"{type(value).__name__}: return the loss alone."
        )
    if shape != () or not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(
            f"The loss of one example must be a real scalar, but has shape {shape} and dtype "
            f"{dtype}: take the mean over its pixels."
        )
    return value
