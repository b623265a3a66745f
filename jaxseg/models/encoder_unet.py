"""U-Net whose way down is an encoder, such as a ResNet."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import ops
from jaxseg.models.encoder import Features
from jaxseg.models.segmenter import Segmenter, SegmenterConfig, Size
from jaxseg.nn import Conv, ConvNorm, rematerialize
from jaxseg.nn.initializers import he_normal
from jaxseg.nn.norm import NormFactory

_RAISES = 5  # from stride 32 to 1


@dataclass(frozen=True)
class EncoderUNetConfig(SegmenterConfig):
    """What an `EncoderUNet` is made of.

    Attributes:
        output_stride: 32: the encoder strides throughout; below it, fewer steps up resize.
        decoder: channels behind each of the five steps up.
    """

    output_stride: int = 32
    decoder: tuple[int, ...] = (256, 128, 64, 32, 16)

    def __post_init__(self):
        """Refuse what makes no decoder."""
        super().__post_init__()
        if len(self.decoder) != _RAISES or min(self.decoder) < 1:
            raise ValueError(
                f"EncoderUNet: decoder={self.decoder!r} must be {_RAISES} integers >= 1."
            )


class EncoderUNet(Segmenter):
    """The U-Net of Ronneberger et al. 2015 (arXiv:1505.04597) on an encoder.

    As segmentation_models.pytorch builds it: each step up resizes to the nearest pixels of the
    encoder's features one stage above, appends these, and works on both with two 3x3 convolutions;
    the last step goes to the images' own size, with nothing to append, and a 3x3 convolution
    classifies.

    Args:
        rngs: draws the kernels.
        fields: the fields of `EncoderUNetConfig`.

    Raises:
        ValueError: as `EncoderUNetConfig` and `EncoderConfig`.
    """

    config: EncoderUNetConfig

    def __init__(self, *, rngs: nnx.Rngs, **fields: Any):
        config = EncoderUNetConfig(**fields)
        super().__init__(config, rngs)
        found, norm = self.backbone.widths, config.make_norm
        skips = (found.layer3, found.layer2, found.layer1, found.stem, 0)
        inputs = (found.layer4, *config.decoder)
        self.steps = nnx.List(
            [
                StepUp(i, s, o, norm=norm, rngs=rngs)
                for i, s, o in zip(inputs, skips, config.decoder, strict=False)
            ]
        )
        self.classifier = Conv(
            config.decoder[-1], config.classes, bias=True, kernel_init=he_normal(1.0), rngs=rngs
        )

    def decode(
        self, features: Features, size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Features of all stages -> logits of the images' size."""
        del key
        x = features.layer4
        skips = (features.layer3, features.layer2, features.layer1, features.stem, None)
        for step, skip in zip(self.steps, skips, strict=True):
            x = ops.resize(x, size if skip is None else skip.shape[1:-1], method="nearest")
            if self.config.remat:
                x = rematerialize(step, x, skip, train=train)
            else:
                x = step(x, skip, train=train)
        return self.classifier(x)


class StepUp(nnx.Module):
    """What came up and the skip behind it, then twice 3x3 convolution, norm, ReLU.

    Args:
        inputs: channels of what came up.
        skip: channels of the skip; 0 for none.
        features: channels of the output.
        norm: makes a normalisation for a number of features.
        rngs: draws the kernels.
    """

    def __init__(self, inputs: int, skip: int, features: int, *, norm: NormFactory, rngs: nnx.Rngs):
        self.first = ConvNorm(inputs + skip, features, norm=norm, rngs=rngs)
        self.second = ConvNorm(features, features, norm=norm, rngs=rngs)

    def __call__(self, x: jax.Array, skip: jax.Array | None, *, train: bool = False) -> jax.Array:
        """(batch, height, width, inputs), the same of the skip -> (..., features)."""
        both = x if skip is None else jnp.concatenate([x, skip], axis=-1)
        return self.second(self.first(both, train=train), train=train)
