"""The loss around trained parameters, along directions as large as the parameters are."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float


def filter_normalised_direction(
    params: Any,
    key: jax.Array,
    *,
    ignore_vectors: bool = True,
    stacked: Callable[[str], bool] | None = None,
) -> Any:
    """A random direction, each filter of which has the norm of the parameters' own filter.

    Li et al. 2018 (arXiv:1712.09913, section 4): nets whose filters are scaled up and down without
    changing the function then have the same picture. A filter is all that makes one output channel:
    all axes but the last.

    Args:
        params: a pytree of real floating arrays.
        key: JAX PRNG key.
        ignore_vectors: leave biases and the parameters of norms, all of one axis, where they are.
        stacked: tells of a leaf's path, as `jax.tree_util.keystr` writes it, whether the leaf has
            a leading axis of layers, as those of an `nn.Stack` have: each layer then has filters
            and biases of its own. None: no leaf has.

    Returns:
        a pytree like `params`.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(params)
    keys = jax.random.split(key, max(1, len(leaves)))

    def draw(leaf, key, layered):
        first = 1 if layered else 0
        if leaf.ndim - first < 2 and ignore_vectors:
            return jnp.zeros_like(leaf)
        drawn = jax.random.normal(key, leaf.shape, leaf.dtype)
        # A vector is one filter; an array holds one for each place along its last axis.
        axes = tuple(range(first, min(leaf.ndim, max(first + 1, leaf.ndim - 1))))
        own, new = (jnp.sqrt(jnp.sum(a**2, axes, keepdims=True)) for a in (leaf, drawn))
        return drawn * (own / new)

    drawn = [
        draw(leaf, k, stacked is not None and stacked(jax.tree_util.keystr(path)))
        for (path, leaf), k in zip(leaves, keys, strict=False)
    ]
    return jax.tree.unflatten(tree, drawn)


def loss_surface(
    loss: Callable[[Any], jax.Array],
    params: Any,
    directions: tuple[Any, Any],
    offsets: Float[Array, "n"],
    *,
    batch_size: int = 5,
    mesh: Mesh | None = None,
) -> Float[Array, "n n"]:
    r"""The loss on a grid, :math:`L(\theta + a_i u + a_j v)`.

    Args:
        loss: `loss(params)`, a scalar.
        params: :math:`\theta`.
        directions: u and v, pytrees like `params`.
        offsets: a, in units of the directions.
        batch_size: points at once on each device; so many copies of the parameters are held.
        mesh: share the points out among all of its devices; None: work where `params` are.

    Returns:
        rows along u, columns along v.

    Raises:
        ValueError: `batch_size` below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1 point.")
    n = len(offsets)
    grid = jnp.stack(jnp.meshgrid(offsets, offsets, indexing="ij"), -1).reshape(-1, 2)

    def over(points, params, u, v):
        def at(point):
            move = lambda p, a, b: p + point[0].astype(p.dtype) * a + point[1].astype(p.dtype) * b  # noqa: E731
            return loss(jax.tree.map(move, params, u, v))

        return jax.lax.map(at, points, batch_size=batch_size)

    if mesh is None:
        return over(grid, params, *directions).reshape(n, n)
    # Whole batches on every device: what is left over would be compiled for itself.
    short = -len(grid) % (mesh.size * batch_size)
    points = jnp.concatenate([grid, jnp.broadcast_to(grid[-1:], (short, 2))])
    split, whole = PartitionSpec(mesh.axis_names), PartitionSpec()
    # Unchecked, so that a loss may start a scan from zeros.
    shared_out = jax.shard_map(
        over, mesh=mesh, in_specs=(split, whole, whole, whole), out_specs=split, check_vma=False
    )
    return jax.jit(shared_out)(points, params, *directions)[: n * n].reshape(n, n)


def surface_curvatures(
    surface: Float[np.ndarray, "n n"], spacing: float
) -> Float[np.ndarray, "n-2 n-2 2"]:
    """Both principal curvatures of a surface at the inner points of its grid.

    Eigenvalues of the 2x2 Hessian of second differences, exact for a quadratic. Each is a weighted
    mean of the curvatures of the whole loss (Li et al. 2018): where one is negative, the loss is
    not convex; where none is, it may still not be, in directions beside the plane.

    Args:
        surface: from `loss_surface`.
        spacing: distance of neighbours on the grid, in units of the directions.

    Returns:
        the lower, then the higher; float64.

    Raises:
        ValueError: fewer than three points a side, or a spacing that is not positive.
    """
    z = np.asarray(surface, np.float64)
    if z.ndim != 2 or min(z.shape) < 3 or not spacing > 0:
        raise ValueError(
            f"surface_curvatures: a surface {z.shape} with spacing={spacing}: give at least three "
            "points a side, and a positive spacing."
        )
    middle = z[1:-1, 1:-1]
    along_u = z[2:, 1:-1] - 2 * middle + z[:-2, 1:-1]
    along_v = z[1:-1, 2:] - 2 * middle + z[1:-1, :-2]
    across = (z[2:, 2:] - z[2:, :-2] - z[:-2, 2:] + z[:-2, :-2]) / 4
    mean, half = (along_u + along_v) / 2, np.hypot((along_u - along_v) / 2, across)
    return np.stack([mean - half, mean + half], -1) / spacing**2
