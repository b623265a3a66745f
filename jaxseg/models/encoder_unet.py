"""A U-Net whose contracting path is an encoder, such as a ResNet."""

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import ops
from jaxseg.models._arguments import ComputeDtype, DilationRule, Norm, suggest_arguments
from jaxseg.models._layers import run_block
from jaxseg.models.encoders import EncoderSize, Features
from jaxseg.models.segmenter import Segmenter, Size
from jaxseg.nn import Conv, ConvNorm
from jaxseg.nn.initializers import he_normal
from jaxseg.nn.norm import NormFactory

_DECODER_BLOCKS = 5  # from stride 32 to 1


@suggest_arguments
class EncoderUNet(Segmenter):
    """The U-Net of Ronneberger et al. 2015 (arXiv:1505.04597) on an encoder.

    It is built as in segmentation_models.pytorch: each decoder block resizes to the nearest pixels
    of the encoder's features one stage above, appends these, and applies two 3x3 convolutions. The
    last block goes to the images' own size, with nothing to append, and a 3x3 convolution
    classifies.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        backbone: Encoder: the name of its size in `models.ENCODERS`, such as "resnet50" or
            "mobilenet_v3_large", or the size itself.
        output_stride: Image pixels per pixel of the encoder's last features: 4, 8, 16 or 32. At 32
            the encoder strides throughout; below it the coarsest stages dilate, and fewer decoder
            blocks change the size.
        decoder: Number of channels of each of the five decoder blocks, the coarsest first.
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
        backbone: str | EncoderSize = "resnet50",
        output_stride: int = 32,
        decoder: tuple[int, ...] = (256, 128, 64, 32, 16),
        auxiliary: bool = False,
        dropout: float = 0.1,
        dilation_rule: DilationRule = "first_keeps",
        inputs: int = 3,
        norm: Norm = "batch",
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        if len(decoder) != _DECODER_BLOCKS or min(decoder) < 1:
            raise ValueError(
                f"EncoderUNet: decoder={decoder!r} must be {_DECODER_BLOCKS} integers >= 1."
            )
        super().__init__(
            classes=classes,
            backbone=backbone,
            output_stride=output_stride,
            auxiliary=auxiliary,
            dropout=dropout,
            dilation_rule=dilation_rule,
            inputs=inputs,
            norm=norm,
            dtype=dtype,
            remat=remat,
            rngs=rngs,
        )
        widths = self.backbone.widths
        skips = (widths.layer3, widths.layer2, widths.layer1, widths.stem, 0)
        inputs_of_blocks = (widths.layer4, *decoder[:-1])
        self.decoder = nnx.List(
            DecoderBlock(channels, skip, features, norm=self._norm, rngs=rngs)
            for channels, skip, features in zip(inputs_of_blocks, skips, decoder, strict=True)
        )
        self.classifier = Conv(
            decoder[-1], classes, bias=True, kernel_init=he_normal(1.0), rngs=rngs
        )

    def decode(
        self, features: Features[jax.Array], size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Map the features of all stages to logits of the images' size."""
        del key
        x = features.layer4
        skips = (features.layer3, features.layer2, features.layer1, features.stem, None)
        for block, skip in zip(self.decoder, skips, strict=True):
            x = ops.resize(x, size if skip is None else skip.shape[1:-1], method="nearest")
            x = run_block(block, x, skip, train=train, remat=self.backbone.remat)
        return self.classifier(x)


class DecoderBlock(nnx.Module):
    """Concatenate the upsampled features with the skip, then twice 3x3 convolution, norm, ReLU.

    Args:
        inputs: Number of channels of the upsampled features.
        skip: Number of channels of the skip; 0 where there is none.
        features: Number of channels of the output.
        norm: Function that makes the normalization of a given number of channels.
        rngs: Random number generators; the `params` stream draws the kernels.
    """

    def __init__(self, inputs: int, skip: int, features: int, *, norm: NormFactory, rngs: nnx.Rngs):
        self.first = ConvNorm(inputs + skip, features, norm=norm, rngs=rngs)
        self.second = ConvNorm(features, features, norm=norm, rngs=rngs)

    def __call__(self, x: jax.Array, skip: jax.Array | None, *, train: bool = False) -> jax.Array:
        """Map (batch, height, width, inputs) and a skip of that size to (..., features)."""
        if skip is not None:
            x = jnp.concatenate([x, skip], axis=-1)
        return self.second(self.first(x, train=train), train=train)
