"""The loss around trained parameters, along directions as large as the parameters are."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def filter_normalised_direction(params: Any, key: jax.Array, *, ignore_vectors: bool = True) -> Any:
    """A random direction, each filter of which has the norm of the parameters' own filter.

    Li et al. 2018 (arXiv:1712.09913, section 4): nets whose filters are scaled up and down without
    changing the function then have the same picture. A filter is all that makes one output channel:
    all axes but the last.

    Args:
        params: a pytree of real floating arrays.
        key: JAX PRNG key.
        ignore_vectors: leave biases and the parameters of norms, all of one axis, where they are.

    Returns:
        a pytree like `params`.
    """
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(key, max(1, len(leaves)))

    def draw(leaf, key):
        if leaf.ndim < 2:
            if ignore_vectors:
                return jnp.zeros_like(leaf)
            drawn = jax.random.normal(key, leaf.shape, leaf.dtype)
            return drawn * jnp.linalg.norm(leaf) / jnp.linalg.norm(drawn)
        drawn = jax.random.normal(key, leaf.shape, leaf.dtype)
        axes = tuple(range(leaf.ndim - 1))
        own, new = (jnp.sqrt(jnp.sum(a**2, axes, keepdims=True)) for a in (leaf, drawn))
        return drawn * (own / new)

    return jax.tree.unflatten(tree, [draw(a, k) for a, k in zip(leaves, keys, strict=True)])


def loss_surface(
    loss: Callable[[Any], jax.Array],
    params: Any,
    directions: tuple[Any, Any],
    offsets: Float[Array, "n"],
    *,
    batch_size: int = 5,
) -> Float[Array, "n n"]:
    r"""The loss on a grid, :math:`L(\theta + a_i u + a_j v)`.

    Args:
        loss: `loss(params)`, a scalar.
        params: :math:`\theta`.
        directions: u and v, pytrees like `params`.
        offsets: a, in units of the directions.
        batch_size: points at once; so many copies of the parameters are held.

    Returns:
        rows along u, columns along v.
    """
    u, v = directions
    n = len(offsets)
    grid = jnp.stack(jnp.meshgrid(offsets, offsets, indexing="ij"), -1).reshape(-1, 2)

    def at(point):
        move = lambda p, a, b: p + point[0].astype(p.dtype) * a + point[1].astype(p.dtype) * b  # noqa: E731
        return loss(jax.tree.map(move, params, u, v))

    return jax.lax.map(at, grid, batch_size=batch_size).reshape(n, n)
