"""Atrous spatial pyramid pooling: one map seen at several dilations at once."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.nn._dropout import dropout
from jaxseg.nn.conv_norm import ConvNorm
from jaxseg.nn.norm import BatchNorm, NormFactory

_RATES_AT_16 = (6, 12, 18)


def aspp_rates(output_stride: int) -> tuple[int, int, int]:
    """Dilations that reach equally far in the image at any output stride.

    (6, 12, 18) at 16 (Chen et al. 2017, section 3.3, arXiv:1706.05587), so (12, 24, 36) at 8 and
    (3, 6, 9) at 32.

    Raises:
        ValueError: an output stride that leaves no integers.
    """
    if output_stride < 1 or any(16 * r % output_stride for r in _RATES_AT_16):
        raise ValueError(f"aspp_rates: output_stride={output_stride} must divide 96.")
    first, second, third = (16 * r // output_stride for r in _RATES_AT_16)
    return first, second, third


class ASPP(nnx.Module):
    """Chen et al. 2017, section 3.3 (arXiv:1706.05587).

    A 1x1 convolution, a 3x3 convolution at each rate, and a 1x1 convolution of the mean over the
    whole map, spread over the map again; concatenated, and brought back by a 1x1 convolution. Each
    is followed by norm and ReLU. In training on a single example, the mean is one value a channel:
    `BatchNorm` then takes its running statistics there, and leaves them as they are.

    Args:
        inputs: channels of the input.
        features: channels of each branch and of the output.
        rates: dilations of the 3x3 convolutions, in pixels of the map.
        dropout: of the output, in training with a key.
        norm: makes a normalisation for a number of features.
        rngs: draws the kernels.
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
        """(batch, height, width, inputs) -> (batch, height, width, features)."""
        branches = [branch(x, train=train) for branch in (self.point, *self.atrous)]
        mean = self.pooled(jnp.mean(x, axis=(1, 2), keepdims=True), train=train)
        branches.append(jnp.broadcast_to(mean, branches[0].shape))
        y = self.project(jnp.concatenate(branches, axis=-1), train=train)
        return dropout(y, self.dropout, key) if train else y
