"""Lite reduced atrous spatial pyramid pooling: the light head of MobileNetV3."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import ops
from jaxseg.models.encoder import DilationRule, Features
from jaxseg.models.encoders import EncoderSize
from jaxseg.models.segmenter import Segmenter, SegmenterConfig, Size, classifier
from jaxseg.nn import Conv, ConvNorm
from jaxseg.nn.initializers import he_normal


@dataclass(frozen=True)
class LRASPPConfig(SegmenterConfig):
    """What an `LRASPP` is made of: by default what torchvision's weights belong to.

    Attributes:
        features: channels of the head.
        backbone: as in `SegmenterConfig`, like the two fields behind it.
        output_stride: see `backbone`.
        dilation_rule: see `backbone`.
    """

    backbone: str | EncoderSize = "mobilenet_v3_large"
    output_stride: int = 16
    dilation_rule: DilationRule = "whole_stage"
    features: int = 128

    def __post_init__(self):
        """Refuse what makes no head."""
        super().__post_init__()
        if self.features < 1:
            raise ValueError(f"LRASPP: features={self.features} must be at least 1.")


class LRASPP(Segmenter):
    """Howard et al. 2019 (arXiv:1905.02244), the head as torchvision builds it.

    The last stage's features, brought to 128 channels, are scaled channel by channel by a sigmoid
    of their means, resized to the `low` features at stride 8, and both are classified and summed.

    Args:
        rngs: draws the kernels.
        fields: the fields of `LRASPPConfig`.

    Raises:
        ValueError: as `LRASPPConfig` and `EncoderConfig`.
    """

    def __init__(self, *, rngs: nnx.Rngs, **fields: Any):
        config = LRASPPConfig(**fields)
        super().__init__(config, rngs)
        widths = self.backbone.widths
        self.unit = ConvNorm(widths.layer4, config.features, 1, norm=config.make_norm, rngs=rngs)
        self.gate = Conv(widths.layer4, config.features, 1, kernel_init=he_normal(1.0), rngs=rngs)
        self.low_classifier = classifier(widths.low, config.classes, rngs)
        self.high_classifier = classifier(config.features, config.classes, rngs)

    def decode(
        self, features: Features, size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Features at stride 8 and of the last stage -> logits at stride 8."""
        del size, key
        low, high = features.low, features.layer4
        gate = jax.nn.sigmoid(self.gate(jnp.mean(high, axis=(1, 2), keepdims=True)))
        x = ops.resize(self.unit(high, train=train) * gate, low.shape[1:-1])
        return self.low_classifier(low) + self.high_classifier(x)
