"""Two nets for `benchmark_steps`, each in jaxseg's modules and in PyTorch's, weight for weight."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import nn, ops

WIDTHS = (32, 64, 128, 256)
"""Channels of the U-Net's levels."""
STAGES = ((64, 1, 1), (128, 2, 1), (256, 1, 2), (512, 1, 4))
"""Channels, stride and dilation of the ResNet-18's stages: output stride 8."""


class ConvNorm(nnx.Module):
    """Convolution, batch norm, and ReLU if asked for."""

    def __init__(self, inputs: int, features: int, window: int = 3, *, relu=True, rngs, **options):
        padding = (window - 1) * options.get("dilation", 1) // 2
        self.conv = nn.Conv(inputs, features, window, padding=padding, rngs=rngs, **options)
        self.norm = nn.BatchNorm(features)
        self.relu = relu

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, height, width, inputs) -> (batch, height', width', features)."""
        x = self.norm(self.conv(x), train=train)
        return jax.nn.relu(x) if self.relu else x


class UNet(nnx.Module):
    """Ronneberger et al. 2015 (arXiv:1505.04597) with batch norm and "same" padding."""

    def __init__(self, classes: int, *, rngs: nnx.Rngs):
        pairs = list(zip((3, *WIDTHS), WIDTHS, strict=False))
        self.down = nnx.List([_Double(i, o, rngs) for i, o in pairs])
        turns = list(zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))
        self.ups = nnx.List([nn.UpConv(i, o, 2, bias=True, rngs=rngs) for i, o in turns])
        self.merge = nnx.List([_Double(2 * o, o, rngs) for _, o in turns])
        self.head = nn.Conv(WIDTHS[0], classes, 1, bias=True, rngs=rngs)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, height, width, 3) -> (batch, height, width, classes); sides divide by 8."""
        skips = []
        for level, block in enumerate(self.down):
            x = block(ops.max_pool(x, 2) if level else x, train=train)
            skips.append(x)
        for up, block, skip in zip(self.ups, self.merge, skips[-2::-1], strict=True):
            x = block(jnp.concatenate([skip, up(x)], axis=-1), train=train)
        return self.head(x)


class _Double(nnx.Module):
    def __init__(self, inputs: int, features: int, rngs: nnx.Rngs):
        self.first = ConvNorm(inputs, features, rngs=rngs)
        self.second = ConvNorm(features, features, rngs=rngs)

    def __call__(self, x, *, train):
        return self.second(self.first(x, train=train), train=train)


class DilatedResNet18(nnx.Module):
    """He et al. 2015 (arXiv:1512.03385), the last two stages dilated, 1x1 head, resized."""

    def __init__(self, classes: int, *, rngs: nnx.Rngs):
        self.stem = ConvNorm(3, 64, 7, stride=2, rngs=rngs)
        blocks, inputs = [], 64
        for features, stride, dilation in STAGES:
            blocks.append(_Basic(inputs, features, stride, dilation, rngs))
            blocks.append(_Basic(features, features, 1, dilation, rngs))
            inputs = features
        self.blocks = nnx.List(blocks)
        self.head = nn.Conv(inputs, classes, 1, bias=True, rngs=rngs)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, height, width, 3) -> (batch, height, width, classes)."""
        size = x.shape[1:-1]
        x = ops.max_pool(self.stem(x, train=train), 3, stride=2, padding=1)
        for block in self.blocks:
            x = block(x, train=train)
        return ops.resize(self.head(x), size)


class _Basic(nnx.Module):
    def __init__(self, inputs: int, features: int, stride: int, dilation: int, rngs: nnx.Rngs):
        self.first = ConvNorm(inputs, features, stride=stride, dilation=dilation, rngs=rngs)
        self.second = ConvNorm(features, features, dilation=dilation, relu=False, rngs=rngs)
        changed = stride > 1 or inputs != features
        self.match = (
            ConvNorm(inputs, features, 1, stride=stride, relu=False, rngs=rngs) if changed else None
        )

    def __call__(self, x, *, train):
        y = self.second(self.first(x, train=train), train=train)
        return jax.nn.relu(y + (x if self.match is None else self.match(x, train=train)))


def torch_nets(classes: int):
    """Name -> the same net in PyTorch, channels last."""
    import torch
    from torch import nn as tnn
    from torch.nn import functional as F

    def conv_norm(i, o, k=3, relu=True, **options):
        padding = (k - 1) * options.get("dilation", 1) // 2
        layers = [tnn.Conv2d(i, o, k, padding=padding, bias=False, **options), tnn.BatchNorm2d(o)]
        return tnn.Sequential(*layers, *([tnn.ReLU()] if relu else []))

    def double(i, o):
        return tnn.Sequential(conv_norm(i, o), conv_norm(o, o))

    class TorchUNet(tnn.Module):
        def __init__(self):
            super().__init__()
            pairs = zip((3, *WIDTHS), WIDTHS, strict=False)
            self.down = tnn.ModuleList(double(i, o) for i, o in pairs)
            turns = list(zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))
            self.ups = tnn.ModuleList(tnn.ConvTranspose2d(i, o, 2, 2) for i, o in turns)
            self.merge = tnn.ModuleList(double(2 * o, o) for _, o in turns)
            self.head = tnn.Conv2d(WIDTHS[0], classes, 1)

        def forward(self, x):
            skips = []
            for level, block in enumerate(self.down):
                x = block(F.max_pool2d(x, 2) if level else x)
                skips.append(x)
            for up, block, skip in zip(self.ups, self.merge, skips[-2::-1], strict=True):
                x = block(torch.cat([skip, up(x)], dim=1))
            return self.head(x)

    class Basic(tnn.Module):
        def __init__(self, i, o, stride, dilation):
            super().__init__()
            self.first = conv_norm(i, o, stride=stride, dilation=dilation)
            self.second = conv_norm(o, o, relu=False, dilation=dilation)
            changed = stride > 1 or i != o
            self.match = conv_norm(i, o, 1, relu=False, stride=stride) if changed else None

        def forward(self, x):
            y = self.second(self.first(x))
            return F.relu(y + (x if self.match is None else self.match(x)))

    class TorchResNet(tnn.Module):
        def __init__(self):
            super().__init__()
            self.stem = conv_norm(3, 64, 7, stride=2)
            blocks, i = [], 64
            for o, stride, dilation in STAGES:
                blocks += [Basic(i, o, stride, dilation), Basic(o, o, 1, dilation)]
                i = o
            self.blocks, self.head = tnn.Sequential(*blocks), tnn.Conv2d(i, classes, 1)

        def forward(self, x):
            y = self.head(self.blocks(F.max_pool2d(self.stem(x), 3, 2, 1)))
            return F.interpolate(y, x.shape[-2:], mode="bilinear")

    nets = {"U-Net": TorchUNet(), "ResNet-18, stride 8": TorchResNet()}
    return {
        name: net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name, net in nets.items()
    }


NETS: dict[str, Callable[..., nnx.Module]] = {"U-Net": UNet, "ResNet-18, stride 8": DilatedResNet18}
