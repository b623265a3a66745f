"""How much the gradients of single examples scatter about their mean."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jaxseg.analysis.per_example import Loss, layer_gradient_norms


class NoiseScale(NamedTuple):
    """What n examples say of the gradients' distribution.

    Attributes:
        scale: examples; a batch far below it is mostly noise, one far above it is wasteful. `inf`
            where the estimate of the squared mean is not above 0: n was too small to see it.
        variance: trace of the covariance of one example's gradient.
        squared_mean: squared norm of the expected gradient.
    """

    scale: Float[Array, ""]
    variance: Float[Array, ""]
    squared_mean: Float[Array, ""]


def gradient_noise_scale(
    loss: Loss, params: Any, batch: Any, *, batch_size: int | None = 4, mesh: Mesh | None = None
) -> NoiseScale:
    r"""The simple noise scale of McCandlish et al. 2018 (arXiv:1812.06162).

    .. math:: B = \frac{\operatorname{tr}\Sigma}{|G|^2}, \quad
              \operatorname{tr}\Sigma = \frac{n}{n - 1}
                  \Big(\frac1n \sum_i |g_i|^2 - |\bar g|^2\Big), \quad
              |G|^2 = |\bar g|^2 - \frac{\operatorname{tr}\Sigma}{n}

    with :math:`g_i` the gradient of example i and :math:`\bar g` their mean. Both parts are
    unbiased; their ratio is so for large n.

    Args:
        loss: `loss(params, example)`, as in `per_example_gradients`, like the other arguments.
        params: see `loss`.
        batch: see `loss`; two examples or more.
        batch_size: see `loss`.
        mesh: see `loss`.

    Raises:
        ValueError: as `per_example_gradients`, or fewer than two examples.
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
    signal = mean - variance / n
    scale = jnp.where(signal > 0, variance / jnp.where(signal > 0, signal, 1), jnp.inf)
    return NoiseScale(scale, variance, signal)
