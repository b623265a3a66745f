"""The Hessian of a loss without ever writing it down."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree


def hessian_vector_product(loss: Callable[[Any], jax.Array], params: Any, direction: Any) -> Any:
    """H v, by differentiating the gradient along v (Pearlmutter 1994): two gradients' time.

    Args:
        loss: `loss(params)`, a scalar.
        params: a pytree of real floating arrays.
        direction: likewise, of the same shapes.

    Returns:
        a pytree like `params`.
    """
    return jax.jvp(jax.grad(loss), (params,), (direction,))[1]


def hessian_eigenvalues(
    loss: Callable[[Any], jax.Array], params: Any, *, key: jax.Array, steps: int = 20
) -> np.ndarray:
    """Ritz values of the Hessian after so many steps of Lanczos, ascending.

    The outermost ones converge first: the last to the largest eigenvalue, the first to the least.
    Every new vector is made orthogonal to all before it, which keeps `steps` vectors like `params`
    and lets no eigenvalue appear twice.

    Args:
        loss: `loss(params)`, a scalar.
        params: a pytree of real floating arrays, all of one dtype.
        key: JAX PRNG key of the first vector.
        steps: products with the Hessian, at most the number of parameters.

    Returns:
        up to `steps` numbers, float64; fewer where the vectors span all that the Hessian reaches;
        NaN alone where a product is not finite.

    Raises:
        ValueError: `steps` out of range.
    """
    flat, unravel = ravel_pytree(params)
    if not 1 <= steps <= flat.size:
        raise ValueError(
            f"hessian_eigenvalues: steps={steps} must be 1 to {flat.size}, the number of "
            "parameters: choose fewer."
        )
    product = jax.jit(lambda v: ravel_pytree(hessian_vector_product(loss, params, unravel(v)))[0])
    return ritz_values(product, jax.random.normal(key, flat.shape, flat.dtype), steps=steps)


def ritz_values(
    product: Callable[[jax.Array], jax.Array], start: jax.Array, *, steps: int
) -> np.ndarray:
    """As `hessian_eigenvalues`, of any symmetric matrix that is given by its products.

    For Hessians of one loss at many places: compile `(params, v) -> H v` once, not once a place.

    Args:
        product: M v of v; both of one shape (n,).
        start: the first vector, a random one.
        steps: how many products, at most n.

    Returns:
        see `hessian_eigenvalues`.

    Raises:
        ValueError: `steps` out of range; `start` is no vector.
    """
    if start.ndim != 1 or not 1 <= steps <= start.size:
        raise ValueError(
            f"ritz_values: steps={steps} must be 1 to n, for a start of shape (n,), which is "
            f"{start.shape}."
        )
    vector = np.asarray(start, np.float64)
    basis, diagonal, beside = [vector / np.linalg.norm(vector)], [], []
    for _ in range(steps):
        found = np.asarray(product(jnp.asarray(basis[-1], start.dtype)), np.float64)
        if not np.all(np.isfinite(found)):
            return np.array([np.nan])
        diagonal.append(basis[-1] @ found)
        known = np.stack(basis)
        for _ in range(2):  # once leaves what rounding makes of it
            found = found - known.T @ (known @ found)
        length = np.linalg.norm(found)
        if length <= 1e-6 * max(1e-30, max(map(abs, diagonal))):
            break
        beside.append(length)
        basis.append(found / length)
    size = len(diagonal)
    tridiagonal = (
        np.diag(diagonal) + np.diag(beside[: size - 1], 1) + np.diag(beside[: size - 1], -1)
    )
    return np.linalg.eigvalsh(tridiagonal)
