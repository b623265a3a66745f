"""DRN encoders: residual nets that dilate, and whose last levels smooth the resulting grid."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

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
from jaxseg.models.encoders.resnet import ResNetBlock, residual_stage
from jaxseg.nn import ConvNorm
from jaxseg.nn.norm import NormFactory

T = TypeVar("T")


@suggest_arguments
@dataclass(frozen=True)
class DRNSize(EncoderSize):
    """Size of a `DRNEncoder`.

    Attributes:
        blocks: Number of residual blocks of levels 3 to 6.
        bottleneck: Build the blocks of these levels of 1x1, 3x3 and 1x1 convolutions, the last four
            times as wide; otherwise of two 3x3 convolutions.
        variant: Variant "C" has residual blocks at levels 1 and 2, and two convolutions at each of
            the levels 7 and 8. Variant "D" has one convolution at each of the four.
        width: Number of channels of level 1. Those of the other levels are multiples of it.
    """

    blocks: tuple[int, int, int, int]
    bottleneck: bool = False
    variant: Literal["C", "D"] = "D"
    width: int = 16

    def __post_init__(self):
        """Check the numbers and the variant."""
        check_choice("DRNSize", "variant", self.variant, ("C", "D"))
        if len(self.blocks) != 4 or min(self.blocks) < 1 or self.width < 1:
            raise ValueError(
                f"DRNSize: blocks={self.blocks!r} must be four integers >= 1, and "
                f"width={self.width} at least 1."
            )

    @property
    def features(self) -> tuple[int, ...]:
        """Number of channels of each of the eight levels."""
        expansion = 4 if self.bottleneck else 1
        residual = (n * expansion for n in (4, 8, 16, 32))
        return tuple(n * self.width for n in (1, 2, *residual, 32, 32))

    @property
    def encoder(self) -> "type[DRNEncoder]":
        """Encoder of this size."""
        return DRNEncoder


DRNS = {
    "drn_c_26": DRNSize((2, 2, 2, 2), variant="C"),
    "drn_c_42": DRNSize((3, 4, 6, 3), variant="C"),
    "drn_c_58": DRNSize((3, 4, 6, 3), bottleneck=True, variant="C"),
    "drn_d_22": DRNSize((2, 2, 2, 2)),
    "drn_d_38": DRNSize((3, 4, 6, 3)),
    "drn_d_54": DRNSize((3, 4, 6, 3), bottleneck=True),
    "drn_d_105": DRNSize((3, 4, 23, 3), bottleneck=True),
}
"""Variant C: Yu, Koltun & Funkhouser 2017 (arXiv:1705.09914); D: their code, github.com/fyu/drn."""


@suggest_arguments
class DRNEncoder(Encoder):
    """The dilated residual net of Yu, Koltun & Funkhouser 2017 (arXiv:1705.09914).

    A 7x7 convolution at full resolution replaces striding and pooling. Six levels of residual
    blocks follow, of which the last two dilate instead of striding, and two levels without
    shortcuts that dilate less and less, against the grid that dilation leaves in the features
    ("degridding"). The released weights belong to `dilation_rule="whole_stage"`. With
    "first_keeps", levels 1 to 6 are those of a strided net. Levels 7 and 8 have no such
    counterpart: their dilations, 2 and 1 at stride 8, would be fractions at stride 32.

    The features named after layers are those of levels 2, 3, 4, 5 and 8. Light heads take level 4,
    auxiliary heads level 5.

    Args:
        size: Name of a size in `DRNS`, or a `DRNSize`.
        inputs: Number of channels of the images.
        output_stride: Image pixels per pixel of the last features: 8, as published; or 16 or 32,
            where levels 5 and 6 stride.
        dilation_rule: Convolutions that a dilated level dilates more: "first_keeps" all but the one
            that strode; "whole_stage" all of them, as published.
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
        size: str | DRNSize = "drn_d_22",
        *,
        inputs: int = 3,
        output_stride: int = 8,
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
            output_strides=(8, 16, 32),
        )
        self.size = find_size("DRNEncoder", size, DRNS, DRNSize)
        self.stem = ConvNorm(inputs, self.size.width, 7, norm=NORMS[norm], rngs=rngs)
        widths = (self.size.width, *self.size.features)
        self.blocks = nnx.List(
            _make_level(self.size, n, widths[n - 1], widths[n], stage, norm=NORMS[norm], rngs=rngs)
            for n, stage in enumerate(self.stages, start=1)
        )

    @property
    def stages(self) -> list[Stage]:
        """Stride and dilations of each of the eight levels; levels 7 and 8 halve the dilation."""
        residual = [Stage(1, 1, 1), *plan_stages(1, self.output_stride, self.dilation_rule)]
        seventh, eighth = (max(residual[-1].dilation // n, 1) for n in (2, 4))
        return [*residual, Stage(1, seventh, seventh), Stage(1, eighth, eighth)]

    @property
    def widths(self) -> Features[int]:
        """Number of channels of each of the features."""
        return _to_features(self.size.features)

    def levels(self, images: jax.Array, *, train: bool = False) -> list[jax.Array]:
        """Compute the features of all eight levels.

        Args:
            images: Images (batch, height, width, inputs), floating, of any height and width.
            train: Normalize by the batch's statistics, and update the running ones in place.
        """
        x = self.stem(self._to_compute_dtype(images), train=train)
        levels = []
        for blocks in self.blocks:
            for block in blocks:
                x = self._run(block, x, train)
            levels.append(x)
        return levels

    def __call__(self, images: jax.Array, *, train: bool = False) -> Features[jax.Array]:
        """Extract features of images (batch, height, width, inputs) of any height and width.

        Args:
            images: Images, floating.
            train: Normalize by the batch's statistics, and update the running ones in place.
        """
        return _to_features(self.levels(images, train=train))


def _make_level(
    size: DRNSize,
    level: int,
    inputs: int,
    features: int,
    stage: Stage,
    *,
    norm: NormFactory,
    rngs: nnx.Rngs,
) -> nnx.List:
    """Make the blocks of one level, counted from 1."""
    if 3 <= level <= 6:
        count, bottleneck = size.blocks[level - 3], size.bottleneck
        return residual_stage(
            inputs, features, count, stage, bottleneck=bottleneck, norm=norm, rngs=rngs
        )
    if level < 3 and size.variant == "C":
        return nnx.List([ResNetBlock(inputs, features, stride=stage.stride, norm=norm, rngs=rngs)])
    unit = functools.partial(ConvNorm, dilation=stage.dilation, norm=norm, rngs=rngs)
    first = unit(inputs, features, stride=stage.stride)
    return nnx.List([first, unit(features, features)] if size.variant == "C" else [first])


def _to_features(levels: Sequence[T]) -> Features[T]:
    _, stem, layer1, layer2, layer3, _, _, layer4 = levels
    return Features(stem, layer1, layer2, layer3, layer4, low=layer2, auxiliary=layer3)
