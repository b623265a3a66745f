"""DRN encoders: residual nets made to dilate, whose last layers smooth what dilation leaves."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
from flax import nnx

from jaxseg.models.encoder import NORMS, Encoder, EncoderConfig, Features, Stage, one_of
from jaxseg.models.resnet import ResNetBlock, residual_stage
from jaxseg.nn import ConvNorm


@dataclass(frozen=True)
class DRNSize:
    """How large an encoder is.

    Attributes:
        blocks: residual blocks of levels 3 to 6.
        bottleneck: as in `ResNetSize`, of those levels.
        variant: "C" has residual blocks at levels 1 and 2, and two convolutions at each of the
            levels 7 and 8; "D" has one convolution at each of the four.
        width: channels of level 1; those of the others are multiples of it.
    """

    blocks: tuple[int, int, int, int]
    bottleneck: bool = False
    variant: Literal["C", "D"] = "D"
    width: int = 16

    def __post_init__(self):
        """Refuse what makes no encoder."""
        one_of("DRNSize", "variant", self.variant, ("C", "D"))
        if len(self.blocks) != 4 or min(self.blocks) < 1 or self.width < 1:
            raise ValueError(
                f"DRNSize: blocks={self.blocks!r} must be four integers >= 1, and "
                f"width={self.width} at least 1."
            )

    @property
    def features(self) -> tuple[int, ...]:
        """Channels of each of the eight levels."""
        times = 4 if self.bottleneck else 1
        ends, middle = (1, 2), (4 * times, 8 * times, 16 * times, 32 * times)
        return tuple(n * self.width for n in (*ends, *middle, 32, 32))


DRNS = {
    "drn_c_26": DRNSize((2, 2, 2, 2), variant="C"),
    "drn_c_42": DRNSize((3, 4, 6, 3), variant="C"),
    "drn_c_58": DRNSize((3, 4, 6, 3), bottleneck=True, variant="C"),
    "drn_d_22": DRNSize((2, 2, 2, 2)),
    "drn_d_38": DRNSize((3, 4, 6, 3)),
    "drn_d_54": DRNSize((3, 4, 6, 3), bottleneck=True),
    "drn_d_105": DRNSize((3, 4, 23, 3), bottleneck=True),
}
"""C: Yu, Koltun & Funkhouser 2017 (arXiv:1705.09914); D: their code, github.com/fyu/drn."""


@dataclass(frozen=True)
class DRNEncoderConfig(EncoderConfig):
    """What a `DRNEncoder` is made of: the fields of `EncoderConfig`, and its size.

    Attributes:
        size: a name of `DRNS`, or a `DRNSize`.
        output_stride: 8, as published; or 16 or 32, where levels 5 and 6 stride.
    """

    output_stride: int = 8
    size: str | DRNSize = "drn_d_22"

    STRIDES: ClassVar[tuple[int, ...]] = (8, 16, 32)

    def __post_init__(self):
        """Refuse names and numbers that make no encoder."""
        super().__post_init__()
        if isinstance(self.size, str):
            one_of("DRNEncoder", "size", self.size, DRNS)

    @property
    def shape(self) -> DRNSize:
        """The size, looked up if it is a name."""
        return DRNS[self.size] if isinstance(self.size, str) else self.size

    @property
    def stages(self) -> list[Stage]:
        """Stride and dilations of each level; levels 7 and 8 take the dilation back by halves."""
        strided = [Stage(1, 1, 1), *self.halvings(1)]
        seventh, eighth = (max(strided[-1].dilation // n, 1) for n in (2, 4))
        return [*strided, Stage(1, seventh, seventh), Stage(1, eighth, eighth)]


class DRNEncoder(Encoder):
    """The dilated residual net of Yu, Koltun & Funkhouser 2017 (arXiv:1705.09914).

    A 7x7 convolution at full resolution in the place of striding and pooling, six levels of
    residual blocks, of which the last two dilate instead of striding, and two levels without
    shortcuts that dilate less and less, against the grid that dilation leaves in the features
    ("degridding"). The released weights' layers are those of `dilation_rule="whole_stage"`. Levels
    1 to 6 are those of a strided net with "first_keeps"; levels 7 and 8 have no such counterpart:
    their dilations, 2 and 1 at stride 8, would be fractions at stride 32.

    The features named after layers are those of levels 2, 3, 4, 5 and 8; light heads take level 4,
    auxiliary heads level 5.

    Args:
        rngs: draws the kernels.
        fields: the fields of `DRNEncoderConfig`.

    Raises:
        ValueError: as `DRNEncoderConfig`.
    """

    config: DRNEncoderConfig

    def __init__(self, *, rngs: nnx.Rngs, **fields: Any):
        config = DRNEncoderConfig(**fields)
        shape, options = config.shape, {"norm": NORMS[config.norm], "rngs": rngs}
        widths = (shape.width, *shape.features)
        self.stem = ConvNorm(config.inputs, shape.width, 7, **options)
        levels = []
        for level, (inputs, features, stage) in enumerate(
            zip(widths, widths[1:], config.stages, strict=False), start=1
        ):
            if 3 <= level <= 6:
                blocks = residual_stage(
                    inputs,
                    features,
                    shape.blocks[level - 3],
                    stage,
                    bottleneck=shape.bottleneck,
                    **options,
                )
            elif shape.variant == "C" and level < 3:
                blocks = [ResNetBlock(inputs, features, stride=stage.stride, **options)]
            else:
                count = 2 if shape.variant == "C" else 1
                blocks = _plain(inputs, features, count, stage, options)
            levels.append(nnx.List(blocks))
        self.blocks = nnx.List(levels)
        self.config = config

    @property
    def widths(self) -> Features[int]:
        """Channels of the features."""
        return _named(self.config.shape.features)

    def levels(self, images: jax.Array, *, train: bool = False) -> list[jax.Array]:
        """(batch, height, width, inputs) -> the features of all eight levels."""
        found, x = [], self.stem(self._entered(images), train=train)
        for blocks in self.blocks:
            for block in blocks:
                x = self._run(block, x, train)
            found.append(x)
        return found

    def __call__(self, images: jax.Array, *, train: bool = False) -> Features[jax.Array]:
        """(batch, height, width, inputs), of any height and width, -> `Features`."""
        return _named(self.levels(images, train=train))


def _plain(inputs: int, features: int, count: int, stage: Stage, options: Any) -> list[ConvNorm]:
    """Convolutions without shortcuts, of which the first strides."""
    first = ConvNorm(inputs, features, stride=stage.stride, dilation=stage.dilation, **options)
    rest = [
        ConvNorm(features, features, dilation=stage.dilation, **options) for _ in range(count - 1)
    ]
    return [first, *rest]


def _named(levels: Any) -> Features:
    _, stem, layer1, layer2, layer3, _, _, layer4 = levels
    return Features(stem, layer1, layer2, layer3, layer4, low=layer2, auxiliary=layer3)
