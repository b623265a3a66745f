"""MobileNetV3-large as an encoder whose last stages dilate instead of striding."""

import functools
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
from flax import nnx

from jaxseg.models.encoder import NORMS, Encoder, EncoderConfig, Features, Stage, one_of
from jaxseg.nn import BatchNorm, ConvNorm, SqueezeExcitation
from jaxseg.nn.norm import NormFactory

_NORMS: dict[str, NormFactory] = {
    **NORMS,
    "batch": functools.partial(BatchNorm, momentum=0.99, epsilon=1e-3),  # as torchvision's
}
_ACTIVATIONS = {"relu": jax.nn.relu, "hard_swish": jax.nn.hard_swish}
_LOW = 2  # the stage that strides to 8, behind whose first block torchvision's heads take features


class Bottleneck(NamedTuple):
    """One inverted residual block: its window, channels inside and behind, and what is in it."""

    window: int
    expanded: int
    features: int
    squeeze: bool
    activation: Literal["relu", "hard_swish"]


Blocks = tuple[Bottleneck, ...]


@dataclass(frozen=True)
class MobileNetSize:
    """How large an encoder is.

    Attributes:
        stem: channels of the first convolution.
        stages: the blocks at strides 2, 4, 8, 16 and 32; the first block of each but the first
            stage strides.
        last: channels of the 1x1 convolution behind them.
    """

    stem: int
    stages: tuple[Blocks, Blocks, Blocks, Blocks, Blocks]
    last: int

    def __post_init__(self):
        """Refuse what makes no encoder."""
        if len(self.stages) != 5 or not all(self.stages):
            raise ValueError(
                f"MobileNetSize: stages={self.stages!r} must be five, of at least one block each."
            )
        for block in (block for stage in self.stages for block in stage):
            one_of("MobileNetSize", "activation", block.activation, _ACTIVATIONS)

    @property
    def features(self) -> tuple[int, int, int, int, int]:
        """Channels behind each stage, and behind the last convolution."""
        second, third, fourth, fifth = (stage[-1].features for stage in self.stages[:4])
        return (second, third, fourth, fifth, self.last)


def _rows(activation: Literal["relu", "hard_swish"], *rows: tuple[int, int, int, bool]) -> Blocks:
    return tuple(Bottleneck(*row, activation) for row in rows)


_LARGE = MobileNetSize(
    stem=16,
    stages=(
        _rows("relu", (3, 16, 16, False)),
        _rows("relu", (3, 64, 24, False), (3, 72, 24, False)),
        _rows("relu", (5, 72, 40, True), (5, 120, 40, True), (5, 120, 40, True)),
        _rows(
            "hard_swish",
            (3, 240, 80, False),
            (3, 200, 80, False),
            (3, 184, 80, False),
            (3, 184, 80, False),
            (3, 480, 112, True),
            (3, 672, 112, True),
        ),
        _rows("hard_swish", (5, 672, 160, True), (5, 960, 160, True), (5, 960, 160, True)),
    ),
    last=960,
)
MOBILENETS = {"mobilenet_v3_large": _LARGE}
"""Howard et al. 2019, table 1 (arXiv:1905.02244)."""


@dataclass(frozen=True)
class MobileNetV3Config(EncoderConfig):
    """What a `MobileNetV3` is made of: the fields of `EncoderConfig`, and its size.

    Attributes:
        size: "mobilenet_v3_large", or a `MobileNetSize`.
    """

    size: str | MobileNetSize = "mobilenet_v3_large"

    def __post_init__(self):
        """Refuse names and numbers that make no encoder."""
        super().__post_init__()
        if isinstance(self.size, str):
            one_of("MobileNetV3", "size", self.size, MOBILENETS)

    @property
    def shape(self) -> MobileNetSize:
        """The size, looked up if it is a name."""
        return MOBILENETS[self.size] if isinstance(self.size, str) else self.size

    @property
    def stages(self) -> list[Stage]:
        """Stride and dilations of each stage."""
        return [Stage(1, 1, 1), *self.halvings(2)]


class MobileNetV3(Encoder):
    """Howard et al. 2019 (arXiv:1905.02244), as torchvision builds it.

    3x3 convolution, inverted residual blocks, 1x1 convolution. Batch norms add 1e-3 to the variance
    and move their statistics by 1 % a step; `low` and `auxiliary` features are those behind the
    first block at stride 8. torchvision's segmentation nets have `output_stride=16` and
    `dilation_rule="whole_stage"`: their first block at stride 16 that strode dilates by 2.

    Squeeze-and-excitation takes means over the whole map, of which a dilated net has more pixels
    than the strided one. With "first_keeps" their features agree exactly only as far as those means
    do: given the same means, at every pixel that the strided net has.

    Args:
        rngs: draws the kernels.
        fields: the fields of `MobileNetV3Config`.

    Raises:
        ValueError: as `MobileNetV3Config`.
    """

    config: MobileNetV3Config

    def __init__(self, *, rngs: nnx.Rngs, **fields: Any):
        config = MobileNetV3Config(**fields)
        shape, options = config.shape, {"norm": _NORMS[config.norm], "rngs": rngs}
        self.stem = ConvNorm(
            config.inputs, shape.stem, stride=2, activation=jax.nn.hard_swish, **options
        )
        layers, inputs = [], shape.stem
        for number, (blocks, stage) in enumerate(zip(shape.stages, config.stages, strict=True)):
            layers.append(_layer(inputs, blocks, stage, first=number == 0, **options))
            inputs = blocks[-1].features
        self.layers = nnx.List(layers)
        self.last = ConvNorm(inputs, shape.last, 1, activation=jax.nn.hard_swish, **options)
        self.config = config

    @property
    def widths(self) -> Features[int]:
        """Channels of the features."""
        low = self.config.shape.stages[_LOW][0].features
        return Features(*self.config.shape.features, low=low, auxiliary=low)

    def __call__(self, images: jax.Array, *, train: bool = False) -> Features[jax.Array]:
        """(batch, height, width, inputs), of any height and width, -> `Features`."""
        x = self.stem(self._entered(images), train=train)
        found, behind_first = [], []
        for layer in self.layers:
            for place, block in enumerate(layer):
                x = self._run(block, x, train)
                if place == 0:
                    behind_first.append(x)
            found.append(x)
        found[-1] = self.last(x, train=train)
        return Features(*found, low=behind_first[_LOW], auxiliary=behind_first[_LOW])


class InvertedResidual(nnx.Module):
    """1x1 to more channels, depthwise convolution, squeeze-and-excitation, 1x1 without activation.

    Args:
        inputs: channels of the input.
        block: the channels and what is in it; without more channels the first 1x1 is left out.
        stride: of the depthwise convolution, like `dilation`.
        dilation: see `stride`.
        residual: add the input to the output.
        norm: makes a normalisation for a number of features.
        rngs: draws the kernels.
    """

    def __init__(
        self,
        inputs: int,
        block: Bottleneck,
        *,
        stride: int,
        dilation: int,
        residual: bool,
        norm: NormFactory,
        rngs: nnx.Rngs,
    ):
        inner = block.expanded
        activation = _ACTIVATIONS[block.activation]
        options: Any = {"activation": activation, "norm": norm, "rngs": rngs}
        self.expand = ConvNorm(inputs, inner, 1, **options) if inner != inputs else None
        self.depthwise = ConvNorm(
            inner, inner, block.window, stride=stride, dilation=dilation, groups=inner, **options
        )
        self.squeeze = (
            SqueezeExcitation(inner, _squeezed(inner), rngs=rngs) if block.squeeze else None
        )
        self.project = ConvNorm(inner, block.features, 1, activation=None, norm=norm, rngs=rngs)
        self.residual = residual

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, height, width, inputs) -> (batch, height', width', features)."""
        y = x if self.expand is None else self.expand(x, train=train)
        y = self.depthwise(y, train=train)
        y = y if self.squeeze is None else self.squeeze(y)
        y = self.project(y, train=train)
        return x + y if self.residual else y


def _layer(
    inputs: int, blocks: Blocks, stage: Stage, *, first: bool, norm: NormFactory, rngs: nnx.Rngs
) -> nnx.List:
    """The blocks of one stage, of which the first strides, or would, if it is not the first stage.

    One that would stride has no shortcut, whatever its channels: the strided net has none there.
    """
    made = []
    for place, block in enumerate(blocks):
        strides = place == 0 and not first
        made.append(
            InvertedResidual(
                inputs,
                block,
                stride=stage.stride if place == 0 else 1,
                dilation=stage.first_dilation if place == 0 else stage.dilation,
                residual=not strides and inputs == block.features,
                norm=norm,
                rngs=rngs,
            )
        )
        inputs = block.features
    return nnx.List(made)


def _squeezed(features: int) -> int:
    """A quarter, to the nearest multiple of 8, but no less than .9 of it."""
    quarter = features // 4
    nearest = max(8, (quarter + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * quarter else nearest + 8
