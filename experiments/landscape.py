"""Do shortcuts smooth the loss surface of deep nets?

Li et al. (2018, arXiv:1712.09913) draw the loss around trained parameters along two random
directions, each of whose filters has the norm of the net's own filter: the surfaces of deep plain
nets look chaotic, those of residual ones convex. Here plain and residual nets (branches scaled by
1/sqrt(L), no norm, the same parameters otherwise) are trained from several seeds, each arm at its
own best rate, and around each net are measured

    the surface              on a grid, and the share of it below chance (what training can roll
                             down from)
    its curvatures           and the share of the grid, inside what is below chance, where the
                             lower one is negative
    its border               the loss as far away as the filters are long
    filter-normalised ones   u'Hu, the mean over several directions u
    the Hessian's outermost eigenvalues, which rescaling a layer changes

The border and the most negative eigenvalue were asked about only after a first look at seeds 0 to
3 of `quick`. On seeds 4 to 7 (`--depths 32 --seeds 8`) the border of every plain net was again
higher than that of every residual one; the eigenvalue was further below 0 for three of the four
plain nets, not for one that had learned nothing. So only the border has a verdict here.

    python experiments/landscape.py --preset quick

It leaves results.csv, losses.csv, surfaces/*.npy, verdicts.csv, summary.md, landscape.png and
sharpness.png in --out. On two cores `quick` takes two minutes. A kill loses the net in
progress and no more: --resume goes on.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import landscape_report
import numpy as np
import studies
from flax import nnx
from jax.flatten_util import ravel_pytree
from study_nets import load_mosaic, start_nets, train_best
from tqdm import tqdm

from jaxseg import analysis, data, files, models, nn
from jaxseg.losses import mean_cross_entropy
from jaxseg.training import member_mesh, records, use_all_cores

ARMS: dict[str, dict[str, Any]] = {"plain": {"residual": False}, "residual": {"residual": True}}
MAY_DIFFER = ("preset", "out", "data_dir", "devices", "resume", "overwrite")


@dataclass(frozen=True)
class Config:
    """What is trained, and how much of the surface is seen.

    Attributes:
        preset: where the other values come from.
        out: folder of the results.
        data_dir: where prepared data is kept; None is the user's TFDS folder.
        size: side of the images, in pixels.
        depths: convolutions from input to output, even and at least 4.
        seeds: runs of each arm, depth and learning rate.
        learning_rates: of Adam; they stay for half of the steps, then fall to 0 linearly.
        steps: of training.
        batch_size: images a step.
        features: channels of every layer.
        clip: largest norm of the gradient.
        images: of the training split, over which the loss is taken.
        points: of the grid along each direction.
        reach: of the grid to either side, in units of the filters' norms.
        directions: over which the curvature is averaged.
        lanczos: products with the Hessian for its eigenvalues.
        devices: XLA devices on a CPU; 0 is one a core.
        resume: go on with what is in `out`.
        overwrite: start again over what is in `out`.
    """

    preset: str = "quick"
    out: Path = Path("runs/landscape")
    data_dir: Path | None = None
    size: int = 16
    depths: tuple[int, ...] = (8, 16, 32)
    seeds: int = 4
    learning_rates: tuple[float, ...] = (1e-3, 4e-3, 1.2e-2)
    steps: int = 150
    batch_size: int = 4
    features: int = 8
    clip: float = 1.0
    images: int = 8
    points: int = 25
    reach: float = 1.0
    directions: int = 8
    lanczos: int = 20
    devices: int = 0
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self):
        """Refuse what cannot be run."""
        wrong = [d for d in self.depths if d < 4 or d % 2]
        if wrong or not self.depths:
            raise ValueError(
                f"depths {wrong or '()'}: a net has a stem, blocks of two convolutions and a head; "
                "give even numbers from 4."
            )
        for name in (
            "seeds",
            "steps",
            "batch_size",
            "images",
            "size",
            "features",
            "directions",
            "lanczos",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        if self.points < 5 or self.points % 2 == 0 or self.reach <= 0:
            raise ValueError(
                f"points={self.points}, reach={self.reach}: give an odd number from 5, so that the "
                "net itself is on the grid, and a positive reach."
            )

    @property
    def offsets(self) -> np.ndarray:
        """Of the grid's points, along either direction."""
        return np.linspace(-self.reach, self.reach, self.points).astype(np.float32)


PRESETS = {
    "tiny": Config(
        size=12,
        depths=(4,),
        seeds=2,
        learning_rates=(4e-3,),
        steps=3,
        batch_size=2,
        features=4,
        images=2,
        points=5,
        directions=2,
        lanczos=3,
    ),
    "quick": Config(),
    "full": Config(
        size=24,
        depths=(8, 16, 32, 64),
        seeds=8,
        learning_rates=(5e-4, 1e-3, 2e-3, 4e-3, 8e-3),
        steps=600,
        batch_size=8,
        features=16,
        images=24,
        points=51,
        lanczos=40,
    ),
}


def main(config: Config) -> None:
    """Measure what is not yet in `config.out`, then write tables and figures."""
    use_all_cores(config.devices)
    records.open_run(
        config.out,
        config,
        results="results.csv",
        written=(*studies.WRITTEN, "losses.csv", "surfaces/*.npy"),
        may_differ=MAY_DIFFER,
        resume=config.resume,
        overwrite=config.overwrite,
    )
    (config.out / "surfaces").mkdir(exist_ok=True)
    study = Study(config)
    for arm, depth in itertools.product(ARMS, config.depths):
        study.run(arm, depth)
    text = landscape_report.write(config, study.results.rows, study.losses.rows, study.chance)
    print(f"\n{text}\nFigures: {config.out / 'landscape.png'}, {config.out / 'sharpness.png'}")


class Study:
    """The nets of one configuration, and what is known of them so far."""

    def __init__(self, config: Config):
        self.config = config
        self.dataset = load_mosaic(config.size, config.data_dir)
        self.chance = math.log(self.dataset.info.classes)
        self.train = self.dataset.source("train", cache=True)
        self.batch = self.dataset.info.normalize_batch(
            next(data.batches(self.train, batch_size=config.images, seed=0))
        )
        self.mesh = member_mesh(config.points**2)
        self.results, self.losses = (
            studies.Table(config.out / f"{name}.csv", columns, resume=config.resume)
            for name, columns in (
                ("results", landscape_report.RESULTS),
                ("losses", landscape_report.LOSSES),
            )
        )

    def run(self, arm: str, depth: int) -> None:
        """Train and measure one net from all seeds; one that is finished is skipped."""
        config = self.config
        if all(self.results.has(arm=arm, depth=depth, seed=s) for s in range(config.seeds)):
            return
        for table in (self.results, self.losses):  # a kill may have left some seeds
            table.rows = [r for r in table.rows if (r["arm"], r["depth"]) != (arm, depth)]
        init, apply = nn.functional(lambda rngs: self.net(arm, depth, rngs))
        trained = train_best(
            apply,
            start_nets(init, config.seeds),
            self.train,
            self.dataset.info,
            seeds=config.seeds,
            learning_rates=config.learning_rates,
            steps=config.steps,
            batch_size=config.batch_size,
            clip=config.clip,
            name=f"{arm}, {depth} convolutions",
        )
        self.losses.add(
            *[
                {
                    "arm": arm,
                    "depth": depth,
                    "seed": m.seed,
                    "learning_rate": m.learning_rate,
                    "train_loss": float(loss),
                }
                for m, loss in zip(trained.members, trained.losses, strict=True)
            ]
        )
        look = Look(config, apply, trained.nets[1], self.batch, self.mesh)
        at_best = trained.at_best()
        for seed in tqdm(range(config.seeds), desc=f"{arm}, {depth}: surfaces", leave=False):
            params = jax.tree.map(lambda a: jnp.asarray(a[seed]), trained.nets[0])  # noqa: B023
            surface, numbers = look(params, jax.random.key(seed))
            name = f"{arm}-{depth}-{seed}.npy"
            files.write_array(config.out / "surfaces" / name, surface)
            shape = landscape_report.shape(surface, config.offsets, self.chance)
            self.results.add(
                {
                    "arm": arm,
                    "depth": depth,
                    "seed": seed,
                    "train_loss": float(at_best[seed]),
                    **shape,
                    **numbers,
                }
            )

    def net(self, arm: str, depth: int, rngs: nnx.Rngs) -> models.DeepNet:
        """The net of one arm."""
        return models.DeepNet(
            classes=self.dataset.info.classes,
            inputs=self.dataset.info.channels,
            features=self.config.features,
            blocks=(depth - 2) // 2,
            rngs=rngs,
            **ARMS[arm],
        )


class Look:
    """What is seen around the nets of one shape; compiled once for all of them.

    Args:
        config: of the study.
        apply: of the net.
        stats: its variables beside the parameters; none, without a norm.
        batch: over which the loss is taken.
        mesh: devices that share the grid.
    """

    def __init__(self, config: Config, apply, stats, batch, mesh):
        self.config = config
        stats = jax.tree.map(lambda a: a[0], stats)

        def loss(params):
            return mean_cross_entropy(apply(params, stats, batch["image"])[0], batch["label"])

        def surface(params, u, v):
            offsets = jnp.asarray(config.offsets)
            return analysis.loss_surface(loss, params, (u, v), offsets, batch_size=8, mesh=mesh)

        self.loss, self.surface = loss, jax.jit(surface)
        self.product = jax.jit(lambda p, v: analysis.hessian_vector_product(loss, p, v))

    def __call__(self, params: Any, key: jax.Array) -> tuple[np.ndarray, dict[str, float]]:
        """The surface, and numbers that need more than it."""
        keys = jax.random.split(key, self.config.directions + 2)
        directions = [
            analysis.filter_normalized_direction(params, k, stacked=in_stack) for k in keys[1:]
        ]
        surface = np.asarray(self.surface(params, *directions[:2]))
        flat, unravel = ravel_pytree(params)
        values = analysis.ritz_values(
            lambda v: ravel_pytree(self.product(params, unravel(v)))[0],
            jax.random.normal(keys[0], flat.shape),
            steps=min(self.config.lanczos, flat.size),
        )
        along = [_dot(u, self.product(params, u)) for u in directions[: self.config.directions]]
        return surface, {
            "curvature_along_filters": float(np.mean(along)),
            "largest_eigenvalue": float(values[-1]),
            "smallest_eigenvalue": float(values[0]),
            "norms_off": max(_norms_off(params, u) for u in directions),
        }


def in_stack(path: str) -> bool:
    """Whether a leaf with this path has a leading axis of layers."""
    return "blocks" in path


def _dot(a: Any, b: Any) -> float:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return sum(float(np.vdot(np.asarray(x, np.float64), np.asarray(y))) for x, y in pairs)


def _norms_off(params: Any, direction: Any) -> float:
    """Largest relative difference between a filter's norm and its direction's, in float64.

    The filters of a stack, (layers, *window, in, out), are compared layer by layer.
    """
    worst = 0.0
    leaves = zip(
        jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(direction), strict=True
    )
    for (path, own), new in leaves:
        if np.any(new):
            first = 1 if in_stack(jax.tree_util.keystr(path)) else 0
            axes = tuple(range(first, own.ndim - 1))
            a, b = (np.sqrt((np.asarray(x, np.float64) ** 2).sum(axes)) for x in (own, new))
            worst = max(worst, float(np.max(np.abs(b / a - 1))))
    return worst


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    studies.run(main, PRESETS, name="landscape", description=__doc__, args=args)


if __name__ == "__main__":
    command()
