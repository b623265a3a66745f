"""Segmentation nets, one architecture a file: `net(images) -> logits` at the input's own size."""

from jaxseg.models.deep import DeepNet, DeepNetConfig
from jaxseg.models.deeplab import DeepLabConfig, DeepLabV3, DeepLabV3Plus
from jaxseg.models.encoder import Encoder, EncoderConfig, Features
from jaxseg.models.encoders import ENCODERS, EncoderSize, make_encoder
from jaxseg.models.fcn import FCN, SkipFCN, SkipFCNConfig
from jaxseg.models.resnet import ResNet, ResNetConfig, ResNetSize
from jaxseg.models.segmenter import Segmenter, SegmenterConfig
from jaxseg.models.unet import UNet, UNetConfig

__all__ = [
    "ENCODERS",
    "FCN",
    "DeepLabConfig",
    "DeepLabV3",
    "DeepLabV3Plus",
    "DeepNet",
    "DeepNetConfig",
    "Encoder",
    "EncoderConfig",
    "EncoderSize",
    "Features",
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
