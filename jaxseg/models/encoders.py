"""Every encoder that a net can be built on."""

from typing import Any

from flax import nnx

from jaxseg.models.encoder import Encoder, one_of
from jaxseg.models.resnet import RESNETS, ResNet, ResNetSize

EncoderSize = ResNetSize
ENCODERS: dict[str, EncoderSize] = {**RESNETS}


def make_encoder(backbone: str | EncoderSize, *, rngs: nnx.Rngs, **fields: Any) -> Encoder:
    """The encoder of that size.

    Args:
        backbone: a name in `ENCODERS`, or a size.
        rngs: draws the kernels.
        fields: the fields of `EncoderConfig`.

    Raises:
        ValueError: an unknown name, or as the encoder's own config.
    """
    if isinstance(backbone, str):
        one_of("make_encoder", "backbone", backbone, ENCODERS)
    return ResNet(size=backbone, rngs=rngs, **fields)
