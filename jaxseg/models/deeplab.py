"""DeepLab v3 and v3+: atrous spatial pyramid pooling on a dilated encoder."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import ops
from jaxseg.models.encoder import Features
from jaxseg.models.segmenter import Segmenter, SegmenterConfig, Size, classifier
from jaxseg.nn import ASPP, ConvNorm
from jaxseg.nn.aspp import aspp_rates


@dataclass(frozen=True)
class DeepLabConfig(SegmenterConfig):
    """What a `DeepLabV3` or `DeepLabV3Plus` is made of.

    Attributes:
        rates: dilations of the pyramid; None: those of `aspp_rates` for the output stride.
        features: channels of the pyramid and of the decoder.
        pyramid_dropout: of the pyramid's output, in training with a key.
        low_features: channels that the first stage's features are brought to (v3+ alone).
    """

    rates: tuple[int, ...] | None = None
    features: int = 256
    pyramid_dropout: float = 0.5
    low_features: int = 48

    def __post_init__(self):
        """Refuse what makes no pyramid."""
        super().__post_init__()
        if self.rates is not None and (not self.rates or min(self.rates) < 1):
            raise ValueError(
                f"DeepLab: rates={self.rates!r} must be integers >= 1, or None for those that go "
                "with the output stride."
            )
        if min(self.features, self.low_features) < 1:
            raise ValueError(
                f"DeepLab: features={self.features} and low_features={self.low_features} must be "
                "at least 1."
            )

    def pyramid(self, inputs: int, rngs: nnx.Rngs) -> ASPP:
        """The pyramid on features of so many channels."""
        return ASPP(
            inputs,
            self.features,
            rates=aspp_rates(self.output_stride) if self.rates is None else self.rates,
            dropout=self.pyramid_dropout,
            norm=self.make_norm,
            rngs=rngs,
        )


class DeepLabV3(Segmenter):
    """Chen et al. 2017 (arXiv:1706.05587) as torchvision builds it.

    The pyramid on the last stage, a 3x3 convolution, norm and ReLU, a 1x1 classifier, and bilinear
    resizing from the output stride. The pyramid's rates follow the output stride; torchvision's on
    MobileNetV3 do not: `interop.TORCHVISION_NETS` has the settings of its weights.

    Args:
        rngs: draws the kernels.
        fields: the fields of `DeepLabConfig`.

    Raises:
        ValueError: as `DeepLabConfig` and `EncoderConfig`.
    """

    def __init__(self, *, rngs: nnx.Rngs, **fields: Any):
        config = DeepLabConfig(**fields)
        super().__init__(config, rngs)
        self.aspp = config.pyramid(self.backbone.widths.layer4, rngs)
        self.unit = ConvNorm(config.features, config.features, norm=config.make_norm, rngs=rngs)
        self.classifier = classifier(config.features, config.classes, rngs)

    def decode(
        self, features: Features, size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """The last stage's features -> logits at the output stride."""
        del size
        x = self.aspp(features.layer4, train=train, key=key)
        return self.classifier(self.unit(x, train=train))


class DeepLabV3Plus(Segmenter):
    """Chen et al. 2018, section 3.1 (arXiv:1802.02611): v3 with a decoder at stride 4.

    The pyramid's output is resized to the first stage's features, which a 1x1 convolution brings to
    48 channels first; two 3x3 convolutions work on both, and a 1x1 convolution classifies. Rates
    follow the output stride; the paper's is 16.

    Args:
        rngs: draws the kernels.
        fields: the fields of `DeepLabConfig`.

    Raises:
        ValueError: as `DeepLabConfig` and `EncoderConfig`.
    """

    def __init__(self, *, rngs: nnx.Rngs, **fields: Any):
        config = DeepLabConfig(**fields)
        super().__init__(config, rngs)
        widths, norm = self.backbone.widths, config.make_norm
        self.aspp = config.pyramid(widths.layer4, rngs)
        self.low = ConvNorm(widths.layer1, config.low_features, 1, norm=norm, rngs=rngs)
        both = config.features + config.low_features
        self.first = ConvNorm(both, config.features, norm=norm, rngs=rngs)
        self.second = ConvNorm(config.features, config.features, norm=norm, rngs=rngs)
        self.classifier = classifier(config.features, config.classes, rngs)

    def decode(
        self, features: Features, size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Features of the first and the last stage -> logits at stride 4."""
        del size
        x = self.aspp(features.layer4, train=train, key=key)
        low = self.low(features.layer1, train=train)
        x = jnp.concatenate([ops.resize(x, low.shape[1:-1]), low], axis=-1)
        return self.classifier(self.second(self.first(x, train=train), train=train))
