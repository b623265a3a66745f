"""The pyramid pooling module: means over bins of several sizes, beside the features."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import ops
from jaxseg.nn.conv_norm import ConvNorm
from jaxseg.nn.norm import BatchNorm, NormFactory


class PyramidPooling(nnx.Module):
    """Pyramid pooling (Zhao et al. 2017, section 3.2 and fig. 3, arXiv:1612.01105).

    The map is averaged over 1, 2 × 2, 3 × 3 and 6 × 6 bins; each result is reduced by a 1x1
    convolution, resized bilinearly to the map's size, and concatenated behind the map. A pixel so
    sees the whole image, and what it sees depends on the bin that it lies in.

    Args:
        inputs: channels of the map.
        features: channels of each pooled part.
        bins: number of bins an axis, of each part.
        norm: makes a normalization for a number of features.
        rngs: its `params` stream gives the keys of the kernels.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import nn
        >>> pooling = nn.PyramidPooling(8, 2, rngs=nnx.Rngs(0))
        >>> pooling(jnp.ones((1, 9, 9, 8))).shape
        (1, 9, 9, 16)
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        *,
        bins: Sequence[int] = (1, 2, 3, 6),
        norm: NormFactory = BatchNorm,
        rngs: nnx.Rngs,
    ):
        self.bins = tuple(bins)
        self.reduce = nnx.List(
            ConvNorm(inputs, features, 1, norm=norm, rngs=rngs) for _ in self.bins
        )

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map (batch, height, width, inputs) to (..., inputs + bins × features)."""
        size = x.shape[1:-1]
        parts = [x]
        for count, reduce in zip(self.bins, self.reduce, strict=True):
            pooled = reduce(ops.adaptive_avg_pool(x, count), train=train)
            parts.append(ops.resize(pooled, size))
        return jnp.concatenate(parts, axis=-1)
