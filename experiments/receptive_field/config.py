"""Nets that the receptive_field study asks about, their published fields, and its configuration.

The nets are bare: one feature and kernels of ones, for only the geometry counts. Each is written
once over six kinds of layers, `Layers` or what stands for it in `probes`. Where a real net
concatenates, these add: a pixel sees the same either way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxseg import ops
from jaxseg.studies import StudyConfig


class Layers:
    """The layers of a net, of arrays; other readings of a net give x another meaning."""

    def conv(self, x, window, *, stride=1, dilation=1, padding=None):
        """Convolve with ones; a padding of None keeps the size: (window - 1) * dilation // 2."""
        padding = (window - 1) * dilation // 2 if padding is None else padding
        return ops.conv(x, _ones(x, window), stride=stride, dilation=dilation, padding=padding)

    def pool(self, x, window, *, stride=2, padding=0):
        """Take the largest value of each window."""
        return ops.max_pool(x, window, stride=stride, padding=padding)

    def up(self, x, window):
        """Double the size by an upconvolution of stride 2 with ones."""
        return ops.upconv(x, _ones(x, window), stride=2)

    def join(self, *branches):
        """Add branches, of which larger ones are cropped to their middle."""
        least = [min(sizes) for sizes in zip(*(b.shape[1:-1] for b in branches), strict=True)]
        return sum(_middle(branch, least) for branch in branches)

    def resize(self, x, like):
        """Resize bilinearly to the size of another array."""
        return ops.resize(x, like.shape[1:-1])

    def average(self, x):
        """Put the mean over all pixels at each of them."""
        return jnp.zeros_like(x) + jnp.mean(x, axis=range(1, x.ndim - 1), keepdims=True)


def _ones(x: jax.Array, window: int) -> jax.Array:
    return jnp.ones((window,) * (x.ndim - 2) + (1, 1), x.dtype)


def _middle(x: jax.Array, size: Sequence[int]) -> jax.Array:
    crop = [slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(x.shape[1:-1], size, strict=True)]
    return x[:, *crop]


Ends = dict[str, Any]
"""End point -> value, in the order of the net; the last is the output."""


@dataclass(frozen=True)
class Net:
    """A net and what is known of it.

    Attributes:
        name: Name in tables.
        build: `build(layers, image)`: the end points.
        size: Height and width of the image that it is traced at.
        published: End point -> receptive field in pixels, or field -> number of output phases that
            have it.
    """

    name: str
    build: Callable[[Any, Any], Ends]
    size: int
    published: Mapping[str, int | dict[int, int]] = field(default_factory=dict)

    def at(self, layers: Any, image: Any, end: str | None = None) -> Any:
        """Return the value of an end point, the output unless named."""
        ends = self.build(layers, image)
        return ends[end or [*ends][-1]]


def _alexnet(layers, x) -> Ends:
    ends = {"conv1": layers.conv(x, 11, stride=4, padding=0)}
    ends["pool1"] = layers.pool(ends["conv1"], 3)
    ends["conv2"] = layers.conv(ends["pool1"], 5)
    ends["pool2"] = x = layers.pool(ends["conv2"], 3)
    for number in (3, 4, 5):
        ends[f"conv{number}"] = x = layers.conv(x, 3)
    return ends | {"pool5": layers.pool(x, 3)}


def vgg(convolutions: Sequence[int], layers, x) -> Ends:
    """Build Simonyan & Zisserman 2015 from the number of convolutions in each block."""
    ends = {}
    for block, count in enumerate(convolutions, 1):
        for _ in range(count):
            x = layers.conv(x, 3)
        ends[f"pool{block}"] = x = layers.pool(x, 2)
    return ends | {"fc6": layers.conv(x, 7, padding=0)}


def bottleneck(layers, x, *, stride, dilation=1, first, early):
    """Put 1x1, 3x3, 1x1 beside a shortcut; `early` strides on the first 1x1, else on the 3x3."""
    y = layers.conv(x, 1, stride=stride if early else 1)
    y = layers.conv(y, 3, stride=1 if early else stride, dilation=dilation)
    y = layers.conv(y, 1)
    return layers.join(y, layers.conv(x, 1, stride=stride) if first else x)


def _basic(layers, x, *, stride, first):
    y = layers.conv(layers.conv(x, 3, stride=stride), 3)
    return layers.join(y, layers.conv(x, 1, stride=stride) if first and stride > 1 else x)


def stem(layers, x):
    """Build the first two layers of a ResNet for large images."""
    return layers.pool(layers.conv(x, 7, stride=2), 3, padding=1)


def _resnet(blocks: Sequence[int], block: Callable, layers, x, *, stem=stem) -> Ends:
    ends = {"stem": (x := stem(layers, x))}
    for stage, count in enumerate(blocks, 1):
        for number in range(count):
            first = number == 0
            x = block(layers, x, stride=2 if first and stage > 1 else 1, first=first)
        ends[f"stage{stage}"] = x
    return ends


def _cifar(n: int, layers, x) -> Ends:
    return _resnet((n, n, n), _basic, layers, x, stem=lambda layers, x: layers.conv(x, 3))


def _unet(window: int, padding: int | None, layers, x) -> Ends:
    """Build Ronneberger et al. 2015: four scales down and up, two 3x3 convolutions at each."""

    def double(x):
        return layers.conv(layers.conv(x, 3, padding=padding), 3, padding=padding)

    ends = {"down1": double(x)}
    for level in range(1, 5):
        ends[f"down{level + 1}"] = double(layers.pool(ends[f"down{level}"], 2))
    x = ends["down5"]
    for level in range(4, 0, -1):
        x = double(layers.join(ends[f"down{level}"], layers.up(x, window)))
        ends[f"up{level}"] = x
    return ends | {"output": layers.conv(x, 1)}


def dilated(rates: Sequence[int], layers, x) -> Ends:
    """Build 3x3 convolutions at these rates."""
    ends = {}
    for number, rate in enumerate(rates, 1):
        ends[f"layer{number}"] = x = layers.conv(x, 3, dilation=rate)
    return ends


def _context(layers, x) -> Ends:
    """Build the context module of Yu & Koltun 2016, table 1."""
    ends = dilated((1, 1, 2, 4, 8, 16, 1), layers, x)
    return ends | {"layer8": layers.conv(ends["layer7"], 1)}


def _deeplab(layers, image, *, pooling=True, upsampling=True) -> Ends:
    """Build DeepLabV3 with a ResNet-50 of output stride 8, dilated by torchvision's rule.

    A dilated stage's first block keeps the dilation of the stage before it.
    """
    x, ends, before = stem(layers, image), {}, 1
    for count, stride, dilation in ((3, 1, 1), (4, 2, 1), (6, 1, 2), (3, 1, 4)):
        for number in range(count):
            first = number == 0
            x = bottleneck(
                layers,
                x,
                stride=stride if first else 1,
                first=first,
                early=False,
                dilation=before if first else dilation,
            )
        before = dilation
    ends["backbone"] = x
    branches = [layers.conv(x, 1), *(layers.conv(x, 3, dilation=d) for d in (12, 24, 36))]
    branches += [layers.conv(layers.average(x), 1)] if pooling else []
    ends["aspp"] = x = layers.conv(layers.join(*branches), 1)
    ends["head"] = x = layers.conv(layers.conv(x, 3), 1)
    return ends | {"output": layers.resize(x, image)} if upsampling else ends


def _numbered(name: str, sizes: Sequence[int], first: int = 1) -> dict[str, int]:
    return {f"{name}{n}": size for n, size in enumerate(sizes, first)}


def _resnets() -> list[Net]:
    depths = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
    early = {50: (35, 99, 291, 483), 101: (1027,), 152: (1507,), 200: (1763,)}
    late = {50: (427,), 101: (971,), 152: (1451,)}
    nets = [
        Net(
            f"ResNet-{depth} {version}",
            partial(_resnet, depths[depth], partial(bottleneck, early=version == "v1")),
            224,
            {**_numbered("stage", sizes, 5 - len(sizes))},
        )
        for version, fields in (("v1", early), ("v1.5", late))
        for depth, sizes in fields.items()
    ]
    for depth, blocks, size in ((18, (2, 2, 2, 2), 435), (34, (3, 4, 6, 3), 899)):
        build = partial(_resnet, blocks, _basic)
        nets.append(Net(f"ResNet-{depth}", build, 224, {"stage4": size}))
    for n in (3, 5, 7, 9, 18):
        nets.append(
            Net(f"CIFAR ResNet-{6 * n + 2}", partial(_cifar, n), 32, {"stage3": 28 * n - 3})
        )
    return nets


def _unets() -> list[Net]:
    """Build U-Nets, whose names have the size of the upconvolutions' windows."""
    return [
        Net(f"U-Net {name} {window}x{window}", partial(_unet, window, padding), size, {"output": f})
        for window, f in ((2, {188: 4, 204: 12}), (4, {220: 6, 236: 10}))
        for name, padding, size in (("same", None, 256), ("valid", 0, 572))
    ]


_ALEXNET = ("conv1", "pool1", "conv2", "conv3", "conv4", "conv5", "pool5")
_ALEXNET_SIZES = dict(zip(_ALEXNET, (11, 19, 51, 99, 131, 163, 195), strict=True))
_CONTEXT_SIZES = _numbered("layer", (3, 5, 9, 17, 33, 65, 67, 67))
_DOUBLED, _DOUBLED_SIZES = [2**n for n in range(7)], [2 ** (n + 1) - 1 for n in range(1, 8)]
_WITHOUT_HEAD = partial(_deeplab, pooling=False, upsampling=False)
_DEEPLAB_SIZES = {"backbone": 427, "aspp": 1003, "head": 1019}
_NETS = (
    Net("AlexNet", _alexnet, 224, {**_ALEXNET_SIZES}),
    Net("VGG-16", partial(vgg, (2, 2, 3, 3, 3)), 256, {"pool5": 212, "fc6": 404}),
    Net("VGG-19", partial(vgg, (2, 2, 4, 4, 4)), 224, {"pool5": 268}),
    *_resnets(),
    *_unets(),
    Net("Context module", _context, 128, {**_CONTEXT_SIZES}),
    Net(
        "Rates 1 2 4 … 64", partial(dilated, _DOUBLED), 256, {**_numbered("layer", _DOUBLED_SIZES)}
    ),
    Net("Rates 2 2 2", partial(dilated, (2, 2, 2)), 32, {"layer3": 13}),
    Net("DeepLabV3 features", _WITHOUT_HEAD, 513, {**_DEEPLAB_SIZES}),
    Net("DeepLabV3 without pooling", partial(_deeplab, pooling=False), 513, {"output": 1027}),
    Net("DeepLabV3", _deeplab, 513, {"output": 513}),
)
NETS: dict[str, Net] = {net.name: net for net in _NETS}
"""Nets by name. Fields are published (AlexNet, VGG, ResNet v1, the context module) or follow from
the formula for chains; those of a U-Net's phases are the support of a gradient in float64."""


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """The study; only the effective field takes time.

    Attributes:
        layers: Largest depth of the curves of growth.
        largest_rate: Largest rate of the triples that the rule of hybrid dilation is judged on.
        depths: Depths of the random nets in convolutions, multiples of the number of rates.
        rates: Rates of the dilated random nets, over and over.
        features: Channels of the random nets.
        seeds: Random nets of each kind and depth; with --resume, widths that were measured over
            fewer are measured anew.
        seed: Seed of their draws.
    """

    out: Path = Path("runs/receptive_field")
    layers: int = 8
    largest_rate: int = 9
    depths: tuple[int, ...] = (5, 10, 20, 40)
    rates: tuple[int, ...] = (1, 2, 4, 2, 1)
    features: int = 16
    seeds: int = 64
    seed: int = 0

    may_differ: ClassVar[tuple[str, ...]] = (*StudyConfig.may_differ, "depths", "seeds")
    """Depths and seeds may be added: every row says how many seeds it was measured over."""

    def __post_init__(self):
        """Refuse what cannot be run."""
        super().__post_init__()
        self.require(1, "layers", "largest_rate", "features", "seeds", "rates", "depths")
        wrong = [depth for depth in self.depths if depth % len(self.rates)]
        if wrong or len({*self.depths}) < len(self.depths):
            raise ValueError(
                f"depths={self.depths}: give multiples of the number of rates, {len(self.rates)}, "
                "each once."
            )


PRESETS = {
    "tiny": Config(layers=3, largest_rate=3, depths=(5,), features=8, seeds=8),
    "quick": Config(),
}
