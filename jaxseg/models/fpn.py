"""FPN: a feature pyramid whose levels are added up for segmentation."""

import jax
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


@suggest_arguments
class FPN(Segmenter):
    """The semantic branch of panoptic FPN (Kirillov et al. 2019, section 3 and fig. 3).

    A feature pyramid (Lin et al. 2017, arXiv:1612.03144) has the same channels at every stage: 1x1
    convolutions, the stage below resized to the nearest pixels and added, and a 3x3 convolution.
    From each stage, 3x3 convolutions with norm and ReLU, each followed by bilinear resizing to the
    size of the stage above, lead to the finest one, where all are added and a 1x1 convolution
    classifies (arXiv:1901.02446). The paper's norm is that of groups.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        backbone: Encoder: the name of its size in `models.ENCODERS`, such as "resnet50" or
            "mobilenet_v3_large", or the size itself.
        output_stride: Image pixels per pixel of the encoder's last features: 4, 8, 16 or 32. Stages
            that would go beyond it dilate instead of striding.
        pyramid: Number of channels of the pyramid.
        features: Number of channels of the convolutions behind it.
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
        pyramid: int = 256,
        features: int = 128,
        auxiliary: bool = False,
        dropout: float = 0.1,
        dilation_rule: DilationRule = "first_keeps",
        inputs: int = 3,
        norm: Norm = "batch",
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        check_positive("FPN", pyramid=pyramid, features=features)
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
        channels = (widths.layer1, widths.layer2, widths.layer3, widths.layer4)
        self.lateral = nnx.List(Conv(width, pyramid, 1, bias=True, rngs=rngs) for width in channels)
        self.smooth = nnx.List(Conv(pyramid, pyramid, bias=True, rngs=rngs) for _ in channels)
        self.branches = nnx.List(
            nnx.List(
                ConvNorm(features if n else pyramid, features, norm=self._norm, rngs=rngs)
                for n in range(max(1, level))
            )
            for level in range(len(channels))
        )
        self.classifier = classifier(features, classes, rngs)

    def decode(
        self, features: Features[jax.Array], size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Map the features of all stages to logits of the size of the first."""
        del size, key
        stages = (features.layer1, features.layer2, features.layer3, features.layer4)
        sizes = [stage.shape[1:-1] for stage in stages]
        pyramid = [lateral(x) for lateral, x in zip(self.lateral, stages, strict=True)]
        for level in (2, 1, 0):
            above = ops.resize(pyramid[level + 1], sizes[level], method="nearest")
            pyramid[level] = pyramid[level] + above
        levels = []
        for level, (x, smooth) in enumerate(zip(pyramid, self.smooth, strict=True)):
            x = smooth(x)
            for n, unit in enumerate(self.branches[level], start=1):
                x = ops.resize(unit(x, train=train), sizes[max(0, level - n)])
            levels.append(x)
        return self.classifier(sum(levels[1:], levels[0]))
