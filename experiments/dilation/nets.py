"""The dilation study's nets: chains of 3x3 convolutions that differ in strides and rates alone.

Every arm has as many convolutions, so that equal widths mean equal parameters. Where `strided`
strides, `dilated` keeps every pixel and multiplies the rates of all later layers instead: with the
same kernels its scores at every fourth pixel are those of `strided`.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxseg import nn, ops
from jaxseg.analysis import HybridDilation, hybrid_dilation, receptive_field
from jaxseg.nn.norm import NormFactory

LAYERS = 6
Cost = Literal["parameters", "multiply-adds"]


@dataclass(frozen=True)
class Arm:
    """Settings that tell a net from the others.

    Attributes:
        rates: Dilation of each convolution, the one next to the image first.
        strides: Stride of each convolution; empty for 1 throughout.
        equal: What its width is chosen for: as many parameters as the others, or, behind strides,
            as many multiply-adds.
    """

    rates: tuple[int, ...] = (1,) * LAYERS
    strides: tuple[int, ...] = ()
    equal: Cost = "parameters"

    @property
    def steps(self) -> tuple[int, ...]:
        """The stride of each layer."""
        return self.strides or (1,) * len(self.rates)

    @property
    def jumps(self) -> tuple[int, ...]:
        """Pixels of the image between neighboring pixels of each layer's input."""
        return tuple(int(n) for n in np.cumprod((1, *self.steps))[:-1])

    @property
    def unstrided(self) -> tuple[int, ...]:
        """Rates of the chain without strides that sees the same pixels."""
        return tuple(r * j for r, j in zip(self.rates, self.jumps, strict=True))

    @property
    def output_stride(self) -> int:
        """Pixels of the image between neighboring scores."""
        return int(np.prod(self.steps))

    @property
    def coverage(self) -> HybridDilation:
        """The pixels that a score sees."""
        return hybrid_dilation(self.unstrided)

    @property
    def walk(self) -> float:
        """Width in pixels of a score's effective field in a random net: sqrt(2/3 sum d**2).

        The width is a standard deviation; see `analysis.effective_receptive_field`.
        """
        return float(np.sqrt(2 / 3 * np.sum(np.square(self.unstrided))))


HALVINGS = (1, 2, 1, 2, 1, 1)
ARMS: dict[str, Arm] = {
    "plain": Arm(),
    "strided": Arm(strides=HALVINGS),
    "strided_wide": Arm(strides=HALVINGS, equal="multiply-adds"),
    "dilated": Arm((1, 1, 2, 2, 4, 4)),
    "cascade": Arm((2,) * 6),
    "hybrid_123": Arm((1, 2, 3) * 2),
    "hybrid_125": Arm((1, 2, 5) * 2),
    "degridded": Arm((2,) * 4 + (1, 1)),
}
"""`cascade` is what Wang et al. 2018 warn of, and the hybrids are their remedy; `degridded` is that
of Yu et al. 2017: it ends with layers whose rates fall back to 1."""
LABELS = {
    "plain": "plain",
    "strided": "strided",
    "strided_wide": "strided, wide",
    "dilated": "dilated",
    "cascade": "equal rates",
    "hybrid_123": "hybrid 1-2-3",
    "hybrid_125": "hybrid 1-2-5",
    "degridded": "degridded",
}
"""Arm -> its name for people."""
GRIDS = ("cascade", "hybrid_123", "hybrid_125", "degridded")


class DilationNet(nnx.Module):
    """Convolutions with norm and ReLU, a 1x1 convolution, and scores resized to the image's size.

    Convolutions pad by their rate, so that pixel j of a map of stride s belongs to pixel s j of the
    image. The bilinear resize puts it back there if sizes are 1 + a multiple of the stride.

    Args:
        arm: Strides and rates.
        classes: Scores a pixel.
        inputs: Channels of an image.
        features: Channels of every layer.
        norm: Builds a norm, `norm(features)`.
        rngs: Draws the kernels.
    """

    def __init__(
        self,
        arm: Arm,
        *,
        classes: int,
        inputs: int,
        features: int,
        norm: NormFactory = nn.BatchNorm,
        rngs: nnx.Rngs,
    ):
        widths = (inputs, *(features,) * len(arm.rates))
        self.layers = nnx.List(
            [
                nn.ConvNorm(widths[n], features, stride=stride, dilation=rate, norm=norm, rngs=rngs)
                for n, (stride, rate) in enumerate(zip(arm.steps, arm.rates, strict=True))
            ]
        )
        self.head = nn.Conv(features, classes, 1, bias=True, rngs=rngs)

    def scores(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map (batch, height, width, inputs) to one score every output stride."""
        for layer in self.layers:
            x = layer(x, train=train)
        return self.head(x)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map (batch, height, width, inputs) to logits (batch, height, width, classes)."""
        return ops.resize(self.scores(x, train=train), x.shape[1:-1], align_corners=True)


def multiply_adds(
    arm: Arm, features: int, size: Sequence[int], *, inputs: int, classes: int
) -> int:
    """Count an image's multiply-adds: nine taps a channel pair and output pixel, then the head."""
    total, before, here = 0, inputs, tuple(size)
    for stride in arm.steps:
        here = tuple(-(-n // stride) for n in here)
        total, before = total + 9 * before * features * int(np.prod(here)), features
    return total + features * classes * int(np.prod(here))


def width(arm: Arm, features: int, size: Sequence[int], *, inputs: int, classes: int) -> int:
    """Find the channels that make an arm as costly as one without strides and with `features`.

    Raises:
        ValueError: No width below 64 times as many costs as much.
    """
    if arm.equal == "parameters":
        return features
    shape: dict[str, Any] = {"inputs": inputs, "classes": classes}
    target = multiply_adds(Arm(), features, size, **shape)
    costs = [multiply_adds(arm, n, size, **shape) for n in range(1, 64 * features)]
    if costs[-1] < target:
        raise ValueError(f"strides={arm.strides}: no width costs {target:,} multiply-adds.")
    return 1 + int(np.argmin(np.abs(np.array(costs) - target)))


def bare_field(arm: Arm, size: int) -> tuple[int, int]:
    """Trace the pixels an axis that a score sees from end to end, and those that it sees at all."""

    def scores(x):
        for stride, rate in zip(arm.steps, arm.rates, strict=True):
            x = ops.conv(x, jnp.ones((3, 1, 1)), stride=stride, dilation=rate, padding=rate)
        return x

    field = receptive_field(scores, jax.ShapeDtypeStruct((1, size, 1), jnp.float32))
    middle = field.output_size[0] // 2
    return field.size[0], int(np.sum(field.coverage((middle,))))


def same_scores(seed: int, size: Sequence[int]) -> float:
    """Compare `strided` with every fourth score of `dilated`, the kernels being the same.

    Returns:
        The largest difference over the largest score, for noise in random nets.
    """
    params, stats, scores = None, None, []
    x = jax.random.normal(jax.random.key(seed), (1, *size, 1))
    for arm in (ARMS["strided"], ARMS["dilated"]):
        init, apply = nn.functional(
            lambda rngs, arm=arm: DilationNet(arm, classes=3, inputs=1, features=8, rngs=rngs)
        )
        if params is None:
            params, stats = init(jax.random.key(seed))
        scores.append(jax.jit(functools.partial(apply, method="scores"))(params, stats, x)[0])
    strided, dilated = scores
    step = ARMS["strided"].output_stride
    difference = jnp.max(jnp.abs(strided - dilated[:, ::step, ::step]))
    return float(difference / jnp.max(jnp.abs(strided)))
