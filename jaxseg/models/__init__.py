"""Segmentation nets, one architecture a file: `net(images) -> logits` at the input's own size."""

from jaxseg.models.deep import DeepNet, DeepNetConfig
from jaxseg.models.deeplab import DeepLabConfig, DeepLabV3, DeepLabV3Plus
from jaxseg.models.dilated_resnet import DRNEncoder, DRNEncoderConfig, DRNSize
from jaxseg.models.drn import DRN, DRNConfig
from jaxseg.models.encoder import Encoder, EncoderConfig, Features
from jaxseg.models.encoder_unet import EncoderUNet, EncoderUNetConfig
from jaxseg.models.encoders import ENCODERS, EncoderSize, make_encoder
from jaxseg.models.fcn import FCN, SkipFCN, SkipFCNConfig
from jaxseg.models.lraspp import LRASPP, LRASPPConfig
from jaxseg.models.mobilenet import Bottleneck, MobileNetSize, MobileNetV3, MobileNetV3Config
from jaxseg.models.resnet import ResNet, ResNetConfig, ResNetSize
from jaxseg.models.segmenter import Segmenter, SegmenterConfig
from jaxseg.models.unet import UNet, UNetConfig

__all__ = [
    "DRN",
    "ENCODERS",
    "FCN",
    "LRASPP",
    "Bottleneck",
    "DRNConfig",
    "DRNEncoder",
    "DRNEncoderConfig",
    "DRNSize",
    "DeepLabConfig",
    "DeepLabV3",
    "DeepLabV3Plus",
    "DeepNet",
    "DeepNetConfig",
    "Encoder",
    "EncoderConfig",
    "EncoderSize",
    "EncoderUNet",
    "EncoderUNetConfig",
    "Features",
    "LRASPPConfig",
    "MobileNetSize",
    "MobileNetV3",
    "MobileNetV3Config",
    "ResNet",
    "ResNetConfig",
    "ResNetSize",
    "Segmenter",
    "SegmenterConfig",
    "SkipFCN",
    "SkipFCNConfig",
    "UNet",
    "UNetConfig",
    "make_encoder",
]
