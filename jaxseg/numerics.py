"""Numbers that float32 can hold although their squares cannot."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def of_unit_size(x: jax.Array) -> jax.Array:
    """An array over its largest entry, in float32 at least, for ratios that do not ask its size.

    So that neither squares of a gradient of 1e-25 vanish nor sums of float16 overflow.
    """
    wide = jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize >= 4
    x = x if wide else x.astype(jnp.float32)
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), initial=0))
    return x / jnp.where((largest > 0) & jnp.isfinite(largest), largest, jnp.ones_like(largest))


def safe_norm(tree: Any) -> Float[Array, ""]:
    """Euclidean norm over all leaves, for entries from 1e-38 to 1e38; `inf` or NaN if one is.

    The largest entry is divided out first: gradients of deep plain nets reach 1e-20 and those of
    deep nets with batch norm 1e20, and neither's square is a float32.
    """
    leaves = [jnp.ravel(a).astype(jnp.float32) for a in jax.tree.leaves(tree)]
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(a), initial=0) for a in leaves]))
    # A constant to autodiff: what it divides, it multiplies again. The derivative is then that of
    # the root alone, a / norm, and zero at zero.
    largest = jax.lax.stop_gradient(largest)
    usable = (largest > 0) & jnp.isfinite(largest)
    divisor = jnp.where(usable, largest, jnp.ones_like(largest))
    squares = sum(jnp.sum((a / divisor) ** 2) for a in leaves)
    return jnp.where(usable, divisor * jnp.sqrt(jnp.where(usable, squares, 1)), largest)
