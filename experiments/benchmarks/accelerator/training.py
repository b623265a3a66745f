"""Part d: whole train steps and ensembles: time, compile time, memory, images a second."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from experiments.benchmarks.accelerator.parts import Row, Task, median_ms
from jaxseg import analysis, models, nn
from jaxseg.models._arguments import ComputeDtype
from jaxseg.training import init_state, make_train_step

REPEATS = 5


@dataclass(frozen=True)
class Step:
    """A train step.

    Attributes:
        make: Factory of the net.
        size: Height and width of the images in pixels.
        batch_size: Images a step.
    """

    make: Callable[[nnx.Rngs], nnx.Module]
    size: int
    batch_size: int


def _unet(rngs: nnx.Rngs, *, dtype: ComputeDtype | None = None) -> models.UNet:
    return models.UNet(classes=11, widths=(32, 64, 128, 256), dtype=dtype, rngs=rngs)


def _deeplab(rngs: nnx.Rngs, *, dtype: ComputeDtype | None = None) -> models.DeepLabV3:
    return models.DeepLabV3(classes=21, backbone="resnet50", dtype=dtype, rngs=rngs)


def _deep_stack(rngs: nnx.Rngs) -> models.DeepNet:
    return models.DeepNet(classes=3, features=32, blocks=512, checkpoint_every=16, rngs=rngs)


STEPS = {
    "U-Net, 128, float32": Step(_unet, 128, 8),
    "U-Net, 512, float32": Step(_unet, 512, 16),
    "U-Net, 512, bfloat16": Step(partial(_unet, dtype="bfloat16"), 512, 16),
    "DeepLab v3 on ResNet-50, 513, float32": Step(_deeplab, 513, 8),
    "DeepLab v3 on ResNet-50, 513, bfloat16": Step(partial(_deeplab, dtype="bfloat16"), 513, 8),
    "DeepNet of 1,026 convolutions, 96": Step(_deep_stack, 96, 8),
}
TINY = {
    "U-Net": Step(lambda rngs: models.UNet(classes=3, widths=(4, 8), rngs=rngs), 16, 2),
    "DeepNet": Step(lambda rngs: models.DeepNet(classes=3, features=4, blocks=3, rngs=rngs), 8, 2),
}
MEMBERS, TINY_MEMBERS = 64, 2


def tasks(*, tiny: bool) -> Iterator[Task]:
    """Yield steps, an ensemble's gradients and gradient norms by example.

    Args:
        tiny: Small nets and images.
    """
    for name, step in (TINY if tiny else STEPS).items():
        yield name, partial(_step, step)
    members = TINY_MEMBERS if tiny else MEMBERS
    yield f"gradients of {members} DeepNets", partial(_ensemble, members, tiny)
    yield "gradient norms by example", partial(_norms, tiny)


def _step(step: Step) -> Row:
    init, apply = nn.functional(step.make)
    optimizer = optax.sgd(0.01, momentum=0.9)
    params, stats = jax.jit(init)(jax.random.key(0))
    shape = (step.batch_size, step.size, step.size)
    draw = np.random.default_rng(0)
    batch = {
        "image": jnp.asarray(draw.normal(size=(*shape, 3)), jnp.float32),
        "label": jnp.asarray(draw.integers(0, 3, shape), jnp.int32),
    }
    states = [init_state(params, stats, optimizer)]
    run, row = _compiled(make_train_step(apply, optimizer), states[0], batch, donate=True)

    def advance():
        states.append(run(states.pop(), batch)[0])

    row["ms"] = median_ms(advance, REPEATS)
    return {**row, "images_per_second": round(1e3 * step.batch_size / row["ms"], 1)}


def _ensemble(members: int, tiny: bool) -> Row:
    size, blocks = (6, 2) if tiny else (20, 15)
    init, apply = nn.functional(
        lambda rngs: models.DeepNet(classes=3, features=8, blocks=blocks, rngs=rngs)
    )
    params, stats = jax.vmap(init)(jax.random.split(jax.random.key(0), members))
    images = jax.random.normal(jax.random.key(1), (4, size, size, 3))

    def gradient(params, stats):
        return jax.grad(lambda p: jnp.mean(jnp.sin(apply(p, stats, images)[0])))(params)

    run, row = _compiled(jax.vmap(gradient), params, stats)
    return {**row, "ms": median_ms(partial(run, params, stats), REPEATS)}


def _norms(tiny: bool) -> Row:
    size, examples = (8, 4) if tiny else (64, 64)
    net = models.UNet(classes=3, widths=(4, 8) if tiny else (16, 32, 64), rngs=nnx.Rngs(0))
    graph, params, rest = nnx.split(net, nnx.Param, ...)
    images = jax.random.normal(jax.random.key(1), (examples, size, size, 3))

    def loss(params, image):
        return jnp.mean(jnp.sin(nnx.merge(graph, params, rest)(image[None])))

    def norms(params, images):
        return analysis.layer_gradient_norms(loss, params, images)

    run, row = _compiled(norms, params, images)
    return {**row, "ms": median_ms(partial(run, params, images), REPEATS)}


def _compiled(
    function: Callable[..., Any], *operands: Any, donate: bool = False
) -> tuple[Callable[..., Any], Row]:
    """Compile, and describe what that took and what the program needs."""
    begin = time.perf_counter()
    jitted = jax.jit(function, donate_argnums=0) if donate else jax.jit(function)
    compiled = jitted.lower(*operands).compile()
    row: Row = {"compile_s": round(time.perf_counter() - begin, 2)}
    memory = compiled.memory_analysis()
    if memory is not None:
        row["temporary_mb"] = round(memory.temp_size_in_bytes / 2**20, 1)
    return lambda *operands: jax.block_until_ready(compiled(*operands)), row
