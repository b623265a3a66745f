"""Dropout as a function: no module holds a generator, so none becomes part of a net's state."""

import jax
import jax.numpy as jnp


def dropout(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Zero each entry with probability `rate` and divide the others by 1 - `rate`.

    The mean over draws is x.

    Args:
        x: an array of any shape.
        rate: probability of zero, in [0, 1).
        key: JAX PRNG key; None returns x as it is.

    Returns:
        An array of the shape and dtype of x.

    Raises:
        ValueError: a rate outside [0, 1).

    Source:
        Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
        2014, section 4.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxseg import nn
        >>> y = nn.dropout(jnp.ones(1000), 0.5, jax.random.key(0))
        >>> sorted(set(y.tolist()))
        [0.0, 2.0]
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate={rate} must be at least 0 and below 1.")
    if key is None or rate == 0:
        return x
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / jnp.asarray(1 - rate, x.dtype), jnp.zeros((), x.dtype))
