"""Squeeze and excitation: each channel scaled by what the means of all of them tell."""

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.nn.conv import Conv
from jaxseg.nn.initializers import he_normal


class SqueezeExcitation(nnx.Module):
    """x times a factor in [0, 1] for every channel (Hu et al. 2018, arXiv:1709.01507).

    The factors come from the channels' means over the whole map, by two 1x1 convolutions with
    biases, ReLU between them and hard sigmoid behind, as in MobileNetV3 (Howard et al. 2019,
    arXiv:1905.02244).

    Args:
        features: channels of input and output.
        squeezed: channels between the two convolutions.
        rngs: draws the kernels.
    """

    def __init__(self, features: int, squeezed: int, *, rngs: nnx.Rngs):
        self.first = Conv(features, squeezed, 1, bias=True, rngs=rngs)
        self.second = Conv(squeezed, features, 1, bias=True, kernel_init=he_normal(1.0), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, height, width, features) -> the same shape."""
        return x * self.excitation(self.squeeze(x))

    def squeeze(self, x: jax.Array) -> jax.Array:
        """The mean of each channel, (batch, 1, 1, features)."""
        return jnp.mean(x, axis=(1, 2), keepdims=True)

    def excitation(self, means: jax.Array) -> jax.Array:
        """Means, (batch, 1, 1, features) -> factors of that shape."""
        return jax.nn.hard_sigmoid(self.second(jax.nn.relu(self.first(means))))
