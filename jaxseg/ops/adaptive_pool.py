"""Pooling to a given size: the mean over bins that cover an image."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.ops.check import as_images, to_float32
from jaxseg.ops.options import Sizes, per_axis


def adaptive_avg_pool(
    x: Float[Array, "batch *space channels"], size: Sizes
) -> Float[Array, "batch *size channels"]:
    r"""Take the mean over each of `size` bins an axis; PyTorch's `adaptive_avg_pool`.

    Along an axis of n pixels, bin i of m is that of the pixels from :math:`\lfloor i n/m \rfloor`
    to :math:`\lceil (i + 1) n / m \rceil`, that one excluded. Bins share a pixel where m does not
    divide n, and pixels are repeated where m is above n.

    Args:
        x: images, (batch, *space, channels), with 1, 2 or 3 spatial axes.
        size: number of bins; one integer or one per axis.

    Returns:
        (batch, *size, channels), of the dtype of `x`; 16-bit images are summed in float32.

    Raises:
        ValueError: a wrong rank or dtype, a size below 1, or an image without pixels.

    Source:
        Zhao et al., "Pyramid scene parsing network", 2017, section 3.2 (arXiv:1612.01105), for the
        use; PyTorch for the bins.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> x = jnp.array([1.0, 2.0, 6.0]).reshape(1, 3, 1)
        >>> ops.adaptive_avg_pool(x, 2).ravel().tolist()
        [1.5, 4.0]
    """
    x = as_images("adaptive_avg_pool", x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"adaptive_avg_pool: x is {x.dtype}: convert images to a floating dtype first."
        )
    bins = per_axis("size", size, x.ndim - 2)
    y = to_float32(x)
    for axis, count in enumerate(bins, start=1):
        y = _mean_over_bins(y, count, axis)
    return y.astype(x.dtype)


def _mean_over_bins(x: jax.Array, count: int, axis: int) -> jax.Array:
    n = x.shape[axis]
    edges = [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
    means = [
        jnp.mean(jax.lax.slice_in_dim(x, low, high, axis=axis), axis=axis, keepdims=True)
        for low, high in edges
    ]
    return jnp.concatenate(means, axis=axis)
