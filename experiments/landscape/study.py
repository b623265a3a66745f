"""The landscape study: trains plain and residual nets, and measures what lies around them."""

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp

from experiments.landscape.claims import SHAPES, shape_table, value_tables, verdicts
from experiments.landscape.config import ARMS, LABELS, Config
from experiments.landscape.figures import CAPTIONS, draw
from experiments.landscape.probes import SurfaceProbe, surface_shape
from jaxseg import data
from jaxseg.models import DeepNet
from jaxseg.progress import busy
from jaxseg.startup import raise_if_stopped
from jaxseg.studies import (
    Findings,
    Results,
    Sweep,
    Trained,
    at_best_rate_by,
    easy_mosaic,
    measured_over,
    table_by_rate,
)


def run(config: Config) -> Findings:
    """Train and measure what is not there yet; judge and draw all of it."""
    dataset = easy_mosaic(config.size, data_dir=config.data_dir)
    sweep = Sweep(config, dataset, names={"arm": str, "depth": int})
    shapes = Results(config.out / "shapes.csv", SHAPES, resume=config.resume)
    chance = math.log(dataset.info.classes)
    for arm, depth in config.shared(itertools.product(config.arms, config.depths)):
        trained = sweep.train(partial(make_net, config, arm, depth), arm=arm, depth=depth)
        if trained:
            measure_surfaces(config, sweep, trained, shapes, chance)
            trained.save()
    config.end_share()
    best = at_best_rate_by(sweep.results.rows, "depth", tuple(ARMS))
    values = value_tables(best, shapes.rows)
    surfaces = {
        arm: {depth: sweep.read_array("surface", arm=arm, depth=depth, seed=0) for depth in depths}
        for arm, depths in best.items()
    }
    about = (
        f"Mosaics of {config.size} × {config.size} pixels, {config.features} features, "
        f"{config.steps} steps of {config.batch_size} images"
    )
    return Findings(
        title="Loss surfaces",
        about=f"{about}, {measured_over(sweep.results.rows)} The loss is taken over "
        f"{config.images} training images; ln K = {chance:.3f}. No norm; branches scaled by "
        "1/√L.",
        verdicts=verdicts(values, chance),
        figures=CAPTIONS,
        drawings=draw(surfaces, config.offsets, values, chance=chance, title=about),
        tables=[shape_table(values), table_by_rate(sweep.results.rows, ("arm", "depth"), LABELS)],
    )


def make_net(config: Config, arm: str, depth: int, **shared) -> DeepNet:
    """Build the net of an arm with `depth` convolutions."""
    return DeepNet(features=config.features, blocks=(depth - 2) // 2, **ARMS[arm], **shared)


def measure_surfaces(
    config: Config, sweep: Sweep, trained: Trained, shapes: Results, chance: float
) -> None:
    """Measure what lies around every seed's net at its arm's best rate."""
    batch = next(data.batches(sweep.train_source, batch_size=config.images, seed=0))
    params, stats = trained.at_best()
    probe = SurfaceProbe(
        config,
        trained.apply,
        jax.tree.map(lambda a: a[0], stats),
        sweep.dataset.info.normalize_batch(batch),
    )
    rows = []
    for number, run in enumerate(trained.best_rows()):
        raise_if_stopped()
        seed = run["seed"]
        with busy(f"{trained.title}: surface around seed {seed}"):
            net = jax.tree.map(lambda a, n=number: jnp.asarray(a[n]), params)
            surface, curvatures = probe(net, jax.random.key(seed))
        sweep.write_array("surface", surface, **trained.names, seed=seed)
        names = {**trained.names, "seed": seed, "learning_rate": run["learning_rate"]}
        rows.append({**names, **surface_shape(surface, config.offsets, chance), **curvatures})
    shapes.replace(rows, **trained.names)
