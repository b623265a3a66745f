"""LR-ASPP: the light head of MobileNetV3, lite reduced atrous spatial pyramid pooling."""

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import ops
from jaxseg.models._arguments import (
    ComputeDtype,
    DilationRule,
    Norm,
    check_positive,
    suggest_arguments,
)
from jaxseg.models.encoders import EncoderSize, Features
from jaxseg.models.heads import classifier
from jaxseg.models.segmenter import Segmenter, Size
from jaxseg.nn import Conv, ConvNorm
from jaxseg.nn.initializers import he_normal


@suggest_arguments
class LRASPP(Segmenter):
    """LR-ASPP (Howard et al. 2019, arXiv:1905.02244), with the head as torchvision builds it.

    The last features are reduced to 128 channels, scaled channel by channel by a sigmoid of their
    means, and resized to the `low` features at stride 8. Both are classified, and the scores are
    added. The defaults are those of torchvision's weights.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        backbone: Encoder: the name of its size in `models.ENCODERS`, such as "resnet50" or
            "mobilenet_v3_large", or the size itself.
        output_stride: Image pixels per pixel of the encoder's last features: 4, 8, 16 or 32. Stages
            that would go beyond it dilate instead of striding.
        features: Number of channels of the head.
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
        backbone: str | EncoderSize = "mobilenet_v3_large",
        output_stride: int = 16,
        features: int = 128,
        auxiliary: bool = False,
        dropout: float = 0.1,
        dilation_rule: DilationRule = "whole_stage",
        inputs: int = 3,
        norm: Norm = "batch",
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        check_positive("LRASPP", features=features)
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
        self.unit = ConvNorm(widths.layer4, features, 1, norm=self._norm, rngs=rngs)
        self.gate = Conv(widths.layer4, features, 1, kernel_init=he_normal(1.0), rngs=rngs)
        self.low_classifier = classifier(widths.low, classes, rngs)
        self.high_classifier = classifier(features, classes, rngs)

    def decode(
        self, features: Features[jax.Array], size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Map the features at stride 8 and the last ones to logits at stride 8."""
        del size, key
        low, high = features.low, features.layer4
        gate = jax.nn.sigmoid(self.gate(jnp.mean(high, axis=(1, 2), keepdims=True)))
        x = ops.resize(self.unit(high, train=train) * gate, low.shape[1:-1])
        return self.low_classifier(low) + self.high_classifier(x)
