"""The study of paths: trains every net, takes its gradient apart, and makes lesions."""

import math
from collections.abc import Sequence
from functools import partial

import jax
import numpy as np

from experiments.paths.claims import (
    Best,
    ByLength,
    Curves,
    length_table,
    lesion_losses,
    lesion_verdicts,
    path_verdicts,
)
from experiments.paths.config import ARMS, LABELS, UNTRAINED, Config
from experiments.paths.figures import CAPTIONS, draw
from experiments.paths.probes import (
    Gradient,
    Make,
    lesion_probe,
    lesions,
    path_probe,
    sampled_lengths,
    theory,
)
from jaxseg import analysis, nn
from jaxseg.models import DeepNet
from jaxseg.progress import busy
from jaxseg.studies import (
    Findings,
    Results,
    Row,
    Sweep,
    Trained,
    at_best_rate_by,
    easy_mosaic,
    measured_over,
    over_seeds,
    table_by_rate,
)

_RUN = {"arm": str, "blocks": int, "seed": int, "learning_rate": float}
_PATH = {**_RUN, "stage": str, "length": int, "log_norm": float}
COLUMNS = {
    "paths": {**_PATH, "distance": float},
    "singles": _PATH,
    "lesions": {**_RUN, "kind": str, "number": int, "loss": float, "accuracy": float},
}
"""Table -> its columns; "stage" is "before" or "after" training."""
Tables = dict[str, Results]


def run(config: Config) -> Findings:
    """Train and measure what is not there yet; judge and draw all of it."""
    dataset = easy_mosaic(config.size, data_dir=config.data_dir)
    sweep = Sweep(config, dataset, names={"arm": str, "blocks": int})
    tables = {
        name: Results(config.out / f"{name}.csv", columns, resume=config.resume)
        for name, columns in COLUMNS.items()
    }
    for arm in config.shared(arm for arm in config.measured if arm in UNTRAINED):
        measure_untrained(config, sweep, tables, arm)
    nets = [(blocks, arm) for blocks, arms in config.nets.items() for arm in arms]
    for blocks, arm in config.shared(nets):
        train(config, sweep, tables, arm, blocks)
    config.end_share()
    best = at_best_rate_by(sweep.results.rows, "blocks", tuple(ARMS))
    rows = {name: of_best_runs(table.rows, best) for name, table in tables.items()}
    curves = {
        arm: length_curves(config, rows["paths"], rows["singles"], arm) for arm in config.measured
    }
    losses = [
        {arm: lesion_losses(rows["lesions"], arm, blocks) for arm in arms}
        for blocks, arms in config.nets.items()
    ]
    chance = math.log(dataset.info.classes)
    about = (
        f"Mosaics of {config.size} × {config.size} pixels, {config.features} features, "
        f"{config.steps} steps of {config.batch_size} images"
    )
    return Findings(
        title="Paths and lesions",
        about=f"{about}, {measured_over(sweep.results.rows)} ln K = {chance:.3f}.",
        verdicts=[
            *path_verdicts(config, rows["paths"], curves, best, chance),
            *lesion_verdicts(losses, chance),
        ],
        figures=CAPTIONS,
        drawings=draw(curves, losses, chance=chance, title=about),
        tables=[length_table(curves), table_by_rate(sweep.results.rows, ("arm", "blocks"), LABELS)],
    )


def of_best_runs(rows: Sequence[Row], best: Best) -> list[Row]:
    """Select the rows that belong to nets at their best rate, or to nets that are not trained."""
    runs = {
        (run["arm"], run["blocks"], run["seed"], run["learning_rate"])
        for depths in best.values()
        for runs in depths.values()
        for run in runs
    }
    return [
        row
        for row in rows
        if row["arm"] in UNTRAINED
        or (row["arm"], row["blocks"], row["seed"], row["learning_rate"]) in runs
    ]


def length_curves(config: Config, paths: Sequence[Row], singles: Sequence[Row], arm: str) -> Curves:
    """Collect the gradient of an arm's nets by path length.

    Args:
        config: The study's configuration.
        paths: Rows of paths.csv.
        singles: Rows of singles.csv.
        arm: The arm.
    """
    squares, norms = theory(ARMS[arm], config.blocks, config.size)
    counts = analysis.log_path_counts(config.blocks)
    exact, single, sampled = {}, {}, {}
    for stage in ("before", "after"):
        rows, drawn = (
            [r for r in t if (r["arm"], r["stage"]) == (arm, stage)] for t in (paths, singles)
        )
        if rows:
            exact[stage] = shares(2 * _by_seed(rows))
            logs = _mean_singles(drawn, config.blocks)
            logs = logs - logs[:, :1]
            single[stage] = logs / math.log(10)
            sampled[stage] = shares(counts + logs)
    return Curves(
        ByLength(exact["before"], shares(squares[None])[0], exact.get("after")),
        ByLength(single["before"], (norms - counts) / math.log(10), single.get("after")),
        ByLength(sampled["before"], shares(norms[None])[0], sampled.get("after")),
    )


def shares(logs: np.ndarray) -> np.ndarray:
    """Convert rows of natural logs to parts of 1."""
    parts = np.exp(logs - logs.max(axis=1, keepdims=True))
    return parts / parts.sum(axis=1, keepdims=True)


def _by_seed(rows: Sequence[Row]) -> np.ndarray:
    """Collect log norms, (seeds, lengths)."""
    seeds = sorted({row["seed"] for row in rows})
    ordered = sorted(rows, key=lambda row: row["length"])
    return np.array([[r["log_norm"] for r in ordered if r["seed"] == seed] for seed in seeds])


def _mean_singles(rows: Sequence[Row], blocks: int) -> np.ndarray:
    """Average the norms of single paths, (seeds, lengths) logs.

    Lengths that were not drawn lie on straight lines.
    """
    logs: dict[tuple[int, int], list[float]] = {}
    for row in rows:
        logs.setdefault((row["seed"], row["length"]), []).append(row["log_norm"])
    means = {
        run: np.logaddexp.reduce(values) - math.log(len(values)) for run, values in logs.items()
    }
    lengths = sorted({length for _, length in means})
    return np.array(
        [
            np.interp(np.arange(blocks + 1), lengths, [means[seed, k] for k in lengths])
            for seed in sorted({seed for seed, _ in means})
        ]
    )


def make_net(config: Config, arm: str, blocks: int, **shared) -> DeepNet:
    """Build the net of an arm and depth."""
    return DeepNet(features=config.features, blocks=blocks, **ARMS[arm], **shared)


def measure_untrained(config: Config, sweep: Sweep, tables: Tables, arm: str) -> None:
    """Take apart the gradient of nets at initialization, if this is not done for all seeds."""
    if len({row["seed"] for row in tables["paths"].select(arm=arm)}) >= config.seeds:
        return
    make, batch = _maker(config, sweep, arm, config.blocks), sweep.training_batch()
    init, _ = nn.functional(make)
    lengths = sampled_lengths(config.blocks, config.sampled)
    probe = path_probe(make, lengths=lengths, samples=config.samples)
    with busy(f"{arm}: measuring"):
        gradients = over_seeds(lambda key: probe(*init(key), key, batch), config.seeds)
    names = {"arm": arm, "blocks": config.blocks}
    runs = [{**names, "seed": seed, "learning_rate": 0.0} for seed in range(config.seeds)]
    tables["singles"].replace(single_rows(runs, "before", lengths, gradients), **names)
    tables["paths"].replace(path_rows(runs, "before", gradients), **names)


def train(config: Config, sweep: Sweep, tables: Tables, arm: str, blocks: int) -> None:
    """Train the nets of an arm and depth, and measure their paths and lesions."""
    trained = sweep.train(partial(make_net, config, arm, blocks), arm=arm, blocks=blocks)
    if trained:
        make = _maker(config, sweep, arm, blocks)
        if blocks == config.blocks and arm in config.measured:
            measure_paths(config, sweep, tables, trained, make)
        measure_lesions(config, sweep, tables, trained, make)
        trained.save()


def _maker(config: Config, sweep: Sweep, arm: str, blocks: int) -> Make:
    info = sweep.dataset.info
    options = {"classes": info.classes, "inputs": info.channels}
    return lambda rngs: make_net(config, arm, blocks, **options, rngs=rngs)


def measure_paths(
    config: Config, sweep: Sweep, tables: Tables, trained: Trained, make: Make
) -> None:
    """Take apart the gradient of every seed's net, before and after training."""
    lengths = sampled_lengths(config.blocks, config.sampled)
    probe = path_probe(make, lengths=lengths, samples=config.samples)
    runs, batch = trained.best_rows(), sweep.training_batch()
    keys = jax.vmap(jax.random.key)(np.arange(len(runs), dtype=np.uint32))
    paths, singles = [], []
    for stage, nets in (("before", trained.start), ("after", trained.at_best())):
        gradients = trained.measure(probe, nets, batch, each=(keys,))
        paths += path_rows(runs, stage, gradients)
        singles += single_rows(runs, stage, lengths, gradients)
    tables["paths"].replace(paths, **trained.names)
    tables["singles"].replace(singles, **trained.names)


def measure_lesions(
    config: Config, sweep: Sweep, tables: Tables, trained: Trained, make: Make
) -> None:
    """Measure loss and accuracy of every seed's net, whole and after each lesion."""
    made = list(lesions(trained.names["blocks"], config.samples))
    orders, kept = (
        np.stack(arrays) for arrays in ([m.order for m in made], [m.kept for m in made])
    )
    images = sweep.validation_batch(config.images)
    losses, accuracies = trained.measure(
        lesion_probe(make), trained.at_best(), images, orders, kept
    )
    tables["lesions"].replace(
        [
            {
                **_names(run),
                "kind": lesion.kind,
                "number": lesion.number,
                "loss": float(losses[number, place]),
                "accuracy": float(accuracies[number, place]),
            }
            for number, run in enumerate(trained.best_rows())
            for place, lesion in enumerate(made)
        ],
        **trained.names,
    )


def _names(run: Row) -> dict:
    return {name: run[name] for name in ("arm", "blocks", "seed", "learning_rate")}


def path_rows(runs: Sequence[Row], stage: str, gradients: Gradient) -> list[Row]:
    """Write the gradient through all paths of each length as rows of paths.csv."""
    return [
        {
            **_names(run),
            "stage": stage,
            "length": length,
            "log_norm": float(log_norm),
            "distance": float(gradients.distance[number]),
        }
        for number, run in enumerate(runs)
        for length, log_norm in enumerate(gradients.parts[number])
    ]


def single_rows(
    runs: Sequence[Row], stage: str, lengths: np.ndarray, gradients: Gradient
) -> list[Row]:
    """Write the gradient through single paths as rows of singles.csv."""
    return [
        {**_names(run), "stage": stage, "length": int(length), "log_norm": float(log_norm)}
        for number, run in enumerate(runs)
        for length, log_norms in zip(lengths, gradients.singles[number], strict=True)
        for log_norm in log_norms
    ]
