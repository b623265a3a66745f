"""The long_skips study: trains every arm, and watches how far each layer's kernel moves."""

import math
from functools import partial
from typing import Any

import numpy as np
import optax

from experiments.long_skips.claims import arm_table, verdicts
from experiments.long_skips.config import Config
from experiments.long_skips.figures import CAPTIONS, draw
from experiments.long_skips.nets import ARMS, DeepUNet, convolutions, kernels
from jaxseg.studies import Findings, Sweep, at_best_rate, easy_mosaic, measured_over


def run(config: Config) -> Findings:
    """Train what is not there yet; judge and draw all of it."""
    dataset = easy_mosaic(config.size, cells=3, train=config.images, data_dir=config.data_dir)
    sweep = Sweep(config, dataset, rule=partial(optax.sgd, momentum=0.9))
    for arm in config.shared(config.arms):
        train(config, sweep, arm)
    config.end_share()
    best = at_best_rate(sweep.results.rows, tuple(ARMS))
    losses, updates = (
        {arm: sweep.members(arm=arm).pick(rows, kind) for arm, rows in best.items()}
        for kind in ("losses", "updates")
    )
    depth, chance = convolutions(config.levels, config.blocks), math.log(dataset.info.classes)
    return Findings(
        title="Long and short skips",
        about=f"U-Nets of {depth} convolutions of {config.features} features on {config.levels} "
        f"levels; {config.images} mosaics of {config.size} × {config.size} pixels, {config.epochs} "
        f"epochs of {config.epoch_steps} steps, {measured_over(sweep.results.rows)}",
        verdicts=verdicts(config, best, updates, chance),
        figures=CAPTIONS,
        drawings=draw(config, best, losses, updates, chance),
        tables=[arm_table(config, sweep.results.rows, best, updates)],
    )


def train(config: Config, sweep: Sweep, arm: str) -> None:
    """Train an arm, and keep (runs, epochs, layers) relative updates of its kernels."""
    make = partial(
        DeepUNet, features=config.features, levels=config.levels, blocks=config.blocks, **ARMS[arm]
    )
    updates: list[np.ndarray] = []
    before: list[np.ndarray] = []

    def watch(step: int, params: Any, stats: Any) -> None:
        del stats
        count = len(params["stem"]["kernel"][...])
        now = list(kernels(params, count))
        if step:
            pairs = zip(before, now, strict=True)
            updates.append(np.stack([relative_change(*pair) for pair in pairs], axis=1))
        before[:] = now

    trained = sweep.train(make, watch=watch, watch_every=config.epoch_steps, arm=arm)
    if trained:
        table = np.full((len(trained.fresh), config.epochs, len(before)), np.nan, np.float32)
        table[:, : len(updates)] = np.stack(updates, axis=1)[: len(table)]
        trained.record("updates", table)
        trained.save()


def relative_change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Divide the norm of a change by that of what was changed, (members,)."""
    change, whole = (a.reshape(len(a), -1) for a in (after - before, before))
    return np.linalg.norm(change, axis=1) / np.linalg.norm(whole, axis=1)
