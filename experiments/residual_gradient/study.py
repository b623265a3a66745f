"""The residual_gradient study: measures its parts one by one, and keeps each as soon as it is."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from experiments.residual_gradient import probes
from experiments.residual_gradient.claims import correlation_table, verdicts, widest_depth
from experiments.residual_gradient.config import Config
from experiments.residual_gradient.figures import CAPTIONS, draw
from jaxseg.analysis import finite_width, over_seeds
from jaxseg.analysis.mean_field import BATCH_NORM_GAIN, batch_norm_identity_gain
from jaxseg.progress import alive, progress_bar
from jaxseg.startup import raise_if_stopped
from jaxseg.studies import Findings, Results, Row
from jaxseg.training import member_mesh

COLUMNS = {
    "part": str,
    "arm": str,
    "quantity": str,
    "at": float,
    "mean": float,
    "sd": float,
    "theory": float,
    "seeds": int,
}
"""Columns of results.csv: "at" is a layer, a depth, an angle, a batch size or a width."""
GROWTHS = {"forward": float, "gradient": float}
"""Columns of log_growth.csv, which has a row a seed."""
COMPILER_OPTIONS = {"xla_backend_optimization_level": 1}
"""Matrix products, which take the time, are no slower than at the default level."""
CALLS = 16
"""Calls that the seeds of a measurement are divided into, at most: a stop waits for one of them."""
PATH_BLOCKS = 8
"""Blocks of the convolutional nets of the part "paths"."""


def run(config: Config) -> Findings:
    """Measure what is not there yet, or with too few seeds; judge and draw all of it."""
    results = Results(config.out / "results.csv", COLUMNS, resume=config.resume)
    growths = Results(config.out / "log_growth.csv", GROWTHS, resume=config.resume)
    for part, seeds in config.shared(config.part_seeds.items()):
        measured = min((row["seeds"] for row in results.select(part=part)), default=0)
        if measured < seeds or (part == "widths" and len(growths.rows) < measured):
            rows = PARTS[part](config, growths)
            results.replace(({"part": part, **row} for row in rows), part=part)
    config.end_share()
    return findings(config, results.rows, growths.rows)


def findings(config: Config, rows: Sequence[Row], growths: Sequence[Row]) -> Findings:
    """Judge and draw what was measured.

    Args:
        config: The study's configuration.
        rows: Rows of results.csv.
        growths: Rows of log_growth.csv.
    """
    seeds = min(row["seeds"] for row in rows if row["part"] == "profiles")
    logs = {name: np.array([row[name] for row in growths]) for name in GROWTHS}
    return Findings(
        title="Residual connections: the gradient",
        about=f"Random dense ReLU nets at He initialization: {config.layers} layers of width "
        f"{config.width}, {config.examples} examples, {seeds} seeds, float32; nothing is trained "
        "and nothing fitted. A correlation is a cosine, averaged over all pairs of examples, and "
        "a measured number is a mean over the seeds. Plain nets of more than "
        f"{widest_depth(config.width):g} layers, where 5 L/n exceeds 0.2, deviate from the theory "
        "of wide nets.",
        verdicts=verdicts(config, rows, logs),
        figures=CAPTIONS,
        drawings=draw(config, rows, logs, seeds=seeds),
        tables=[correlation_table(rows)],
    )


def measure_seeds(
    part: str, measure: Callable[[jax.Array], Any], seeds: int, *, nets_at_once: int
) -> Any:
    """Measure random nets on all cores.

    Args:
        part: What is measured, for the progress bar.
        measure: `measure(key)` of one net; a pytree of arrays.
        seeds: Number of nets.
        nets_at_once: Nets measured together on each core.

    Returns:
        The pytree of `measure` in float64, with a leading axis of seeds.
    """
    mesh = member_mesh(seeds)
    least = 2 * mesh.size * nets_at_once
    chunk = min(
        least * math.ceil(seeds / (least * CALLS)), mesh.size * math.ceil(seeds / mesh.size)
    )
    keys = jax.random.split(jax.random.key(0), chunk * math.ceil(seeds / chunk))
    run = jax.jit(
        partial(over_seeds, measure, batch_size=nets_at_once, mesh=mesh),
        compiler_options=COMPILER_OPTIONS,
    )
    chunks = []
    with progress_bar(desc=part, total=seeds, unit=" nets") as bar, alive(bar):
        for start in range(0, seeds, chunk):
            raise_if_stopped()
            chunks.append(jax.device_get(run(keys[start : start + chunk])))
            bar.update(min(chunk, seeds - start))
    return jax.tree.map(lambda *a: np.concatenate(a).astype(np.float64)[:seeds], *chunks)


def to_rows(
    measured: probes.Measured, at: Callable[[str], Any], expected: Callable[[str, str], Any]
) -> list[Row]:
    """Summarize measurements as rows of results.csv.

    Args:
        measured: Arm -> quantity -> (seeds, entries).
        at: `at(quantity)`: the places of the entries.
        expected: `expected(arm, quantity)`: what theory expects of the entries.
    """
    return [
        {
            "arm": arm,
            "quantity": quantity,
            "at": float(place),
            "mean": float(column.mean()),
            "sd": float(column.std(ddof=1)),
            "theory": float(theory),
            "seeds": len(column),
        }
        for arm, quantities in measured.items()
        for quantity, values in quantities.items()
        for place, column, theory in zip(
            at(quantity), np.asarray(values).T, expected(arm, quantity), strict=True
        )
    ]


def _measure(config: Config, part: str, probe: Callable[..., Any], **options: Any) -> Any:
    return measure_seeds(
        part, partial(probe, **options), config.part_seeds[part], nets_at_once=config.nets_at_once
    )


def profiles(config: Config, growths: Results) -> list[Row]:
    """Measure every layer; the branch fraction counts from 1."""
    layers = config.layers
    measured = _measure(
        config,
        "profiles",
        probes.profiles,
        layers=layers,
        width=config.width,
        examples=config.examples,
    )
    return to_rows(
        measured,
        lambda quantity: range(1 if quantity == "branch_fraction" else 0, layers + 1),
        lambda arm, quantity: probes.theory(arm, quantity, layers),
    )


def depths(config: Config, growths: Results) -> list[Row]:
    """Measure the input's gradient of nets of every depth."""
    measured = _measure(
        config,
        "depths",
        probes.depths,
        depths=config.depths,
        width=config.width,
        examples=config.examples,
    )
    return to_rows(
        measured,
        lambda quantity: config.depths,
        lambda arm, quantity: [probes.theory(arm, quantity, depth)[0] for depth in config.depths],
    )


def neighbors(config: Config, growths: Results) -> list[Row]:
    """Measure by the angle between two inputs."""
    angles, layers = np.geomspace(1e-3, np.pi / 2, config.angles), config.neighbor_layers
    measured = _measure(
        config,
        "neighbors",
        probes.neighbors,
        layers=layers,
        width=config.width,
        examples=config.examples,
        angles=angles,
    )
    return to_rows(
        measured,
        lambda quantity: angles,
        lambda arm, quantity: [
            probes.gradient_correlation(arm, layers, float(np.cos(angle)))[0] for angle in angles
        ],
    )


def batches(config: Config, growths: Results) -> list[Row]:
    """Measure by the batch size, with a ReLU and without an activation."""
    measured, expected = {}, {}
    for arm, gain in (
        ("relu", lambda batch: BATCH_NORM_GAIN),
        ("identity", batch_norm_identity_gain),
    ):
        columns = [
            _measure(
                config,
                "batches",
                probes.batch_norm_growth,
                layers=config.batch_layers,
                width=config.batch_width,
                examples=batch,
                relu=arm == "relu",
            )
            for batch in config.batches
        ]
        measured[arm] = {"log_growth": np.stack(columns, axis=1)}
        expected[arm] = [np.log(gain(batch)) for batch in config.batches]
    return to_rows(measured, lambda quantity: config.batches, lambda arm, quantity: expected[arm])


def widths(config: Config, growths: Results) -> list[Row]:
    """Measure the logarithms of narrow nets, and keep them seed by seed in their own table."""
    width, layers = config.narrow_width, config.narrow_layers
    measured = measure_seeds(
        "widths",
        partial(probes.log_growth, layers=layers, width=width),
        config.part_seeds["widths"],
        nets_at_once=64,
    )
    growths.replace(dict(zip(GROWTHS, map(float, row), strict=True)) for row in measured)
    columns = {name: {"log_growth": measured[:, i, None]} for i, name in enumerate(GROWTHS)}
    leading = finite_width.he_log_moments(width, layers)
    return to_rows(columns, lambda quantity: [width], lambda arm, quantity: [leading.mean])


def paths(config: Config, growths: Results) -> list[Row]:
    """Measure what is left of x_L - x_0 when all branches are subtracted."""
    measured = _measure(
        config, "paths", probes.identity_path, blocks=PATH_BLOCKS, features=4, size=8
    )
    columns = {arm: {"left_over": kind["left_over"][:, None]} for arm, kind in measured.items()}
    expected = {"pre-activation": [0.0], "post-activation": [np.nan]}
    return to_rows(columns, lambda quantity: [PATH_BLOCKS], lambda arm, quantity: expected[arm])


PARTS: Mapping[str, Callable[[Config, Results], list[Row]]] = {
    "profiles": profiles,
    "depths": depths,
    "neighbors": neighbors,
    "batches": batches,
    "widths": widths,
    "paths": paths,
}
"""Part -> its measurement, of a configuration and the table log_growth.csv."""
