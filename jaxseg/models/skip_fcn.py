"""FCN-32s, FCN-16s and FCN-8s: scores of several stages, upconvolved and added."""

import jax
from flax import nnx

from jaxseg.models._arguments import (
    ComputeDtype,
    DilationRule,
    Norm,
    check_choice,
    suggest_arguments,
)
from jaxseg.models.encoders import EncoderSize, Features
from jaxseg.models.heads import classifier
from jaxseg.models.segmenter import Segmenter, Size
from jaxseg.nn import UpConv
from jaxseg.nn.initializers import bilinear


@suggest_arguments
class SkipFCN(Segmenter):
    """FCN-32s, FCN-16s and FCN-8s (Long et al. 2015, section 4.2, arXiv:1411.4038).

    The scores of the last stage are upconvolved by 2 and added to those of the stage before, down
    to stride `finest`; the sum is upconvolved by `finest` and cropped to the images. Upconvolutions
    by s have windows of 2s - (s mod 2) taps, start as bilinear interpolation, and are learned from
    there.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        backbone: Encoder: the name of its size in `models.ENCODERS`, such as "resnet50" or
            "mobilenet_v3_large", or the size itself.
        output_stride: Image pixels per pixel of the encoder's last features: 32, the coarsest
            stage.
        finest: Stride of the finest stage that is scored: 32 (FCN-32s), 16 (FCN-16s) or 8 (FCN-8s).
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
        finest: int = 8,
        auxiliary: bool = False,
        dropout: float = 0.1,
        dilation_rule: DilationRule = "first_keeps",
        inputs: int = 3,
        norm: Norm = "batch",
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        check_choice("SkipFCN", "finest", finest, (8, 16, 32))
        check_choice("SkipFCN", "output_stride", output_stride, (32,))
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
        stages = {32: 1, 16: 2, 8: 3}[finest]
        widths = self.backbone.widths
        scored = (widths.layer4, widths.layer3, widths.layer2)[:stages]
        self.scores = nnx.List(classifier(width, classes, rngs) for width in scored)
        strides = [2] * (stages - 1) + [finest]
        self.ups = nnx.List(_bilinear_upconv(classes, stride, rngs) for stride in strides)

    def decode(
        self, features: Features[jax.Array], size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Map the features of several stages to logits of the images' size."""
        del train, key
        stages = (features.layer4, features.layer3, features.layer2)[: len(self.scores)]
        total = self.scores[0](stages[0])
        for up, score, stage in zip(self.ups[:-1], self.scores[1:], stages[1:], strict=True):
            height, width = stage.shape[1:3]
            total = up(total)[:, :height, :width] + score(stage)
        return self.ups[-1](total)[:, : size[0], : size[1]]


def _bilinear_upconv(channels: int, stride: int, rngs: nnx.Rngs) -> UpConv:
    window = 2 * stride - stride % 2
    return UpConv(channels, channels, window, stride=stride, kernel_init=bilinear(), rngs=rngs)
