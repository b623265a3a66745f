"""Arms, net, configuration and presets of the upconvolution study."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import jax
from flax import nnx

from jaxseg import ops
from jaxseg.nn import Conv, UpConv
from jaxseg.nn.initializers import bilinear, he_normal, icnr
from jaxseg.studies import SweepConfig

STRIDE = 2
"""Each layer on the way up doubles height and width."""
Make = Callable[[int, nnx.Rngs], nnx.Module]
"""`make(features, rngs)` of a layer that doubles height and width."""


class ResizeConv(nnx.Module):
    """Resize, then a 4x4 convolution (Odena et al. 2016).

    Args:
        features: Channels of input and output.
        method: How to resize.
        rngs: Draws the kernel.
    """

    def __init__(self, features: int, method: Literal["nearest", "bilinear"], *, rngs: nnx.Rngs):
        self.conv = Conv(features, features, 4, bias=True, rngs=rngs)
        self.method: Literal["nearest", "bilinear"] = method

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (batch, *space, features) to (batch, *(2 * space), features)."""
        size = tuple(STRIDE * n for n in x.shape[1:-1])
        return self.conv(ops.resize(x, size, method=self.method))


class SubPixel(nnx.Module):
    """A 2x2 convolution to four times the channels, then a pixel shuffle (Shi et al. 2016).

    Args:
        features: Channels of input and output.
        equal_phases: Give the four phases equal kernels at initialization (Aitken et al. 2017).
        rngs: Draws the kernel.
    """

    def __init__(self, features: int, *, equal_phases: bool, rngs: nnx.Rngs):
        init = icnr(STRIDE, he_normal()) if equal_phases else he_normal()
        self.conv = Conv(features, STRIDE**2 * features, 2, bias=True, kernel_init=init, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (batch, *space, features) to (batch, *(2 * space), features)."""
        return ops.pixel_shuffle(self.conv(x), STRIDE)


def _upconv(window: int) -> Make:
    # One tap in four of the window meets each output pixel: with the factor, the variance is kept.
    init = he_normal(2.0 * STRIDE**2)
    return lambda features, rngs: UpConv(
        features, features, window, stride=STRIDE, bias=True, kernel_init=init, rngs=rngs
    )


ARMS: dict[str, Make] = {
    "upconv k2s2": _upconv(2),
    "upconv k3s2": _upconv(3),
    "upconv k4s2": _upconv(4),
    "upconv bilinear": lambda features, rngs: UpConv(
        features, features, 4, stride=STRIDE, bias=True, kernel_init=bilinear(), rngs=rngs
    ),
    "sub-pixel": lambda features, rngs: SubPixel(features, equal_phases=False, rngs=rngs),
    "sub-pixel ICNR": lambda features, rngs: SubPixel(features, equal_phases=True, rngs=rngs),
    "resize nearest": lambda features, rngs: ResizeConv(features, "nearest", rngs=rngs),
    "resize bilinear": lambda features, rngs: ResizeConv(features, "bilinear", rngs=rngs),
}
LABELS = {
    "upconv k2s2": "upconv 2 × 2",
    "upconv k3s2": "upconv 3 × 3",
    "upconv k4s2": "upconv 4 × 4",
    "upconv bilinear": "upconv bilinear",
    "sub-pixel": "sub-pixel",
    "sub-pixel ICNR": "sub-pixel ICNR",
    "resize nearest": "resize nearest",
    "resize bilinear": "resize bilinear",
}
"""Arm -> its name for people; all upconvolutions have stride 2."""


def case_label(case: str) -> str:
    """Return a name for people of an arm, or of a strided convolution by its window."""
    return LABELS.get(case) or re.sub(r"^k(\d+)s2$", r"strided \1 × \1", case)


WINDOWS = {"upconv k2s2": 2, "upconv k3s2": 3, "upconv k4s2": 4}
RANDOM = ("upconv k2s2", "upconv k3s2", "upconv k4s2", "sub-pixel")
"""Arms whose phases have independent weights at initialization."""


class EncoderDecoder(nnx.Module):
    """Two strided convolutions down, one between, two layers up; no skip hides what those do.

    Args:
        up: Makes a layer of the way up.
        classes: Channels of the logits.
        inputs: Channels of the images.
        features: Channels of every layer.
        window: Window of the strided convolutions.
        rngs: Draws the kernels.
    """

    def __init__(
        self, up: Make, *, classes: int, inputs: int, features: int, window: int = 3, rngs: nnx.Rngs
    ):
        self.stem = Conv(inputs, features, 3, bias=True, rngs=rngs)
        self.down = nnx.List(
            [Conv(features, features, window, stride=2, bias=True, rngs=rngs) for _ in range(2)]
        )
        self.middle = Conv(features, features, 3, bias=True, rngs=rngs)
        self.ups = nnx.List([up(features, rngs) for _ in range(2)])
        self.head = Conv(features, classes, 1, bias=True, kernel_init=he_normal(1.0), rngs=rngs)

    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Map (batch, height, width, inputs) to logits; height and width are multiples of 4."""
        return self.head(_chain((self.middle, *self.ups), self.encode(images)))

    def encode(self, images: jax.Array) -> jax.Array:
        """Map (batch, height, width, inputs) to features at a quarter of the size."""
        return _chain((self.stem, *self.down), images)


def _chain(layers: Iterable[nnx.Module], x: jax.Array) -> jax.Array:
    for layer in layers:
        # Leaky: with so few features, plain ReLUs may all be dead at initialization.
        x = jax.nn.leaky_relu(layer(x), 0.1)  # type: ignore[operator]
    return x


@dataclass(frozen=True, kw_only=True)
class Config(SweepConfig):
    """The study.

    Attributes:
        size: Height and width of the images in pixels, a multiple of 4.
        cells: Areas of one texture in an image.
        features: Channels of every layer.
        measurements: How often the checkerboards are measured during training, evenly, besides
            before the first step.
        draws: Layers and nets at initialization that are compared with theory.
        windows: Windows of the strided convolutions whose gradients are compared with theory.
    """

    out: Path = Path("runs/upconvolution")
    arms: tuple[str, ...] = tuple(ARMS)
    seeds: int = 4
    learning_rates: tuple[float, ...] = (1e-2, 2.5e-2, 6e-2)
    steps: int = 160
    batch_size: int = 8
    size: int = 32
    cells: int = 4
    features: int = 12
    measurements: int = 8
    draws: int = 256
    windows: tuple[int, ...] = (2, 3, 4, 5)

    known_arms: ClassVar[tuple[str, ...]] = tuple(ARMS)

    def __post_init__(self):
        """Refuse what cannot be run."""
        super().__post_init__()
        self.require(1, "cells", "features")
        self.require(2, "draws", "windows")
        if self.size % 4 or self.size < 12:
            raise ValueError(f"size={self.size} must be a multiple of 4, at least 12.")
        if self.measurements < 1 or self.steps % self.measurements:
            raise ValueError(
                f"measurements={self.measurements} must be at least 1 and divide "
                f"steps={self.steps}."
            )


PRESETS = {
    "tiny": Config(
        size=16,
        arms=("upconv k4s2", "sub-pixel ICNR"),
        features=4,
        seeds=2,
        learning_rates=(1e-2,),
        steps=4,
        batch_size=2,
        measurements=2,
        draws=8,
        windows=(3,),
    ),
    "quick": Config(),
    "full": Config(
        size=64,
        cells=8,
        features=32,
        seeds=8,
        steps=2000,
        batch_size=16,
        measurements=20,
        learning_rates=(1e-3, 3e-3, 1e-2, 3e-2),
        draws=512,
    ),
}
