"""The upconvolution study: trains every arm, and follows the checkerboards of its nets."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.upconvolution import probes
from experiments.upconvolution.claims import (
    OVERLAPS,
    Best,
    Curves,
    algebra_verdicts,
    arm_table,
    initial_verdicts,
    rate_table,
    trained_verdicts,
)
from experiments.upconvolution.config import ARMS, STRIDE, Config, EncoderDecoder
from experiments.upconvolution.figures import CAPTIONS, draw
from jaxseg.analysis import checkerboard_energy
from jaxseg.losses import mean_cross_entropy
from jaxseg.progress import busy
from jaxseg.studies import (
    Findings,
    Results,
    Row,
    Sweep,
    Trained,
    Verdict,
    at_best_rate,
    column,
    easy_mosaic,
    matching,
    measured_over,
)

ENERGIES = {
    "arm": str,
    "seed": int,
    "learning_rate": float,
    "step": int,
    "logits": float,
    "gradient": float,
}
"""Columns of energies.csv: checkerboard energies of the logits and of the gradient in the image."""
BORDER = 4
"""Pixels at each edge that are left out: zeros lie beyond them."""
SHOWN = 32
"""Validation images whose logits and gradients are measured."""
Batch = dict[str, jax.Array]


def run(config: Config) -> Findings:
    """Train and measure what is not there yet; judge and draw all of it."""
    dataset = easy_mosaic(config.size, cells=config.cells, data_dir=config.data_dir)
    sweep = Sweep(config, dataset)
    initial, energies = (
        Results(config.out / f"{name}.csv", columns, resume=config.resume)
        for name, columns in (("initial", probes.INITIAL), ("energies", ENERGIES))
    )
    batch = sweep.validation_batch(SHOWN)
    for arm in config.shared(config.arms):
        train(config, sweep, arm, batch, energies)
    config.end_share()
    measure_initial(config, initial)
    best = at_best_rate(sweep.results.rows, tuple(ARMS))
    logits, gradients = (
        energy_curves(energies.rows, best, name) for name in ("logits", "gradient")
    )
    labels, chance = label_energy(batch, dataset.info.classes), math.log(dataset.info.classes)
    return Findings(
        title="Upconvolution",
        about=f"Mosaics of {config.size} × {config.size} pixels, {config.features} features, "
        f"{config.steps} steps of {config.batch_size} images, "
        f"{measured_over(sweep.results.rows)}",
        verdicts=[
            *algebra(),
            *initial_verdicts(initial.rows),
            *trained_verdicts(best, logits, gradients, labels=labels, chance=chance),
        ],
        figures=CAPTIONS,
        drawings=draw(sweep, initial.rows, logits, gradients, labels, batch),
        tables=[
            arm_table(sweep.results.rows, best, logits, gradients, labels),
            rate_table(energies.rows, labels),
        ],
    )


def algebra() -> list[Verdict]:
    """Evaluate and judge the algebra."""
    with busy("algebra in float64"):
        return algebra_verdicts(
            probes.identity_errors(),
            probes.conv_transpose_errors(),
            probes.size_formulas(),
            {name: probes.overlap(window) for name, (window, _) in OVERLAPS.items()},
        )


def measure_initial(config: Config, initial: Results) -> None:
    """Compare layers and strided convolutions at initialization with theory, if not done yet."""
    arms = [arm for arm in config.arms if not initial.select(case=arm)]
    windows = [w for w in config.windows if not initial.select(quantity=probes.GRADIENT)]
    if arms or windows:
        with busy("layers at initialization"):
            initial.add(
                probes.initial_rows(arms, windows, features=config.features, draws=config.draws)
            )


def train(config: Config, sweep: Sweep, arm: str, batch: Batch, energies: Results) -> None:
    """Train an arm, and measure its checkerboards before, during and after training."""
    snapshots: dict[int, Any] = {}

    def watch(step: int, params: Any, stats: Any) -> None:
        snapshots[step] = jax.device_get((params, stats))

    make = partial(EncoderDecoder, ARMS[arm], features=config.features)
    every = config.steps // config.measurements
    trained = sweep.train(make, watch=watch, watch_every=every, arm=arm)
    if trained is None:
        return
    probe, rows = partial(checkerboards, trained.apply), []
    for step, nets in snapshots.items():
        measured = trained.measure(
            probe, jax.tree.map(lambda a: a[: len(trained.fresh)], nets), batch
        )
        rows += [
            {
                "arm": arm,
                **member._asdict(),
                "step": step,
                **{name: float(values[number]) for name, values in measured.items()},
            }
            for number, member in enumerate(trained.fresh)
        ]
    for member in trained.fresh:  # what a kill has left of these runs
        energies.drop(arm=arm, **member._asdict())
    energies.add(rows)
    keep_logits(sweep, trained, batch)
    trained.save()


def keep_logits(sweep: Sweep, trained: Trained, batch: Batch) -> None:
    """Keep the logits of the arm's best run, before and after training."""
    best = int(np.argmin(column(trained.rows, "train_loss")))
    seed = trained.rows[best]["seed"]
    nets = jax.tree.map(
        lambda start, end: np.stack([start[seed], end[best]]), trained.start, trained.nets
    )
    logits = trained.measure(partial(inner_logits, trained.apply), nets, batch["image"])
    sweep.write_array("logits", logits, **trained.names)


def checkerboards(apply, params, stats, batch: Batch) -> dict[str, jax.Array]:
    """Measure the checkerboard energy of a net's logits, and of its gradient in the images."""

    def loss(images):
        logits, _ = apply(params, stats, images, train=False)
        return mean_cross_entropy(logits, batch["label"]), logits

    gradient, logits = jax.grad(loss, has_aux=True)(batch["image"])
    return {
        "logits": checkerboard_energy(_centered(logits), STRIDE),
        "gradient": checkerboard_energy(_inner(gradient), STRIDE),
    }


def inner_logits(apply, params, stats, images: jax.Array) -> jax.Array:
    """Compute a net's logits as they are measured."""
    return _centered(apply(params, stats, images, train=False)[0])


def label_energy(batch: Batch, classes: int) -> float:
    """Measure the labels themselves, one channel a class: what perfect logits would have."""
    one_hot = jax.nn.one_hot(jnp.asarray(batch["label"]), classes)
    return float(checkerboard_energy(_centered(one_hot), STRIDE))


def _inner(x: jax.Array) -> jax.Array:
    return x[:, BORDER:-BORDER, BORDER:-BORDER]


def _centered(logits: jax.Array) -> jax.Array:
    """Leave out the border, and what all classes share, which changes no probability."""
    return _inner(logits - jnp.mean(logits, axis=-1, keepdims=True))


def energy_curves(energies: Sequence[Row], best: Best, column: str) -> Curves:
    """Collect energies through training, each arm at its best rate.

    Args:
        energies: Rows of energies.csv.
        best: From `at_best_rate`.
        column: "logits" or "gradient".
    """
    curves = {}
    for arm, runs in best.items():
        by_step: dict[int, list[float]] = {}
        for row in matching(energies, runs):
            by_step.setdefault(row["step"], []).append(row[column])
        # An ensemble that diverged ends earlier.
        steps = sorted(step for step, values in by_step.items() if len(values) == len(runs))
        curves[arm] = np.array(steps), np.array([by_step[step] for step in steps]).T
    return curves
