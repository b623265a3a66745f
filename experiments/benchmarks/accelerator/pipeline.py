"""Input pipeline: the step's rate while images are read, augmented and transferred."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from experiments.benchmarks.accelerator.parts import Row, Task
from jaxseg import data, models, nn
from jaxseg.training import init_state, make_train_step

GOAL = 0.95
"""Share of the rate with a batch that is on the device already."""


def tasks(*, tiny: bool) -> Iterator[Task]:
    """Yield the comparison.

    Args:
        tiny: A small net, and few steps.
    """
    yield "read, augment, transfer", partial(_compare, tiny)


def _compare(tiny: bool) -> Row:
    widths, batch_size, steps = ((4, 8), 2, 4) if tiny else ((32, 64, 128, 256), 16, 60)
    dataset = data.mosaic(size=32 if tiny else 128, train=32 if tiny else 512)
    info = dataset.info
    init, apply = nn.functional(
        lambda rngs: models.UNet(
            classes=info.classes, inputs=info.channels, widths=widths, rngs=rngs
        )
    )
    optimizer = optax.sgd(0.01)

    def transform(key, batch):
        images, labels = data.augment(
            key,
            batch["image"],
            batch["label"].astype(jnp.int32),
            data.Augmentation(brightness=0.2, contrast=0.2),
            index=batch["index"],
            fill=info.mean,
            clip=True,
        )
        return {"image": info.normalize(images), "label": labels}

    def start():
        params, stats = jax.jit(init)(jax.random.key(0))
        return init_state(params, stats, optimizer, key=jax.random.key(1))

    step = jax.jit(make_train_step(apply, optimizer, transform=transform), donate_argnums=0)

    def batches():
        read = data.batches(dataset.source("train"), batch_size=batch_size, with_index=True)
        return data.prefetch(read, jax.device_put)

    first = next(batches())
    synthetic = _rate(step, start(), lambda: first, steps)
    stream = batches()
    real = _rate(step, start(), lambda: next(stream), steps)
    alone = batches()
    begin = time.perf_counter()
    for _ in range(steps):
        jax.block_until_ready(next(alone))
    reading = (time.perf_counter() - begin) / steps
    return {
        "steps_per_second": round(real, 3),
        "of_synthetic": round(real / synthetic, 3),
        "reading_alone_ms": round(1e3 * reading, 2),
        "goal": GOAL,
    }


def _rate(step: Callable[..., Any], state: Any, batch: Callable[[], Any], steps: int) -> float:
    """Measure steps a second, without the first two."""
    for _ in range(2):
        state, _metrics = step(state, batch())
    jax.block_until_ready(state)
    begin = time.perf_counter()
    for _ in range(steps):
        state, _metrics = step(state, batch())
    jax.block_until_ready(state)
    return steps / (time.perf_counter() - begin)
