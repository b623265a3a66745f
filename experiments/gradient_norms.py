"""What becomes of a gradient on its way back through a deep net at initialisation?

The lecture's heading "Residual connections: the gradient". The gradient of a plain chain of layers
vanishes, explodes or turns into noise with depth; a shortcut carries it through (He et al. 2016,
arXiv:1603.05027). Six arms of random ReLU nets (`gradient_arms.py`), hundreds of seeds, against
closed forms of the wide limit with nothing fitted:

    profiles    size of activations and gradients, their correlations, what a branch adds, by layer
    depths      how alike one net's gradients at two inputs are, by depth (Balduzzi et al. 2017,
                arXiv:1702.08591), and how much the gradient grows
    neighbours  the same by the angle between the inputs
    batches     how fast batch norm makes gradients explode (Yang et al. 2019, arXiv:1902.08129)
    widths      the spread of log norms over seeds (Hanin 2018, arXiv:1801.03744)
    paths       whether the path from block to block is the identity

    python experiments/gradient_norms.py --preset quick --out runs/gradient_norms

It leaves results.csv, log_growth.csv, verdicts.csv, summary.md, gradient_norms.png, shattering.png
and log_norms.png in --out. `quick` takes three minutes of a core's time, shared out on all. A kill
loses the question in progress and no more: --resume goes on. It measures initialisation alone:
whether a net can be trained is `depth_scaling.py`'s question.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradient_arms as arms
import gradient_theory as theory
import jax
import numpy as np
import studies
from gradient_claims import claims, tables, wide_to

from jaxseg import plots
from jaxseg.analysis import over_seeds
from jaxseg.analysis.mean_field import BATCH_NORM_GAIN, batch_norm_identity_gain
from jaxseg.training import member_mesh, records, use_all_cores

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
GROWTHS = {"forward": float, "gradient": float}
WRITTEN = (*studies.WRITTEN, "log_growth.csv")
CAPTIONS = {
    "gradient_norms.png": "Gradient norms, activations and correlations layer by layer; theory "
    "dashed, nothing fitted.",
    "shattering.png": "Correlation of the gradients at two inputs: unlike ones by depth, near ones "
    "by their angle. Only batch norm without shortcuts shatters as 2^-L.",
    "log_norms.png": "What one net carries scatters from seed to seed: normally, in logarithms.",
}
QUICK = {"xla_backend_optimization_level": 1}


@dataclass(frozen=True)
class Config:
    """The study.

    Attributes:
        layers: of the nets whose profiles are measured.
        depths: of the nets whose inputs' gradients are compared.
        width: of all layers but those below.
        examples: inputs of each net, a batch to batch norm.
        seeds: draws of the weights.
        neighbour_layers: depth of the nets whose inputs are near each other.
        angles: how many angles between inputs.
        batch_layers: depth of the nets of `batches`.
        batch_width: their width.
        batches: their batch sizes, with a ReLU and without an activation.
        narrow_width: width of the nets whose logs spread.
        narrow_layers: their depth.
        narrow_seeds: how many of them.
        batch_size: nets at once on each core.
        out: folder of the results.
        resume: go on with what is in `out`.
        overwrite: start again over what is in `out`.
    """

    preset: str = ""
    layers: int = 64
    depths: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    width: int = 256
    examples: int = 128
    seeds: int = 128
    neighbour_layers: int = 32
    angles: int = 24
    batch_layers: int = 16
    batch_width: int = 512
    batches: tuple[int, ...] = (8, 32, 128)
    narrow_width: int = 64
    narrow_layers: int = 16
    narrow_seeds: int = 8192
    batch_size: int = 1
    out: Path = Path("runs/gradient_norms")
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self):
        """Refuse what cannot be measured."""
        for field in ("seeds", "narrow_seeds"):
            if getattr(self, field) < 2:
                raise ValueError(f"{field}={getattr(self, field)} must be at least 2.")
        if self.batch_layers < 4:
            raise ValueError(f"batch_layers={self.batch_layers} must be at least 4.")
        if min(self.batches) < 4:
            raise ValueError(f"batches={self.batches} must be of 4 examples or more each.")


PRESETS = {
    "tiny": Config(
        layers=4,
        depths=(1, 2, 4),
        width=16,
        examples=8,
        seeds=4,
        neighbour_layers=2,
        angles=3,
        batch_layers=5,
        batch_width=16,
        batches=(8,),
        narrow_width=8,
        narrow_layers=3,
        narrow_seeds=32,
    ),
    "quick": Config(),
    "full": Config(
        layers=128,
        depths=(1, 2, 4, 8, 16, 32, 64, 128),
        width=512,
        seeds=512,
        angles=48,
        neighbour_layers=64,
        narrow_seeds=65536,
    ),
}


def main(config: Config) -> None:
    """Measure what is not there yet, then write verdicts and figures."""
    use_all_cores()
    records.open_run(
        config.out,
        config,
        results="results.csv",
        written=WRITTEN,
        may_differ=("preset", "out", "resume", "overwrite", "batch_size"),
        resume=config.resume,
        overwrite=config.overwrite,
    )
    table = studies.Table(config.out / "results.csv", COLUMNS, resume=config.resume)
    for name, part in PARTS.items():
        if not table.has(part=name):
            print(f"{name} ...", flush=True)
            table.add(*({"part": name, **row} for row in part(config)))
    growths = records.read_csv(config.out / "log_growth.csv", GROWTHS)
    report(config, table.rows, growths)


def over(config: Config, seeds: int, measure: Callable[[jax.Array], Any], batch_size: int = 0):
    """`measure` of every seed, on all cores: arrays with a leading axis of seeds."""
    mesh = member_mesh(seeds)
    keys = jax.random.split(jax.random.key(0), -(-seeds // mesh.size) * mesh.size)
    run = partial(over_seeds, measure, batch_size=batch_size or config.batch_size, mesh=mesh)
    # In haste: matrix products, which are what takes time, are no slower for it.
    found = jax.device_get(jax.jit(run, compiler_options=QUICK)(keys))
    return jax.tree.map(lambda a: np.asarray(a, np.float64)[:seeds], found)


def rows_of(found: arms.Measured, at: Callable[[str], Any], expected: Callable[[str, str], Any]):
    """Rows of the table from arm -> quantity -> (seeds, entries)."""
    return [
        {
            "arm": arm,
            "quantity": quantity,
            "at": float(place),
            "mean": float(column.mean()),
            "sd": float(column.std(ddof=1)),
            "theory": float(wanted),
            "seeds": len(column),
        }
        for arm, quantities in found.items()
        for quantity, values in quantities.items()
        for place, column, wanted in zip(
            at(quantity), np.asarray(values).T, expected(arm, quantity), strict=True
        )
    ]


def profiles(config: Config):
    """At every layer; the branch fraction counts from 1."""
    layers = config.layers
    measure = partial(arms.profiles, layers=layers, width=config.width, examples=config.examples)
    found = over(config, config.seeds, measure)
    at = lambda quantity: range(1 if quantity == "branch_fraction" else 0, layers + 1)  # noqa: E731
    return rows_of(found, at, lambda arm, quantity: theory.profile(arm, quantity, layers))


def depths(config: Config):
    """At the input of nets of every depth."""
    measure = partial(
        arms.depths, depths=config.depths, width=config.width, examples=config.examples
    )
    found = over(config, config.seeds, measure)
    expected = lambda arm, quantity: [  # noqa: E731
        theory.profile(arm, quantity, depth)[0] for depth in config.depths
    ]
    return rows_of(found, lambda _: config.depths, expected)


def neighbours(config: Config):
    """By the angle between two inputs."""
    angles, layers = np.geomspace(1e-3, np.pi / 2, config.angles), config.neighbour_layers
    measure = partial(
        arms.neighbours, layers=layers, width=config.width, examples=config.examples, angles=angles
    )
    found = over(config, config.seeds, measure)
    expected = lambda arm, _: [  # noqa: E731
        theory.gradient_correlation(arm, layers, float(np.cos(angle)))[0] for angle in angles
    ]
    return rows_of(found, lambda _: angles, expected)


def batches(config: Config):
    """By the batch size."""
    found = {}
    for arm, relu in (("relu", True), ("identity", False)):
        columns = [
            over(
                config,
                max(8, config.seeds // 4),
                partial(
                    arms.growth,
                    layers=config.batch_layers,
                    width=config.batch_width,
                    examples=examples,
                    relu=relu,
                ),
            )
            for examples in config.batches
        ]
        found[arm] = {"log_growth": np.stack(columns, axis=1)}
    limits = {
        "relu": [np.log(BATCH_NORM_GAIN)] * len(config.batches),
        "identity": [np.log(batch_norm_identity_gain(b)) for b in config.batches],
    }
    return rows_of(found, lambda _: config.batches, lambda arm, _: limits[arm])


def widths(config: Config):
    """Logs of the growth of features and gradients of narrow nets, into a table of their own."""
    width, layers = config.narrow_width, config.narrow_layers
    measure = partial(arms.log_growth, layers=layers, width=width)
    found = over(config, config.narrow_seeds, measure, batch_size=64)
    rows = [dict(zip(GROWTHS, map(float, row), strict=True)) for row in found]
    records.write_csv(config.out / "log_growth.csv", list(GROWTHS), rows)
    columns = {name: {"log_growth": found[:, i, None]} for i, name in enumerate(GROWTHS)}
    leading = theory.he_log_moments(width, layers)
    return rows_of(columns, lambda _: [width], lambda *_: [leading.mean])


def paths(config: Config):
    """What is left over of x_L - x_0 when all branches are taken off."""
    measure = partial(arms.identity_path, blocks=8, features=4, size=8)
    found = over(config, 8, measure)
    found = {
        arm: {name: a[:, None] for name, a in quantities.items()}
        for arm, quantities in found.items()
    }
    return rows_of(found, lambda _: [8], lambda arm, _: [0.0 if arm.startswith("pre") else np.nan])


PARTS: dict[str, Callable[[Config], list[dict[str, Any]]]] = {
    "profiles": profiles,
    "depths": depths,
    "neighbours": neighbours,
    "batches": batches,
    "widths": widths,
    "paths": paths,
}


def report(config: Config, rows: list[dict[str, Any]], growths: list[dict[str, Any]]) -> None:
    """Verdicts, tables and figures, all from the rows."""
    about = (
        f"Random dense ReLU nets at He initialisation: {config.layers} layers of width "
        f"{config.width}, {config.examples} examples, {config.seeds} seeds, float32, nothing "
        'trained and nothing fitted. "Correlation" is a cosine, averaged over all pairs. Plain '
        f"nets deeper than {wide_to(config.width):g} layers, where 5 L/n > .2, feel their width."
    )
    logs = {name: np.array([row[name] for row in growths]) for name in GROWTHS}
    title = f"width {config.width}, {config.examples} examples, {config.seeds} seeds"
    by_part = {part: [row for row in rows if row["part"] == part] for part in PARTS}
    moments = theory.he_log_moments(config.narrow_width, config.narrow_layers)
    exact = theory.he_log_moments_exact(config.narrow_width, config.narrow_layers)
    figures = {
        "gradient_norms": plots.signal_profiles(
            by_part["profiles"], title=f"Random nets layer by layer: {title}"
        ),
        "shattering": plots.shattering(
            by_part["depths"],
            by_part["neighbours"],
            title=f"Shattered gradients: {title}",
            layers=config.neighbour_layers,
            wide_to=wide_to(config.width),
        ),
        "log_norms": plots.log_growth(
            logs,
            {"normal of $-5L/2n$ and $5L/n$": moments, "normal of the exact moments": exact},
            title=f"Plain nets, {config.narrow_layers} layers of width {config.narrow_width}: "
            f"{len(growths)} seeds",
        ),
    }
    for name, figure in figures.items():
        figure.savefig(config.out / f"{name}.png", dpi=150)
    text = studies.write_summary(
        config.out,
        title="Residual connections: the gradient",
        about=about,
        verdicts=claims(config, rows, logs),
        tables=tables(rows),
        figures=CAPTIONS,
    )
    print(f"\n{text}")


if __name__ == "__main__":
    studies.run(main, PRESETS, name="gradient_norms", description=__doc__)
