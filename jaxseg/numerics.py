"""Ratios and norms of numbers that float32 can hold although their squares cannot."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def normalize_by_max(x: jax.Array) -> jax.Array:
    """Divide an array by its largest magnitude, for ratios that do not depend on its scale.

    Squares of a gradient of 1e-25 then do not vanish, and sums of float16 do not overflow. The
    divisor is a constant to autodiff.

    Args:
        x: an array of any shape; other dtypes than float32 and float64 are converted to float32.

    Returns:
        The array with largest magnitude 1, or as it is if that is zero, infinite or NaN.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.numerics import normalize_by_max
        >>> normalize_by_max(jnp.array([1e-25, -2e-25])).tolist()
        [0.5, -1.0]
    """
    kept = jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize >= 4
    x = x if kept else x.astype(jnp.float32)
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), initial=0))
    return x / jnp.where((largest > 0) & jnp.isfinite(largest), largest, jnp.ones_like(largest))


def safe_norm(tree: Any) -> Float[Array, ""]:
    """Compute the Euclidean norm over all leaves, for entries from 1e-38 to 1e38.

    The largest entry is divided out first: gradients of deep plain nets reach 1e-20 and those of
    deep nets with batch norm 1e20, and float32 holds the square of neither. The derivative is a /
    norm, and zero at zero.

    Args:
        tree: a pytree of arrays.

    Returns:
        The norm in float32; infinite or NaN if an entry is.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.numerics import safe_norm
        >>> print(f"{safe_norm({'a': jnp.array([3e25]), 'b': jnp.array([-4e25])}):.1e}")
        5.0e+25
    """
    leaves = [jnp.ravel(a).astype(jnp.float32) for a in jax.tree.leaves(tree)]
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(a), initial=0) for a in leaves]))
    # A constant to autodiff, since what it divides it multiplies again: the derivative is then that
    # of the root alone.
    largest = jax.lax.stop_gradient(largest)
    usable = (largest > 0) & jnp.isfinite(largest)
    divisor = jnp.where(usable, largest, jnp.ones_like(largest))
    squares = sum(jnp.sum((a / divisor) ** 2) for a in leaves)
    return jnp.where(usable, divisor * jnp.sqrt(jnp.where(usable, squares, 1)), largest)
