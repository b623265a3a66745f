"""LinkNet: an encoder whose features are added, stage by stage, to those of light decoders."""

import functools

import jax
from flax import nnx

from jaxseg.models._arguments import ComputeDtype, DilationRule, Norm, suggest_arguments
from jaxseg.models._layers import run_block
from jaxseg.models.encoders import EncoderSize, Features
from jaxseg.models.segmenter import Segmenter, Size
from jaxseg.nn import ConvNorm, UpConv
from jaxseg.nn.norm import NormFactory

_HEAD_FEATURES = 32


@suggest_arguments
class LinkNet(Segmenter):
    """LinkNet (Chaurasia & Culurciello 2017, fig. 1 and 2, arXiv:1707.03718).

    Each stage of the encoder has a decoder: a 1x1 convolution to a quarter of the channels, a 3x3
    upconvolution, and a 1x1 convolution to the channels of the stage above, whose features are
    added. Behind the last one, a 3x3 upconvolution, a 3x3 convolution and a 2x2 upconvolution lead
    to the images' size. What an upconvolution makes beyond an odd size is cut off.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        backbone: Encoder: the name of its size in `models.ENCODERS`, such as "resnet18", the
            paper's, or the size itself.
        output_stride: Image pixels per pixel of the encoder's last features: 4, 8, 16 or 32. Stages
            that would go beyond it dilate instead of striding, and their decoders do not stride.
        auxiliary: Add a second head, an `FCNHead` on the encoder's `auxiliary` features, for
            training.
        dropout: Dropout rate of the auxiliary head, in training when a key is given.
        dilation_rule: Convolutions that a dilated stage dilates more: "first_keeps" all but the one
            that strode; "whole_stage" all of them.
        inputs: Number of channels of the images.
        norm: Normalization of encoder and decoders, "batch" or "group".
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
        backbone: str | EncoderSize = "resnet18",
        output_stride: int = 32,
        auxiliary: bool = False,
        dropout: float = 0.1,
        dilation_rule: DilationRule = "first_keeps",
        inputs: int = 3,
        norm: Norm = "batch",
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
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
        widths, strides = self.backbone.widths, (32, 16, 8)
        channels = (widths.layer4, widths.layer3, widths.layer2, widths.layer1)
        # A stage that dilates has the size of the one above, and so has its decoder.
        factors = (*(2 if output_stride >= stride else 1 for stride in strides), 1)
        decoder = functools.partial(LinkDecoder, norm=self._norm, rngs=rngs)
        self.decoder = nnx.List(
            decoder(above, below, stride=factor)
            for above, below, factor in zip(
                channels, (*channels[1:], widths.layer1), factors, strict=True
            )
        )
        self.first = UpConv(widths.layer1, _HEAD_FEATURES, 3, padding="valid", rngs=rngs)
        self.first_norm = self._norm(_HEAD_FEATURES)
        self.second = ConvNorm(_HEAD_FEATURES, _HEAD_FEATURES, norm=self._norm, rngs=rngs)
        self.classifier = UpConv(_HEAD_FEATURES, classes, 2, bias=True, rngs=rngs)

    def decode(
        self, features: Features[jax.Array], size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Map the features of all stages to logits of the images' size, or of one pixel more."""
        del key
        x = features.layer4
        skips = (features.layer3, features.layer2, features.layer1, None)
        for block, skip in zip(self.decoder, skips, strict=True):
            x = run_block(block, x, skip, train=train, remat=self.backbone.remat)
        half = tuple(-(-n // 2) for n in size)
        x = jax.nn.relu(self.first_norm(_crop(self.first(x), half), train=train))  # type: ignore[operator]
        return _crop(self.classifier(self.second(x, train=train)), size)


class LinkDecoder(nnx.Module):
    """1x1 convolution, 3x3 upconvolution, 1x1 convolution, each with norm and ReLU; add the skip.

    Args:
        inputs: Number of channels of the input, of which a quarter is upsampled.
        features: Number of channels of the output, and of the skip.
        stride: Factor of upsampling, 1 or 2.
        norm: Function that makes the normalization of a given number of channels.
        rngs: Random number generators; the `params` stream draws the kernels.
    """

    def __init__(
        self, inputs: int, features: int, *, stride: int, norm: NormFactory, rngs: nnx.Rngs
    ):
        inner = max(1, inputs // 4)
        self.reduce = ConvNorm(inputs, inner, 1, norm=norm, rngs=rngs)
        self.up = UpConv(
            inner, inner, 3, stride=stride, padding=1, output_padding=stride - 1, rngs=rngs
        )
        self.up_norm = norm(inner)
        self.expand = ConvNorm(inner, features, 1, norm=norm, rngs=rngs)

    def __call__(self, x: jax.Array, skip: jax.Array | None, *, train: bool = False) -> jax.Array:
        """Map (batch, height, width, inputs) to the size of the skip, or to the stride's."""
        x = self.up(self.reduce(x, train=train))
        x = x if skip is None else _crop(x, skip.shape[1:-1])
        x = jax.nn.relu(self.up_norm(x, train=train))  # type: ignore[operator]
        x = self.expand(x, train=train)
        return x if skip is None else x + skip


def _crop(x: jax.Array, size: Size) -> jax.Array:
    """Cut off what an upconvolution made beyond a size."""
    return x[:, : size[0], : size[1]]
