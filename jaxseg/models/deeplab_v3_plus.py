"""DeepLab v3+: DeepLab v3 with a decoder at stride 4."""

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import ops
from jaxseg.models._arguments import (
    ComputeDtype,
    DilationRule,
    Norm,
    check_positive,
    check_rate,
    suggest_arguments,
)
from jaxseg.models.deeplab_v3 import check_pyramid_rates
from jaxseg.models.encoders import EncoderSize, Features
from jaxseg.models.heads import classifier
from jaxseg.models.segmenter import Segmenter, Size
from jaxseg.nn import ASPP, ConvNorm
from jaxseg.nn.aspp import aspp_rates


@suggest_arguments
class DeepLabV3Plus(Segmenter):
    """DeepLab v3+ (Chen et al. 2018, section 3.1, arXiv:1802.02611).

    The pyramid's output is resized to the features of the first stage, which a 1x1 convolution
    reduces to 48 channels. Two 3x3 convolutions work on both, and a 1x1 convolution classifies. The
    pyramid's rates follow the output stride; the paper's is 16.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        backbone: Encoder: the name of its size in `models.ENCODERS`, such as "resnet50" or
            "mobilenet_v3_large", or the size itself.
        output_stride: Image pixels per pixel of the encoder's last features: 4, 8, 16 or 32. Stages
            that would go beyond it dilate instead of striding.
        rates: Dilations of the pyramid's 3x3 convolutions. None takes those of `nn.aspp.aspp_rates`
            for the output stride.
        features: Number of channels of the pyramid and of the decoder.
        pyramid_dropout: Dropout rate of the pyramid's output, in training when a key is given.
        low_features: Number of channels that the first stage's features are reduced to.
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
        output_stride: int = 8,
        rates: tuple[int, ...] | None = None,
        features: int = 256,
        pyramid_dropout: float = 0.5,
        low_features: int = 48,
        auxiliary: bool = False,
        dropout: float = 0.1,
        dilation_rule: DilationRule = "first_keeps",
        inputs: int = 3,
        norm: Norm = "batch",
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        check_positive("DeepLabV3Plus", features=features, low_features=low_features)
        check_rate("DeepLabV3Plus", "pyramid_dropout", pyramid_dropout)
        check_pyramid_rates("DeepLabV3Plus", rates)
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
        self.aspp = ASPP(
            widths.layer4,
            features,
            rates=aspp_rates(output_stride) if rates is None else rates,
            dropout=pyramid_dropout,
            norm=self._norm,
            rngs=rngs,
        )
        self.low = ConvNorm(widths.layer1, low_features, 1, norm=self._norm, rngs=rngs)
        self.first = ConvNorm(features + low_features, features, norm=self._norm, rngs=rngs)
        self.second = ConvNorm(features, features, norm=self._norm, rngs=rngs)
        self.classifier = classifier(features, classes, rngs)

    def decode(
        self, features: Features[jax.Array], size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Map the features of the first and the last stage to logits at stride 4."""
        del size
        x = self.aspp(features.layer4, train=train, key=key)
        low = self.low(features.layer1, train=train)
        x = jnp.concatenate([ops.resize(x, low.shape[1:-1]), low], axis=-1)
        return self.classifier(self.second(self.first(x, train=train), train=train))
