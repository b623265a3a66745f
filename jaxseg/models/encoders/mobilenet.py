"""MobileNetV3-large as an encoder, whose last stages can dilate instead of striding."""

import functools
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
from flax import nnx

from jaxseg.models._arguments import (
    ComputeDtype,
    DilationRule,
    Norm,
    check_choice,
    suggest_arguments,
)
from jaxseg.models._layers import NORMS
from jaxseg.models.encoders.base import (
    Encoder,
    EncoderSize,
    Features,
    Stage,
    find_size,
    plan_stages,
)
from jaxseg.nn import BatchNorm, ConvNorm, SqueezeExcitation
from jaxseg.nn.norm import NormFactory

# torchvision's MobileNetV3 has a slower and more damped batch norm than its other nets.
_NORMS: dict[str, NormFactory] = {
    **NORMS,
    "batch": functools.partial(BatchNorm, momentum=0.99, epsilon=1e-3),
}
_ACTIVATIONS = {"relu": jax.nn.relu, "hard_swish": jax.nn.hard_swish}
# Stage that strides to 8. torchvision's heads take the features behind its first block.
_LOW_STAGE = 2


class Bottleneck(NamedTuple):
    """Size of one inverted residual block.

    Attributes:
        window: Window of the depthwise convolution.
        expanded: Number of channels inside the block.
        features: Number of channels of the output.
        squeeze: Put squeeze-and-excitation behind the depthwise convolution.
        activation: Activation behind the first two convolutions, "relu" or "hard_swish".
    """

    window: int
    expanded: int
    features: int
    squeeze: bool
    activation: Literal["relu", "hard_swish"]


Blocks = tuple[Bottleneck, ...]


@suggest_arguments
@dataclass(frozen=True)
class MobileNetSize(EncoderSize):
    """Size of a `MobileNetV3`.

    Attributes:
        stem: Number of channels of the first convolution.
        stages: Blocks at strides 2, 4, 8, 16 and 32. The first block of every stage but the first
            one strides.
        last: Number of channels of the 1x1 convolution behind the blocks.
    """

    stem: int
    stages: tuple[Blocks, Blocks, Blocks, Blocks, Blocks]
    last: int

    def __post_init__(self):
        """Check the number of stages, and the names."""
        if len(self.stages) != 5 or not all(self.stages):
            raise ValueError(
                f"MobileNetSize: stages={self.stages!r} must be five, of at least one block each."
            )
        for block in (block for stage in self.stages for block in stage):
            check_choice("MobileNetSize", "activation", block.activation, _ACTIVATIONS)

    @property
    def features(self) -> tuple[int, int, int, int, int]:
        """Number of channels behind each of four stages, and behind the last convolution."""
        first, second, third, fourth = (stage[-1].features for stage in self.stages[:4])
        return (first, second, third, fourth, self.last)

    @property
    def encoder(self) -> "type[MobileNetV3]":
        """Encoder of this size."""
        return MobileNetV3


def _blocks(activation: Literal["relu", "hard_swish"], *rows: tuple[int, int, int, bool]) -> Blocks:
    return tuple(Bottleneck(*row, activation) for row in rows)


MOBILENETS = {
    "mobilenet_v3_large": MobileNetSize(
        stem=16,
        stages=(
            _blocks("relu", (3, 16, 16, False)),
            _blocks("relu", (3, 64, 24, False), (3, 72, 24, False)),
            _blocks("relu", (5, 72, 40, True), (5, 120, 40, True), (5, 120, 40, True)),
            _blocks(
                "hard_swish",
                (3, 240, 80, False),
                (3, 200, 80, False),
                (3, 184, 80, False),
                (3, 184, 80, False),
                (3, 480, 112, True),
                (3, 672, 112, True),
            ),
            _blocks("hard_swish", (5, 672, 160, True), (5, 960, 160, True), (5, 960, 160, True)),
        ),
        last=960,
    )
}
"""Sizes of Howard et al. 2019, table 1 (arXiv:1905.02244)."""


@suggest_arguments
class MobileNetV3(Encoder):
    """Howard et al. 2019 (arXiv:1905.02244), as torchvision builds it.

    3x3 convolution, inverted residual blocks, 1x1 convolution. Batch norms add 1e-3 to the variance
    and move their statistics by 1 % a step. `low` and `auxiliary` features are those behind the
    first block at stride 8. torchvision's segmentation nets have `output_stride=16` and
    `dilation_rule="whole_stage"`: the first block of their last stage dilates by 2.

    Squeeze-and-excitation takes means over the whole map, which has more pixels in a dilated net
    than in the strided one. With "first_keeps" the features of both agree exactly only as far as
    those means do: given the same means, at every pixel that the strided net has.

    Args:
        size: Name of a size in `MOBILENETS`, "mobilenet_v3_large", or a `MobileNetSize`.
        inputs: Number of channels of the images.
        output_stride: Image pixels per pixel of the last features: 4, 8, 16 or 32. Stages that
            would go beyond it dilate instead of striding.
        dilation_rule: Convolutions that a dilated stage dilates more: "first_keeps" all but the one
            that strode; "whole_stage" all of them, as torchvision does here.
        norm: Normalization, "batch" or "group".
        dtype: Dtype of the computation; parameters and statistics stay float32. None computes in
            the dtype of the images.
        remat: Recompute the inside of each block in the backward pass, to save memory.
        rngs: Random number generators; the `params` stream draws the kernels.

    Raises:
        ValueError: An argument is none of the values that it may have.
    """

    def __init__(
        self,
        size: str | MobileNetSize = "mobilenet_v3_large",
        *,
        inputs: int = 3,
        output_stride: int = 32,
        dilation_rule: DilationRule = "first_keeps",
        norm: Norm = "batch",
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        super().__init__(
            inputs=inputs,
            output_stride=output_stride,
            dilation_rule=dilation_rule,
            norm=norm,
            dtype=dtype,
            remat=remat,
        )
        self.size = find_size("MobileNetV3", size, MOBILENETS, MobileNetSize)
        unit = functools.partial(
            ConvNorm, activation=jax.nn.hard_swish, norm=_NORMS[norm], rngs=rngs
        )
        channels = self.size.stem
        self.stem = unit(inputs, channels, stride=2)
        layers = []
        for number, (blocks, stage) in enumerate(zip(self.size.stages, self.stages, strict=True)):
            layers.append(
                _make_stage(
                    channels, blocks, stage, strides=number > 0, norm=_NORMS[norm], rngs=rngs
                )
            )
            channels = blocks[-1].features
        self.layers = nnx.List(layers)
        self.last = unit(channels, self.size.last, 1)

    @property
    def stages(self) -> list[Stage]:
        """Stride and dilations of each of the five stages."""
        return [Stage(1, 1, 1), *plan_stages(2, self.output_stride, self.dilation_rule)]

    @property
    def widths(self) -> Features[int]:
        """Number of channels of each of the features."""
        low = self.size.stages[_LOW_STAGE][0].features
        return Features(*self.size.features, low=low, auxiliary=low)

    def __call__(self, images: jax.Array, *, train: bool = False) -> Features[jax.Array]:
        """Extract features of images (batch, height, width, inputs) of any height and width.

        Args:
            images: Images, floating.
            train: Normalize by the batch's statistics, and update the running ones in place.
        """
        x = self.stem(self._to_compute_dtype(images), train=train)
        features, low = [], x
        for number, layer in enumerate(self.layers):
            for place, block in enumerate(layer):
                x = self._run(block, x, train)
                low = x if (number, place) == (_LOW_STAGE, 0) else low
            features.append(x)
        features[-1] = self.last(x, train=train)
        return Features(*features, low=low, auxiliary=low)


class InvertedResidual(nnx.Module):
    """1x1 to more channels, depthwise convolution, squeeze-and-excitation, 1x1 without activation.

    Args:
        inputs: Number of channels of the input.
        block: Channels and parts of the block. Where it has no more channels inside than its
            input, the first 1x1 convolution is left out.
        stride: Stride of the depthwise convolution.
        dilation: Dilation of the depthwise convolution.
        residual: Add the input to the output.
        norm: Function that makes the normalization of a given number of channels.
        rngs: Random number generators; the `params` stream draws the kernels.
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
        unit = functools.partial(ConvNorm, norm=norm, rngs=rngs)
        activation = _ACTIVATIONS[block.activation]
        self.expand = unit(inputs, inner, 1, activation=activation) if inner != inputs else None
        self.depthwise = unit(
            inner,
            inner,
            block.window,
            stride=stride,
            dilation=dilation,
            groups=inner,
            activation=activation,
        )
        self.squeeze = (
            SqueezeExcitation(inner, _squeeze_channels(inner), rngs=rngs) if block.squeeze else None
        )
        self.project = unit(inner, block.features, 1, activation=None)
        self.residual = residual

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map (batch, height, width, inputs) to (batch, height', width', features)."""
        y = x if self.expand is None else self.expand(x, train=train)
        y = self.depthwise(y, train=train)
        y = y if self.squeeze is None else self.squeeze(y)
        y = self.project(y, train=train)
        return x + y if self.residual else y


def _squeeze_channels(features: int) -> int:
    """Round a quarter to a multiple of 8, at least 8 and 90 % of the quarter, as torchvision."""
    quarter = features // 4
    nearest = max(8, (quarter + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * quarter else nearest + 8


def _make_stage(
    inputs: int, blocks: Blocks, stage: Stage, *, strides: bool, norm: NormFactory, rngs: nnx.Rngs
) -> nnx.List:
    """Make the blocks of one stage, whose first block strides in the strided net if `strides`.

    Such a block has no shortcut, even where it dilates instead and keeps its number of channels:
    the strided net has none there.
    """
    layer = []
    for place, block in enumerate(blocks):
        first = place == 0
        layer.append(
            InvertedResidual(
                inputs,
                block,
                stride=stage.stride if first else 1,
                dilation=stage.first_dilation if first else stage.dilation,
                residual=not (first and strides) and inputs == block.features,
                norm=norm,
                rngs=rngs,
            )
        )
        inputs = block.features
    return nnx.List(layer)
