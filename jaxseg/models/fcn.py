"""Fully convolutional nets: a head on the last stage, or scores of several stages upconvolved."""

from dataclasses import dataclass
from typing import Any

import jax
from flax import nnx

from jaxseg.models.encoder import Features, one_of
from jaxseg.models.segmenter import Segmenter, SegmenterConfig, Size, classifier
from jaxseg.nn import UpConv
from jaxseg.nn.initializers import bilinear


class FCN(Segmenter):
    """torchvision's fully convolutional net: a dilated encoder and one head on its last stage.

    After Long et al. 2015 (arXiv:1411.4038), with dilation in the place of learned upsampling.

    Args:
        rngs: draws the kernels.
        fields: the fields of `SegmenterConfig`.

    Raises:
        ValueError: as `SegmenterConfig` and `EncoderConfig`.
    """

    def __init__(self, *, rngs: nnx.Rngs, **fields: Any):
        config = SegmenterConfig(**fields)
        super().__init__(config, rngs)
        self.head = config.head(self.backbone.widths.layer4, rngs)

    def decode(
        self, features: Features, size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """The last stage's features -> logits at the output stride."""
        del size
        return self.head(features.layer4, train=train, key=key)


@dataclass(frozen=True)
class SkipFCNConfig(SegmenterConfig):
    """What a `SkipFCN` is made of.

    Attributes:
        finest: stride of the finest stage that is scored: 32 (FCN-32s), 16 or 8 (FCN-8s).
        output_stride: 32: the coarsest stage.
    """

    output_stride: int = 32
    finest: int = 8

    def __post_init__(self):
        """Refuse strides that the encoder has not."""
        super().__post_init__()
        one_of("SkipFCN", "finest", self.finest, (8, 16, 32))
        one_of("SkipFCN", "output_stride", self.output_stride, (32,))


class SkipFCN(Segmenter):
    """FCN-32s, FCN-16s and FCN-8s (Long et al. 2015, section 4.2, arXiv:1411.4038).

    The last stage's scores are upconvolved by two and added to those of the stage before, down to
    stride `finest`, then upconvolved by `finest` and cropped to the images. Upconvolutions by s
    have windows of 2s - (s mod 2) taps, start as bilinear interpolation, and learn from there.

    Args:
        rngs: draws the kernels.
        fields: the fields of `SkipFCNConfig`.

    Raises:
        ValueError: as `SkipFCNConfig` and `EncoderConfig`.
    """

    def __init__(self, *, rngs: nnx.Rngs, **fields: Any):
        config = SkipFCNConfig(**fields)
        super().__init__(config, rngs)
        count = {32: 1, 16: 2, 8: 3}[config.finest]
        found = self.backbone.widths
        widths = (found.layer4, found.layer3, found.layer2)[:count]
        self.scores = nnx.List([classifier(w, config.classes, rngs) for w in widths])
        strides = [2] * (count - 1) + [config.finest]
        self.ups = nnx.List([_upconv(config.classes, s, rngs) for s in strides])

    def decode(
        self, features: Features, size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Features of several stages -> logits, what is beyond the images cut off."""
        del train, key
        stages = (features.layer4, features.layer3, features.layer2)[: len(self.scores)]
        total = self.scores[0](stages[0])
        for up, score, stage in zip(self.ups[:-1], self.scores[1:], stages[1:], strict=True):
            height, width = stage.shape[1:3]
            total = up(total)[:, :height, :width] + score(stage)
        return self.ups[-1](total)[:, : size[0], : size[1]]


def _upconv(channels: int, stride: int, rngs: nnx.Rngs) -> UpConv:
    window = 2 * stride - stride % 2
    return UpConv(channels, channels, window, stride=stride, kernel_init=bilinear(), rngs=rngs)
