"""Segmentation nets, one architecture a file: `net(images) -> logits` at the input's own size."""

from jaxseg.models.deep import DeepNet, DeepNetConfig
from jaxseg.models.deeplab import DeepLabConfig, DeepLabV3, DeepLabV3Plus
from jaxseg.models.fcn import FCN, SkipFCN, SkipFCNConfig
from jaxseg.models.resnet import Features, ResNet, ResNetConfig, ResNetSize
from jaxseg.models.segmenter import Segmenter, SegmenterConfig
from jaxseg.models.unet import UNet, UNetConfig

__all__ = [
    "FCN",
    "DeepLabConfig",
    "DeepLabV3",
    "DeepLabV3Plus",
    "DeepNet",
    "DeepNetConfig",
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
]
