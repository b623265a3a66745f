"""Arms × seeds × learning rates: drawn, trained, evaluated and kept, so that a study can go on."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from jaxseg import data, files, nn
from jaxseg.metrics import mean_iou, pixel_accuracy
from jaxseg.progress import busy
from jaxseg.studies.config import SweepConfig
from jaxseg.studies.members import Members
from jaxseg.studies.results import Results, Row
from jaxseg.studies.trained import Trained
from jaxseg.training import clip_by_norm, member_mesh, over_members, pad_members, to_members
from jaxseg.training.state import Apply
from jaxseg.training.sweep import Ensemble, Member, evaluate_members, train_members

Make = Callable[..., nnx.Module]
Watch = Callable[[int, Any, Any], None]
OUTCOMES = {
    "seed": int,
    "learning_rate": float,
    "train_loss": float,
    "pixel_accuracy": float,
    "mean_iou": float,
    "parameters": int,
    "compile_seconds": float,
    "step_milliseconds": float,
}
"""Columns of results.csv that every sweep has, behind those that name a run."""
EVALUATION_BATCH = 16


class Sweep:
    """Trains every arm of a study from all seeds at all learning rates, one ensemble an arm.

    What has been trained stays in the study's folder: results.csv has a row a run, and members/ a
    file an arm with the trained parameters and the training losses of all its runs. Seeds and
    rates can therefore be added to a study that is finished.

    Args:
        config: The study's configuration.
        dataset: What the nets learn.
        names: Columns that name a run besides seed and rate -> their types.
        extra: Further columns of results.csv -> their types; see `Trained.save`.
        rule: `rule(learning_rate)`, an optax optimizer, which runs behind a clip of the gradient's
            norm and before the fall of the rate over the second half of the steps.

    Attributes:
        results: The rows of results.csv.
    """

    def __init__(
        self,
        config: SweepConfig,
        dataset: data.Dataset,
        *,
        names: Mapping[str, type] | None = None,
        extra: Mapping[str, type] | None = None,
        rule: Callable[[Any], optax.GradientTransformation] = optax.adam,
    ):
        self.config, self.dataset, self.rule = config, dataset, rule
        self.names = dict(names or {"arm": str})
        columns = {**self.names, **OUTCOMES, **(extra or {})}
        self.results = Results(config.out / "results.csv", columns, resume=config.resume)
        self.train_source = dataset.source("train", cache=True)
        self.validation = dataset.source("validation", cache=True)

    def train(
        self, make: Make, *, watch: Watch | None = None, watch_every: int = 10, **names: Any
    ) -> Trained | None:
        """Train the runs of one arm that are not in the results yet.

        Args:
            make: Builds the arm's net: `make(classes=..., inputs=..., rngs=...)`.
            watch: Called as `watch(step, params, stats)` before the first step, when `step` is 0,
                and after each `watch_every` steps. The arrays have a leading axis of the runs that
                are being trained, padded to the devices.
            watch_every: Steps between two such calls.
            **names: What names the arm, such as `arm="plain", depth=8`.

        Returns:
            All runs of the arm, those trained before too; None if none was missing. Call its
            `save` when everything else about the arm is on the disk.
        """
        known = {Member(r["seed"], r["learning_rate"]) for r in self.results.select(**names)}
        wanted = itertools.product(range(self.config.seeds), self.config.learning_rates)
        missing = [member for member in itertools.starmap(Member, wanted) if member not in known]
        if not missing:
            return None
        title = ", ".join(str(value) for value in names.values())
        info = self.dataset.info
        init, apply = nn.functional(
            lambda rngs: make(classes=info.classes, inputs=info.channels, rngs=rngs)
        )
        seeds = max(self.config.seeds, *(member.seed + 1 for member in known), 0)
        with busy(f"{title}: drawing"):
            start = draw_nets(init, seeds)
        ensemble = self._train(title, apply, start, missing, watch, watch_every)
        fresh, predictions = self._evaluate(title, apply, names, missing, ensemble)
        before = self.results.select(**names)
        nets = jax.device_get((ensemble.params, ensemble.stats))
        nets = jax.tree.map(lambda a: np.asarray(a)[: len(fresh)], nets)
        kept = self.members(**names)
        return Trained(
            names=names,
            init=init,
            apply=apply,
            fresh=missing,
            rows=[*before, *fresh],
            predictions=predictions,
            start=start,
            nets=kept.join(before, fresh, nets, _padded(ensemble.losses, self.config.steps)),
            kept=kept,
            results=self.results,
        )

    def members(self, **names: Any) -> Members:
        """Open what `Trained.record` keeps of an arm's runs beside their rows.

        Args:
            **names: What names the arm, such as `arm="plain", depth=8`.
        """
        return Members(self.config.out / "members" / f"{_file_name(names)}.npz")

    def write_array(self, kind: str, array: np.ndarray, **names: Any) -> None:
        """Keep an array that belongs to an arm as a whole.

        Args:
            kind: What it is.
            array: Any array.
            **names: What names the arm, and stages of it.
        """
        path = self._array_path(kind, names)
        path.parent.mkdir(exist_ok=True)
        files.write_array(path, array)

    def read_array(self, kind: str, **names: Any) -> np.ndarray:
        """Read what `write_array` kept.

        Args:
            kind: What the array is.
            **names: What names the arm, and stages of it.

        Raises:
            ValueError: It is missing or damaged.
        """
        return files.read_array(self._array_path(kind, names))

    def _array_path(self, kind: str, names: Mapping[str, Any]) -> Path:
        return self.config.out / "arrays" / f"{_file_name(names)}-{kind}.npy"

    def batches(self, seed: int) -> Iterator[dict[str, np.ndarray]]:
        """Yield the training batches of a seed, as they are stored."""
        return data.batches(self.train_source, batch_size=self.config.batch_size, seed=seed)

    def training_batch(self) -> dict[str, jax.Array]:
        """Return the first training batch of seed 0, normalized."""
        return self.dataset.info.normalize_batch(next(self.batches(0)))

    def validation_batch(self, size: int = EVALUATION_BATCH) -> dict[str, jax.Array]:
        """Return the first `size` validation examples, normalized."""
        return self.dataset.info.normalize_batch(
            next(data.padded_batches(self.validation, batch_size=size))
        )

    def optimizer(self, learning_rate: Any) -> optax.GradientTransformation:
        """Build the optimizer of a run."""
        steps = self.config.steps
        half = steps // 2
        return optax.chain(
            clip_by_norm(self.config.clip),
            self.rule(learning_rate),
            optax.scale_by_schedule(optax.linear_schedule(1.0, 0.0, steps - half, half)),
        )

    def _transform(self, key: jax.Array | None, batch: Any) -> Any:
        """Normalize a batch on the device."""
        del key
        return self.dataset.info.normalize_batch(batch)

    @property
    def _mesh(self) -> Mesh:
        return member_mesh(self.config.seeds * len(self.config.learning_rates))

    def _train(
        self,
        title: str,
        apply: Apply,
        start: tuple[Any, Any],
        members: list[Member],
        watch: Watch | None,
        watch_every: int,
    ) -> Ensemble:
        """Train some runs together."""
        start = jax.tree.map(lambda a: a[[member.seed for member in members]], start)
        if watch is not None:
            padded = np.array(pad_members(list(range(len(members))), self._mesh))
            watch(0, *to_members(jax.tree.map(lambda a: a[padded], start), self._mesh))
        return train_members(
            apply,
            start,
            self.optimizer,
            members,
            self.batches,
            steps=self.config.steps,
            mesh=self._mesh,
            name=f"{title}, {len(members)} runs",
            transform=self._transform,
            watch=watch,
            watch_every=watch_every,
        )

    def _evaluate(
        self,
        title: str,
        apply: Apply,
        names: Mapping[str, Any],
        members: list[Member],
        ensemble: Ensemble,
    ) -> tuple[list[Row], np.ndarray]:
        """Evaluate the runs of an ensemble: their rows, and predictions for the first batch."""
        with busy(f"{title}: evaluating"):
            confusion, predictions = evaluate_members(
                apply,
                ensemble,
                data.padded_batches(self.validation, batch_size=EVALUATION_BATCH),
                classes=self.dataset.info.classes,
                mesh=self._mesh,
                transform=self._transform,
            )
        counts = jnp.asarray(confusion, jnp.int32)
        accuracy, iou = jax.device_get((pixel_accuracy(counts), mean_iou(counts)))
        shared = {
            "parameters": sum(a[0].size for a in jax.tree.leaves(ensemble.params)),
            "compile_seconds": round(ensemble.compile_seconds, 3),
            "step_milliseconds": round(ensemble.step_milliseconds, 3),
        }
        rows: list[Row] = [
            {
                **names,
                "seed": member.seed,
                "learning_rate": member.learning_rate,
                "train_loss": float(loss),
                "pixel_accuracy": float(accuracy[number]),
                "mean_iou": float(iou[number]),
                **shared,
            }
            for number, (member, loss) in enumerate(
                zip(members, ensemble.final_losses(), strict=True)
            )
        ]
        return rows, predictions


def over_seeds(fn: Callable[[jax.Array], Any], seeds: int) -> Any:
    """Call a function with the key of every seed, the seeds shared out among the devices.

    Args:
        fn: `fn(key)`, a pytree of arrays. Seed n has the key `jax.random.key(n)`.
        seeds: How many.

    Returns:
        What `fn` returns, as NumPy arrays with a leading axis of seeds.
    """
    mesh = member_mesh(seeds)
    call = over_members(lambda seed: fn(jax.random.key(seed)), mesh, in_axes=(0,), few_calls=True)
    values = jax.device_get(call(jnp.array(pad_members(list(range(seeds)), mesh), jnp.uint32)))
    return jax.tree.map(lambda a: a[:seeds], values)


def draw_nets(init: Callable[[jax.Array], tuple[Any, Any]], seeds: int) -> tuple[Any, Any]:
    """Draw the parameters and statistics of nets, NumPy arrays with a leading axis of seeds.

    Args:
        init: `init(key) -> (params, stats)`.
        seeds: How many; seed n starts from `jax.random.key(n)`.
    """
    return over_seeds(init, seeds)


def _file_name(names: Mapping[str, Any]) -> str:
    return "-".join(str(value).replace(" ", "_").replace("/", "_") for value in names.values())


def _padded(losses: np.ndarray, steps: int) -> np.ndarray:
    """Fill (members, steps taken) losses up with NaN, for ensembles that diverged early."""
    full = np.full((len(losses), steps), np.nan, np.float32)
    full[:, : losses.shape[1]] = losses
    return full
