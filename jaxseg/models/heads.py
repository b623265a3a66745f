"""Heads that score features: the 1x1 classifier, and torchvision's fully convolutional head."""

import jax
from flax import nnx

from jaxseg.nn import Conv, ConvNorm, dropout
from jaxseg.nn.initializers import he_normal
from jaxseg.nn.norm import NormFactory


def classifier(inputs: int, classes: int, rngs: nnx.Rngs) -> Conv:
    """Make a 1x1 convolution with a bias, whose initial scores are about as large as its input."""
    return Conv(inputs, classes, 1, bias=True, kernel_init=he_normal(1.0), rngs=rngs)


class FCNHead(nnx.Module):
    """3x3 convolution to a quarter of the channels, norm, ReLU, dropout, 1x1 convolution.

    torchvision's fully convolutional nets have this head, and all its auxiliary heads are of this
    kind.

    Args:
        inputs: Number of channels of the features.
        classes: Number of classes.
        dropout: Dropout rate before the last convolution, in training when a key is given.
        norm: Function that makes the normalization of a given number of channels.
        rngs: Random number generators; the `params` stream draws the kernels.
    """

    def __init__(
        self, inputs: int, classes: int, *, dropout: float, norm: NormFactory, rngs: nnx.Rngs
    ):
        self.unit = ConvNorm(inputs, inputs // 4, norm=norm, rngs=rngs)
        self.classifier = classifier(inputs // 4, classes, rngs)
        self.dropout = dropout

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Map features (batch, height, width, inputs) to logits (batch, height, width, classes)."""
        x = self.unit(x, train=train)
        return self.classifier(dropout(x, self.dropout, key) if train else x)
