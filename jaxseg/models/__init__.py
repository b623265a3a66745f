"""Segmentation nets, one architecture a file: `net(images) -> logits` at the input's own size."""

from jaxseg.models.deep import DeepNet, DeepNetConfig

__all__ = ["DeepNet", "DeepNetConfig"]
