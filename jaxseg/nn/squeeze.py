"""Squeeze and excitation: every channel is scaled by a function of the means of all channels."""

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.nn.conv import Conv
from jaxseg.nn.initializers import he_normal


class SqueezeExcitation(nnx.Module):
    """Multiply every channel by a factor in [0, 1].

    The factors are computed from the means of all channels over the whole map, by two 1x1
    convolutions with biases, ReLU between them and hard sigmoid behind, as in MobileNetV3.

    Args:
        features: channels of input and output.
        squeezed: channels between the two convolutions.
        rngs: its `params` stream gives the keys of the kernels.

    Source:
        Hu et al., "Squeeze-and-excitation networks", 2018 (arXiv:1709.01507); Howard et al.,
        "Searching for MobileNetV3", 2019 (arXiv:1905.02244).

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import nn
        >>> module = nn.SqueezeExcitation(8, 2, rngs=nnx.Rngs(0))
        >>> module(jnp.ones((2, 5, 5, 8))).shape
        (2, 5, 5, 8)
    """

    def __init__(self, features: int, squeezed: int, *, rngs: nnx.Rngs):
        self.first = Conv(features, squeezed, 1, bias=True, rngs=rngs)
        self.second = Conv(squeezed, features, 1, bias=True, kernel_init=he_normal(1.0), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (batch, height, width, features) to the same shape."""
        return x * self.excitation(self.squeeze(x))

    def squeeze(self, x: jax.Array) -> jax.Array:
        """Compute the mean of each channel, (batch, 1, 1, features)."""
        return jnp.mean(x, axis=(1, 2), keepdims=True)

    def excitation(self, means: jax.Array) -> jax.Array:
        """Compute the factors from the means, both (batch, 1, 1, features)."""
        return jax.nn.hard_sigmoid(self.second(jax.nn.relu(self.first(means))))
