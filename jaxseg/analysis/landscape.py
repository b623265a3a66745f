"""The loss around trained parameters, along directions as large as the parameters themselves."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float


def filter_normalized_direction(
    params: Any,
    key: jax.Array,
    *,
    ignore_vectors: bool = True,
    stacked: Callable[[str], bool] | None = None,
) -> Any:
    """A random direction, each of whose filters has the norm of the parameters' own filter.

    Nets whose filters are scaled up and down without changing the function then have the same loss
    surface. A filter is all that makes one output channel: all axes but the last.

    Args:
        params: Pytree of real floating arrays.
        key: PRNG key that draws the direction.
        ignore_vectors: Whether the direction leaves biases and the parameters of norms, which have
            one axis, as they are.
        stacked: Function of a leaf's path, as `jax.tree_util.keystr` writes it, that tells whether
            the leaf has a leading axis of layers, as those of an `nn.Stack` have. Each layer then
            has filters and biases of its own. None if no leaf has.

    Returns:
        A pytree like `params`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxseg.analysis import filter_normalized_direction
        >>> params = {"kernel": jnp.diag(jnp.array([1.0, 2.0])), "bias": jnp.ones(2)}
        >>> direction = filter_normalized_direction(params, jax.random.key(0))
        >>> jnp.linalg.norm(direction["kernel"], axis=0).round(3).tolist()
        [1.0, 2.0]
        >>> direction["bias"].tolist()
        [0.0, 0.0]

    Source:
        Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", arXiv:1712.09913, section
        4.
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
        target, norm = (jnp.sqrt(jnp.sum(a**2, axes, keepdims=True)) for a in (leaf, drawn))
        return drawn * (target / norm)

    directions = [
        draw(leaf, k, stacked is not None and stacked(jax.tree_util.keystr(path)))
        for (path, leaf), k in zip(leaves, keys, strict=False)
    ]
    return jax.tree.unflatten(tree, directions)


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
        params: :math:`\theta`, a pytree of real floating arrays.
        directions: u and v, pytrees like `params`.
        offsets: a, in units of the directions.
        batch_size: Number of grid points at a time on each device, which is the number of copies of
            the parameters that are held.
        mesh: Mesh among all of whose devices the points are shared out; None to work where `params`
            are.

    Returns:
        The loss at each point, rows along u and columns along v.

    Raises:
        ValueError: `batch_size` is below 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.analysis import loss_surface
        >>> u, v = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
        >>> loss_surface(lambda w: w[0] ** 2 + w[1], jnp.zeros(2), (u, v), jnp.array([0.0, 2.0]))
        Array([[0., 2.],
               [4., 6.]], dtype=float32)
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1 point.")
    n = len(offsets)
    grid = jnp.stack(jnp.meshgrid(offsets, offsets, indexing="ij"), -1).reshape(-1, 2)

    def losses_at(points, params, u, v):
        def loss_at(point):
            move = lambda p, a, b: p + point[0].astype(p.dtype) * a + point[1].astype(p.dtype) * b  # noqa: E731
            return loss(jax.tree.map(move, params, u, v))

        return jax.lax.map(loss_at, points, batch_size=batch_size)

    if mesh is None:
        return losses_at(grid, params, *directions).reshape(n, n)
    # Whole batches on every device, as a smaller one would be compiled separately.
    missing = -len(grid) % (mesh.size * batch_size)
    points = jnp.concatenate([grid, jnp.broadcast_to(grid[-1:], (missing, 2))])
    split, replicated = PartitionSpec(mesh.axis_names), PartitionSpec()
    # Unchecked, so that a loss may start a scan from zeros.
    sharded = jax.shard_map(
        losses_at,
        mesh=mesh,
        in_specs=(split, replicated, replicated, replicated),
        out_specs=split,
        check_vma=False,
    )
    return jax.jit(sharded)(points, params, *directions)[: n * n].reshape(n, n)


def surface_curvatures(
    surface: Float[np.ndarray, "n n"], spacing: float
) -> Float[np.ndarray, "n-2 n-2 2"]:
    """Both principal curvatures of a surface at the inner points of its grid.

    They are the eigenvalues of the 2x2 Hessian of second differences, exact for a quadratic. Each
    is a weighted mean of the curvatures of the whole loss. Where one is negative, the loss is not
    convex. Where none is, it may still not be convex in directions outside of the plane.

    Args:
        surface: Loss on a grid, as `loss_surface` returns it.
        spacing: Distance between neighbors on the grid, in units of the directions.

    Returns:
        The lower curvature, then the higher one, float64.

    Raises:
        ValueError: The surface has fewer than three points a side, or `spacing` is not positive.

    Example:
        >>> import numpy as np
        >>> from jaxseg.analysis import surface_curvatures
        >>> x, y = np.meshgrid(np.arange(3.0), np.arange(3.0), indexing="ij")
        >>> surface_curvatures(x**2 - 3 * y**2, 1.0).tolist()
        [[[-6.0, 2.0]]]

    Source:
        Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", arXiv:1712.09913.
    """
    z = np.asarray(surface, np.float64)
    if z.ndim != 2 or min(z.shape) < 3 or not spacing > 0:
        raise ValueError(
            f"surface_curvatures: a surface of shape {z.shape} with spacing={spacing}: give at "
            "least three points a side, and a positive spacing."
        )
    middle = z[1:-1, 1:-1]
    along_u = z[2:, 1:-1] - 2 * middle + z[:-2, 1:-1]
    along_v = z[1:-1, 2:] - 2 * middle + z[1:-1, :-2]
    across = (z[2:, 2:] - z[2:, :-2] - z[:-2, 2:] + z[:-2, :-2]) / 4
    mean, half = (along_u + along_v) / 2, np.hypot((along_u - along_v) / 2, across)
    return np.stack([mean - half, mean + half], -1) / spacing**2
