"""Dropout as a function: no module holds a generator, so none becomes part of a net's state."""

import jax
import jax.numpy as jnp


def dropout(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Zero each entry with probability `rate` and divide the others by 1 - `rate`.

    Its mean is x (Srivastava et al. 2014, section 4).

    Args:
        x: any shape.
        rate: in [0, 1).
        key: JAX PRNG key; None leaves x as it is.

    Returns:
        an array like x.

    Raises:
        ValueError: a rate outside [0, 1).
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate={rate} must be at least 0 and below 1.")
    if key is None or rate == 0:
        return x
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / jnp.asarray(1 - rate, x.dtype), jnp.zeros((), x.dtype))
