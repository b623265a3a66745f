"""The nets of `receptive_field`, bare: one feature and no weights, for only the geometry counts.

A net is written once over an interface of six layers and read in several ways: traced by
`jaxseg.ops` (`Traced`), or counted by the rule of another tool (`receptive_tools`). Where a real
net concatenates, these add: a pixel sees the same either way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from jaxseg import ops
from jaxseg.analysis import ReceptiveField, receptive_field


class Layers(Protocol):
    """What a net is made of. A padding of None keeps the size: (window - 1) * dilation // 2."""

    def conv(self, x, window, *, stride=1, dilation=1, padding=None) -> Any:
        """A convolution."""

    def pool(self, x, window, *, stride=2, padding=0) -> Any:
        """The largest value of each window."""

    def up(self, x, window) -> Any:
        """An upconvolution of stride 2 that doubles the size."""

    def join(self, *branches) -> Any:
        """Sum or concatenation, of the middles where sizes differ."""

    def resize(self, x, like) -> Any:
        """Bilinear, to the size of another array."""

    def whole(self, x) -> Any:
        """The mean over all pixels, at each of them."""


class Traced:
    """Layers of arrays."""

    def conv(self, x, window, *, stride=1, dilation=1, padding=None):
        """See `Layers`."""
        kernel = jnp.ones((window,) * (x.ndim - 2) + (1, 1), x.dtype)
        padding = (window - 1) * dilation // 2 if padding is None else padding
        return ops.conv(x, kernel, stride=stride, dilation=dilation, padding=padding)

    def pool(self, x, window, *, stride=2, padding=0):
        """See `Layers`."""
        return ops.max_pool(x, window, stride=stride, padding=padding)

    def up(self, x, window):
        """See `Layers`."""
        return ops.upconv(x, jnp.ones((window,) * (x.ndim - 2) + (1, 1), x.dtype), stride=2)

    def join(self, *branches):
        """See `Layers`."""
        least = [min(sizes) for sizes in zip(*(b.shape[1:-1] for b in branches), strict=True)]
        return sum(_middle(b, least) for b in branches)

    def resize(self, x, like):
        """See `Layers`."""
        return ops.resize(x, like.shape[1:-1])

    def whole(self, x):
        """See `Layers`."""
        return jnp.zeros_like(x) + jnp.mean(x, axis=range(1, x.ndim - 1), keepdims=True)


def _middle(x: jax.Array, size: Sequence[int]) -> jax.Array:
    cut = [slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(x.shape[1:-1], size, strict=True)]
    return x[:, *cut]


@dataclass(frozen=True)
class Net:
    """A net and what is known of it.

    Attributes:
        name: as tables show it.
        build: (layers, image) -> end point -> value, in order; the last is the output.
        size: of the image it is traced at.
        pins: end point -> published receptive field in pixels, and by phase where they differ.
    """

    name: str
    build: Callable[[Layers, Any], dict[str, Any]]
    size: int
    pins: dict[str, int | dict[int, int]] = field(default_factory=dict)

    def field(
        self, end: str | None = None, *, size: int | None = None, axes: int = 2
    ) -> ReceptiveField:
        """The exact receptive field of an end point, the output unless named."""
        return receptive_field(lambda x: self.at(Traced(), x, end), image(size or self.size, axes))

    def at(self, layers: Layers, x: Any, end: str | None = None) -> Any:
        """What an end point is of an image."""
        ends = self.build(layers, x)
        return ends[end or [*ends][-1]]


def image(size: int, axes: int = 2) -> jax.ShapeDtypeStruct:
    """The shape of one image of one feature."""
    return jax.ShapeDtypeStruct((1, *(size,) * axes, 1), jnp.float32)


def _alexnet(layers: Layers, x):
    ends = {"conv1": layers.conv(x, 11, stride=4, padding=0)}
    ends["pool1"] = layers.pool(ends["conv1"], 3)
    ends["conv2"] = layers.conv(ends["pool1"], 5)
    ends["pool2"] = x = layers.pool(ends["conv2"], 3)
    for number in (3, 4, 5):
        ends[f"conv{number}"] = x = layers.conv(x, 3)
    return ends | {"pool5": layers.pool(x, 3)}


def _vgg(convolutions: Sequence[int], layers: Layers, x):
    ends = {}
    for block, count in enumerate(convolutions, 1):
        for _ in range(count):
            x = layers.conv(x, 3)
        ends[f"pool{block}"] = x = layers.pool(x, 2)
    return ends | {"fc6": layers.conv(x, 7, padding=0)}


def _bottleneck(layers: Layers, x, *, stride, dilation=1, first, early):
    """1x1, 3x3, 1x1 beside a shortcut; `early` strides on the first 1x1, else on the 3x3."""
    y = layers.conv(x, 1, stride=stride if early else 1)
    y = layers.conv(y, 3, stride=1 if early else stride, dilation=dilation)
    y = layers.conv(y, 1)
    return layers.join(y, layers.conv(x, 1, stride=stride) if first else x)


def _basic(layers: Layers, x, *, stride, first):
    y = layers.conv(layers.conv(x, 3, stride=stride), 3)
    return layers.join(y, layers.conv(x, 1, stride=stride) if first and stride > 1 else x)


def _stem(layers: Layers, x):
    return layers.pool(layers.conv(x, 7, stride=2), 3, padding=1)


def _resnet(blocks: Sequence[int], block: Callable, layers: Layers, x, *, stem=_stem):
    ends, x = {}, stem(layers, x)
    for stage, count in enumerate(blocks, 1):
        for number in range(count):
            first = number == 0
            x = block(layers, x, stride=2 if first and stage > 1 else 1, first=first)
        ends[f"stage{stage}"] = x
    return ends


def _cifar(n: int, layers: Layers, x):
    return _resnet((n, n, n), _basic, layers, x, stem=lambda layers, x: layers.conv(x, 3))


def _unet(window: int, padding: int | None, layers: Layers, x):
    """Ronneberger et al. 2015: four scales down and up, two 3x3 convolutions at each."""

    def double(x):
        return layers.conv(layers.conv(x, 3, padding=padding), 3, padding=padding)

    ends = {"down1": double(x)}
    for level in range(1, 5):
        ends[f"down{level + 1}"] = double(layers.pool(ends[f"down{level}"], 2))
    x = ends["down5"]
    for level in range(4, 0, -1):
        x = double(layers.join(ends[f"down{level}"], layers.up(x, window)))
    return ends | {"output": layers.conv(x, 1)}


def dilated(rates: Sequence[int], layers: Layers, x) -> dict[str, Any]:
    """3x3 convolutions at these rates."""
    ends = {}
    for number, rate in enumerate(rates, 1):
        ends[f"layer{number}"] = x = layers.conv(x, 3, dilation=rate)
    return ends


def _context(layers: Layers, x):
    """Yu & Koltun 2016, table 1."""
    ends = dilated((1, 1, 2, 4, 8, 16, 1), layers, x)
    return ends | {"layer8": layers.conv(ends["layer7"], 1)}


def _deeplab(layers: Layers, image, *, pooling=True, upsampling=True):
    """DeepLabV3 with a ResNet-50 of output stride 8, dilated by torchvision's rule.

    A dilated stage's first block keeps the dilation of the stage before it.
    """
    x, ends, before = _stem(layers, image), {}, 1
    for count, stride, dilation in ((3, 1, 1), (4, 2, 1), (6, 1, 2), (3, 1, 4)):
        for number in range(count):
            first = number == 0
            x = _bottleneck(
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
    branches += [layers.conv(layers.whole(x), 1)] if pooling else []
    ends["aspp"] = x = layers.conv(layers.join(*branches), 1)
    ends["head"] = x = layers.conv(layers.conv(x, 3), 1)
    return ends | {"output": layers.resize(x, image)} if upsampling else ends


def _resnets() -> list[Net]:
    nets = []
    depths = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
    known = {
        True: {50: (35, 99, 291, 483), 101: (1027,), 152: (1507,), 200: (1763,)},
        False: {50: (427,), 101: (971,), 152: (1451,)},
    }
    for early, pins in known.items():
        for depth, sizes in pins.items():
            ends = [f"stage{4 - i}" for i in reversed(range(len(sizes)))]
            nets.append(
                Net(
                    f"ResNet-{depth} v1" if early else f"ResNet-{depth} v1.5",
                    partial(_resnet, depths[depth], partial(_bottleneck, early=early)),
                    224,
                    dict(zip(ends, sizes, strict=True)),
                )
            )
    for depth, blocks, size in ((18, (2, 2, 2, 2), 435), (34, (3, 4, 6, 3), 899)):
        build = partial(_resnet, blocks, _basic)
        nets.append(Net(f"ResNet-{depth}", build, 224, {"stage4": size}))
    for n in (3, 5, 7, 9, 18):
        build, pins = partial(_cifar, n), {"stage3": 28 * n - 3}
        nets.append(Net(f"CIFAR ResNet-{6 * n + 2}", build, 32, {**pins}))
    return nets


def _unets() -> list[Net]:
    """The size of the upconvolutions' windows is in the names."""
    nets = []
    for window, sizes in ((2, {188: 4, 204: 12}), (4, {220: 6, 236: 10})):
        for name, padding, size in (("same", None, 256), ("valid", 0, 572)):
            build = partial(_unet, window, padding)
            nets.append(Net(f"U-Net {name} {window}x{window}", build, size, {"output": sizes}))
    return nets


_ALEXNET = {
    "conv1": 11,
    "pool1": 19,
    "conv2": 51,
    "conv3": 99,
    "conv4": 131,
    "conv5": 163,
    "pool5": 195,
}
_CONTEXT = dict(enumerate((3, 5, 9, 17, 33, 65, 67, 67), 1))
NETS: dict[str, Net] = {
    net.name: net
    for net in (
        Net("AlexNet", _alexnet, 224, {**_ALEXNET}),
        Net("VGG-16", partial(_vgg, (2, 2, 3, 3, 3)), 256, {"pool5": 212, "fc6": 404}),
        Net("VGG-19", partial(_vgg, (2, 2, 4, 4, 4)), 224, {"pool5": 268}),
        *_resnets(),
        *_unets(),
        Net("Context module", _context, 128, {f"layer{i}": n for i, n in _CONTEXT.items()}),
        Net(
            "Rates 1 2 4 … 64",
            partial(dilated, [2**i for i in range(7)]),
            256,
            {f"layer{i + 1}": 2 ** (i + 2) - 1 for i in range(7)},
        ),
        Net("Rates 2 2 2", partial(dilated, (2, 2, 2)), 32, {"layer3": 13}),
        Net(
            "DeepLabV3 features",
            partial(_deeplab, pooling=False, upsampling=False),
            513,
            {"backbone": 427, "aspp": 1003, "head": 1019},
        ),
        Net("DeepLabV3 without pooling", partial(_deeplab, pooling=False), 513, {"output": 1027}),
        Net("DeepLabV3", _deeplab, 513, {"output": 513}),
    )
}
"""By name. Pins are published (AlexNet, VGG, ResNet v1, the context module) or follow from the
formula for chains; the counts of a U-Net's phases are those of a gradient's support in float64."""
