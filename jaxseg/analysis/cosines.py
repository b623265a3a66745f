"""Cosines between examples, or between their gradients."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.analysis.gradients import leading_norms


def flatten_examples(x: jax.Array) -> Float[Array, "examples size"]:
    """One row for each example, in float32.

    Args:
        x: Array whose leading axis counts examples.
    """
    return x.reshape(len(x), -1).astype(jnp.float32)


def mean_cosine(units: Float[Array, "examples size"]) -> Float[Array, ""]:
    """Mean cosine over all pairs of different examples.

    Args:
        units: Rows of norm 1, one for each example.

    Raises:
        ValueError: There are fewer than two examples.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.analysis import mean_cosine
        >>> float(mean_cosine(jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])))
        -0.3333333432674408
    """
    examples = len(units)
    if examples < 2:
        raise ValueError(
            f"mean_cosine: {examples} example has no pair: give two or more, or compare=None."
        )
    all_pairs = jnp.sum(jnp.sum(units, axis=0) ** 2)
    return (all_pairs - jnp.sum(units**2)) / (examples * (examples - 1))


def cosine_matrix(units: Float[Array, "examples size"]) -> Float[Array, "examples examples"]:
    """Cosine between each two examples.

    Args:
        units: Rows of norm 1, one for each example.
    """
    return units @ units.T


def autocorrelation(
    units: Float[Array, "examples size"], *, lags: tuple[int, ...] = (1,)
) -> Float[Array, "lags"]:
    """Mean cosine between examples that are a lag apart, for inputs that lie along a line.

    Along such a line the gradient of a shallow net is like brown noise, correlated over long
    distances, and that of a deep plain net like white noise (Balduzzi et al. 2017,
    arXiv:1702.08591). Give `functools.partial(autocorrelation, lags=...)` as `compare`.

    Args:
        units: Rows of norm 1, one for each example, in the order of the line.
        lags: Distances between examples, in places along the line.

    Raises:
        ValueError: A lag is negative, or no two examples are that far apart.
    """
    if not all(0 <= lag < len(units) for lag in lags):
        raise ValueError(
            f"autocorrelation: lags={lags} must be from 0 to {len(units) - 1}, one less than the "
            "examples."
        )
    pairs = [jnp.sum(units[: len(units) - lag] * units[lag:], axis=1) for lag in lags]
    return jnp.stack([jnp.mean(cosines) for cosines in pairs])


def gradient_cosines(gradients: Any) -> Float[Array, "n n"]:
    """Cosines between the gradients of n examples, or of n seeds.

    Args:
        gradients: Pytree whose leaves have a leading axis of n, as `per_example_gradients` returns
            it, or `jax.vmap` of a gradient over seeds. For a stack, `jax.vmap` over the layers.

    Returns:
        Cosines over all leaves together; 0 with a gradient that vanishes.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.analysis import gradient_cosines
        >>> gradients = {"w": jnp.array([[3e-30], [1.0]]), "b": jnp.array([4e-30, 0.0])}
        >>> gradient_cosines(gradients).round(3)
        Array([[1. , 0.6],
               [0.6, 1. ]], dtype=float32)
    """
    norms = leading_norms(gradients)
    divisor = jnp.where(norms > 0, norms, 1)
    rows = [flatten_examples(leaf) / divisor[:, None] for leaf in jax.tree.leaves(gradients)]
    return sum(row @ row.T for row in rows)  # type: ignore[return-value]
