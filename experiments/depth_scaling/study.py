"""The depth study: trains every arm at every depth, and measures gradients and responses."""

import itertools
import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from experiments.depth_scaling.claims import arm_table, depth_table, verdicts
from experiments.depth_scaling.config import ARMS, Config, load_data
from experiments.depth_scaling.figures import CAPTIONS, draw
from experiments.depth_scaling.probes import gradient_norms, layer_responses
from jaxseg.models import DeepNet
from jaxseg.studies import Findings, Results, Row, Sweep, Trained, at_best_rate_by, measured_over

GRADIENTS = {
    "arm": str,
    "depth": int,
    "seed": int,
    "layer": int,
    "input_gradient_norm": float,
    "weight_gradient_norm": float,
}
RESPONSES = {
    "arm": str,
    "depth": int,
    "seed": int,
    "learning_rate": float,
    "layer": int,
    "response": float,
    "share": float,
}
SHOWN = 6
"""Validation images whose predictions the figure shows."""


def run(config: Config) -> Findings:
    """Train and measure what is not there yet; judge and draw all of it."""
    sweep = Sweep(config, load_data(config), names={"arm": str, "depth": int})
    gradients = Results(config.out / "gradients.csv", GRADIENTS, resume=config.resume)
    responses = Results(config.out / "responses.csv", RESPONSES, resume=config.resume)
    for arm, depth in config.shared(itertools.product(config.arms, config.depths)):
        trained = sweep.train(partial(make_net, config, arm, depth), arm=arm, depth=depth)
        if trained:
            gradients.replace(measure_gradients(config, sweep, trained), **trained.names)
            if depth in (min(config.depths), max(config.depths)):
                responses.replace(measure_responses(sweep, trained), **trained.names)
            keep_predictions(sweep, trained)
            trained.save()
    config.end_share()
    chance = math.log(sweep.dataset.info.classes)
    best = at_best_rate_by(sweep.results.rows, "depth", tuple(ARMS))
    shares = response_table(responses.rows, best, "share")
    about = (
        f"{sweep.dataset.info.name}, {config.size[0]} × {config.size[1]} pixels, {config.features} "
        f"features, {config.steps} steps of {config.batch_size} images"
    )
    return Findings(
        title="How deep can a segmentation net be trained?",
        about=f"{about}, {measured_over(sweep.results.rows)} Chance loss is ln K = {chance:.4f}; "
        f"a depth counts as trainable where the median is below ½ ln K = {chance / 2:.4f}.",
        verdicts=verdicts(best, shares, chance),
        figures=CAPTIONS,
        drawings=draw(
            config,
            sweep,
            best,
            gradients.rows,
            {name: response_table(responses.rows, best, name) for name in ("response", "share")},
            chance=chance,
            title=about,
        ),
        tables=[depth_table(best, chance), arm_table(best)],
    )


def make_net(config: Config, arm: str, depth: int, **shared) -> DeepNet:
    """Build the net of an arm with `depth` convolutions."""
    return DeepNet(
        features=config.features,
        blocks=(depth - 2) // 2,
        dilation=config.dilation,
        checkpoint_every=config.checkpoint,
        **ARMS[arm],
        **shared,
    )


def measure_gradients(config: Config, sweep: Sweep, trained: Trained) -> list[Row]:
    """Measure the gradient norms of every seed's blocks before training, a row each."""
    norms = trained.measure(
        partial(_gradient_norms, trained.apply, config.features),
        trained.start,
        sweep.training_batch(),
    )
    seeds, layers = norms.inputs.shape
    return [
        {
            **trained.names,
            "seed": seed,
            "layer": layer + 1,
            "input_gradient_norm": float(norms.inputs[seed, layer]),
            "weight_gradient_norm": float(norms.weights[seed, layer]),
        }
        for seed in range(seeds)
        for layer in range(layers)
    ]


def _gradient_norms(apply, features: int, params, stats, batch):
    return gradient_norms(apply, params, stats, batch, features)


def measure_responses(sweep: Sweep, trained: Trained) -> list[Row]:
    """Measure what each block puts out, or adds, after training; a row a seed and block."""
    residual = ARMS[trained.names["arm"]]["residual"]
    images = sweep.training_batch()["image"]

    def responses(params, stats, images):
        return layer_responses(trained.apply, params, stats, images, residual=residual)

    measured = trained.measure(responses, trained.at_best(), images)
    return [
        {
            **trained.names,
            "seed": row["seed"],
            "learning_rate": row["learning_rate"],
            "layer": layer + 1,
            "response": float(response),
            "share": float(share),
        }
        for row, *by_layer in zip(trained.best_rows(), *measured, strict=True)
        for layer, (response, share) in enumerate(zip(*by_layer, strict=True))
    ]


def keep_predictions(sweep: Sweep, trained: Trained) -> None:
    """Keep the first predictions of the arm's best run, if it is one of those just trained."""
    losses = [row["train_loss"] for row in trained.rows]
    fresh = losses[-len(trained.fresh) :]
    best = int(np.argmin(fresh))
    if fresh[best] <= min(losses):
        shown = trained.predictions[best][:SHOWN]
        sweep.write_array("predictions", shown.astype(np.uint8), **trained.names)


def response_table(responses: Sequence[Row], best, column: str) -> dict[str, dict[int, np.ndarray]]:
    """Collect a column of responses.csv at the best rates: arm -> depth -> (seeds, blocks)."""
    table: dict[str, dict[int, np.ndarray]] = {}
    for arm, depths in best.items():
        for depth, runs in depths.items():
            chosen = {(run["seed"], run["learning_rate"]) for run in runs}
            rows = [
                row
                for row in responses
                if (row["arm"], row["depth"]) == (arm, depth)
                and (row["seed"], row["learning_rate"]) in chosen
            ]
            by_seed = {row["seed"]: [] for row in rows}
            for row in sorted(rows, key=lambda row: row["layer"]):
                by_seed[row["seed"]].append(row[column])
            if by_seed:
                table.setdefault(arm, {})[depth] = np.array(list(by_seed.values()))
    return table
