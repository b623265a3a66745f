"""What the study of long and short skips compares: its net, its arms, its configuration."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxseg.nn import BatchNorm, Conv, PreActivation, Residual, Stack, UpConv
from jaxseg.nn.initializers import he_normal

ARMS = {
    "no skips": {"long": False, "short": False},
    "long skips": {"long": True, "short": False},
    "short skips": {"long": False, "short": True},
    "both": {"long": True, "short": True},
}
"""Arm -> what a `DeepUNet` has."""

# Without the learned scale, which the next kernel makes up for.
_NORM = functools.partial(BatchNorm, scale=False)


class DeepUNet(nnx.Module):
    """A U-Net of one width whose levels are deep stacks; no skip has a parameter.

    Long skips add a level's features of the way down to those that come up to it; short ones add
    the input of every block of two convolutions to its output (He et al. 2016).

    Args:
        long: have long skips.
        short: have short skips.
        classes: channels of the logits.
        inputs: channels of the images.
        features: channels of every layer.
        levels: of resolution; each is half of the one above.
        blocks: of two convolutions, in every stack: one a level down, one up, one at the bottom.
        rngs: draws the kernels.
    """

    def __init__(
        self,
        *,
        long: bool,
        short: bool,
        classes: int,
        inputs: int,
        features: int,
        levels: int,
        blocks: int,
        rngs: nnx.Rngs,
    ):
        make, steps = functools.partial(_block, features, short), range(levels - 1)
        self.stem = Conv(inputs, features, kernel_init=he_normal(1.0), rngs=rngs)
        self.down = nnx.List([Stack(make, blocks, rngs=rngs) for _ in steps])
        self.halve = nnx.List(
            [
                Conv(features, features, 2, stride=2, kernel_init=he_normal(1.0), rngs=rngs)
                for _ in steps
            ]
        )
        self.bottom = Stack(make, blocks, rngs=rngs)
        # One tap in four meets each pixel: with it, the variance stays.
        self.double = nnx.List(
            [UpConv(features, features, 2, kernel_init=he_normal(4.0), rngs=rngs) for _ in steps]
        )
        self.up = nnx.List([Stack(make, blocks, rngs=rngs) for _ in steps])
        self.norm = _NORM(features)
        self.head = Conv(features, classes, 1, bias=True, kernel_init=he_normal(1.0), rngs=rngs)
        self.long = long

    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, height, width, inputs) -> logits; sizes are multiples of 2**(levels - 1)."""
        x, kept = self.stem(images), []
        for stack, halve in zip(self.down, self.halve, strict=True):
            x = stack(x, train=train)
            kept.append(x)
            x = halve(x)
        x = self.bottom(x, train=train)
        for double, stack in zip(self.double, self.up, strict=True):
            x, skip = double(x), kept.pop()
            x = stack(x + skip if self.long else x, train=train)
        return self.head(jax.nn.relu(self.norm(x, train=train)))


def _block(features: int, short: bool, rngs: nnx.Rngs) -> nnx.Module:
    branch = PreActivation(features, norm=_NORM, rngs=rngs)
    return Residual(branch) if short else branch


def convolutions(levels: int, blocks: int) -> int:
    """Layers from image to logits."""
    return (2 * levels - 1) * 2 * blocks + 2 * (levels - 1) + 2


def kernels(params: Mapping[str, Any], members: int) -> Iterator[np.ndarray]:
    """Every layer's kernel, (members, *window, in, out), from image to logits.

    Args:
        params: of a `DeepUNet`, its arrays with a leading axis of members.
        members: how many of them are wanted.
    """

    def stack(blocks) -> Iterator[np.ndarray]:
        blocks = blocks.get("branch", blocks)
        pair = [np.asarray(blocks[name]["kernel"][...])[:members] for name in ("conv1", "conv2")]
        for number in range(pair[0].shape[1]):
            yield from (both[:, number] for both in pair)

    def one(layer) -> np.ndarray:
        return np.asarray(layer["kernel"][...])[:members]

    steps = range(len(params["down"]))
    yield one(params["stem"])
    for n in steps:
        yield from stack(params["down"][n]["blocks"])
        yield one(params["halve"][n])
    yield from stack(params["bottom"]["blocks"])
    for n in steps:
        yield one(params["double"][n])
        yield from stack(params["up"][n]["blocks"])
    yield one(params["head"])


def parts(levels: int, blocks: int) -> list[str]:
    """Of every layer, ordered as `kernels`: "ends" (full resolution), "bottom" or "between"."""
    stack = 2 * blocks
    found = ["ends"]
    for level in range(levels - 1):
        found += ["between" if level else "ends"] * stack + ["between"]
    found += ["bottom"] * stack
    for level in reversed(range(levels - 1)):
        found += ["between"] + ["between" if level else "ends"] * stack
    return [*found, "ends"]


@dataclass(frozen=True)
class Config:
    """The study.

    Attributes:
        preset: where the other values come from.
        out: where everything goes.
        data_dir: where prepared data is kept; None is the user's TFDS folder.
        size: height and width of the images, in pixels, a multiple of 2**(levels - 1).
        images: for training.
        arms: those of `ARMS`.
        levels: of resolution.
        blocks: of two convolutions, in each of the 2 levels - 1 stacks.
        features: channels of every layer.
        seeds: runs of each arm and learning rate.
        learning_rates: of momentum; they stay for half of the epochs, then fall to 0 linearly.
        epochs: of training.
        batch_size: images a step.
        clip: largest norm of the gradient.
        devices: XLA devices on a CPU; 0 is one a core.
        resume: go on with what is in `out`.
        overwrite: start again over what is in `out`.
    """

    preset: str = ""
    out: Path = Path("runs/long_skips")
    data_dir: Path | None = None
    size: int = 20
    images: int = 128
    arms: tuple[str, ...] = tuple(ARMS)
    levels: int = 3
    blocks: int = 4
    features: int = 8
    seeds: int = 3
    learning_rates: tuple[float, ...] = (0.05, 0.2, 0.5)
    epochs: int = 10
    batch_size: int = 8
    clip: float = 1.0
    devices: int = 0
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self):
        """Refuse what cannot be run."""
        unknown = [arm for arm in self.arms if arm not in ARMS]
        if unknown or not self.arms:
            raise ValueError(f"arms={self.arms} must be some of {list(ARMS)}.")
        if self.levels < 2 or self.size % 2 ** (self.levels - 1):
            raise ValueError(
                f"levels={self.levels} must be at least 2, and size={self.size} a multiple of "
                "2**(levels - 1)."
            )
        if self.batch_size < 1 or self.images % self.batch_size:
            raise ValueError(
                f"batch_size={self.batch_size} must divide images={self.images}, so that epochs "
                "are whole."
            )
        if (
            min(
                self.seeds, self.epochs, self.blocks, *self.learning_rates, len(self.learning_rates)
            )
            <= 0
        ):
            raise ValueError(
                f"seeds={self.seeds}, epochs={self.epochs}, blocks={self.blocks}, "
                f"learning_rates={self.learning_rates}: give at least one of each, positive."
            )

    @property
    def steps(self) -> int:
        """Of training."""
        return self.epochs * (self.images // self.batch_size)


PRESETS = {
    "tiny": Config(
        size=8,
        images=4,
        levels=2,
        blocks=1,
        features=4,
        seeds=2,
        learning_rates=(0.1,),
        epochs=2,
        batch_size=2,
    ),
    "quick": Config(),
    "full": Config(
        size=48,
        images=256,
        blocks=11,
        features=16,
        seeds=5,
        epochs=60,
        levels=3,
        learning_rates=(0.02, 0.05, 0.2, 0.5),
    ),
}
