"""The base of nets that are an encoder and a head: auxiliary head, resizing to the images' size."""

import abc

import jax
from flax import nnx

from jaxseg import ops
from jaxseg.models._arguments import ComputeDtype, DilationRule, Norm, check_positive, check_rate
from jaxseg.models._layers import NORMS, to_float32
from jaxseg.models.encoders import EncoderSize, Features, make_encoder
from jaxseg.models.heads import FCNHead
from jaxseg.nn.norm import NormFactory

Size = tuple[int, ...]


class Segmenter(nnx.Module, abc.ABC):
    """Base of nets that are an encoder and a head, with logits resized to the images' own size.

    A subclass makes its head in its constructor, after this one, and applies it in `decode`.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        backbone: Encoder: the name of its size in `models.ENCODERS`, such as "resnet50" or
            "mobilenet_v3_large", or the size itself.
        output_stride: Image pixels per pixel of the encoder's last features: 4, 8, 16 or 32. Stages
            that would go beyond it dilate instead of striding.
        auxiliary: Add a second head, an `FCNHead` on the encoder's `auxiliary` features, for
            training.
        dropout: Dropout rate of the auxiliary head, in training when a key is given.
        dilation_rule: Convolutions that a dilated stage dilates more: "first_keeps" all but the one
            that strode; "whole_stage" all of them.
        inputs: Number of channels of the images.
        norm: Normalization of encoder and heads, "batch" or "group".
        dtype: Dtype of the computation; parameters and statistics stay float32. None computes in
            the dtype of the images.
        remat: Recompute the inside of each block in the backward pass, to save memory.
        rngs: Random number generators; the `params` stream draws the kernels.

    Raises:
        ValueError: An argument is none of the values that it may have.
    """

    def __init__(
        self,
        *,
        classes: int,
        backbone: str | EncoderSize,
        output_stride: int,
        auxiliary: bool,
        dropout: float,
        dilation_rule: DilationRule,
        inputs: int,
        norm: Norm,
        dtype: ComputeDtype | None,
        remat: bool,
        rngs: nnx.Rngs,
    ):
        name = type(self).__name__
        check_positive(name, classes=classes)
        check_rate(name, "dropout", dropout)
        self.backbone = make_encoder(
            backbone,
            inputs=inputs,
            output_stride=output_stride,
            dilation_rule=dilation_rule,
            norm=norm,
            dtype=dtype,
            remat=remat,
            rngs=rngs,
        )
        width = self.backbone.widths.auxiliary
        self.auxiliary = (
            FCNHead(width, classes, dropout=dropout, norm=NORMS[norm], rngs=rngs)
            if auxiliary
            else None
        )

    def __call__(
        self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Score every class at every pixel.

        Args:
            images: Images (batch, height, width, inputs), floating, of any height and width.
            train: Normalize by the batch's statistics, and update the running ones in place.
            key: JAX PRNG key for dropout in training; without one nothing is dropped.

        Returns:
            Logits (batch, height, width, classes), float32, or float64 for float64 images.
        """
        size = images.shape[1:-1]
        features = self.backbone(images, train=train)
        logits = self.decode(features, size, train=train, key=key)
        return ops.resize(to_float32(logits, images), size)

    def with_auxiliary(
        self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Compute the logits of both heads in one pass of the encoder.

        The auxiliary ones are for a second loss in training, at a weight of 0.4 (Zhao et al. 2017,
        section 3.3, arXiv:1612.01105) or 0.5 (torchvision); see `losses.with_auxiliary`.

        Args:
            images: Images (batch, height, width, inputs), floating, of any height and width.
            train: Normalize by the batch's statistics, and update the running ones in place.
            key: JAX PRNG key for dropout in training; without one nothing is dropped. Each head
                has a key of its own.

        Returns:
            Logits and auxiliary logits, (batch, height, width, classes) each, float32, or float64
            for float64 images.

        Raises:
            ValueError: The net was built without an auxiliary head.
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
        return (
            ops.resize(to_float32(logits, images), size),
            ops.resize(to_float32(auxiliary, images), size),
        )

    @abc.abstractmethod
    def decode(
        self, features: Features[jax.Array], size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Map the encoder's features to logits.

        Args:
            features: Features of the images.
            size: Height and width of the images.
            train: Normalize by the batch's statistics, and update the running ones in place.
            key: JAX PRNG key for dropout in training; without one nothing is dropped.

        Returns:
            Logits (batch, *space, classes) of any size; the caller resizes them bilinearly.
        """

    @property
    def _norm(self) -> NormFactory:
        """Function that makes the normalization of the heads."""
        return NORMS[self.backbone.norm]
