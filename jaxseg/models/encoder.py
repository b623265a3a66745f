"""What encoders share: their settings, where they dilate instead of striding, what they return."""

import abc
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

import jax
from flax import nnx

from jaxseg.nn import BatchNorm, GroupNorm, rematerialize
from jaxseg.nn.norm import NormFactory

NORMS: dict[str, NormFactory] = {"batch": BatchNorm, "group": GroupNorm}
Norm = Literal["batch", "group"]
DilationRule = Literal["first_keeps", "whole_stage"]
COARSEST = 32  # image pixels per pixel of the last stage, if every stage strides

T = TypeVar("T")


class Stage(NamedTuple):
    """Of one stage: its stride, the dilation where it would stride, and that of the rest."""

    stride: int
    first_dilation: int
    dilation: int


@dataclass(frozen=True)
class EncoderConfig:
    """What any `Encoder` is made of, whatever its architecture.

    Attributes:
        inputs: channels of the images.
        output_stride: image pixels per pixel of the last stage: 32, 16, 8 or 4. Below 32 the last
            stages do not stride; they dilate.
        dilation_rule: which convolutions of a stage that no longer strides dilate the more.
            "first_keeps": those behind the one that strode, which itself keeps the dilation that it
            is given (torchvision's rule for ResNets). The features are then those of the strided
            net at every pixel that it has, weight for weight. "whole_stage": all of them
            (torchvision's rule for MobileNetV3); weights trained with stride 32 then see another
            input than they learned from.
        norm: "batch" or "group".
        dtype: what is computed in, parameters and statistics staying float32; None: the images'.
        remat: keep only the input of each block for the backward pass.
    """

    inputs: int = 3
    output_stride: int = 32
    dilation_rule: DilationRule = "first_keeps"
    norm: Norm = "batch"
    dtype: Literal["float32", "bfloat16"] | None = None
    remat: bool = False

    STRIDES: ClassVar[tuple[int, ...]] = (4, 8, 16, 32)

    def __post_init__(self):
        """Refuse names and numbers that make no encoder."""
        net = type(self).__name__.removesuffix("Config")
        one_of(net, "output_stride", self.output_stride, self.STRIDES)
        one_of(net, "dilation_rule", self.dilation_rule, ("first_keeps", "whole_stage"))
        one_of(net, "norm", self.norm, NORMS)
        one_of(net, "dtype", self.dtype, (None, "float32", "bfloat16"))
        if self.inputs < 1:
            raise ValueError(f"{net}: inputs={self.inputs} must be at least 1.")

    def halvings(self, start: int) -> list[Stage]:
        """The stages that lead from stride `start` to 32, those beyond `output_stride` dilated."""
        found, stride, dilation = [], start, 1
        while stride * dilation < COARSEST:
            if stride < self.output_stride:
                stride *= 2
                found.append(Stage(2, 1, 1))
            else:
                before, dilation = dilation, 2 * dilation
                first = before if self.dilation_rule == "first_keeps" else dilation
                found.append(Stage(1, first, dilation))
        return found


class Features(NamedTuple, Generic[T]):
    """What an encoder computed, (batch, height, width, channels) each; or its channels alone.

    The stem's are at stride 2, those of the layers at 4, 8, 16 and 32, or at the output stride
    where that is less: the last features of that stride. `low` and `auxiliary` are what light heads
    and auxiliary heads take, where torchvision takes them: one of the layers', or from within one.
    """

    stem: T
    layer1: T
    layer2: T
    layer3: T
    layer4: T
    low: T
    auxiliary: T


class Encoder(nnx.Module, abc.ABC):
    """Images -> features at several strides; a `Segmenter` takes any."""

    config: EncoderConfig

    @property
    @abc.abstractmethod
    def widths(self) -> Features[int]:
        """Channels of the features."""

    @abc.abstractmethod
    def __call__(self, images: jax.Array, *, train: bool = False) -> Features[jax.Array]:
        """(batch, height, width, inputs), of any height and width, -> `Features`."""

    def _entered(self, images: jax.Array) -> jax.Array:
        """The images in the dtype that is computed in."""
        return images if self.config.dtype is None else images.astype(self.config.dtype)

    def _run(self, block: nnx.Module, x: jax.Array, train: bool) -> jax.Array:
        """One block, its inside recomputed in the backward pass if so configured."""
        if self.config.remat:
            return rematerialize(block, x, train=train)
        return block(x, train=train)  # type: ignore[operator]


def one_of(net: str, field: str, value: Any, known: Any) -> None:
    """Refuse a value that is none of the known ones.

    Raises:
        ValueError: it is none of them.
    """
    if value not in known:
        raise ValueError(f"{net}: {field}={value!r} is unknown: give one of {list(known)}.")
