"""How examples, or gradients, lie to each other: cosines of rows."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.analysis.gradients import leading_norms


def rows_of(x: jax.Array) -> Float[Array, "examples size"]:
    """An example a row, in float32."""
    return x.reshape(len(x), -1).astype(jnp.float32)


def mean_cosine(units: Float[Array, "examples size"]) -> Float[Array, ""]:
    """Mean cosine over all pairs of different examples.

    Raises:
        ValueError: there is no pair.
    """
    examples = len(units)
    if examples < 2:
        raise ValueError(
            f"mean_cosine: {examples} example has no pair: give two or more, or compare=None."
        )
    among_all = jnp.sum(jnp.sum(units, axis=0) ** 2)
    return (among_all - jnp.sum(units**2)) / (examples * (examples - 1))


def cosine_matrix(units: Float[Array, "examples size"]) -> Float[Array, "examples examples"]:
    """Cosine of every example with every other."""
    return units @ units.T


def autocorrelation(
    units: Float[Array, "examples size"], *, lags: tuple[int, ...] = (1,)
) -> Float[Array, "lags"]:
    """Mean cosine of examples so many places apart, for inputs that lie along a line.

    The gradient of a shallow net along such a line is like brown noise, correlated over long
    distances; that of a deep plain one is like white noise (Balduzzi et al. 2017,
    arXiv:1702.08591). Give `functools.partial(autocorrelation, lags=...)` as `compare`.

    Raises:
        ValueError: a lag below 0, or one that no two examples have.
    """
    if not all(0 <= lag < len(units) for lag in lags):
        raise ValueError(
            f"autocorrelation: lags={lags} must be from 0 to {len(units) - 1}, one less than the "
            "examples."
        )
    pairs = [jnp.sum(units[: len(units) - lag] * units[lag:], axis=1) for lag in lags]
    return jnp.stack([jnp.mean(cosines) for cosines in pairs])


def gradient_cosines(gradients: Any) -> Float[Array, "n n"]:
    """Cosine between the gradients of n examples, or of n seeds.

    Args:
        gradients: a pytree whose leaves have a leading axis of n: what `per_example_gradients`
            returns, or `vmap` of a gradient over seeds. Of a stack, `vmap` this over the layers.

    Returns:
        the cosines over all leaves together; 0 with a gradient that vanishes.
    """
    norms = leading_norms(gradients)
    divisor = jnp.where(norms > 0, norms, 1)
    rows = [rows_of(leaf) / divisor[:, None] for leaf in jax.tree.leaves(gradients)]
    return sum(row @ row.T for row in rows)  # type: ignore[return-value]
