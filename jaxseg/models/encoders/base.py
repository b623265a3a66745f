"""The interface of encoders, and the plan of where they dilate instead of striding."""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar, get_args

import jax
from flax import nnx

from jaxseg.models._arguments import ComputeDtype, DilationRule, Norm, check_choice, check_positive
from jaxseg.models._layers import NORMS, run_block, to_compute_dtype

MAX_STRIDE = 32
"""Image pixels per pixel of the last stage where every stage strides."""

T = TypeVar("T")


class Stage(NamedTuple):
    """Stride and dilations of one stage.

    Attributes:
        stride: Stride of the stage's first block.
        first_dilation: Dilation of the convolution that strides, or would if the stage did.
        dilation: Dilation of the convolutions behind it.
    """

    stride: int
    first_dilation: int
    dilation: int


def plan_stages(start: int, output_stride: int, dilation_rule: DilationRule) -> list[Stage]:
    """Plan the stages that lead from a stride to 32, those beyond the output stride dilated.

    Args:
        start: Stride of the features that the first of these stages is given.
        output_stride: Stride beyond which stages dilate.
        dilation_rule: Convolutions that a dilated stage dilates more, as in `Encoder`.

    Example:
        >>> from jaxseg.models.encoders.base import plan_stages
        >>> [tuple(stage) for stage in plan_stages(4, 8, "first_keeps")]
        [(2, 1, 1), (1, 1, 2), (1, 2, 4)]
    """
    stages, stride, dilation = [], start, 1
    while stride * dilation < MAX_STRIDE:
        if stride < output_stride:
            stride *= 2
            stages.append(Stage(2, 1, 1))
        else:
            previous, dilation = dilation, 2 * dilation
            first = previous if dilation_rule == "first_keeps" else dilation
            stages.append(Stage(1, first, dilation))
    return stages


@dataclass(frozen=True)
class EncoderSize(abc.ABC):
    """Base of the sizes that an encoder comes in, such as `ResNetSize`.

    A size names its encoder, so that every net on an encoder takes it as its `backbone`.
    """

    @property
    @abc.abstractmethod
    def encoder(self) -> "Callable[..., Encoder]":
        """Encoder of this size, which `make_encoder` calls with the size and its own options."""


class Features(NamedTuple, Generic[T]):
    """Features of an encoder, (batch, height, width, channels) each; or their channel counts.

    Attributes:
        stem: Features at stride 2.
        layer1: Features at stride 4; as all that follow, the last ones of that stride.
        layer2: Features at stride 8, or at the output stride where that is less.
        layer3: Features at stride 16, or at the output stride where that is less.
        layer4: Features at stride 32, or at the output stride where that is less.
        low: Features that light heads take besides the last ones, as in torchvision.
        auxiliary: Features that auxiliary heads take, as in torchvision.
    """

    stem: T
    layer1: T
    layer2: T
    layer3: T
    layer4: T
    low: T
    auxiliary: T


class Encoder(nnx.Module, abc.ABC):
    """Base of encoders, which map images to features at several strides.

    Args:
        inputs: Number of channels of the images.
        output_stride: Image pixels per pixel of the last features. Stages that would go beyond it
            dilate instead of striding.
        dilation_rule: Convolutions that a dilated stage dilates more. "first_keeps": all but the
            one that strode, which keeps the dilation of the stage before (torchvision's rule for
            ResNets). The features are then those of the strided net at every pixel that it has,
            weight for weight. "whole_stage": all of them (torchvision's rule for MobileNetV3);
            weights trained at stride 32 then see another input than they were trained on.
        norm: Normalization, "batch" or "group".
        dtype: Dtype of the computation; parameters and statistics stay float32. None computes in
            the dtype of the images.
        remat: Recompute the inside of each block in the backward pass, to save memory.
        output_strides: Output strides that the encoder can have.

    Raises:
        ValueError: An argument is none of the values that it may have.
    """

    def __init__(
        self,
        *,
        inputs: int,
        output_stride: int,
        dilation_rule: DilationRule,
        norm: Norm,
        dtype: ComputeDtype | None,
        remat: bool,
        output_strides: tuple[int, ...] = (4, 8, 16, 32),
    ):
        name = type(self).__name__
        check_positive(name, inputs=inputs)
        check_choice(name, "output_stride", output_stride, output_strides)
        check_choice(name, "dilation_rule", dilation_rule, get_args(DilationRule))
        check_choice(name, "norm", norm, NORMS)
        check_choice(name, "dtype", dtype, (None, *get_args(ComputeDtype)))
        self.output_stride = output_stride
        self.dilation_rule: DilationRule = dilation_rule
        self.norm, self.remat = norm, remat
        self.dtype: ComputeDtype | None = dtype

    @property
    @abc.abstractmethod
    def stages(self) -> list[Stage]:
        """Stride and dilations of each stage."""

    @property
    @abc.abstractmethod
    def widths(self) -> Features[int]:
        """Number of channels of each of the features."""

    @abc.abstractmethod
    def __call__(self, images: jax.Array, *, train: bool = False) -> Features[jax.Array]:
        """Extract features of images (batch, height, width, inputs) of any height and width.

        Args:
            images: Images, floating.
            train: Normalize by the batch's statistics, and update the running ones in place.
        """

    def _to_compute_dtype(self, images: jax.Array) -> jax.Array:
        return to_compute_dtype(images, self.dtype)

    def _run(self, block: nnx.Module, x: jax.Array, train: bool) -> jax.Array:
        return run_block(block, x, train=train, remat=self.remat)


def find_size(owner: str, size: Any, named: dict[str, Any], kind: type[T]) -> T:
    """Look a size up by its name; one that is given as an object is checked and returned.

    Args:
        owner: Name of the encoder, for messages.
        size: Name or size.
        named: Sizes by name.
        kind: Class of the sizes.

    Raises:
        ValueError: The name is unknown, or the object is no such size.
    """
    if isinstance(size, str):
        check_choice(owner, "size", size, named)
        return named[size]
    if not isinstance(size, kind):
        raise ValueError(
            f"{owner}: size={size!r} is not a size: give one of {list(named)}, or a "
            f"{kind.__name__}."
        )
    return size
