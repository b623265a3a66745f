"""ResNet encoders, whose last stages can dilate instead of striding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import jax
from flax import nnx

from jaxseg import ops
from jaxseg.models._arguments import ComputeDtype, DilationRule, Norm, suggest_arguments
from jaxseg.models._layers import NORMS
from jaxseg.models.encoders.base import (
    Encoder,
    EncoderSize,
    Features,
    Stage,
    find_size,
    plan_stages,
)
from jaxseg.nn import BatchNorm, ConvNorm
from jaxseg.nn.norm import NormFactory

T = TypeVar("T")


@suggest_arguments
@dataclass(frozen=True)
class ResNetSize(EncoderSize):
    """Size of a `ResNet`.

    Attributes:
        blocks: Number of residual blocks of each of the four stages.
        bottleneck: Build blocks of 1x1, 3x3 and 1x1 convolutions, the last four times as wide;
            otherwise of two 3x3 convolutions.
        width: Number of channels of the stem. The 3x3 convolutions of the stages have 1, 2, 4 and
            8 times as many.
    """

    blocks: tuple[int, int, int, int]
    bottleneck: bool = True
    width: int = 64

    def __post_init__(self):
        """Check the numbers."""
        if len(self.blocks) != 4 or min(self.blocks) < 1 or self.width < 1:
            raise ValueError(
                f"ResNetSize: blocks={self.blocks!r} must be four integers >= 1, and "
                f"width={self.width} at least 1."
            )

    @property
    def features(self) -> tuple[int, int, int, int, int]:
        """Number of channels of the stem and of each stage."""
        last = 4 * self.width if self.bottleneck else self.width
        return (self.width, last, 2 * last, 4 * last, 8 * last)

    @property
    def encoder(self) -> "type[ResNet]":
        """Encoder of this size."""
        return ResNet


RESNETS = {
    "resnet18": ResNetSize((2, 2, 2, 2), bottleneck=False),
    "resnet34": ResNetSize((3, 4, 6, 3), bottleneck=False),
    "resnet50": ResNetSize((3, 4, 6, 3)),
    "resnet101": ResNetSize((3, 4, 23, 3)),
}
"""Sizes of He et al. 2015, table 1 (arXiv:1512.03385)."""


@suggest_arguments
class ResNet(Encoder):
    """The residual encoder of He et al. 2015 (arXiv:1512.03385), in the layout known as v1.5.

    Stride and dilation sit on the 3x3 convolutions, and paddings are symmetric, as in PyTorch. A
    stage that dilates instead of striding does so as in Chen et al. 2017, section 3.1
    (arXiv:1706.05587). The stem's features are those before max pooling; light heads take the
    second stage's, auxiliary heads the third's.

    Args:
        size: Name of a size in `RESNETS`, or a `ResNetSize`.
        inputs: Number of channels of the images.
        output_stride: Image pixels per pixel of the last features: 4, 8, 16 or 32. Stages that
            would go beyond it dilate instead of striding.
        dilation_rule: Convolutions that a dilated stage dilates more: "first_keeps" all but the one
            that strode, as torchvision's ResNets do; "whole_stage" all of them.
        norm: Normalization, "batch" or "group".
        dtype: Dtype of the computation; parameters and statistics stay float32. None computes in
            the dtype of the images.
        remat: Recompute the inside of each block in the backward pass, to save memory.
        rngs: Random number generators; the `params` stream draws the kernels.

    Raises:
        ValueError: An argument is none of the values that it may have.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import models
        >>> def extract(images):
        ...     return models.ResNet("resnet18", output_stride=8, rngs=nnx.Rngs(0))(images)
        >>> features = jax.eval_shape(extract, jnp.zeros((1, 64, 64, 3)))
        >>> features.layer1.shape, features.layer4.shape
        ((1, 16, 16, 64), (1, 8, 8, 512))
    """

    def __init__(
        self,
        size: str | ResNetSize = "resnet50",
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
        self.size = find_size("ResNet", size, RESNETS, ResNetSize)
        self.stem = ConvNorm(inputs, self.size.width, 7, stride=2, norm=NORMS[norm], rngs=rngs)
        widths = self.size.features
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            residual_stage(*sizes, bottleneck=self.size.bottleneck, norm=NORMS[norm], rngs=rngs)
            for sizes in zip(widths, widths[1:], self.size.blocks, self.stages, strict=False)
        )

    @property
    def stages(self) -> list[Stage]:
        """Stride and dilations of each of the four stages."""
        return [Stage(1, 1, 1), *plan_stages(4, self.output_stride, self.dilation_rule)]

    @property
    def widths(self) -> Features[int]:
        """Number of channels of each of the features."""
        return _to_features(self.size.features)

    def __call__(self, images: jax.Array, *, train: bool = False) -> Features[jax.Array]:
        """Extract features of images (batch, height, width, inputs) of any height and width.

        Args:
            images: Images, floating.
            train: Normalize by the batch's statistics, and update the running ones in place.
        """
        features = [self.stem(self._to_compute_dtype(images), train=train)]
        x = ops.max_pool(features[0], 3, stride=2, padding=1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in layer:
                x = self._run(block, x, train)
            features.append(x)
        return _to_features(features)


class ResNetBlock(nnx.Module):
    """relu(x + branch(x)); the shortcut is a 1x1 convolution and norm where shapes change.

    Args:
        inputs: Number of channels of the input.
        features: Number of channels of the output.
        bottleneck: Reduce to a quarter of the features by a 1x1 convolution, then convolve 3x3 and
            1x1; otherwise convolve 3x3 twice.
        stride: Stride of the first 3x3 convolution and of the shortcut.
        first_dilation: Dilation of the first 3x3 convolution.
        dilation: Dilation of the second 3x3 convolution, where there is one.
        norm: Function that makes the normalization of a given number of channels.
        rngs: Random number generators; the `params` stream draws the kernels.
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
        def unit(inputs, features, window=3, *, stride=1, dilation=1, activation=jax.nn.relu):
            return ConvNorm(
                inputs,
                features,
                window,
                stride=stride,
                dilation=dilation,
                norm=norm,
                activation=activation,
                rngs=rngs,
            )

        if bottleneck:
            inner = features // 4
            units = [
                unit(inputs, inner, 1),
                unit(inner, inner, stride=stride, dilation=first_dilation),
                unit(inner, features, 1, activation=None),
            ]
        else:
            units = [
                unit(inputs, features, stride=stride, dilation=first_dilation),
                unit(features, features, dilation=dilation, activation=None),
            ]
        self.units = nnx.List(units)
        changes_shape = stride > 1 or inputs != features
        self.shortcut = (
            unit(inputs, features, 1, stride=stride, activation=None) if changes_shape else None
        )

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map (batch, height, width, inputs) to (batch, height', width', features)."""
        y = x
        for unit in self.units:
            y = unit(y, train=train)
        return jax.nn.relu(y + (x if self.shortcut is None else self.shortcut(x, train=train)))


def residual_stage(
    inputs: int,
    features: int,
    blocks: int,
    stage: Stage,
    *,
    bottleneck: bool,
    norm: NormFactory,
    rngs: nnx.Rngs,
) -> nnx.List:
    """Make the residual blocks of one stage, of which the first has the stage's stride.

    Args:
        inputs: Number of channels of the stage's input.
        features: Number of channels of every block's output.
        blocks: Number of blocks.
        stage: Stride and dilations.
        bottleneck: Build bottleneck blocks.
        norm: Function that makes the normalization of a given number of channels.
        rngs: Random number generators; the `params` stream draws the kernels.
    """
    return nnx.List(
        ResNetBlock(
            features if place else inputs,
            features,
            bottleneck=bottleneck,
            stride=1 if place else stage.stride,
            first_dilation=stage.dilation if place else stage.first_dilation,
            dilation=stage.dilation,
            norm=norm,
            rngs=rngs,
        )
        for place in range(blocks)
    )


def _to_features(stages: Sequence[T]) -> Features[T]:
    stem, layer1, layer2, layer3, layer4 = stages
    return Features(stem, layer1, layer2, layer3, layer4, low=layer2, auxiliary=layer3)
