"""The dilation study: trains every arm, and measures what its nets see before and after."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from experiments.dilation.claims import FIELDS, PERIODS, arm_table, verdicts
from experiments.dilation.config import Config, load_data
from experiments.dilation.figures import CAPTIONS, draw
from experiments.dilation.nets import ARMS, DilationNet, same_scores, width
from jaxseg import analysis
from jaxseg.studies import (
    Findings,
    Results,
    Sweep,
    Trained,
    at_best_rate,
    chance_of_order,
    measured_over,
)

SHOWN = 3
"""Validation images whose logits are kept for the figure."""
COSTS = {"features": int, "multiply_adds": int, "field": int}


def run(config: Config) -> Findings:
    """Train and measure what is not there yet; judge and draw all of it."""
    sweep = Sweep(config, load_data(config), extra=COSTS)
    fields = Results(config.out / "fields.csv", FIELDS, resume=config.resume)
    info = sweep.dataset.info
    for arm in config.shared(config.arms):
        features = width(
            ARMS[arm], config.features, config.size, inputs=info.channels, classes=info.classes
        )
        trained = sweep.train(partial(DilationNet, ARMS[arm], features=features), arm=arm)
        if trained:
            measure_fields(config, sweep, trained, fields)
            trained.save(features=features, **costs(trained, config, info.channels))
    config.end_share()
    best = at_best_rate(sweep.results.rows, tuple(ARMS))
    subject = (
        f"{info.name} at {config.size[0]} × {config.size[1]} pixels, {config.steps} steps of "
        f"{config.batch_size} images"
    )
    seeds = len(next(iter(best.values())))
    differences = [same_scores(seed, config.size) for seed in range(seeds)]
    claims = verdicts(best, fields.rows, differences, math.log(info.classes))
    orders = sum("beyond the seeds' range" in verdict.theory for verdict in claims)
    drawings = draw(sweep, best, fields.rows, subject)
    return Findings(
        title="Plain, strided and dilated convolutions",
        about=f"{subject}, {measured_over(sweep.results.rows)} {orders} claims of order are made, "
        "each of which would seem to hold or to fail between equal arms with a probability of "
        f"{chance_of_order(seeds):.0%}.",
        verdicts=claims,
        figures={name: CAPTIONS[name] for name in drawings},
        drawings=drawings,
        tables=[arm_table(sweep.results.rows, best, fields.rows)],
    )


def costs(trained: Trained, config: Config, channels: int) -> dict[str, int]:
    """Count an image's multiply-adds, and the height of the receptive field of a logit."""
    image = jax.ShapeDtypeStruct((1, *config.size, channels), jnp.float32)
    state = jax.tree.map(lambda a: a[0], trained.start)
    whole = analysis.summary(lambda x: trained.apply(*state, x)[0], image, depth=0)["all"]
    return {"multiply_adds": whole.multiply_adds, "field": whole.field.size[0]}


def measure_fields(config: Config, sweep: Sweep, trained: Trained, fields: Results) -> None:
    """Measure effective field and gridding of every seed's net, before and after training."""
    images = sweep.validation_batch()["image"]
    look = partial(view, trained.apply, config)
    rows = []
    for stage, nets in (("before", trained.start), ("after", trained.at_best())):
        best = trained.best_rows()
        keys = jax.random.split(jax.random.key(1), len(jax.tree.leaves(nets)[0]))
        views = trained.measure(look, nets, images, each=(keys,))
        for kind in ("energy", "logits", "spectrum"):
            sweep.write_array(kind, views[kind], stage=stage, **trained.names)
        rows += [
            {
                **trained.names,
                "seed": row["seed"],
                "learning_rate": row["learning_rate"],
                "stage": stage,
                "width": float(views["width"][row["seed"]]),
                **{f"gridding_{p}": float(views[f"gridding_{p}"][row["seed"]]) for p in PERIODS},
            }
            for row in best
        ]
    fields.replace(rows, **trained.names)


def view(
    apply, config: Config, params, stats, key: jax.Array, images: jax.Array
) -> dict[str, jax.Array]:
    """Measure energy and width of one net's effective field, and what repeats in its logits.

    The field is that of four pixels along the diagonal, one of each phase of a stride of 4: with
    strides they see differently.
    """

    def net(x):
        return apply(params, stats, x, train=False)[0]

    middle = np.array([n // 8 * 4 for n in config.size])
    field = analysis.effective_receptive_field(
        net,
        images[:8],
        key=key,
        seeds=config.projections,
        batch_size=None,
        positions=(middle[None, :] + np.arange(4)[:, None]).tolist(),
    )
    logits = net(images)
    return {
        "energy": field.energy[0],
        # A pixel that no gradient arrives at has no width.
        "width": jnp.sqrt(jnp.nanmean(jnp.square(field.width))),
        "logits": logits[:SHOWN],
        "spectrum": analysis.axis_spectrum(logits, min(config.size) // 4 * 4),
        **{f"gridding_{p}": analysis.gridding_energy(logits, p) for p in PERIODS},
    }
