"""Every encoder that a net can be built on."""

from typing import Any

from flax import nnx

from jaxseg.models.dilated_resnet import DRNS, DRNEncoder, DRNSize
from jaxseg.models.encoder import Encoder, one_of
from jaxseg.models.mobilenet import MOBILENETS, MobileNetSize, MobileNetV3
from jaxseg.models.resnet import RESNETS, ResNet, ResNetSize

EncoderSize = ResNetSize | MobileNetSize | DRNSize
ENCODERS: dict[str, EncoderSize] = {**RESNETS, **MOBILENETS, **DRNS}


def make_encoder(backbone: str | EncoderSize, *, rngs: nnx.Rngs, **fields: Any) -> Encoder:
    """The encoder of that size.

    Args:
        backbone: a name in `ENCODERS`, or a size.
        rngs: draws the kernels.
        fields: the fields of `EncoderConfig`.

    Raises:
        ValueError: neither of them, or as the encoder's own config.
    """
    if isinstance(backbone, str):
        one_of("make_encoder", "backbone", backbone, ENCODERS)
    match ENCODERS[backbone] if isinstance(backbone, str) else backbone:
        case ResNetSize():
            return ResNet(size=backbone, rngs=rngs, **fields)
        case MobileNetSize():
            return MobileNetV3(size=backbone, rngs=rngs, **fields)
        case DRNSize():
            return DRNEncoder(size=backbone, rngs=rngs, **fields)
    raise ValueError(
        f"make_encoder: backbone={backbone!r} is no encoder: give a name, one of {list(ENCODERS)}, "
        "or a ResNetSize, a MobileNetSize or a DRNSize."
    )
