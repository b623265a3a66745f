"""ResNet encoders whose last stages dilate instead of striding."""

from dataclasses import dataclass
from typing import Any

import jax
from flax import nnx

from jaxseg import ops
from jaxseg.models.encoder import NORMS, Encoder, EncoderConfig, Features, Stage, one_of
from jaxseg.nn import BatchNorm, ConvNorm
from jaxseg.nn.norm import NormFactory


@dataclass(frozen=True)
class ResNetSize:
    """How large an encoder is.

    Attributes:
        blocks: residual blocks of each of the four stages.
        bottleneck: blocks of 1x1, 3x3 and 1x1 convolutions, the last four times as wide; else of
            two 3x3 convolutions.
        width: channels of the stem; the 3x3 convolutions of the stages have 1, 2, 4, 8 times that.
    """

    blocks: tuple[int, int, int, int]
    bottleneck: bool = True
    width: int = 64

    def __post_init__(self):
        """Refuse what makes no encoder."""
        if len(self.blocks) != 4 or min(self.blocks) < 1 or self.width < 1:
            raise ValueError(
                f"ResNetSize: blocks={self.blocks!r} must be four integers >= 1, and "
                f"width={self.width} at least 1."
            )

    @property
    def features(self) -> tuple[int, int, int, int, int]:
        """Channels of the stem and of each stage."""
        last = 4 * self.width if self.bottleneck else self.width
        return (self.width, last, 2 * last, 4 * last, 8 * last)


RESNETS = {
    "resnet18": ResNetSize((2, 2, 2, 2), bottleneck=False),
    "resnet34": ResNetSize((3, 4, 6, 3), bottleneck=False),
    "resnet50": ResNetSize((3, 4, 6, 3)),
    "resnet101": ResNetSize((3, 4, 23, 3)),
}
"""He et al. 2015, table 1 (arXiv:1512.03385)."""


@dataclass(frozen=True)
class ResNetConfig(EncoderConfig):
    """What a `ResNet` is made of: the fields of `EncoderConfig`, and its size.

    Attributes:
        size: a name of `RESNETS`, or a `ResNetSize`.
    """

    size: str | ResNetSize = "resnet50"

    def __post_init__(self):
        """Refuse names and numbers that make no encoder."""
        super().__post_init__()
        if isinstance(self.size, str):
            one_of("ResNet", "size", self.size, RESNETS)

    @property
    def shape(self) -> ResNetSize:
        """The size, looked up if it is a name."""
        return RESNETS[self.size] if isinstance(self.size, str) else self.size

    @property
    def stages(self) -> list[Stage]:
        """Stride and dilations of each stage."""
        return [Stage(1, 1, 1), *self.halvings(4)]


class ResNet(Encoder):
    """The residual encoder of He et al. 2015 (arXiv:1512.03385), in the layout known as v1.5.

    Stride and dilation sit on the 3x3 convolutions; paddings are symmetric, as in PyTorch; a stage
    that dilates instead of striding does so as in Chen et al. 2017, section 3.1 (arXiv:1706.05587).
    The stem's features are those before the maximum is pooled; light heads take the second stage's,
    auxiliary heads the third's.

    Args:
        rngs: draws the kernels.
        fields: the fields of `ResNetConfig`.

    Raises:
        ValueError: as `ResNetConfig`.
    """

    config: ResNetConfig

    def __init__(self, *, rngs: nnx.Rngs, **fields: Any):
        config = ResNetConfig(**fields)
        norm = NORMS[config.norm]
        self.stem = ConvNorm(config.inputs, config.shape.width, 7, stride=2, norm=norm, rngs=rngs)
        widths, bottleneck = config.shape.features, config.shape.bottleneck
        plan = zip(widths, widths[1:], config.shape.blocks, config.stages, strict=False)
        layers = [
            residual_stage(*sizes, bottleneck=bottleneck, norm=norm, rngs=rngs) for sizes in plan
        ]
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.config = config

    @property
    def widths(self) -> Features[int]:
        """Channels of the features."""
        return _named(self.config.shape.features)

    def __call__(self, images: jax.Array, *, train: bool = False) -> Features[jax.Array]:
        """(batch, height, width, inputs), of any height and width, -> `Features`."""
        found = [self.stem(self._entered(images), train=train)]
        x = ops.max_pool(found[0], 3, stride=2, padding=1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in layer:
                x = self._run(block, x, train)
            found.append(x)
        return _named(found)


class ResNetBlock(nnx.Module):
    """relu(x + branch(x)); the shortcut is a 1x1 convolution and norm where shapes change.

    Args:
        inputs: channels of the input.
        features: channels of the output.
        bottleneck: 1x1 to a quarter of the features, 3x3, 1x1; else two 3x3 convolutions.
        stride: of the first 3x3 convolution, and of the shortcut.
        first_dilation: of the first 3x3 convolution.
        dilation: of the second, where there is one.
        norm: makes a normalisation for a number of features.
        rngs: draws the kernels.
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        *,
        bottleneck: bool = False,
        stride: int = 1,
        first_dilation: int = 1,
        dilation: int = 1,
        norm: NormFactory = BatchNorm,
        rngs: nnx.Rngs,
    ):
        at_first: Any = {"stride": stride, "dilation": first_dilation, "norm": norm, "rngs": rngs}
        last: Any = {"activation": None, "norm": norm, "rngs": rngs}
        if bottleneck:
            inner = features // 4
            units = [
                ConvNorm(inputs, inner, 1, norm=norm, rngs=rngs),
                ConvNorm(inner, inner, **at_first),
                ConvNorm(inner, features, 1, **last),
            ]
        else:
            units = [
                ConvNorm(inputs, features, **at_first),
                ConvNorm(features, features, dilation=dilation, **last),
            ]
        self.units = nnx.List(units)
        changes = stride > 1 or inputs != features
        self.shortcut = ConvNorm(inputs, features, 1, stride=stride, **last) if changes else None

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, height, width, inputs) -> (batch, height', width', features)."""
        y = x
        for unit in self.units:
            y = unit(y, train=train)
        return jax.nn.relu(y + (x if self.shortcut is None else self.shortcut(x, train=train)))


def residual_stage(
    inputs: int,
    features: int,
    count: int,
    stage: Stage,
    *,
    bottleneck: bool,
    norm: NormFactory,
    rngs: nnx.Rngs,
) -> nnx.List:
    """So many blocks, of which the first strides, or would."""
    options: Any = {
        "bottleneck": bottleneck,
        "dilation": stage.dilation,
        "norm": norm,
        "rngs": rngs,
    }
    first = ResNetBlock(
        inputs, features, stride=stage.stride, first_dilation=stage.first_dilation, **options
    )
    rest = [
        ResNetBlock(features, features, first_dilation=stage.dilation, **options)
        for _ in range(count - 1)
    ]
    return nnx.List([first, *rest])


def _named(stages: Any) -> Features:
    return Features(*stages, low=stages[2], auxiliary=stages[3])
