"""What three other tools say of the same nets, by the rules that their code and pages document.

None of them is run here: TensorFlow and PyTorch are not needed. Each rule was read in the tool's
own source, at the commit named, and is written anew below:

    google-research/receptive_field       f12ae8e, 2021   `LongestChain`
    Fangyh09/pytorch-receptive-field      0aeb7f8, 2024   `CallOrder`
    fornaxai/receptivefield               fc4fe15, 2020   `seen_columns`
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from receptive_nets import Net


class Refused(Exception):
    """The tool stops with an error; its reason."""


class Chain(NamedTuple):
    """Field and step of a feature map in pixels of the image, an axis."""

    size: int = 1
    jump: int = 1


class LongestChain:
    """The formula of Araujo et al. 2019 for chains, the largest over the paths of a graph.

    google-research/receptive_field takes a convolution's window and stride from a TensorFlow
    graph; the attribute `dilations` is not looked at (its issue 7, open). Operations that are not
    on its list stop it: transposed convolutions, resizing, means over all pixels. (Its test that
    the paths' centres agree is left out: these nets pass it.)
    """

    def conv(self, x: Chain, window, *, stride=1, dilation=1, padding=None) -> Chain:
        """Blind to dilation."""
        return Chain(x.size + (window - 1) * x.jump, x.jump * stride)

    def pool(self, x: Chain, window, *, stride=2, padding=0) -> Chain:
        """As a convolution."""
        return self.conv(x, window, stride=stride)

    def join(self, *branches: Chain) -> Chain:
        """The path that sees most."""
        if len({branch.jump for branch in branches}) > 1:
            raise Refused("paths of different strides")
        return max(branches)

    def up(self, x: Chain, window) -> Chain:
        """Refused."""
        raise Refused("transposed convolution")

    def resize(self, x: Chain, like: Chain) -> Chain:
        """Refused."""
        raise Refused("resizing")

    def whole(self, x: Chain) -> Chain:
        """Refused."""
        raise Refused("mean over all pixels")


class CallOrder:
    """One chain of all modules in the order in which they are called, whatever feeds them.

    Fangyh09/pytorch-receptive-field hooks the modules: a convolution beside the main path lengthens
    the chain and its stride counts again (issue 17, open); functions such as addition and
    interpolation are not seen. From a transposed convolution on it prints 0 (issues 1 and 9). A
    class that it does not know stops it.
    """

    def __init__(self):
        """Nothing called yet."""
        self.last = Chain()

    def conv(self, x: Chain, window, *, stride=1, dilation=1, padding=None) -> Chain:
        """Behind whatever was called last, not behind x."""
        size, jump = self.last
        self.last = Chain(size + (window - 1) * dilation * jump, jump * stride)
        return self.last

    def pool(self, x: Chain, window, *, stride=2, padding=0) -> Chain:
        """As a convolution."""
        return self.conv(x, window, stride=stride)

    def join(self, *branches: Chain) -> Chain:
        """No module."""
        return self.last

    def up(self, x: Chain, window) -> Chain:
        """0, and so is all that follows."""
        self.last = Chain(0, 0)
        return self.last

    def resize(self, x: Chain, like: Chain) -> Chain:
        """No module."""
        return self.last

    def whole(self, x: Chain) -> Chain:
        """Refused."""
        raise Refused("AdaptiveAvgPool2d")


UNKNOWN_TO_CALL_ORDER = {"ResNet-18": "BasicBlock"}
"""Net -> the class of its blocks in torchvision, where `CallOrder`'s tool does not know it."""


def seen_columns(net: Net, end: str) -> int:
    """Columns where the gradient of the output's middle pixel is not zero.

    fornaxai/receptivefield looks at the gradient in the image; its page asks for a net without
    ReLU, with mean pooling, and for an image larger than the field. Holes are then not counted,
    and of the phases behind an upconvolution only the middle pixel's is seen. The support of that
    gradient is taken from the exact field, at the first image that is large enough.
    """
    size = net.size
    while True:
        field = net.field(end, size=size)
        middle = tuple((n - 1) // 2 for n in field.output_size)
        (first, last), _ = field.window(middle) or ((0, 0), (0, 0))
        if (first > 0 and last < size - 1) or field.stride[0] == 0:
            return int(np.any(field.coverage(middle), axis=0).sum())
        size += 512


def _google(net: Net, end: str) -> int:
    return net.at(LongestChain(), Chain(), end).size


def _fangyh(net: Net, end: str) -> int:
    if net.name in UNKNOWN_TO_CALL_ORDER:
        raise Refused(UNKNOWN_TO_CALL_ORDER[net.name])
    return net.at(CallOrder(), Chain(), end).size


TOOLS: dict[str, Callable[[Net, str], int]] = {
    "google-research": _google,
    "Fangyh09": _fangyh,
    "fornaxai": seen_columns,
}
"""Tool -> what it says of an end point of a net."""
COMPARED = {
    "AlexNet": "pool5",
    "VGG-16": "pool5",
    "ResNet-18": "stage4",
    "ResNet-50 v1": "stage4",
    "ResNet-50 v1.5": "stage4",
    "Context module": "layer8",
    "Rates 2 2 2": "layer3",
    "DeepLabV3 features": "head",
    "DeepLabV3": "output",
    "U-Net same 2x2": "output",
    "U-Net same 4x4": "output",
}
"""Net -> the end point that the tools are asked about."""


def said(tool: str, net: Net, end: str) -> str:
    """What a tool says: a number, or that it refuses and why."""
    try:
        return str(TOOLS[tool](net, end))
    except Refused as reason:
        return f"refuses: {reason}"
