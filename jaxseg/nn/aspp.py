"""Atrous spatial pyramid pooling: convolutions of one map at several dilations, side by side."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.nn._dropout import dropout
from jaxseg.nn.conv_norm import ConvNorm
from jaxseg.nn.norm import BatchNorm, NormFactory

_RATES_AT_16 = (6, 12, 18)


def aspp_rates(output_stride: int) -> tuple[int, int, int]:
    """Compute dilations that reach equally far in the image at any output stride.

    They are (6, 12, 18) at 16 (Chen et al. 2017, section 3.3, arXiv:1706.05587).

    Args:
        output_stride: size of the image over that of the map.

    Raises:
        ValueError: an output stride for which they would not be integers.

    Example:
        >>> from jaxseg.nn.aspp import aspp_rates
        >>> aspp_rates(8), aspp_rates(32)
        ((12, 24, 36), (3, 6, 9))
    """
    if output_stride < 1 or any(16 * r % output_stride for r in _RATES_AT_16):
        raise ValueError(f"aspp_rates: output_stride={output_stride} must divide 96.")
    first, second, third = (16 * r // output_stride for r in _RATES_AT_16)
    return first, second, third


class ASPP(nnx.Module):
    """Atrous spatial pyramid pooling, the head of DeepLab v3.

    The branches are a 1x1 convolution, a 3x3 convolution at each rate, and a 1x1 convolution of the
    mean over the whole map, which is then repeated at every pixel. They are concatenated and
    projected by a 1x1 convolution. Each convolution is followed by norm and ReLU. In training on a
    single example, the mean is one value per channel, for which `BatchNorm` uses and keeps its
    running statistics.

    Args:
        inputs: channels of the input.
        features: channels of each branch and of the output.
        rates: dilations of the 3x3 convolutions, in pixels of the map.
        dropout: probability of dropping an entry of the output, in training with a key.
        norm: makes a normalization for a number of features.
        rngs: its `params` stream gives the keys of the kernels.

    Source:
        Chen et al., "Rethinking atrous convolution for semantic image segmentation", 2017,
        section 3.3 (arXiv:1706.05587).

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import nn
        >>> aspp = nn.ASPP(4, 8, rates=(2, 4), rngs=nnx.Rngs(0))
        >>> aspp(jnp.ones((1, 9, 9, 4))).shape
        (1, 9, 9, 8)
    """

    def __init__(
        self,
        inputs: int,
        features: int = 256,
        *,
        rates: Sequence[int],
        dropout: float = 0.0,
        norm: NormFactory = BatchNorm,
        rngs: nnx.Rngs,
    ):
        self.point = ConvNorm(inputs, features, 1, norm=norm, rngs=rngs)
        self.atrous = nnx.List(
            [ConvNorm(inputs, features, dilation=r, norm=norm, rngs=rngs) for r in rates]
        )
        self.pooled = ConvNorm(inputs, features, 1, norm=norm, rngs=rngs)
        self.project = ConvNorm((2 + len(rates)) * features, features, 1, norm=norm, rngs=rngs)
        self.dropout = dropout

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Map (batch, height, width, inputs) to (batch, height, width, features).

        Args:
            x: the map.
            train: use and update the statistics of the batch, and drop out.
            key: key of dropout; None drops nothing.
        """
        branches = [branch(x, train=train) for branch in (self.point, *self.atrous)]
        mean = self.pooled(jnp.mean(x, axis=(1, 2), keepdims=True), train=train)
        branches.append(jnp.broadcast_to(mean, branches[0].shape))
        y = self.project(jnp.concatenate(branches, axis=-1), train=train)
        return dropout(y, self.dropout, key) if train else y
