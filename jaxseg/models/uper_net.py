"""UPerNet: pyramid pooling on top of a feature pyramid."""

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
from jaxseg.models.encoders import EncoderSize, Features
from jaxseg.models.heads import classifier
from jaxseg.models.segmenter import Segmenter, Size
from jaxseg.nn import ConvNorm, PyramidPooling
from jaxseg.nn import dropout as drop


@suggest_arguments
class UPerNet(Segmenter):
    """UPerNet for semantic segmentation (Xiao et al. 2018, section 3, arXiv:1807.10221).

    The last features go through pyramid pooling and a 3x3 convolution; with 1x1 convolutions of the
    stages above they form a feature pyramid, each stage resized bilinearly and added to that above.
    A 3x3 convolution of each but the coarsest, all resized to the finest and concatenated, and one
    more lead to the classifier.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        backbone: Encoder: the name of its size in `models.ENCODERS`, such as "resnet50" or
            "mobilenet_v3_large", or the size itself.
        output_stride: Image pixels per pixel of the encoder's last features: 4, 8, 16 or 32. Stages
            that would go beyond it dilate instead of striding.
        features: Number of channels of the pyramid and of the head.
        bins: Number of bins an axis, of each part of the pooling.
        head_dropout: Dropout rate before the classifier, in training when a key is given.
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
        features: int = 512,
        bins: tuple[int, ...] = (1, 2, 3, 6),
        head_dropout: float = 0.1,
        auxiliary: bool = False,
        dropout: float = 0.1,
        dilation_rule: DilationRule = "first_keeps",
        inputs: int = 3,
        norm: Norm = "batch",
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        check_positive("UPerNet", features=features)
        check_rate("UPerNet", "head_dropout", head_dropout)
        if not bins or min(bins) < 1:
            raise ValueError(
                f"UPerNet: bins={bins!r} must be integers, one or more, and at least 1."
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
        widths, make_norm = self.backbone.widths, self._norm
        self.pooling = PyramidPooling(widths.layer4, features, bins=bins, norm=make_norm, rngs=rngs)
        inputs_of_top = widths.layer4 + len(bins) * features
        self.top = ConvNorm(inputs_of_top, features, norm=make_norm, rngs=rngs)
        self.lateral = nnx.List(
            ConvNorm(width, features, 1, norm=make_norm, rngs=rngs)
            for width in (widths.layer1, widths.layer2, widths.layer3)
        )
        self.smooth = nnx.List(
            ConvNorm(features, features, norm=make_norm, rngs=rngs) for _ in self.lateral
        )
        self.fuse = ConvNorm(4 * features, features, norm=make_norm, rngs=rngs)
        self.classifier = classifier(features, classes, rngs)
        self.head_dropout = head_dropout

    def decode(
        self, features: Features[jax.Array], size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Map the features of all stages to logits of the size of the first."""
        del size
        stages = (features.layer1, features.layer2, features.layer3)
        pyramid = [unit(x, train=train) for unit, x in zip(self.lateral, stages, strict=True)]
        pyramid.append(self.top(self.pooling(features.layer4, train=train), train=train))
        for level in (2, 1, 0):
            above = ops.resize(pyramid[level + 1], pyramid[level].shape[1:-1])
            pyramid[level] = pyramid[level] + above
        finest = pyramid[0].shape[1:-1]
        smoothed = [unit(x, train=train) for unit, x in zip(self.smooth, pyramid[:3], strict=True)]
        parts = [ops.resize(x, finest) for x in (*smoothed, pyramid[3])]
        x = self.fuse(jnp.concatenate(parts, axis=-1), train=train)
        return self.classifier(drop(x, self.head_dropout, key) if train else x)
