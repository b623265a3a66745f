"""Segmentation nets, one architecture a file: `net(images) -> logits` at the input's own size."""

from jaxseg.models.deep import DeepNet, DeepNetConfig
from jaxseg.models.resnet import Features, ResNet, ResNetConfig, ResNetSize

__all__ = [
    "DeepNet",
    "DeepNetConfig",
    "Features",
    "ResNet",
    "ResNetConfig",
    "ResNetSize",
]
