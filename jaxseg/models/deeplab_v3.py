"""DeepLab v3: atrous spatial pyramid pooling on a dilated encoder."""

import jax
from flax import nnx

from jaxseg.models._arguments import (
    ComputeDtype,
    DilationRule,
    Norm,
    check_positive,
    check_rate,
    suggest_arguments,
)
from jaxseg.models.encoders import EncoderSize, Features
from jaxseg.models.heads import classifier
from jaxseg.models.segmenter import Segmenter, Size
from jaxseg.nn import ASPP, ConvNorm
from jaxseg.nn.aspp import aspp_rates


def check_pyramid_rates(owner: str, rates: tuple[int, ...] | None) -> None:
    """Raise a `ValueError` unless the rates are None or integers of at least 1.

    Args:
        owner: Name of the net, for the message.
        rates: Dilations of the pyramid's 3x3 convolutions, or None.
    """
    if rates is not None and (not rates or min(rates) < 1):
        raise ValueError(
            f"{owner}: rates={rates!r} must be integers >= 1, or None for those that belong to "
            "the output stride."
        )


@suggest_arguments
class DeepLabV3(Segmenter):
    """DeepLab v3 (Chen et al. 2017, arXiv:1706.05587) as torchvision builds it.

    The pyramid on the last features, a 3x3 convolution, norm and ReLU, a 1x1 classifier, and
    bilinear resizing from the output stride. The pyramid's rates follow the output stride;
    torchvision's on MobileNetV3 do not: `interop.TORCHVISION_NETS` has the settings of its weights.

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
        auxiliary: bool = False,
        dropout: float = 0.1,
        dilation_rule: DilationRule = "first_keeps",
        inputs: int = 3,
        norm: Norm = "batch",
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        check_positive("DeepLabV3", features=features)
        check_rate("DeepLabV3", "pyramid_dropout", pyramid_dropout)
        check_pyramid_rates("DeepLabV3", rates)
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
        self.aspp = ASPP(
            self.backbone.widths.layer4,
            features,
            rates=aspp_rates(output_stride) if rates is None else rates,
            dropout=pyramid_dropout,
            norm=self._norm,
            rngs=rngs,
        )
        self.unit = ConvNorm(features, features, norm=self._norm, rngs=rngs)
        self.classifier = classifier(features, classes, rngs)

    def decode(
        self, features: Features[jax.Array], size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Map the last features to logits at the output stride."""
        del size
        x = self.aspp(features.layer4, train=train, key=key)
        return self.classifier(self.unit(x, train=train))
