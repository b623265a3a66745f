"""What do striding, dilation and plain convolutions bring to a segmentation net?

Nets of six 3x3 convolutions, equal in parameters, data, optimiser, learning rates and seeds,
differ by their strides and rates alone (`dilation_nets`):

    plain            rate 1
    strided          two strides of 2; the scores are resized bilinearly
    strided_wide     the same, as wide as the multiply-adds of the others allow
    dilated          rates 1, 1, 2, 2, 4, 4: sees what `strided` sees, at every pixel
    cascade          rate 2 throughout: gridding (Wang et al. 2018)
    hybrid_123, _125 rates 1, 2, 3 or 1, 2, 5, twice: its cure by Wang et al. 2018
    degridded        rates fall back to 1 at the end: its cure by Yu et al. 2017

Of each: training loss, mean IoU and pixel accuracy; the theoretical field, and the width of the
effective one (Luo et al. 2016) before and after training; and how much of the logits repeats at the
period of the dilation (`analysis.gridding_energy`), before and after.

    python experiments/dilation.py
    python experiments/dilation.py --preset camvid
    python experiments/dilation.py --preset full --resume

The first took three minutes on two cores that others used as well. It leaves results.csv, seen.csv,
verdicts.csv, summary.md and three figures in --out. What is finished stays: a kill loses the arm in
progress and no more, and --resume goes on.

Each arm is shown at its own best rate, by its training loss. An order is said to hold only where
the seeds' ranges are apart (`orders`); three seeds show large differences alone, and with other
rates and steps some orders of IoU came out otherwise. `gridding_energy` compares with neighbouring
frequencies, which `degridded` damps as well: in its spectra far less of all power is at the period
than in those of `cascade`, whatever that ratio says.

What it leaves: nets of real depth, upconvolved scores in place of resized ones (`upconvolution`),
residual nets (`output_stride`).
"""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import studies
from dilation_config import PRESETS, Config, load_data
from dilation_nets import ARMS, DilationNet, same_scores, width
from dilation_report import report
from dilation_tables import RESULTS, SEEN, best_rate
from studies import Table

from jaxseg import analysis, data, nn
from jaxseg.metrics import mean_iou, pixel_accuracy
from jaxseg.training import (
    clip_by_norm,
    member_mesh,
    over_members,
    pad_members,
    records,
    use_all_cores,
)
from jaxseg.training.sweep import Member, Sweep, evaluate_members, train_members

PERIODS = (2, 4)
SHOWN = 3
"""Validation images whose predictions and logits are kept for the figure."""


def main(config: Config) -> None:
    """Run what is not yet in `config.out`, then write tables and figures."""
    use_all_cores(config.devices)
    records.open_run(
        config.out,
        config,
        results="results.csv",
        written=(*studies.WRITTEN, "seen.csv", "arrays/*.npy"),
        may_differ=(
            "preset",
            "out",
            "data_dir",
            "camvid_dir",
            "devices",
            "resume",
            "overwrite",
            "arms",
        ),
        resume=config.resume,
        overwrite=config.overwrite,
    )
    (config.out / "arrays").mkdir(exist_ok=True)
    study = Study(config)
    for arm in config.arms:
        if not study.results.has(arm=arm):
            study.run(arm)
    about = (
        f"{study.dataset.info.name} at {config.size} pixels, {config.steps} steps of "
        f"{config.batch_size} images, {config.seeds} seeds at each of "
        f"{len(config.learning_rates)} learning rates"
    )
    apart = [same_scores(seed, config.size) for seed in range(config.seeds)]
    text = report(
        config.out,
        study.results.rows,
        study.seen.rows,
        apart,
        about,
        study.strip(),
        study.dataset.info.palette,
    )
    print(f"\n{text}")


class Study:
    """The runs of one configuration, and what is known of them so far."""

    def __init__(self, config: Config):
        self.config, self.out = config, config.out
        self.members = [
            Member(*m) for m in itertools.product(range(config.seeds), config.learning_rates)
        ]
        self.mesh = member_mesh(len(self.members))
        self.dataset = load_data(config)
        self.train = self.dataset.source("train", cache=True)
        self.validation = self.dataset.source("validation", cache=True)
        # Last: a row of it says that all else of its arm is there.
        self.seen = Table(self.out / "seen.csv", SEEN, resume=config.resume)
        self.results = Table(self.out / "results.csv", RESULTS, resume=config.resume)
        done = {row["arm"] for row in self.results.rows}
        self.seen.rows = [row for row in self.seen.rows if row["arm"] in done]

    def run(self, arm: str) -> None:
        """Train, evaluate and look into one arm at all rates from all seeds."""
        features = width(
            ARMS[arm],
            self.config.features,
            self.config.size,
            inputs=self.dataset.info.channels,
            classes=self.dataset.info.classes,
        )
        init, apply = nn.functional(
            lambda rngs: DilationNet(
                ARMS[arm],
                classes=self.dataset.info.classes,
                inputs=self.dataset.info.channels,
                features=features,
                rngs=rngs,
            )
        )
        start = self._start(init)
        sweep = train_members(
            apply,
            jax.tree.map(lambda a: a[[m.seed for m in self.members]], start),
            self.optimizer,
            self.members,
            self._batches,
            steps=self.config.steps,
            mesh=self.mesh,
            name=f"{arm}, {len(self.members)} runs",
            transform=lambda _, batch: self.dataset.info.normalize_batch(batch),
        )
        rows = self._evaluate(arm, features, init, apply, sweep)
        rate = best_rate(rows)
        at_best = [n for n, m in enumerate(self.members) if m.learning_rate == rate]
        trained = jax.tree.map(lambda a: np.asarray(a)[at_best], (sweep.params, sweep.stats))
        before = jax.tree.map(lambda a: a[: len(at_best)], start)
        self._look(arm, apply, {"before": before, "after": trained})
        self.results.add(*rows)
        best = [row for row in rows if row["learning_rate"] == rate]
        print(
            f"{arm:>12} (width {features}): loss {np.mean([r['train_loss'] for r in best]):.3f}, "
            f"mean IoU {np.mean([r['mean_iou'] for r in best]):.3f} at rate {rate:g} "
            f"(compiled in {sweep.compile_seconds:.1f} s, {sweep.step_milliseconds:.1f} ms a step "
            "and run)"
        )

    def optimizer(self, learning_rate) -> optax.GradientTransformation:
        """Adam behind a clip of the gradient's norm; the rate falls to 0 over the second half."""
        half = self.config.steps // 2
        return optax.chain(
            clip_by_norm(self.config.clip),
            optax.adam(learning_rate),
            optax.scale_by_schedule(
                optax.linear_schedule(1.0, 0.0, self.config.steps - half, half)
            ),
        )

    def strip(self) -> dict[str, np.ndarray]:
        """Validation images and masks."""
        batch = next(data.padded_batches(self.validation, batch_size=SHOWN))
        return {"image": batch["image"] / 255, "mask": batch["label"]}

    def _batches(self, seed: int):
        return data.batches(self.train, batch_size=self.config.batch_size, seed=seed)

    def _start(self, init) -> Any:
        """Parameters and statistics of every seed at initialisation, as NumPy arrays."""
        seeds = jnp.array(pad_members(list(range(self.config.seeds)), self.mesh), jnp.uint32)
        draw = over_members(
            lambda seed: init(jax.random.key(seed)), self.mesh, in_axes=(0,), few_calls=True
        )
        return jax.device_get(draw(seeds))

    def _evaluate(self, arm, features, init, apply, sweep: Sweep) -> list[dict[str, Any]]:
        confusion, _ = evaluate_members(
            apply,
            sweep,
            data.padded_batches(self.validation, batch_size=16),
            classes=self.dataset.info.classes,
            mesh=self.mesh,
            transform=lambda _, batch: self.dataset.info.normalize_batch(batch),
        )
        counts = jnp.asarray(confusion, jnp.int32)
        accuracy, iou = pixel_accuracy(counts), mean_iou(counts)
        state = init(jax.random.key(0))
        image = jax.ShapeDtypeStruct(
            (1, *self.config.size, self.dataset.info.channels), jnp.float32
        )
        whole = analysis.summary(lambda x: apply(*state, x)[0], image, depth=0)["all"]
        return [
            {
                "arm": arm,
                "seed": m.seed,
                "learning_rate": m.learning_rate,
                "features": features,
                "parameters": sum(a.size for a in jax.tree.leaves(state[0])),
                "multiply_adds": whole.multiply_adds,
                "field": whole.field.size[0],
                "train_loss": float(loss),
                "mean_iou": float(iou[n]),
                "pixel_accuracy": float(accuracy[n]),
                "step_milliseconds": round(sweep.step_milliseconds, 3),
            }
            for n, (m, loss) in enumerate(zip(self.members, sweep.final_losses(), strict=True))
        ]

    def _look(self, arm: str, apply, nets: dict[str, Any]) -> None:
        """Effective field and gridding of every seed, before and after training."""
        batch = next(data.padded_batches(self.validation, batch_size=16))["image"]
        batch = np.asarray(self.dataset.info.normalize(batch))
        measure = over_members(
            lambda params, stats, key, images: look(apply, params, stats, key, images, self.config),
            self.mesh,
            in_axes=(0, 0, 0, None),
            few_calls=True,
        )
        numbers = pad_members(list(range(self.config.seeds)), self.mesh)
        keys = jax.random.split(jax.random.key(1), self.config.seeds)[np.array(numbers)]
        rows, folder = [], self.out / "arrays"
        for stage, tree in nets.items():
            # Each seed's by its number: those at one rate are no multiple of the devices.
            padded = jax.tree.map(lambda a: np.asarray(a)[np.array(numbers)], tree)
            found = jax.device_get(measure(*padded, keys, batch))
            for name in ("energy", "logits", "spectrum"):
                records.write_array(
                    folder / f"{arm}-{stage}-{name}.npy", found[name][: self.config.seeds]
                )
            rows += [
                {
                    "arm": arm,
                    "seed": seed,
                    "stage": stage,
                    "width": float(found["width"][seed]),
                    **{f"gridding_{p}": float(found[f"gridding_{p}"][seed]) for p in PERIODS},
                }
                for seed in range(self.config.seeds)
            ]
        self.seen.add(*rows)


def look(apply, params, stats, key, images: jax.Array, config: Config) -> dict[str, jax.Array]:
    """Of one net: energy and width of its effective field, and what repeats in its logits.

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
        # Where no gradient arrives, nothing is looked at: such a pixel has no width.
        "width": jnp.sqrt(jnp.nanmean(jnp.square(field.width))),
        "logits": logits[:SHOWN],
        "spectrum": analysis.axis_spectrum(logits, min(config.size) // 4 * 4),
        **{f"gridding_{p}": analysis.gridding_energy(logits, p) for p in PERIODS},
    }


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    studies.run(main, PRESETS, name="dilation", description=__doc__, args=args)


if __name__ == "__main__":
    command()
