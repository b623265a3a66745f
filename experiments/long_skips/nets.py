"""The long_skips study's net and its arms."""

import functools
from collections.abc import Iterator, Mapping
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
"""Arm -> the skips that a `DeepUNet` has."""

# Without the learned scale, which the next kernel makes up for.
_NORM = functools.partial(BatchNorm, scale=False)


class DeepUNet(nnx.Module):
    """A U-Net of one width whose levels are deep stacks; no skip has a parameter.

    Long skips add a level's features of the way down to those that come up to it; short ones add
    the input of every block of two convolutions to its output (He et al. 2016).

    Args:
        long: Add long skips.
        short: Add short skips.
        classes: Channels of the logits.
        inputs: Channels of the images.
        features: Channels of every layer.
        levels: Levels of resolution; each has half the height and width of the one above.
        blocks: Blocks of two convolutions in every stack: one a level down, one up, one at the
            bottom.
        rngs: Draws the kernels.
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
        """Map (batch, height, width, inputs) to logits; sizes are multiples of 2**(levels - 1)."""
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
    """Count the layers from image to logits."""
    return (2 * levels - 1) * 2 * blocks + 2 * (levels - 1) + 2


def kernels(params: Mapping[str, Any], members: int) -> Iterator[np.ndarray]:
    """Yield every layer's kernel, (members, *window, in, out), from image to logits.

    Args:
        params: Parameters of a `DeepUNet`, its arrays with a leading axis of members.
        members: How many of the members to take.
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


def layer_places(levels: int, blocks: int) -> list[str]:
    """Name each layer's place, in the order of `kernels`.

    "ends" is at full resolution, "bottom" at the lowest one, and "between" all else.
    """
    stack = 2 * blocks
    places = ["ends"]
    for level in range(levels - 1):
        places += ["between" if level else "ends"] * stack + ["between"]
    places += ["bottom"] * stack
    for level in reversed(range(levels - 1)):
        places += ["between"] + ["between" if level else "ends"] * stack
    return [*places, "ends"]


def stack_borders(levels: int, blocks: int) -> dict[str, tuple[int, int]]:
    """Map the name of a stack to its first layer, and the first one behind it."""
    names = [f"1/{2**n}" for n in range(levels)]
    down, up = names[:-1], names[-2::-1]
    borders, first = {}, 1
    for name in [*(f"{n} down" for n in down), names[-1], *(f"{n} up" for n in up)]:
        borders[name] = (first, first + 2 * blocks)
        first += 2 * blocks + 1
    return borders
