"""The trainability study: trains all runs of a depth in one call, and keeps their rows."""

import functools
import itertools
import math
import time
from collections.abc import Callable, Iterable, Sequence

import jax
import numpy as np

from experiments.trainability import nets
from experiments.trainability.claims import boundary_table, verdicts
from experiments.trainability.config import Config, Run, phase_runs, transfer_runs
from experiments.trainability.figures import CAPTIONS, draw
from jaxseg import data
from jaxseg.progress import busy
from jaxseg.startup import raise_if_stopped
from jaxseg.studies import Findings, Results, Row, easy_mosaic
from jaxseg.training import member_mesh, over_members, pad_members, to_members

COLUMNS = {
    "part": str,
    "arm": str,
    "block_layers": int,
    "depth": int,
    "weight_variance": float,
    "seed": int,
    "learning_rate": float,
    "train_loss": float,
    "moved": float,
}
"""Columns of results.csv: "part" is "phase" or "transfer", "moved" is that of `nets.Outcome`."""
NAMES = tuple(COLUMNS)[:7]
"""The columns that name a run."""
CLASSES = 3
IMAGES = 256
Data = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""Number of examples -> examples and labels."""


def run(config: Config) -> Findings:
    """Train what is not there yet; judge and draw the runs that the configuration names."""
    results = Results(config.out / "results.csv", COLUMNS, resume=config.resume)
    load = functools.cache(functools.partial(neighborhoods, config))
    named: list[Row] = []
    descent = nets.Descent(jax.numpy.tanh, config.steps, config.batch_size, momentum=0.9, clip=1.0)
    for depth in config.shared(config.depths):
        shape = nets.Shape(depth, 1, config.width, config.window**2, CLASSES)
        runs = phase_runs(config, depth)
        named += train_missing(results, shape, runs, descent, lambda: load(config.examples))
    # Without momentum and clip: where descent diverges is a part of the answer.
    descent = nets.Descent(
        jax.nn.relu, config.block_steps, config.batch_size, momentum=0.0, clip=math.inf
    )
    blocks = itertools.product(config.block_layers, config.block_depths)
    for block_layers, depth in config.shared(blocks):
        shape = nets.Shape(depth, block_layers, config.block_width, config.window**2, CLASSES)
        runs = transfer_runs(config, depth, block_layers)
        named += train_missing(results, shape, runs, descent, lambda: load(config.block_examples))
    config.end_share()
    chance = math.log(CLASSES)
    return Findings(
        title="Trainability",
        about=f"Neighborhoods of {config.window} × {config.window} pixels of the mosaic, {CLASSES} "
        f"classes, batches of {config.batch_size}. Phase diagram: {config.examples} of them, dense "
        f"tanh nets of width {config.width}, {config.steps} steps with momentum 0.9 and a clip at "
        f"1, biases of variance {config.bias_variance:g}, {config.seeds} seeds. Depth transfer: "
        f"{config.block_examples} of them, dense ReLU nets of width {config.block_width}, "
        f"{config.block_steps} steps of plain gradient descent, {config.block_seeds} seeds.",
        verdicts=verdicts(config, named, chance),
        figures=CAPTIONS,
        drawings=draw(config, named, chance),
        tables=[boundary_table(config, named, chance)],
    )


def neighborhoods(config: Config, examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut the neighborhoods of random pixels out of mosaics.

    Returns:
        (examples, window**2) pixels, of mean 0 and variance 1 in all, and (examples,) labels.
    """
    window, edge = config.window, config.window // 2
    size = max(20, window + 4)
    dataset = easy_mosaic(size, train=IMAGES, validation=1, test=1, data_dir=config.data_dir)
    batch = next(data.batches(dataset.source("train"), batch_size=IMAGES, seed=0))
    batch = jax.device_get(dataset.info.normalize_batch(batch))
    views = np.lib.stride_tricks.sliding_window_view(
        batch["image"][..., 0], (window, window), axis=(1, 2)
    )
    height, width = views.shape[1:3]
    labels = batch["label"][:, edge : edge + height, edge : edge + width].ravel()
    pick = np.random.default_rng(0).choice(labels.size, examples, replace=False)
    x = views.reshape(-1, window**2)[pick]
    return ((x - x.mean()) / x.std()).astype(np.float32), labels[pick].astype(np.int32)


def train_missing(
    results: Results,
    shape: nets.Shape,
    runs: Sequence[Run],
    descent: nets.Descent,
    load: Callable[[], tuple[np.ndarray, np.ndarray]],
) -> list[Row]:
    """Train those of the runs of one depth that have no row yet.

    Args:
        results: The table, which the rows are added to.
        shape: The sizes that the runs have in common.
        runs: Rows that name the runs, and the runs.
        descent: The way in which they are trained.
        load: Returns examples and labels.

    Returns:
        The rows of all runs, in their order.
    """
    known = _by_name(results.rows)
    missing = [(row, member) for row, member in runs if _name(row) not in known]
    if missing:
        raise_if_stopped()
        part = missing[0][0]["part"]
        title = f"{part}, {shape.depth} x {shape.block_layers} layers, {len(missing)} runs"
        with busy(title):
            began = time.perf_counter()
            outcomes = train_members([member for _, member in missing], shape, descent, *load())
        losses = nets.final_losses(outcomes.losses)
        results.add(
            {**row, "train_loss": float(loss), "moved": float(moved)}
            for (row, _), loss, moved in zip(missing, losses, outcomes.moved, strict=True)
        )
        seconds = time.perf_counter() - began
        print(f"{title}: {seconds:.1f} s; best loss {losses.min():.3f}")
        known = _by_name(results.rows)
    return [known[_name(row)] for row, _ in runs]


def _name(row: Row) -> tuple:
    return tuple(row[name] for name in NAMES)


def _by_name(rows: Iterable[Row]) -> dict[tuple, Row]:
    return {_name(row): row for row in rows}


def train_members(
    members: Sequence[nets.Member],
    shape: nets.Shape,
    descent: nets.Descent,
    x: np.ndarray,
    labels: np.ndarray,
) -> nets.Outcome:
    """Train runs of one depth in one call, shared out among the devices.

    Args:
        members: The runs.
        shape: The sizes that they have in common.
        descent: The way in which they are trained.
        x: (examples, inputs).
        labels: (examples,) integers.

    Returns:
        Their outcomes, with a leading axis of runs.
    """
    mesh = member_mesh(len(members))
    padded = nets.stack_members(pad_members(list(members), mesh))
    start = over_members(
        functools.partial(nets.draw, shape=shape), mesh, in_axes=(0,), few_calls=True
    )(padded)
    size = (descent.steps, descent.batch_size)
    picks = [np.random.default_rng(seed).integers(len(x), size=size) for seed in padded.seed]
    train = functools.partial(nets.train, descent=descent)
    # One after the other on each device: the parameters of one run stay in its cache, which those
    # of all together do not; vmap took half as long again.
    train_all = over_members(
        lambda runs, x, labels: jax.lax.map(lambda r: train(*r, x=x, labels=labels), runs),
        mesh,
        in_axes=(0, None, None),
    )
    inputs = jax.tree.map(
        lambda a: to_members(np.reshape(a, (mesh.size, -1, *a.shape[1:])), mesh),
        (jax.device_get(start), padded, np.stack(picks).astype(np.int32)),
    )
    outcomes = jax.device_get(train_all(inputs, x, labels))
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[: len(members)], outcomes)
