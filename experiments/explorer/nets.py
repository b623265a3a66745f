"""The nets of the explorer, written over `Layers`, and the same nets with random kernels."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.receptive_field.config import NETS, Ends, Layers, bottleneck, stem, vgg
from jaxseg import ops
from jaxseg.nn.aspp import aspp_rates


class UpLayers(Layers):
    """`Layers` whose upconvolutions have any stride."""

    def up(self, x, window, *, stride=2):
        """Enlarge by an upconvolution with ones."""
        kernel = jnp.ones((window,) * (x.ndim - 2) + (1, 1), x.dtype)
        return ops.upconv(x, kernel, stride=stride)


class RandomLayers(UpLayers):
    """The same layers with He-initialized kernels of some channels, each behind a ReLU.

    Every layer draws its kernel as it is called, from a key and the number of calls so far.
    """

    def __init__(self, key: jax.Array, features: int):
        """Draw from `key`; every array has so many channels."""
        self._key, self._features, self._calls = key, features, 0

    def _kernel(self, window: int, axes: int, taps: float) -> jax.Array:
        """A kernel of which `taps` taps along each axis meet in an output pixel."""
        self._calls += 1
        key = jax.random.fold_in(self._key, self._calls)
        n = self._features
        drawn = jax.random.normal(key, (window**axes * n * n,))  # drawn flat: it compiles faster
        return drawn.reshape((window,) * axes + (n, n)) * math.sqrt(2 / (taps**axes * n))

    def conv(self, x, window, *, stride=1, dilation=1, padding=None):
        """Convolve the rectified features."""
        padding = (window - 1) * dilation // 2 if padding is None else padding
        kernel = self._kernel(window, x.ndim - 2, window)
        options: dict[str, Any] = {"stride": stride, "dilation": dilation, "padding": padding}
        return ops.conv(jax.nn.relu(x), kernel, **options)

    def up(self, x, window, *, stride=2):
        """Enlarge the rectified features."""
        kernel = self._kernel(window, x.ndim - 2, window / stride)
        return ops.upconv(jax.nn.relu(x), kernel, stride=stride)

    def join(self, *branches):
        """Add branches, so that the sum has the size of one."""
        return super().join(*branches) / math.sqrt(len(branches))


def deeplab(output_stride: int, layers, image) -> Ends:
    """Build DeepLabV3 with a ResNet-50 by torchvision's rule of dilation.

    Stages whose stride would pass `output_stride` are dilated in its place. Their first blocks keep
    the dilation of the stage before.
    """
    ends = {"stem": (x := stem(layers, image))}
    at, dilation = 4, 1
    for stage, count in enumerate((3, 4, 6, 3), 1):
        before = dilation
        stride = 2 if stage > 1 and at < output_stride else 1
        at, dilation = at * stride, dilation * (2 if stage > 1 and stride == 1 else 1)
        for number in range(count):
            x = bottleneck(
                layers,
                x,
                stride=stride if number == 0 else 1,
                dilation=before if number == 0 else dilation,
                first=number == 0,
                early=False,
            )
        ends[f"stage {stage}"] = x
    branches = [layers.conv(x, 1), *(layers.conv(x, 3, dilation=d) for d in aspp_rates(at))]
    ends["ASPP without image pooling"] = layers.conv(layers.join(*branches), 1)
    branches.append(layers.conv(layers.average(x), 1))
    return ends | {"ASPP": layers.conv(layers.join(*branches), 1)}


def fcn_8s(layers, image) -> Ends:
    """Build the FCN-8s of Long et al. 2015, with `same` padding in place of 100 pixels at once."""
    ends = {k: v for k, v in vgg((2, 2, 3, 3, 3), layers, image).items() if k != "fc6"}
    ends["fc7"] = x = layers.conv(layers.conv(ends["pool5"], 7), 1)
    for name, pool in (("scores at 16", "pool4"), ("scores at 8", "pool3")):
        ends[name] = x = layers.join(layers.up(x, 4), layers.conv(ends[pool], 1))
    return ends | {"output": layers.up(x, 16, stride=8)}


def _named(name: str, layers, image) -> Ends:
    """A net of the receptive_field study, whose end points get names to read."""
    ends = NETS[name].build(layers, image)
    ends.pop("up1", None)  # the output sees what it sees
    return {end.replace("stage", "stage "): value for end, value in ends.items()}


class Net(NamedTuple):
    """A net.

    Attributes:
        build: `build(layers, image)`: the end points.
        size: Height and width of the image.
    """

    build: Callable[[Any, Any], Ends]
    size: int


def end_points(net: Net) -> list[str]:
    """Name a net's end points in its order, which a pytree of them would not keep."""
    names: list[str] = []
    image = jax.ShapeDtypeStruct((1, net.size, net.size, 1), jnp.float32)
    jax.eval_shape(lambda x: names.extend(net.build(UpLayers(), x)), image)
    return names


EXPLORED: dict[str, Net] = {
    "VGG-16": Net(partial(_named, "VGG-16"), 512),
    "ResNet-50, stride on the 1x1 (v1)": Net(partial(_named, "ResNet-50 v1"), 512),
    "ResNet-50, stride on the 3x3 (v1.5)": Net(partial(_named, "ResNet-50 v1.5"), 512),
    "U-Net": Net(partial(_named, "U-Net same 2x2"), 256),
    "FCN-8s": Net(fcn_8s, 512),
    **{
        f"DeepLabV3, output stride {stride}": Net(partial(deeplab, stride), 512)
        for stride in (32, 16, 8, 4)
    },
    "Three layers of rate 2": Net(partial(_named, "Rates 2 2 2"), 32),
}
"""The nets by name."""
