"""PSPNet: pyramid pooling on an encoder that dilates."""

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
from jaxseg.nn import ConvNorm, PyramidPooling
from jaxseg.nn import dropout as drop


@suggest_arguments
class PSPNet(Segmenter):
    """PSPNet (Zhao et al. 2017, section 3, arXiv:1612.01105).

    The encoder's last features go through pyramid pooling, each of whose parts has the features'
    channels divided by their number; a 3x3 convolution, dropout and a 1x1 convolution classify.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        backbone: Encoder: the name of its size in `models.ENCODERS`, such as "resnet50" or
            "mobilenet_v3_large", or the size itself.
        output_stride: Image pixels per pixel of the encoder's last features: 4, 8, 16 or 32. Stages
            that would go beyond it dilate instead of striding.
        features: Number of channels of the 3x3 convolution.
        bins: Number of bins an axis, of each part of the pyramid.
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
        output_stride: int = 8,
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
        check_positive("PSPNet", features=features)
        check_rate("PSPNet", "head_dropout", head_dropout)
        if not bins or min(bins) < 1:
            raise ValueError(
                f"PSPNet: bins={bins!r} must be integers, one or more, and at least 1."
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
        width = self.backbone.widths.layer4
        part = max(1, width // len(bins))
        self.pooling = PyramidPooling(width, part, bins=bins, norm=self._norm, rngs=rngs)
        self.project = ConvNorm(width + len(bins) * part, features, norm=self._norm, rngs=rngs)
        self.classifier = classifier(features, classes, rngs)
        self.head_dropout = head_dropout

    def decode(
        self, features: Features[jax.Array], size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Map the features of the last stage to logits."""
        del size
        x = self.project(self.pooling(features.layer4, train=train), train=train)
        return self.classifier(drop(x, self.head_dropout, key) if train else x)
