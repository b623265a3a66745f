"""DRN: a 1x1 convolution on a dilated residual encoder."""

import jax
from flax import nnx

from jaxseg.models._arguments import ComputeDtype, DilationRule, Norm, suggest_arguments
from jaxseg.models.encoders import EncoderSize, Features
from jaxseg.models.heads import classifier
from jaxseg.models.segmenter import Segmenter, Size


@suggest_arguments
class DRN(Segmenter):
    """Dilated residual net (Yu, Koltun & Funkhouser 2017, arXiv:1705.09914).

    A 1x1 convolution scores the last features at stride 8, and the scores are resized. The defaults
    are those of the authors' code. A backbone such as "resnet18" is dilated as well, but not
    degridded.

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
        backbone: str | EncoderSize = "drn_d_22",
        output_stride: int = 8,
        auxiliary: bool = False,
        dropout: float = 0.1,
        dilation_rule: DilationRule = "whole_stage",
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
        self.classifier = classifier(self.backbone.widths.layer4, classes, rngs)

    def decode(
        self, features: Features[jax.Array], size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Map the last features to logits at the output stride."""
        del size, train, key
        return self.classifier(features.layer4)
