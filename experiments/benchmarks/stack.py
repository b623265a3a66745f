"""A stack of residual blocks of two 3x3 convolutions, in jaxseg and in PyTorch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from experiments.benchmarks.timing import torch_on_all_cores
from jaxseg import nn
from jaxseg.training import member_mesh, over_batch, to_members


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """A stack of residual blocks.

    Attributes:
        features: Channels.
        size: Height and width of the images in pixels.
        batch_size: Images.
    """

    features: int = 32
    size: int = 32
    batch_size: int = 32


def jax_stack(config: StackConfig, blocks: int, devices: Sequence[Any]) -> Callable[[], Any]:
    """Compile forward and backward of `nn.Stack`, the batch shared out over `devices`."""
    scale = 1 / math.sqrt(blocks)

    def block(rngs):
        return nn.Residual(nn.PreActivation(config.features, rngs=rngs), scale=scale)

    init, apply = nn.functional(lambda rngs: nn.Stack(block, blocks, rngs=rngs))
    params, stats = init(jax.random.key(0))
    shape = (config.batch_size, config.size, config.size, config.features)
    x = jax.random.normal(jax.random.key(1), shape)

    def loss(params, x):
        return jnp.mean(apply(params, stats, x)[0] ** 2)

    gradient = jax.value_and_grad(loss)
    if len(devices) > 1:
        mesh = member_mesh(len(devices))
        gradient, x = over_batch(loss, mesh), to_members(x, mesh)
        params = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))
    compiled = jax.jit(gradient).lower(params, x).compile()
    return lambda: jax.block_until_ready(compiled(params, x))


def torch_stack(config: StackConfig, blocks: int) -> Callable[[], Any]:
    """Build the same in PyTorch, eager, channels last."""
    torch = torch_on_all_cores()
    scale, channels = 1 / math.sqrt(blocks), config.features
    layers = torch.nn.ModuleList(
        torch.nn.Sequential(
            torch.nn.ReLU(),
            torch.nn.Conv2d(channels, channels, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(channels, channels, 3, padding=1),
        )
        for _ in range(blocks)
    ).to(memory_format=torch.channels_last)
    x = torch.randn(config.batch_size, channels, config.size, config.size)
    x = x.to(memory_format=torch.channels_last)

    def run():
        layers.zero_grad()
        y = x
        for layer in layers:
            y = y + scale * layer(y)
        (y**2).mean().backward()

    return run
