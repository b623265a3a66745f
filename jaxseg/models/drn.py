"""DRN: a 1x1 convolution on a dilated residual encoder."""

from dataclasses import dataclass
from typing import Any

import jax
from flax import nnx

from jaxseg.models.encoder import DilationRule, Features
from jaxseg.models.encoders import EncoderSize
from jaxseg.models.segmenter import Segmenter, SegmenterConfig, Size, classifier


@dataclass(frozen=True)
class DRNConfig(SegmenterConfig):
    """What a `DRN` is made of: by default as in the authors' code.

    Attributes:
        backbone: as in `SegmenterConfig`, like the field behind it; "drn_c_26", "drn_d_22" and so
            on, or another, such as "resnet18", which is dilated but not degridded.
        dilation_rule: see `backbone`.
    """

    backbone: str | EncoderSize = "drn_d_22"
    dilation_rule: DilationRule = "whole_stage"


class DRN(Segmenter):
    """Yu, Koltun & Funkhouser 2017 (arXiv:1705.09914): stride 8, one linear layer, and resizing.

    Args:
        rngs: draws the kernels.
        fields: the fields of `DRNConfig`.

    Raises:
        ValueError: as `DRNConfig` and `EncoderConfig`.
    """

    def __init__(self, *, rngs: nnx.Rngs, **fields: Any):
        config = DRNConfig(**fields)
        super().__init__(config, rngs)
        self.classifier = classifier(self.backbone.widths.layer4, config.classes, rngs)

    def decode(
        self, features: Features, size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """The last features -> logits at the output stride."""
        del size, train, key
        return self.classifier(features.layer4)
