"""The unit that nets are assembled from: convolution, norm, activation."""

import jax
from flax import nnx

from jaxseg.nn.blocks import Activation
from jaxseg.nn.conv import Conv
from jaxseg.nn.initializers import Initializer
from jaxseg.nn.norm import BatchNorm, NormFactory
from jaxseg.ops.geometry import Padding


class ConvNorm(nnx.Module):
    """act(norm(conv(x))), the convolution without a bias, which the norm would take away.

    Args:
        inputs: channels of the input.
        features: channels of the output.
        window: taps per axis.
        stride: as in `ops.conv`, like `dilation`.
        dilation: see `stride`.
        padding: as in `ops.conv`; None pads dilation * (window - 1) / 2 on both sides, as PyTorch's
            nets do. "same" differs from it where the stride is not 1.
        groups: as in `ops.conv`; as many as inputs and features: a depthwise convolution.
        norm: makes a normalisation for a number of features.
        activation: a named function, or None for none.
        kernel_init: initialiser of the kernel.
        rngs: draws the kernel.
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        window: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        padding: Padding | None = None,
        groups: int = 1,
        norm: NormFactory = BatchNorm,
        activation: Activation | None = jax.nn.relu,
        kernel_init: Initializer | None = None,
        rngs: nnx.Rngs,
    ):
        self.conv = Conv(
            inputs,
            features,
            window,
            stride=stride,
            dilation=dilation,
            padding=dilation * (window - 1) // 2 if padding is None else padding,
            groups=groups,
            kernel_init=kernel_init,
            rngs=rngs,
        )
        self.norm = norm(features)
        self.activation = activation

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, *space, inputs) -> (batch, *size, features)."""
        x = self.norm(self.conv(x), train=train)  # type: ignore[operator]
        return x if self.activation is None else self.activation(x)
