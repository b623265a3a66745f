"""The Hessian of a loss, by its products with vectors alone."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree


def hessian_vector_product(loss: Callable[[Any], jax.Array], params: Any, direction: Any) -> Any:
    """The product H v of a loss's Hessian with a vector, in the time of about two gradients.

    The gradient is differentiated along v (Pearlmutter 1994, "Fast Exact Multiplication by the
    Hessian").

    Args:
        loss: `loss(params)`, a scalar.
        params: Pytree of real floating arrays.
        direction: v, a pytree like `params`.

    Returns:
        H v, a pytree like `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.analysis import hessian_vector_product
        >>> loss = lambda p: p["a"] ** 2 * p["b"]  # H = [[2 b, 2 a], [2 a, 0]]
        >>> params, direction = {"a": 3.0, "b": 5.0}, {"a": 1.0, "b": 0.0}
        >>> {k: float(v) for k, v in hessian_vector_product(loss, params, direction).items()}
        {'a': 10.0, 'b': 6.0}
    """
    return jax.jvp(jax.grad(loss), (params,), (direction,))[1]


def hessian_eigenvalues(
    loss: Callable[[Any], jax.Array], params: Any, *, key: jax.Array, steps: int = 20
) -> np.ndarray:
    """Ritz values of a loss's Hessian after some steps of the Lanczos algorithm.

    The outermost values converge first: the last one to the largest eigenvalue, the first one to
    the smallest. Each new vector is made orthogonal to all before it. That keeps `steps` vectors
    of the size of `params`, and no eigenvalue appears twice.

    Args:
        loss: `loss(params)`, a scalar.
        params: Pytree of real floating arrays, all of one dtype.
        key: PRNG key that draws the first vector.
        steps: Number of products with the Hessian, at most the number of parameters.

    Returns:
        Up to `steps` numbers, ascending, float64; fewer if the vectors span all that the Hessian
        reaches from the first one; a single NaN if a product is not finite.

    Raises:
        ValueError: `steps` is below 1 or above the number of parameters.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxseg.analysis import hessian_eigenvalues
        >>> loss = lambda w: 0.5 * jnp.sum(jnp.array([1.0, 4.0, 9.0]) * w**2)
        >>> hessian_eigenvalues(loss, jnp.ones(3), key=jax.random.key(0), steps=3).round(3)
        array([1., 4., 9.])
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
    """Ritz values of a symmetric matrix that is given by its products with vectors.

    For the Hessians of one loss at many places, compile `(params, v) -> H v` once rather than once
    for each place. `hessian_eigenvalues` describes the algorithm.

    Args:
        product: Function that maps v, of shape (n,), to M v.
        start: First vector, of shape (n,); a random one has a share in every eigenvector.
        steps: Number of products, at most n.

    Returns:
        Up to `steps` numbers, ascending, float64; fewer if the vectors span all that the matrix
        reaches from `start`; a single NaN if a product is not finite.

    Raises:
        ValueError: `steps` is below 1 or above n; `start` is not a vector.
    """
    if start.ndim != 1 or not 1 <= steps <= start.size:
        raise ValueError(
            f"ritz_values: steps={steps} must be 1 to n, for a start of shape (n,), which is "
            f"{start.shape}."
        )
    vector = np.asarray(start, np.float64)
    basis, diagonal, off_diagonal = [vector / np.linalg.norm(vector)], [], []
    for _ in range(steps):
        image = np.asarray(product(jnp.asarray(basis[-1], start.dtype)), np.float64)
        if not np.all(np.isfinite(image)):
            return np.array([np.nan])
        diagonal.append(basis[-1] @ image)
        rows = np.stack(basis)
        for _ in range(2):  # once would leave what rounding makes of it
            image = image - rows.T @ (rows @ image)
        length = np.linalg.norm(image)
        if length <= 1e-6 * max(1e-30, max(map(abs, diagonal))):
            break
        off_diagonal.append(length)
        basis.append(image / length)
    beside = off_diagonal[: len(diagonal) - 1]
    return np.linalg.eigvalsh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
