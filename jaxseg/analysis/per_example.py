"""Gradients of single examples: right on one device, and on a batch that is split over many.

`vmap(grad(loss))` over examples that are split over devices is silently wrong on every shard but
the first for the convolution of `lax`, whose batched weight gradient XLA partitions wrongly (jax
0.10.1). Three ways are right, and each batch takes the one that fits it: `shard_map`, where every
device sees its own examples only; `vmap`, on one device; and one example after another, where a
tracer does not tell how many devices the batch will lie on.
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
"""`loss(params, example)`, a real scalar."""


def per_example_gradients(
    loss: Loss, params: Any, batch: Any, *, batch_size: int | None = None, mesh: Mesh | None = None
) -> Any:
    """The gradient of every example's own loss.

    Args:
        loss: `loss(params, example)`, a real scalar. An example is `batch` without its leading
            axis; call a net that takes a batch on `image[None]`. Batch norm over the statistics of
            the batch couples the examples, so that none has a gradient of its own: use `GroupNorm`,
            or running statistics (`train=False`).
        params: Pytree of real floating arrays to differentiate with respect to: a dict, an
            `nnx.State`, an `nnx.Module`.
        batch: Pytree whose leaves share a leading axis of examples. Where that axis is split over
            the devices of a mesh, every device works on its own examples.
        batch_size: Most examples at a time on each device, chunk by chunk, as in `lax.map`; None
            for all.
        mesh: Mesh among all of whose devices the examples are shared out. Under `jit` an Auto mesh
            cannot be seen. Without `mesh`, if there is more than one device, the examples are then
            taken one at a time, which is right for every sharding. A mesh of one device says that
            the batch lies on one.

    Returns:
        The pytree of `params`, its leaves of shape (examples, *leaf.shape), split over devices if
        the batch was. Each call traces `loss` anew: compile what is called often with `jit`.

    Raises:
        ValueError: The leaves of `batch` have no common leading axis, or one that the mesh does not
            divide; `params` has no leaves, or leaves that are not real floating; `batch_size` is
            below 1; the loss is not a real scalar.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.analysis import per_example_gradients
        >>> loss = lambda params, example: (params["w"] * example) ** 2 / 2  # w x^2
        >>> per_example_gradients(loss, {"w": jnp.float32(2)}, jnp.array([1.0, 2.0, 3.0]))
        {'w': Array([ 2.,  8., 18.], dtype=float32)}
    """
    return _per_example(lambda gradient: gradient, loss, params, batch, batch_size, mesh)


def layer_gradient_norms(
    loss: Loss, params: Any, batch: Any, *, batch_size: int | None = 4, mesh: Mesh | None = None
) -> Any:
    """Euclidean norm of every example's own gradient, leaf by leaf.

    No more than `batch_size` examples' gradients are held at a time on each device. A leaf that
    stacks the layers of an `nn.Stack` has one norm for each example; `stack_gradient_norms` tells
    its layers apart. `leading_norms` of the result is the norm over all leaves, (examples,).

    Args:
        loss: `loss(params, example)`, a real scalar. An example is `batch` without its leading
            axis; call a net that takes a batch on `image[None]`. Examples that batch norm couples
            have no gradients of their own.
        params: Pytree of real floating arrays to differentiate with respect to: a dict, an
            `nnx.State`, an `nnx.Module`.
        batch: Pytree whose leaves share a leading axis of examples. Where that axis is split over
            the devices of a mesh, every device works on its own examples.
        batch_size: Most examples at a time on each device; None for all.
        mesh: Mesh among all of whose devices the examples are shared out. Under `jit`, and with
            more than one device, the examples are taken one at a time without it.

    Returns:
        The pytree of `params`, every leaf (examples,) float32. The squares need not fit into
        float32 (see `numerics.safe_norm`).

    Raises:
        ValueError: The leaves of `batch` have no common leading axis, or one that the mesh does not
            divide; `params` has no leaves, or leaves that are not real floating; `batch_size` is
            below 1; the loss is not a real scalar.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.analysis import layer_gradient_norms
        >>> loss = lambda params, example: params["w"] @ example + params["b"]
        >>> params = {"w": jnp.zeros(2), "b": jnp.float32(0)}
        >>> layer_gradient_norms(loss, params, jnp.array([[3.0, 4.0], [6.0, 8.0]]))
        {'b': Array([1., 1.], dtype=float32), 'w': Array([ 5., 10.], dtype=float32)}
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
    """Apply `summary` to each leaf of each example's gradient."""
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1, or None for all at once.")
    _check_params(params)
    examples = _count(batch)
    leaves, tree = jax.tree.flatten(params)

    def scalar_loss(leaves, example):
        return _checked_loss(loss(jax.tree.unflatten(tree, leaves), example))

    def of_shard(leaves, batch, batch_size=batch_size):
        one = lambda example: [summary(g) for g in jax.grad(scalar_loss)(leaves, example)]  # noqa: E731
        return _over_examples(one, batch, batch_size)

    if mesh is None:
        mesh, axes = _mesh_of(batch)
    else:
        axes = mesh.axis_names
    if mesh is None:
        size = 1 if _may_be_sharded((leaves, batch)) else batch_size
        return jax.tree.unflatten(tree, of_shard(_varying_like(batch, leaves), batch, size))
    _check_even(examples, mesh, axes)
    split, replicated = PartitionSpec(axes), PartitionSpec()
    # Unchecked. Each device then differentiates with respect to parameters of its own, and nothing
    # is summed over devices, as after `pcast(..., to="varying")`. And a loss may start a scan from
    # zeros, which the check would take for a carry that begins to vary.
    sharded = jax.shard_map(
        of_shard, mesh=mesh, in_specs=(replicated, split), out_specs=split, check_vma=False
    )
    results = jax.jit(sharded)(_put(leaves, mesh, replicated), _put(batch, mesh, split))
    return jax.tree.unflatten(tree, results)


def _over_examples(one: Callable[[Any], Any], batch: Any, batch_size: int | None) -> Any:
    """Call `one` on every example, on at most `batch_size` of them at a time."""
    examples = _count(batch)
    if batch_size == 1 and examples:
        return lax.map(one, batch)
    if batch_size is None or batch_size >= examples:
        return jax.vmap(one)(batch)
    return lax.map(one, batch, batch_size=batch_size)


# --- where the examples lie ----------------------------------------------------------------------


def _mesh_of(batch: Any) -> tuple[Any, tuple[str, ...]]:
    """The mesh, and those of its axes that the examples are known to be split over; or None, ()."""
    for leaf in [] if _inside_shard_map() else jax.tree.leaves(batch):
        sharding = _sharding(leaf)
        if isinstance(sharding, NamedSharding) and sharding.spec and sharding.spec[0]:
            axes = sharding.spec[0]
            return sharding.mesh, axes if isinstance(axes, tuple) else (axes,)
    return None, ()


def _sharding(leaf: Any) -> Any:
    """The sharding of an array; that of a tracer's type, which is none on an Auto mesh."""
    if _traced(leaf):
        return jax.typeof(leaf).sharding
    return getattr(leaf, "sharding", None)


def _traced(leaf: Any) -> bool:
    """Tell tracers, whose type alone has a sharding, from other arrays."""
    return isinstance(leaf, jax.Array) and not hasattr(leaf, "sharding")


def _may_be_sharded(tree: Any) -> bool:
    """Tell if XLA may still partition what is computed from these arrays."""
    if jax.device_count() == 1 or _inside_shard_map():
        return False
    shardings = [_sharding(a) for a in jax.tree.leaves(tree) if not _traced(a)]
    is_split = any(s is not None and not s.is_fully_replicated for s in shardings)
    return is_split or any(map(_traced, jax.tree.leaves(tree)))


def _inside_shard_map() -> bool:
    """Tell if there is a mesh around, all of whose axes the caller handles."""
    return set(jax.sharding.get_abstract_mesh().axis_types) == {AxisType.Manual}


def _varying_like(batch: Any, leaves: list[Any]) -> list[Any]:
    """Inside `shard_map`: the parameters as each device's own, whose gradients are not summed."""
    # Undocumented as yet, though public by name; the tests of `shard_map` guard it.
    of_leaves = [jax.typeof(a).manual_axis_type.varying for a in leaves]
    of_batch = [jax.typeof(a).manual_axis_type.varying for a in jax.tree.leaves(batch)]
    axes = frozenset().union(*of_batch)
    return [
        lax.pcast(a, tuple(axes - varying), to="varying") if axes - varying else a
        for a, varying in zip(leaves, of_leaves, strict=True)
    ]


def _put(tree: Any, mesh: Any, spec: PartitionSpec) -> Any:
    """Put arrays on a mesh; tracers only if its axes are Explicit, else `shard_map` moves them."""
    sharding = NamedSharding(mesh, spec)
    abstract = isinstance(mesh, jax.sharding.AbstractMesh)
    explicit = AxisType.Explicit in mesh.axis_types

    def put(leaf):
        if _traced(leaf):
            return jax.sharding.reshard(leaf, sharding) if explicit else leaf
        return leaf if abstract else jax.device_put(leaf, sharding)

    return jax.tree.map(put, tree)


# --- what is refused -----------------------------------------------------------------------------


def _count(batch: Any) -> int:
    """The number of examples in a batch."""
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
        raise ValueError(
            "params has no leaves: give a pytree of the arrays to differentiate with respect to."
        )
    for path, leaf in with_paths:
        dtype = jax.typeof(leaf).dtype
        if not jnp.issubdtype(dtype, jnp.floating):
            raise ValueError(
                f"params{jax.tree_util.keystr(path)} is {dtype}, which has no real gradient: pass "
                "only the floating leaves (nnx.split(module, nnx.Param, ...)) and close over the "
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


def _checked_loss(value: Any) -> jax.Array:
    """The loss of one example, which must be a real scalar."""
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
