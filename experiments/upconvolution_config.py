"""What the study of upconvolutions compares: its arms, their net, its configuration."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
from flax import nnx

from jaxseg import ops
from jaxseg.nn import Conv, UpConv
from jaxseg.nn.initializers import bilinear, he_normal, icnr

FACTOR = 2
"""Each level up doubles height and width."""


class ResizeConv(nnx.Module):
    """Resize, then a 4x4 convolution (Odena et al. 2016)."""

    def __init__(self, features: int, method: Literal["nearest", "bilinear"], *, rngs: nnx.Rngs):
        self.conv = Conv(features, features, 4, bias=True, rngs=rngs)
        self.method: Literal["nearest", "bilinear"] = method

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, *space, features) -> (batch, *(2 * space), features)."""
        size = tuple(FACTOR * n for n in x.shape[1:-1])
        return self.conv(ops.resize(x, size, method=self.method))


class SubPixel(nnx.Module):
    """A 2x2 convolution to four times the channels, which pixel shuffle spreads over 2x2 pixels."""

    def __init__(self, features: int, *, equal: bool, rngs: nnx.Rngs):
        init = icnr(FACTOR, he_normal()) if equal else he_normal()
        self.conv = Conv(features, FACTOR**2 * features, 2, bias=True, kernel_init=init, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, *space, features) -> (batch, *(2 * space), features)."""
        return ops.pixel_shuffle(self.conv(x), FACTOR)


def _upconv(window: int) -> Callable[[int, nnx.Rngs], nnx.Module]:
    # Of the window's taps one in four meets each output pixel: with it, the variance of He et al.
    init = he_normal(2.0 * FACTOR**2)
    return lambda features, rngs: UpConv(
        features, features, window, stride=FACTOR, bias=True, kernel_init=init, rngs=rngs
    )


UPS: dict[str, Callable[[int, nnx.Rngs], nnx.Module]] = {
    "upconv k2s2": _upconv(2),
    "upconv k3s2": _upconv(3),
    "upconv k4s2": _upconv(4),
    "upconv bilinear": lambda features, rngs: UpConv(
        features, features, 4, stride=FACTOR, bias=True, kernel_init=bilinear(), rngs=rngs
    ),
    "sub-pixel": lambda features, rngs: SubPixel(features, equal=False, rngs=rngs),
    "sub-pixel ICNR": lambda features, rngs: SubPixel(features, equal=True, rngs=rngs),
    "resize nearest": lambda features, rngs: ResizeConv(features, "nearest", rngs=rngs),
    "resize bilinear": lambda features, rngs: ResizeConv(features, "bilinear", rngs=rngs),
}
"""Arm -> `make(features, rngs)` of a layer that doubles height and width."""
WINDOWS = {"upconv k2s2": 2, "upconv k3s2": 3, "upconv k4s2": 4}
RANDOM = ("upconv k2s2", "upconv k3s2", "upconv k4s2", "sub-pixel")
"""Arms whose phases start with independent weights."""


class Decoded(nnx.Module):
    """Two strided convolutions down, one between, two levels up: no skip hides what they do.

    Args:
        up: makes a layer of the way up.
        classes: channels of the logits.
        inputs: channels of the images.
        features: channels of every layer.
        down: window of the strided convolutions.
        rngs: draws the kernels.
    """

    def __init__(
        self,
        up: Callable[[int, nnx.Rngs], nnx.Module],
        *,
        classes: int,
        inputs: int,
        features: int,
        down: int = 3,
        rngs: nnx.Rngs,
    ):
        self.stem = Conv(inputs, features, 3, bias=True, rngs=rngs)
        self.down = nnx.List(
            [Conv(features, features, down, stride=2, bias=True, rngs=rngs) for _ in range(2)]
        )
        self.middle = Conv(features, features, 3, bias=True, rngs=rngs)
        self.ups = nnx.List([up(features, rngs) for _ in range(2)])
        self.head = Conv(features, classes, 1, bias=True, kernel_init=he_normal(1.0), rngs=rngs)

    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, height, width, inputs) -> logits; height and width are multiples of 4."""
        return self.head(_chained((self.middle, *self.ups), self.encode(images)))

    def encode(self, images: jax.Array) -> jax.Array:
        """(batch, height, width, inputs) -> features at a quarter of the size."""
        return _chained((self.stem, *self.down), images)


def _chained(layers: Iterable[nnx.Module], x: jax.Array) -> jax.Array:
    for layer in layers:
        # Leaky, since of so few features a draw of plain ReLUs may be dead from the start.
        x = jax.nn.leaky_relu(layer(x), 0.1)  # type: ignore[operator]
    return x


@dataclass(frozen=True)
class Config:
    """The study.

    Attributes:
        preset: where the other values come from.
        out: where everything goes.
        data_dir: where prepared data is kept; None is the user's TFDS folder.
        size: height and width of the images, in pixels, a multiple of 4.
        cells: of a mosaic: how many areas of one texture.
        arms: those of `UPS` to train.
        features: channels of every layer.
        seeds: runs of each arm and learning rate.
        learning_rates: of Adam; they stay for half of the steps, then fall to 0 linearly.
        steps: of training.
        batch_size: images a step.
        looks: how often the checkerboards are measured on the way, evenly, besides at first.
        draws: nets and layers at initialisation over which theory is tested, an even number.
        windows: of the strided convolutions whose gradients are then looked at.
        devices: XLA devices on a CPU; 0 is one a core.
        resume: go on with what is in `out`.
        overwrite: start again over what is in `out`.
    """

    preset: str = ""
    out: Path = Path("runs/upconvolution")
    data_dir: Path | None = None
    size: int = 32
    cells: int = 4
    arms: tuple[str, ...] = tuple(UPS)
    features: int = 12
    seeds: int = 4
    learning_rates: tuple[float, ...] = (1e-2, 2.5e-2, 6e-2)
    steps: int = 160
    batch_size: int = 8
    looks: int = 8
    draws: int = 256
    windows: tuple[int, ...] = (2, 3, 4, 5)
    devices: int = 0
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self):
        """Refuse what cannot be run."""
        unknown = [arm for arm in self.arms if arm not in UPS]
        if unknown or not self.arms:
            raise ValueError(f"arms={self.arms} must be some of {list(UPS)}.")
        if self.size % 4 or self.size < 12:
            raise ValueError(f"size={self.size} must be a multiple of 4 from 12 on.")
        if self.looks < 1 or self.steps % self.looks:
            raise ValueError(f"looks={self.looks} must divide steps={self.steps}.")
        if self.draws < 2 or self.draws % 2:
            raise ValueError(f"draws={self.draws} must be even, at least 2.")
        if self.seeds < 1 or min(self.learning_rates, default=0) <= 0:
            raise ValueError(
                f"seeds={self.seeds}, learning_rates={self.learning_rates}: give at least one of "
                "each, and positive rates."
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
        looks=2,
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
        looks=20,
        learning_rates=(1e-3, 3e-3, 1e-2, 3e-2),
        draws=512,
    ),
}
