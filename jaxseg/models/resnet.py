"""ResNet encoders whose last stages dilate instead of striding."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
from flax import nnx

from jaxseg import ops
from jaxseg.nn import BatchNorm, ConvNorm, GroupNorm, rematerialised
from jaxseg.nn.norm import NormFactory

NORMS: dict[str, NormFactory] = {"batch": BatchNorm, "group": GroupNorm}
Norm = Literal["batch", "group"]
DilationRule = Literal["first_keeps", "whole_stage"]


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
class ResNetConfig:
    """What a `ResNet` is made of.

    Attributes:
        size: a name of `RESNETS`, or a `ResNetSize`.
        inputs: channels of the images.
        output_stride: image pixels per pixel of the last stage: 32, 16, 8 or 4. Below 32 the last
            stages do not stride; they dilate.
        dilation_rule: which convolutions of a stage that no longer strides dilate the more.
            "first_keeps": those behind the one that strode, which itself keeps the dilation that it
            is given (torchvision's rule). The features are then those of the strided net at every
            pixel that it has, weight for weight. "whole_stage": all of them; weights trained with
            stride 32 then see another input than they learned from.
        norm: "batch" or "group".
        dtype: what is computed in, parameters and statistics staying float32; None: the images'.
        remat: keep only the input of each block for the backward pass.
    """

    size: str | ResNetSize = "resnet50"
    inputs: int = 3
    output_stride: int = 32
    dilation_rule: DilationRule = "first_keeps"
    norm: Norm = "batch"
    dtype: Literal["float32", "bfloat16"] | None = None
    remat: bool = False

    def __post_init__(self):
        """Refuse names and numbers that make no encoder."""
        if isinstance(self.size, str):
            one_of("ResNet", "size", self.size, RESNETS)
        one_of("ResNet", "output_stride", self.output_stride, (4, 8, 16, 32))
        one_of("ResNet", "dilation_rule", self.dilation_rule, ("first_keeps", "whole_stage"))
        one_of("ResNet", "norm", self.norm, NORMS)
        one_of("ResNet", "dtype", self.dtype, (None, "float32", "bfloat16"))
        if self.inputs < 1:
            raise ValueError(f"ResNet: inputs={self.inputs} must be at least 1.")

    @property
    def shape(self) -> ResNetSize:
        """The size, looked up if it is a name."""
        return RESNETS[self.size] if isinstance(self.size, str) else self.size

    @property
    def stages(self) -> list["Stage"]:
        """Stride and dilations of each stage."""
        found, stride, dilation = [], 4, 1
        for number in range(4):
            wanted = 1 if number == 0 else 2
            strides = wanted > 1 and stride < self.output_stride
            before = dilation
            stride, dilation = (2 * stride, dilation) if strides else (stride, dilation * wanted)
            first = before if self.dilation_rule == "first_keeps" else dilation
            found.append(Stage(2 if strides else 1, first, dilation))
        return found


class Stage(NamedTuple):
    """Of one stage: its stride, the dilation where it would stride, and that of the rest."""

    stride: int
    first_dilation: int
    dilation: int


class Features(NamedTuple):
    """What the stem and each stage of an encoder computed, (batch, height, width, channels).

    The stem's are at stride 2 (before the maximum is pooled), those of the layers at 4, 8, 16 and
    32, or at the output stride where that is less.
    """

    stem: jax.Array
    layer1: jax.Array
    layer2: jax.Array
    layer3: jax.Array
    layer4: jax.Array


class ResNet(nnx.Module):
    """The residual encoder of He et al. 2015 (arXiv:1512.03385), in the layout known as v1.5.

    Stride and dilation sit on the 3x3 convolutions; paddings are symmetric, as in PyTorch; a stage
    that dilates instead of striding does so as in Chen et al. 2017, section 3.1 (arXiv:1706.05587).

    Args:
        rngs: draws the kernels.
        fields: the fields of `ResNetConfig`.

    Raises:
        ValueError: as `ResNetConfig`.
    """

    def __init__(self, *, rngs: nnx.Rngs, **fields: Any):
        config = ResNetConfig(**fields)
        norm = NORMS[config.norm]
        self.stem = ConvNorm(
            config.inputs, config.shape.width, 7, stride=2, norm=norm, rngs=rngs
        )  # fmt: skip
        widths = config.shape.features
        layers = [
            _layer(widths[i], widths[i + 1], count, config.shape.bottleneck, stage, norm, rngs)
            for i, (count, stage) in enumerate(
                zip(config.shape.blocks, config.stages, strict=True)
            )
        ]  # fmt: skip
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.config = config

    def __call__(self, images: jax.Array, *, train: bool = False) -> Features:
        """(batch, height, width, inputs), of any height and width, -> `Features`."""
        x = images if self.config.dtype is None else images.astype(self.config.dtype)
        found = [self.stem(x, train=train)]
        x = ops.max_pool(found[0], 3, stride=2, padding=1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in layer:
                if self.config.remat:
                    x = rematerialised(block, x, train=train)
                else:
                    x = block(x, train=train)
            found.append(x)
        return Features(*found)


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
        self.shortcut = (
            ConvNorm(inputs, features, 1, stride=stride, **last) if changes else None
        )  # fmt: skip

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, height, width, inputs) -> (batch, height', width', features)."""
        y = x
        for unit in self.units:
            y = unit(y, train=train)
        return jax.nn.relu(y + (x if self.shortcut is None else self.shortcut(x, train=train)))


def one_of(net: str, field: str, value: Any, known: Any) -> None:
    """Refuse a value that is none of the known ones.

    Raises:
        ValueError: it is none of them.
    """
    if value not in known:
        raise ValueError(f"{net}: {field}={value!r} is unknown: give one of {list(known)}.")


def _layer(
    inputs: int,
    features: int,
    count: int,
    bottleneck: bool,
    stage: Stage,
    norm: NormFactory,
    rngs: nnx.Rngs,
) -> nnx.List:
    """The blocks of one stage, of which the first strides, or would."""
    options: Any = {
        "bottleneck": bottleneck, "dilation": stage.dilation, "norm": norm, "rngs": rngs
    }  # fmt: skip
    first = ResNetBlock(
        inputs, features, stride=stage.stride, first_dilation=stage.first_dilation, **options
    )
    rest = [
        ResNetBlock(features, features, first_dilation=stage.dilation, **options)
        for _ in range(count - 1)
    ]
    return nnx.List([first, *rest])
