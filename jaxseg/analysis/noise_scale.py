"""The gradient noise scale: how far the gradients of single examples scatter about their mean."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jaxseg.analysis.per_example import Loss, layer_gradient_norms


class NoiseScale(NamedTuple):
    """Estimates of the distribution of gradients, from those of n examples.

    Attributes:
        scale: Noise scale, a number of examples. A batch far below it is mostly noise, one far
            above it is wasteful. Infinite if the estimate of the squared mean is not positive,
            as n was then too small to see it.
        variance: Trace of the covariance of one example's gradient.
        squared_mean: Squared norm of the expected gradient.
    """

    scale: Float[Array, ""]
    variance: Float[Array, ""]
    squared_mean: Float[Array, ""]


def gradient_noise_scale(
    loss: Loss, params: Any, batch: Any, *, batch_size: int | None = 4, mesh: Mesh | None = None
) -> NoiseScale:
    r"""The simple noise scale of a loss.

    .. math:: B = \frac{\operatorname{tr}\Sigma}{|G|^2}, \quad
              \operatorname{tr}\Sigma = \frac{n}{n - 1}
                  \Big(\frac1n \sum_i |g_i|^2 - |\bar g|^2\Big), \quad
              |G|^2 = |\bar g|^2 - \frac{\operatorname{tr}\Sigma}{n}

    with :math:`g_i` the gradient of example i and :math:`\bar g` their mean. Both parts are
    unbiased; their ratio is unbiased for large n.

    Args:
        loss: `loss(params, example)`, a real scalar. An example is `batch` without its leading
            axis.
        params: Pytree of real floating arrays to differentiate with respect to.
        batch: Pytree whose leaves share a leading axis of two examples or more.
        batch_size: Most examples at a time on each device; None for all.
        mesh: Mesh among all of whose devices the examples are shared out; None to leave them where
            they lie.

    Returns:
        A `NoiseScale`.

    Raises:
        ValueError: There are fewer than two examples; the leaves of `batch` have no common leading
            axis, or one that the mesh does not divide; `params` has no leaves, or leaves that are
            not real floating; `batch_size` is below 1; the loss is not a real scalar.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.analysis import gradient_noise_scale
        >>> loss = lambda w, x: w * x  # the gradients are the examples themselves
        >>> noise = gradient_noise_scale(loss, jnp.float32(0), jnp.array([1.0, 2.0, 3.0]))
        >>> [round(float(n), 4) for n in noise]  # variance 1; 2**2 - 1 / 3
        [0.2727, 1.0, 3.6667]

    Source:
        McCandlish et al. 2018, "An Empirical Model of Large-Batch Training", arXiv:1812.06162.
    """
    norms = layer_gradient_norms(loss, params, batch, batch_size=batch_size, mesh=mesh)
    squares = sum(norm**2 for norm in jax.tree.leaves(norms))
    n = len(squares)  # type: ignore[arg-type]
    if n < 2:
        raise ValueError(f"gradient_noise_scale: {n} example has no spread: give two or more.")

    def mean_loss(params):
        return jnp.mean(jax.lax.map(lambda x: loss(params, x), batch, batch_size=batch_size))

    mean = sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(jax.grad(mean_loss)(params)))
    variance = (jnp.mean(squares) - mean) * (n / (n - 1))  # type: ignore[arg-type]
    squared_mean = mean - variance / n
    positive = squared_mean > 0
    scale = jnp.where(positive, variance / jnp.where(positive, squared_mean, 1), jnp.inf)
    return NoiseScale(scale, variance, squared_mean)
