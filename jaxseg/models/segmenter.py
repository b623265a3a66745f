"""What nets of an encoder and a head share: the encoder, the auxiliary head, the resizing."""

import abc
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import ops
from jaxseg.models.encoder import NORMS, DilationRule, Encoder, Features, Norm
from jaxseg.models.encoders import EncoderSize, make_encoder
from jaxseg.nn import Conv, ConvNorm, dropout
from jaxseg.nn.initializers import he_normal
from jaxseg.nn.norm import NormFactory

Size = tuple[int, ...]


@dataclass(frozen=True)
class SegmenterConfig:
    """What any `Segmenter` is made of.

    Attributes:
        classes: channels of the logits.
        backbone: the encoder, by the name of its size, such as "resnet50" or "mobilenet_v3_large"
            (all are in `models.ENCODERS`), or by the size itself.
        output_stride: as in `EncoderConfig`, like the five fields from `dilation_rule` on.
        auxiliary: give the net a second head, on the encoder's `auxiliary` features.
        dropout: before the classifier of each head, in training with a key.
        dilation_rule: see `output_stride`.
        inputs: see `output_stride`.
        norm: see `output_stride`; of the heads as well.
        dtype: see `output_stride`; of the heads as well.
        remat: see `output_stride`.
    """

    classes: int
    backbone: str | EncoderSize = "resnet50"
    output_stride: int = 8
    auxiliary: bool = False
    dropout: float = 0.1
    dilation_rule: DilationRule = "first_keeps"
    inputs: int = 3
    norm: Norm = "batch"
    dtype: Literal["float32", "bfloat16"] | None = None
    remat: bool = False

    def __post_init__(self):
        """Refuse numbers that make no head; `EncoderConfig` refuses the others."""
        if self.classes < 1:
            raise ValueError(f"{type(self).__name__}: classes={self.classes} must be at least 1.")
        if not 0 <= self.dropout < 1:
            raise ValueError(
                f"{type(self).__name__}: dropout={self.dropout} must be at least 0 and below 1."
            )

    def encoder(self, rngs: nnx.Rngs) -> Encoder:
        """The encoder."""
        return make_encoder(
            self.backbone,
            inputs=self.inputs,
            output_stride=self.output_stride,
            dilation_rule=self.dilation_rule,
            norm=self.norm,
            dtype=self.dtype,
            remat=self.remat,
            rngs=rngs,
        )

    def head(self, inputs: int, rngs: nnx.Rngs) -> "FCNHead":
        """An `FCNHead` on features of so many channels."""
        return FCNHead(inputs, self.classes, dropout=self.dropout, norm=self.make_norm, rngs=rngs)

    @property
    def make_norm(self) -> NormFactory:
        """The normalisation of the heads."""
        return NORMS[self.norm]


class Segmenter(nnx.Module, abc.ABC):
    """An encoder, a head on its features, and logits resized to the images' own size.

    Args:
        config: what to build.
        rngs: draws the kernels.
    """

    def __init__(self, config: SegmenterConfig, rngs: nnx.Rngs):
        self.backbone = config.encoder(rngs)
        inputs = self.backbone.widths.auxiliary
        self.auxiliary = config.head(inputs, rngs) if config.auxiliary else None
        self.config = config

    def __call__(
        self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Score every class at every pixel.

        Args:
            images: (batch, height, width, inputs), floating, of any height and width.
            train: normalise by the batch's statistics, and update the running ones in place.
            key: JAX PRNG key for dropout in training; without one nothing is dropped.

        Returns:
            logits, (batch, height, width, classes), float32 (float64 for such images).
        """
        size = images.shape[1:-1]
        features = self.backbone(images, train=train)
        logits = self.decode(features, size, train=train, key=key)
        return ops.resize(wide(logits, images), size)

    def with_auxiliary(
        self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """The logits of both heads, from one pass of the encoder; arguments as for a call.

        The auxiliary ones are for a second loss in training, at a weight of 0.4 (Zhao et al. 2017,
        section 3.3, arXiv:1612.01105) or 0.5 (torchvision).

        Returns:
            (logits, auxiliary logits), each as a call returns them.

        Raises:
            ValueError: the net was built without an auxiliary head.
        """
        if self.auxiliary is None:
            raise ValueError(
                f"{type(self).__name__}: no auxiliary head: build the net with auxiliary=True."
            )
        head_key, auxiliary_key = (None, None) if key is None else jax.random.split(key)
        size = images.shape[1:-1]
        features = self.backbone(images, train=train)
        logits = self.decode(features, size, train=train, key=head_key)
        auxiliary = self.auxiliary(features.auxiliary, train=train, key=auxiliary_key)
        return ops.resize(wide(logits, images), size), ops.resize(wide(auxiliary, images), size)

    @abc.abstractmethod
    def decode(
        self, features: Features, size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """The encoder's features, of images of that size -> logits (batch, *any size, classes).

        Logits of another size than the images' are resized bilinearly.
        """


class FCNHead(nnx.Module):
    """3x3 convolution to a quarter of the channels, norm, ReLU, dropout, 1x1 convolution.

    torchvision's head for fully convolutional nets, and its auxiliary head.

    Args:
        inputs: channels of the input.
        classes: channels of the logits.
        dropout: before the last convolution, in training with a key.
        norm: makes a normalisation for a number of features.
        rngs: draws the kernels.
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
        """(batch, height, width, inputs) -> (batch, height, width, classes)."""
        x = self.unit(x, train=train)
        return self.classifier(dropout(x, self.dropout, key) if train else x)


def classifier(inputs: int, classes: int, rngs: nnx.Rngs) -> Conv:
    """The last layer: a 1x1 convolution with a bias, scores of about the size of its input."""
    return Conv(inputs, classes, 1, bias=True, kernel_init=he_normal(1.0), rngs=rngs)


def wide(logits: jax.Array, images: jax.Array) -> jax.Array:
    """Logits in float32, or in float64 where the images are, whatever was computed in."""
    return logits.astype(jnp.promote_types(jnp.float32, images.dtype))
