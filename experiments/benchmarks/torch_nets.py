"""PyTorch's twins of jaxseg's nets: as many parameters, the same convolutions in the same order."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

STAGES = ((64, 1, 1, 1), (128, 2, 1, 1), (256, 1, 1, 2), (512, 1, 2, 4))
"""Channels, stride, dilation of the first and of the other convolutions, of ResNet-18's stages at
output stride 8."""


def conv_norm(
    inputs: int,
    features: int,
    window: int = 3,
    *,
    stride: int = 1,
    dilation: int = 1,
    relu: bool = True,
) -> Any:
    """Build a convolution of "same" padding, batch norm and ReLU."""
    padding = (window - 1) * dilation // 2
    layers = [
        nn.Conv2d(inputs, features, window, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(features),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


def channels_last(net: Any) -> Any:
    """Store the kernels of a net as PyTorch computes fastest."""
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class UNet(nn.Module):
    """The twin of `models.UNet`: Ronneberger et al. 2015 with batch norm and "same" padding."""

    def __init__(self, classes: int, widths: Sequence[int]):
        super().__init__()
        self.down = nn.ModuleList(
            self.double(*pair) for pair in zip((3, *widths), widths, strict=False)
        )
        levels = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, 2) for i, o in levels)
        self.merge = nn.ModuleList(self.double(2 * o, o) for _, o in levels)
        self.head = nn.Conv2d(widths[0], classes, 1)

    @staticmethod
    def double(inputs: int, features: int) -> Any:
        """Build two convolutions."""
        return nn.Sequential(conv_norm(inputs, features), conv_norm(features, features))

    def forward(self, x):
        """Map (batch, 3, height, width) to logits."""
        skips = []
        for level, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for up, block, skip in zip(self.ups, self.merge, skips[-2::-1], strict=True):
            x = block(torch.cat([skip, up(x)], dim=1))
        return self.head(x)


class Block(nn.Module):
    """Two convolutions and a shortcut (He et al. 2015)."""

    def __init__(
        self, inputs: int, features: int, *, stride: int, first_dilation: int, dilation: int
    ):
        super().__init__()
        self.first = conv_norm(inputs, features, stride=stride, dilation=first_dilation)
        self.second = conv_norm(features, features, dilation=dilation, relu=False)
        changes = stride > 1 or inputs != features
        self.shortcut = (
            conv_norm(inputs, features, 1, stride=stride, relu=False) if changes else None
        )

    def forward(self, x):
        """Add the branch to the shortcut."""
        y = self.second(self.first(x))
        return functional.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class FCN(nn.Module):
    """The twin of `models.FCN` on a ResNet-18 at output stride 8."""

    def __init__(self, classes: int):
        super().__init__()
        self.stem = conv_norm(3, 64, 7, stride=2)
        blocks, inputs = [], 64
        for features, stride, first, dilation in STAGES:
            options = {"dilation": dilation}
            blocks += [
                Block(inputs, features, stride=stride, first_dilation=first, **options),
                Block(features, features, stride=1, first_dilation=dilation, **options),
            ]
            inputs = features
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(conv_norm(512, 128), nn.Conv2d(128, classes, 1))

    def forward(self, x):
        """Map (batch, 3, height, width) to logits."""
        y = functional.max_pool2d(self.stem(x), 3, 2, 1)
        return functional.interpolate(self.head(self.blocks(y)), x.shape[-2:], mode="bilinear")


Signal = tuple[Callable[..., Any], tuple[torch.Tensor, ...]]
"""`run(weights, perturbations) -> (E, list of all x_l)`, and zeros for the perturbations.

Without perturbations, which are None then, autograd may take gradients with respect to the x_l.
"""


def dense_signal(layers: int, x: np.ndarray, v: np.ndarray) -> Signal:
    """Build E = <x_L, v> of a net of layers x -> relu(x) W.

    Args:
        layers: Number of layers.
        x: (examples, width) inputs.
        v: (examples, width).
    """
    first, last = torch.from_numpy(x), torch.from_numpy(v)

    def run(weights, perturbations):
        states = [_perturbed(first, perturbations, 0)]
        for number, w in enumerate(weights[0], 1):
            states.append(_perturbed(torch.relu(states[-1]) @ w, perturbations, number))
        return (states[-1] * last).sum(), states

    return run, tuple(torch.zeros_like(first) for _ in range(layers + 1))


def deep_net_signal(blocks: int, features: int, images: np.ndarray, v: np.ndarray) -> Signal:
    """Build E = <logits, v> of a `models.DeepNet`, of which the x_l are the blocks' inputs.

    Args:
        blocks: Residual blocks of two convolutions.
        features: Channels of the blocks.
        images: (batch, channels, height, width).
        v: (batch, classes, height, width).
    """
    pixels, last = (torch.from_numpy(np.ascontiguousarray(a)) for a in (images, v))
    scale = 1 / math.sqrt(blocks)

    def run(weights, perturbations):
        stem, firsts, seconds, head = weights
        x, states = functional.conv2d(pixels, stem, padding=1), []
        for number, (first, second) in enumerate(zip(firsts, seconds, strict=True)):
            x = _perturbed(x, perturbations, number)
            states.append(x)
            y = functional.conv2d(functional.relu(x), first, padding=1)
            x = x + scale * functional.conv2d(functional.relu(y), second, padding=1)
        return (functional.conv2d(functional.relu(x), head) * last).sum(), states

    zeros = torch.zeros(len(images), features, *images.shape[2:])
    return run, tuple(zeros.clone() for _ in range(blocks))


def _perturbed(x, perturbations, number: int):
    """Return one of the x_l: itself, or moved by its perturbation."""
    if perturbations is not None:
        return x + perturbations[number]
    return x if x.requires_grad else x.clone().requires_grad_()
