"""The unit that nets are assembled from: convolution, norm, activation."""

import jax
from flax import nnx

from jaxseg.nn.blocks import Activation
from jaxseg.nn.conv import Conv
from jaxseg.nn.initializers import Initializer
from jaxseg.nn.norm import BatchNorm, NormFactory
from jaxseg.ops.options import Padding


class ConvNorm(nnx.Module):
    """A convolution, norm and activation: act(norm(conv(x))).

    The convolution has no bias, which the norm would take away.

    Args:
        inputs: channels of the input.
        features: channels of the output.
        window: number of taps per axis, for two spatial axes.
        stride: step between output pixels, in input pixels.
        dilation: distance between the taps of the window, in input pixels.
        padding: None pads dilation * (window - 1) / 2 on both sides, as PyTorch's nets do, which
            differs from "same" where the stride is not 1; otherwise "same", "valid", an integer, or
            one integer or pair (before, after) per axis.
        groups: number of groups of channels that do not see each other; with as many as inputs and
            features this is a depthwise convolution.
        norm: makes a normalization for a number of features.
        activation: a named function, or None for no activation.
        kernel_init: initializer of the kernel; None means `initializers.he_normal()`.
        rngs: its `params` stream gives the key of the kernel.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import nn
        >>> unit = nn.ConvNorm(3, 8, stride=2, rngs=nnx.Rngs(0))
        >>> unit(jnp.ones((2, 32, 32, 3)), train=True).shape
        (2, 16, 16, 8)
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
        """Map (batch, height, width, inputs) to (batch, *size, features)."""
        x = self.norm(self.conv(x), train=train)  # type: ignore[operator]
        return x if self.activation is None else self.activation(x)
