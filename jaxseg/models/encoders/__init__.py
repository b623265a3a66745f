"""Encoders: images to features at several strides. `ENCODERS` holds their sizes by name."""

from flax import nnx

from jaxseg.models._arguments import (
    ComputeDtype,
    DilationRule,
    Norm,
    check_choice,
    suggest_arguments,
)
from jaxseg.models.encoders.base import Encoder, EncoderSize, Features
from jaxseg.models.encoders.drn import DRNS, DRNEncoder, DRNSize
from jaxseg.models.encoders.mobilenet import MOBILENETS, Bottleneck, MobileNetSize, MobileNetV3
from jaxseg.models.encoders.resnet import RESNETS, ResNet, ResNetSize

__all__ = [
    "ENCODERS",
    "Bottleneck",
    "DRNEncoder",
    "DRNSize",
    "Encoder",
    "EncoderSize",
    "Features",
    "MobileNetSize",
    "MobileNetV3",
    "ResNet",
    "ResNetSize",
    "make_encoder",
]

# The registry: a new encoder adds its sizes.
ENCODERS: dict[str, EncoderSize] = {**RESNETS, **MOBILENETS, **DRNS}
"""Size of every encoder that has a name."""


@suggest_arguments
def make_encoder(
    backbone: str | EncoderSize,
    *,
    inputs: int = 3,
    output_stride: int = 32,
    dilation_rule: DilationRule = "first_keeps",
    norm: Norm = "batch",
    dtype: ComputeDtype | None = None,
    remat: bool = False,
    rngs: nnx.Rngs,
) -> Encoder:
    """Make the encoder of a size.

    Args:
        backbone: Name of a size in `ENCODERS`, or a size.
        inputs: Number of channels of the images.
        output_stride: Image pixels per pixel of the last features: 4 (not for DRNs), 8, 16 or 32.
            Stages that would go beyond it dilate instead of striding.
        dilation_rule: Convolutions that a dilated stage dilates more: "first_keeps" all but the one
            that strode; "whole_stage" all of them.
        norm: Normalization, "batch" or "group".
        dtype: Dtype of the computation; parameters and statistics stay float32. None computes in
            the dtype of the images.
        remat: Recompute the inside of each block in the backward pass, to save memory.
        rngs: Random number generators; the `params` stream draws the kernels.

    Raises:
        ValueError: The backbone is neither a known name nor a size, or another argument is none of
            the values that it may have.

    Example:
        >>> from flax import nnx
        >>> from jaxseg import models
        >>> size = models.ResNetSize((1, 1, 1, 1), bottleneck=False, width=8)
        >>> encoder = nnx.eval_shape(lambda: models.make_encoder(size, rngs=nnx.Rngs(0)))
        >>> encoder.widths.layer4
        64
    """
    if isinstance(backbone, str):
        check_choice("make_encoder", "backbone", backbone, ENCODERS)
        backbone = ENCODERS[backbone]
    if not isinstance(backbone, EncoderSize):
        raise ValueError(
            f"make_encoder: backbone={backbone!r} is no encoder: give a name, one of "
            f"{list(ENCODERS)}, or an EncoderSize, such as a ResNetSize."
        )
    return backbone.encoder(
        backbone,
        inputs=inputs,
        output_stride=output_stride,
        dilation_rule=dilation_rule,
        norm=norm,
        dtype=dtype,
        remat=remat,
        rngs=rngs,
    )
