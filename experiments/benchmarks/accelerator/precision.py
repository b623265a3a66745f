"""bfloat16 beside float32: the same curves within the seeds' spread, without loss scaling."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.benchmarks.accelerator.parts import Row, Task
from jaxseg import data, models, nn
from jaxseg.models._arguments import ComputeDtype
from jaxseg.training import init_state, make_train_step

DTYPES: tuple[ComputeDtype, ...] = ("float32", "bfloat16")
LAST = 10
"""Steps whose mean loss is compared."""


def tasks(*, tiny: bool) -> Iterator[Task]:
    """Yield the seeds' runs in both dtypes.

    Args:
        tiny: Few steps and seeds.
    """
    seeds, steps = (2, 12) if tiny else (5, 300)
    for dtype in DTYPES:
        yield f"U-Net, {dtype}", partial(_train, dtype, seeds, steps)


def _train(dtype: ComputeDtype, seeds: int, steps: int) -> Row:
    """Train a U-Net from several seeds; the last losses' median and range, and the gradients."""
    dataset = data.mosaic(size=32, train=128)
    info = dataset.info
    init, apply = nn.functional(
        lambda rngs: models.UNet(
            classes=info.classes, inputs=info.channels, widths=(8, 16, 32), dtype=dtype, rngs=rngs
        )
    )
    optimizer = optax.adam(2e-3)
    step = jax.jit(make_train_step(apply, optimizer, transform=_normalize(info)))
    losses, norms = [], []
    for seed in range(seeds):
        params, stats = jax.jit(init)(jax.random.key(seed))
        state = init_state(params, stats, optimizer)
        batches = data.batches(dataset.source("train"), batch_size=8, seed=seed)
        history = []
        for _ in range(steps):
            state, metrics = step(state, next(batches))
            history.append(metrics)
        losses.append(float(np.mean([float(m["loss"]) for m in history[-LAST:]])))
        norms.append(min(float(m["gradient_norm"]) for m in history))
    return {
        "last_loss": round(float(np.median(losses)), 4),
        "lowest": round(min(losses), 4),
        "highest": round(max(losses), 4),
        "smallest_gradient_norm": min(norms),
    }


def _normalize(info: data.DatasetInfo) -> Any:
    def transform(key, batch):
        del key
        return {"image": info.normalize(batch["image"]), "label": batch["label"].astype(jnp.int32)}

    return transform
