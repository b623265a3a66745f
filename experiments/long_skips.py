"""Long and short skips: what either does for a deep segmentation net, alone and together.

A U-Net of one width whose levels are stacks of many blocks, with batch norm, trained by SGD with
momentum in a 2x2 design (Drozdzal et al. 2016, arXiv:1608.04117):

    no skips       a plain chain, down and up again
    long skips     features of the way down added to those of the way up
    short skips    a shortcut around every two convolutions
    both

No skip has a parameter, so all four arms have the same. Each is judged at its own best rate, by
its training loss first; and the update of every layer's kernel over every epoch, relative to the
kernel, shows where learning happens.

    python experiments/long_skips.py --preset quick

It took two minutes on two cores that others used as well, and leaves results.csv, updates/,
losses/, verdicts.csv, summary.md, long_skips.png and updates.png in --out. A kill loses the arm in
progress and no more: --resume goes on. `full` has 116 convolutions.

Orders hold only where the seeds' ranges are apart (`orders`). How even updates are is judged in two
ways, epoch by epoch and averaged over the epochs, the first of them thought of when the second had
been seen to show nothing; so was the comparison of the bottom with the full resolution. Not looked
at: nets without a norm, long skips that concatenate, other optimisers than momentum (Adam's updates
are of one size whatever the gradient's).
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from long_skips_config import ARMS, PRESETS, Config, DeepUNet, convolutions, kernels
from long_skips_tables import arm_table, at_best_rate, file_of, verdicts
from studies import Table, run, write_summary
from study_arms import RESULTS, best_rates, how_compared, of_arm

from jaxseg import data, nn, plots
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

CAPTIONS = {
    "long_skips.png": "Training loss and mean IoU of the four arms",
    "updates.png": "Where learning happens: the update of every layer over every epoch, relative "
    "to its kernel",
}
WRITTEN = ("*.csv", "summary.md", "*.png", "updates/*.npy", "losses/*.npy")


def main(config: Config) -> None:
    """Run what is not there yet, then write tables and figures."""
    use_all_cores(config.devices)
    records.open_run(
        config.out,
        config,
        results="results.csv",
        written=WRITTEN,
        may_differ=("preset", "out", "data_dir", "devices", "resume", "overwrite", "arms"),
        resume=config.resume,
        overwrite=config.overwrite,
    )
    study = Study(config)
    for arm in config.arms:
        study.run(arm)
    study.report()


class Study:
    """The runs of one configuration, and what is known of them so far."""

    def __init__(self, config: Config):
        self.config, self.out = config, config.out
        self.members = [
            Member(seed, rate) for seed in range(config.seeds) for rate in config.learning_rates
        ]
        self.mesh = member_mesh(len(self.members))
        self.dataset = data.mosaic(
            size=config.size,
            cells=3,
            train=config.images,
            scale=4,
            equal=False,
            gain=0.0,
            offset=0.0,
            data_dir=config.data_dir,
        )
        self.train = self.dataset.source("train", cache=True)
        self.validation = self.dataset.source("validation", cache=True)
        self.results = Table(self.out / "results.csv", RESULTS, resume=config.resume)
        for name in ("updates", "losses"):
            (self.out / name).mkdir(exist_ok=True)

    def run(self, arm: str) -> None:
        """Train and measure one arm, unless that is done."""
        if self.results.has(arm=arm):
            return
        config, count = self.config, len(self.members)
        init, apply = nn.functional(lambda rngs: self.net(arm, rngs))
        start = self._drawn(init)
        updates, before = [], [*kernels(start[0], count)]

        def watch(step: int, params: Any, stats: Any) -> None:
            nonlocal before
            del step, stats
            now = [*kernels(params, count)]
            updates.append([_relative(a, b) for a, b in zip(before, now, strict=True)])
            before = now

        sweep = train_members(
            apply,
            start,
            self.optimizer,
            self.members,
            self._batches,
            steps=config.steps,
            mesh=self.mesh,
            name=f"{arm}, {count} runs",
            transform=lambda _, batch: self.dataset.info.normalize_batch(batch),
            watch=watch,
            watch_every=config.steps // config.epochs,
        )
        rows = self._evaluate(arm, apply, sweep)
        # (members, epochs, layers); the rows come last, as a sign that all is there.
        table = np.full((config.epochs, len(before), count), np.nan, np.float32)
        table[: len(updates)] = np.array(updates)
        records.write_array(file_of(self.out, "updates", arm), np.moveaxis(table, -1, 0))
        losses = np.full((count, config.steps), np.nan, np.float32)
        losses[:, : sweep.losses.shape[1]] = sweep.losses
        records.write_array(file_of(self.out, "losses", arm), losses)
        self.results.add(*rows)
        best = min(rows, key=lambda row: row["train_loss"])
        print(
            f"{arm:>12}: loss {best['train_loss']:.3f}, mean IoU {best['mean_iou']:.3f} at rate "
            f"{best['learning_rate']:g} (best of {len(rows)}; compiled in "
            f"{sweep.compile_seconds:.1f} s, {sweep.step_milliseconds:.1f} ms a step and run)"
        )

    def net(self, arm: str, rngs: nnx.Rngs) -> DeepUNet:
        """The net of one arm."""
        return DeepUNet(
            classes=self.dataset.info.classes,
            inputs=self.dataset.info.channels,
            features=self.config.features,
            levels=self.config.levels,
            blocks=self.config.blocks,
            rngs=rngs,
            **ARMS[arm],
        )

    def optimizer(self, learning_rate) -> optax.GradientTransformation:
        """Momentum behind a clip of the gradient; the rate falls to 0 over the second half."""
        half = self.config.steps // 2
        return optax.chain(
            clip_by_norm(self.config.clip),
            optax.sgd(learning_rate, momentum=0.9),
            optax.scale_by_schedule(
                optax.linear_schedule(1.0, 0.0, self.config.steps - half, half)
            ),
        )

    def report(self) -> None:
        """Write tables and figures of all that is known."""
        config, results = self.config, self.results.rows
        chance = math.log(self.dataset.info.classes)
        depth = convolutions(config.levels, config.blocks)
        about = (
            f"U-Nets of {depth} convolutions of {config.features} features on {config.levels} "
            f"levels; {config.images} mosaics of {config.size}x{config.size} pixels, "
            f"{config.epochs} epochs of {config.steps // config.epochs} steps, "
            f"{how_compared(results)}"
        )
        updates = at_best_rate(self.out, "updates", results)
        losses = at_best_rate(self.out, "losses", results)
        ious = {
            arm: of_arm(results, best_rates(results, tuple(ARMS)), arm, "mean_iou")
            for arm in losses
        }
        figure = plots.skip_curves(
            losses,
            ious,
            chance=chance,
            every=config.steps // config.epochs,
            title=f"{depth} convolutions, each arm at its own best rate",
        )
        figure.savefig(self.out / "long_skips.png", dpi=150)
        figure = plots.update_maps(
            updates,
            _borders(config.levels, config.blocks),
            title="Update of each layer's kernel over an epoch, relative to the kernel",
        )
        figure.savefig(self.out / "updates.png", dpi=150)
        text = write_summary(
            self.out,
            title="Long and short skips",
            about=about,
            verdicts=verdicts(results, updates, chance, config.levels, config.blocks),
            figures=CAPTIONS,
            tables=[arm_table(results, updates, config.levels, config.blocks)],
        )
        print(f"\n{text}\nFigures: {', '.join(CAPTIONS)} in {self.out}")

    def _drawn(self, init):
        """Parameters and statistics of every member before training."""
        seeds = jnp.array([m.seed for m in pad_members(self.members, self.mesh)], jnp.uint32)
        draw = over_members(
            lambda seed: init(jax.random.key(seed)), self.mesh, in_axes=(0,), few_calls=True
        )
        drawn = jax.device_get(draw(seeds))
        return jax.tree.map(lambda a: a[: len(self.members)], drawn)

    def _batches(self, seed: int):
        return data.batches(self.train, batch_size=self.config.batch_size, seed=seed)

    def _evaluate(self, arm: str, apply, sweep: Sweep) -> list[dict[str, Any]]:
        confusion, _ = evaluate_members(
            apply,
            sweep,
            data.padded_batches(self.validation, batch_size=16),
            classes=self.dataset.info.classes,
            mesh=self.mesh,
            transform=lambda _, batch: self.dataset.info.normalize_batch(batch),
        )
        counts = jnp.asarray(confusion, jnp.int32)
        accuracy, iou = jax.device_get((pixel_accuracy(counts), mean_iou(counts)))
        parameters = sum(a[0].size for a in jax.tree.leaves(sweep.params))
        return [
            {
                "arm": arm,
                "seed": m.seed,
                "learning_rate": m.learning_rate,
                "train_loss": float(loss),
                "pixel_accuracy": float(accuracy[i]),
                "mean_iou": float(iou[i]),
                "parameters": parameters,
                "step_milliseconds": round(sweep.step_milliseconds, 3),
            }
            for i, (m, loss) in enumerate(zip(self.members, sweep.final_losses(), strict=True))
        ]


def _relative(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(members,) norm of the change over that of what was changed."""
    change, whole = (a.reshape(len(a), -1) for a in (after - before, before))
    return np.linalg.norm(change, axis=1) / np.linalg.norm(whole, axis=1)


def _borders(levels: int, blocks: int) -> dict[str, tuple[int, int]]:
    """Name of a stack -> its first layer, and the first behind it."""
    stack, found, at = 2 * blocks, {}, 1
    names = [f"1/{2**n}" for n in range(levels)]
    for name in [
        *(f"{n} down" for n in names[:-1]),
        f"{names[-1]}",
        *(f"{n} up" for n in names[-2::-1]),
    ]:
        found[name] = (at, at + stack)
        at += stack + 1
    return found


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line, run, and say what is wrong in one line where something is."""
    run(main, PRESETS, name="long_skips", description=__doc__, args=args)


if __name__ == "__main__":
    command()
