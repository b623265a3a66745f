"""Segmentation nets, one architecture a file: `net(images) -> logits` at the input's own size.

All options are keyword arguments of the constructors. The nets take images (batch, height, width,
channels) of any size; `UNet` and `DeepNet` stand alone, the others are a head on an encoder, whose
sizes `ENCODERS` lists by name.
"""

from jaxseg.models.deep_net import DeepNet, DeepNetConfig
from jaxseg.models.deeplab_v3 import DeepLabV3
from jaxseg.models.deeplab_v3_plus import DeepLabV3Plus
from jaxseg.models.drn import DRN
from jaxseg.models.encoder_unet import EncoderUNet
from jaxseg.models.encoders import (
    ENCODERS,
    Bottleneck,
    DRNEncoder,
    DRNSize,
    Encoder,
    EncoderSize,
    Features,
    MobileNetSize,
    MobileNetV3,
    ResNet,
    ResNetSize,
    make_encoder,
)
from jaxseg.models.erfnet import ERFNet
from jaxseg.models.fc_densenet import FC_DENSENETS, FCDenseNet
from jaxseg.models.fcn import FCN
from jaxseg.models.fpn import FPN
from jaxseg.models.linknet import LinkNet
from jaxseg.models.lraspp import LRASPP
from jaxseg.models.psp_net import PSPNet
from jaxseg.models.segmenter import Segmenter
from jaxseg.models.skip_fcn import SkipFCN
from jaxseg.models.unet import UNet
from jaxseg.models.unet_plus_plus import UNetPlusPlus
from jaxseg.models.uper_net import UPerNet

__all__ = [
    "DRN",
    "ENCODERS",
    "FCN",
    "FC_DENSENETS",
    "FPN",
    "LRASPP",
    "Bottleneck",
    "DRNEncoder",
    "DRNSize",
    "DeepLabV3",
    "DeepLabV3Plus",
    "DeepNet",
    "DeepNetConfig",
    "ERFNet",
    "Encoder",
    "EncoderSize",
    "EncoderUNet",
    "FCDenseNet",
    "Features",
    "LinkNet",
    "MobileNetSize",
    "MobileNetV3",
    "PSPNet",
    "ResNet",
    "ResNetSize",
    "Segmenter",
    "SkipFCN",
    "UNet",
    "UNetPlusPlus",
    "UPerNet",
    "make_encoder",
]
