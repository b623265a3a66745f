"""Readings of the nets: their exact fields, other tools' rules, and random nets with kernels.

No other tool is run here: TensorFlow and PyTorch are not needed. Each rule was read in the tool's
own source, at the commit named, and is written anew below:

    google-research/receptive_field       f12ae8e, 2021   `LongestChain`
    Fangyh09/pytorch-receptive-field      0aeb7f8, 2024   `CallOrder`
    fornaxai/receptivefield               fc4fe15, 2020   `columns_with_gradient`
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.receptive_field.config import NETS, Layers, Net
from jaxseg import ops
from jaxseg.analysis import (
    ReceptiveField,
    effective_receptive_field,
    hybrid_dilation,
    receptive_field,
)

Window = tuple[tuple[int, int], ...]
"""First and last pixel along each axis."""


def image(size: int, axes: int = 2) -> jax.ShapeDtypeStruct:
    """Return the shape of one image of one feature."""
    return jax.ShapeDtypeStruct((1, *(size,) * axes, 1), jnp.float32)


def exact_field(
    net: Net, end: str | None = None, *, size: int | None = None, axes: int = 2
) -> ReceptiveField:
    """Trace the field of an end point.

    Args:
        net: The net.
        end: The end point; None is the output.
        size: Size of the image; None is the net's own.
        axes: Spatial axes of the image.
    """
    return receptive_field(lambda x: net.at(Layers(), x, end), image(size or net.size, axes))


def phase_sizes(axis: Any) -> dict[int, int]:
    """Count the phases of an axis by the size of their fields."""
    return dict(sorted(Counter(phase.size for phase in axis.phases or ()).items()))


def by_phase(sizes: Mapping[int, int]) -> str:
    """Print sizes of fields and how many phases have them."""
    total = sum(sizes.values())
    return " and ".join(f"{size} ({count} of {total})" for size, count in sizes.items())


def triple_kinds(largest: int) -> np.ndarray:
    """Judge the rule of hybrid dilation on all triples of rates from 1 to `largest`.

    Returns:
        (largest,) * 3: 0 passes and is full, 1 passes with holes, 2 fails and is full, 3 fails
        with holes.
    """
    kinds = np.zeros((largest,) * 3, int)
    for triple in itertools.product(range(1, largest + 1), repeat=3):
        judged = hybrid_dilation(triple)
        kinds[tuple(rate - 1 for rate in triple)] = (not judged.full) + 2 * (not judged.passes)
    return kinds


class RefusedError(Exception):
    """The tool stops with an error, for this reason."""


class Chain(NamedTuple):
    """Field and step of a feature map along an axis, in pixels of the image."""

    size: int = 1
    jump: int = 1


class LongestChain:
    """The formula of Araujo et al. 2019 for chains, the largest over the paths of a graph.

    google-research/receptive_field takes a convolution's window and stride from a TensorFlow
    graph and does not read its attribute `dilations` (its issue 7, open). Operations that are not
    on its list stop it: transposed convolutions, resizing, means over all pixels. (Its test that
    the paths' centers agree is left out: these nets pass it.)
    """

    def conv(self, x: Chain, window, *, stride=1, dilation=1, padding=None) -> Chain:
        """Count a window without its dilation."""
        return Chain(x.size + (window - 1) * x.jump, x.jump * stride)

    def pool(self, x: Chain, window, *, stride=2, padding=0) -> Chain:
        """Count a window."""
        return self.conv(x, window, stride=stride)

    def join(self, *branches: Chain) -> Chain:
        """Take the path that sees most."""
        if len({branch.jump for branch in branches}) > 1:
            raise RefusedError("paths of different strides")
        return max(branches)

    def up(self, x: Chain, window) -> Chain:
        """Refuse."""
        raise RefusedError("transposed convolution")

    def resize(self, x: Chain, like: Chain) -> Chain:
        """Refuse."""
        raise RefusedError("resizing")

    def average(self, x: Chain) -> Chain:
        """Refuse."""
        raise RefusedError("mean over all pixels")


class CallOrder:
    """One chain of all modules in the order in which they are called, whatever feeds them.

    Fangyh09/pytorch-receptive-field hooks the modules: a convolution beside the main path lengthens
    the chain and its stride counts again (issue 17, open); functions such as addition and
    interpolation are not counted. From a transposed convolution on it prints 0 (issues 1 and 9). A
    class that it does not know stops it.
    """

    def __init__(self):
        """Start with the image."""
        self.last = Chain()

    def conv(self, x: Chain, window, *, stride=1, dilation=1, padding=None) -> Chain:
        """Count a window behind whatever was called last, not behind x."""
        size, jump = self.last
        self.last = Chain(size + (window - 1) * dilation * jump, jump * stride)
        return self.last

    def pool(self, x: Chain, window, *, stride=2, padding=0) -> Chain:
        """Count a window likewise."""
        return self.conv(x, window, stride=stride)

    def join(self, *branches: Chain) -> Chain:
        """Count nothing: this is no module."""
        return self.last

    def up(self, x: Chain, window) -> Chain:
        """Set this field and all that follow to 0."""
        self.last = Chain(0, 0)
        return self.last

    def resize(self, x: Chain, like: Chain) -> Chain:
        """Count nothing: this is no module."""
        return self.last

    def average(self, x: Chain) -> Chain:
        """Refuse."""
        raise RefusedError("AdaptiveAvgPool2d")


UNKNOWN_TO_CALL_ORDER = {"ResNet-18": "BasicBlock"}
"""Net -> the class of its blocks in torchvision, where `CallOrder`'s tool does not know it."""


def columns_with_gradient(net: Net, end: str) -> int:
    """Count the columns where the gradient of the output's middle pixel is not zero.

    fornaxai/receptivefield looks at the gradient in the image; its page asks for a net without
    ReLU, with mean pooling, and for an image larger than the field. Holes are then not counted,
    and of the phases behind an upconvolution only the middle pixel's is seen. The support of that
    gradient is taken from the exact field, at the first image that is large enough.
    """
    size = net.size
    while True:
        field = exact_field(net, end, size=size)
        middle = tuple((n - 1) // 2 for n in field.output_size)
        (first, last), _ = field.window(middle) or ((0, 0), (0, 0))
        if (first > 0 and last < size - 1) or field.stride[0] == 0:
            return int(np.any(field.coverage(middle), axis=0).sum())
        size += 512


def _call_order(net: Net, end: str) -> int:
    if net.name in UNKNOWN_TO_CALL_ORDER:
        raise RefusedError(UNKNOWN_TO_CALL_ORDER[net.name])
    return net.at(CallOrder(), Chain(), end).size


TOOLS: dict[str, Callable[[Net, str], int]] = {
    "google-research": lambda net, end: net.at(LongestChain(), Chain(), end).size,
    "Fangyh09": _call_order,
    "fornaxai": columns_with_gradient,
}
"""Tool -> its rule for an end point of a net."""


def answer(tool: str, net: str, end: str) -> str:
    """Give a tool's answer: a number of pixels, or that it refuses and why."""
    try:
        return str(TOOLS[tool](NETS[net], end))
    except RefusedError as reason:
        return f"refuses: {reason}"


@dataclass(frozen=True)
class RandomNet:
    """A He-initialized chain of ReLU and 3x3 convolutions at an image of noise.

    Attributes:
        kind: "uniform", "dilated" or "residual".
        depth: Number of convolutions, a multiple of the number of rates.
        cycle: Rates of the dilated kind, over and over; the other kinds have rate 1.
        features: Channels of every layer, of the image too.
    """

    kind: str
    depth: int
    cycle: tuple[int, ...]
    features: int

    @property
    def rates(self) -> tuple[int, ...]:
        """The rates that are repeated."""
        return self.cycle if self.kind == "dilated" else (1,)

    @property
    def reach(self) -> int:
        """Pixels on each side that an output pixel can see."""
        return sum(self.rates) * (self.depth // len(self.rates))

    @property
    def theory(self) -> float:
        """Expected width of the effective field: the squared gradient walks at random."""
        steps = sum(rate**2 for rate in self.rates) * (self.depth // len(self.rates))
        return math.sqrt((0.5 if self.kind == "residual" else 1.0) * 2 / 3 * steps)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image: the middle pixel's field just fits."""
        return (1, 1 + 2 * self.reach, 1 + 2 * self.reach, self.features)

    @property
    def window(self) -> Window:
        """The theoretical field of the middle pixel, traced."""
        params = jax.eval_shape(self.init, jax.random.key(0))
        zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), params)
        field = receptive_field(partial(self.apply, zeros), jnp.zeros(self.shape))
        window = field.window((self.reach,) * 2)
        assert window is not None  # the middle pixel sees itself
        return window

    def init(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Draw noise and kernels, so that every net sees an image of its own."""
        groups, pixels = self.depth // len(self.rates), math.prod(self.shape)
        kernels = (groups, len(self.rates), 3, 3, self.features, self.features)
        # Drawn flat: the generator of an array of six axes takes two seconds to compile.
        drawn = jax.random.normal(key, (pixels + math.prod(kernels),))
        noise, weights = jnp.split(drawn, [pixels])
        scale = math.sqrt(2 / (9 * self.features))
        return noise.reshape(self.shape), scale * weights.reshape(kernels)

    def apply(self, params: tuple[jax.Array, jax.Array], x: jax.Array) -> jax.Array:
        """Map images (1, size, size, features), which the noise is added to, to features."""
        noise, kernels = params

        def group(x, kernels):
            for kernel, rate in zip(kernels, self.rates, strict=True):
                branch = ops.conv(jax.nn.relu(x), kernel, dilation=rate)
                x = (x + branch) / math.sqrt(2) if self.kind == "residual" else branch
            return x, None

        return jax.lax.scan(group, x + noise, kernels)[0]


def effective_field(net: RandomNet, *, seeds: int, seed: int) -> dict[str, np.ndarray]:
    """Measure the effective field of a random net's middle pixel over draws of the net.

    Returns:
        "energy" (height, width), shares that sum to 1; "center" and "width", (2,) in pixels.
    """
    measure = partial(effective_receptive_field, net.apply, init=net.init, seeds=seeds)
    field = jax.device_get(
        jax.jit(lambda key: measure(jnp.zeros(net.shape), key=key))(jax.random.key(seed))
    )
    return {"energy": field.energy[0], "center": field.center[0], "width": field.width[0]}


def mean_width(width: np.ndarray) -> float:
    """Return the standard deviation of an effective field over both axes."""
    return float(np.sqrt(np.mean(np.square(width))))
