"""Through how many blocks does the gradient of a residual net come, and which can it do without?

A residual net of 54 blocks is a sum over 2^54 paths. Veit, Wilber & Belongie (2016,
arXiv:1605.06431) found for CIFAR that nearly all gradient comes through paths of 5 to 17 blocks,
.45 % of all, and that a residual net can lose any block, where a plain one fails.

Here the gradient through *all* paths of each length is found exactly
(`analysis.path_gradients`), beside their way of sampling single paths, for nets that learn to tell
textures apart. The nets differ by their arm alone:

    residual           branches scaled by 1/sqrt(L)
    residual_norm      batch norm, unscaled, as theirs
    residual_unscaled  neither; at initialisation only, where theory gives the law Bin(L, 1/2)
    plain, plain_norm  without shortcuts, shallow
    plain_isometric    tanh and delta-orthogonal kernels, which trains at 54 blocks too (Xiao et
                       al. 2018, arXiv:1806.05393)

Then blocks are removed, one and many, and put in another order.

    python experiments/paths.py --preset quick

It leaves results.csv, paths.csv, singles.csv, lesions.csv, verdicts.csv, summary.md, paths.png and
lesions.png in --out. `quick` takes 270 s of processor time, most of it on two cores at once. A
kill loses the net in progress and no more: --resume goes on.
"""

import math
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import paths_report
import studies
from flax import nnx
from paths_config import ARMS, BEGUN, PRESETS, Config
from paths_nets import measure_lesions, measure_paths
from study_nets import load_mosaic, padded_seeds, start_nets, train_best
from tqdm import tqdm

from jaxseg import data, models, nn
from jaxseg.training import member_mesh, over_members, records, use_all_cores

MAY_DIFFER = ("preset", "out", "data_dir", "devices", "resume", "overwrite")


def main(config: Config) -> None:
    """Measure what is not yet in `config.out`, then write tables and figures."""
    use_all_cores(config.devices)
    records.open_run(
        config.out,
        config,
        results="results.csv",
        written=(*studies.WRITTEN, "paths.csv", "singles.csv", "lesions.csv"),
        may_differ=MAY_DIFFER,
        resume=config.resume,
        overwrite=config.overwrite,
    )
    study = Study(config)
    begun = [(arm, config.blocks) for arm in config.measured if arm in BEGUN]
    nets = begun + [(arm, blocks) for blocks, arms in config.nets.items() for arm in arms]
    bar = tqdm(nets, desc="nets")
    for arm, blocks in bar:
        bar.set_postfix_str(f"{arm}, {blocks} blocks")
        study.run(arm, blocks)
    text = paths_report.write(config, study.tables, study.chance)
    print(f"\n{text}\nFigures: {config.out / 'paths.png'}, {config.out / 'lesions.png'}")


class Study:
    """The nets of one configuration, and what is known of them so far."""

    def __init__(self, config: Config):
        self.config = config
        self.dataset = load_mosaic(config.size, config.data_dir)
        self.chance = math.log(self.dataset.info.classes)
        self.train = self.dataset.source("train", cache=True)
        held_out = self.dataset.source("validation", cache=True)
        self.held_out = self.dataset.info.normalize_batch(
            next(data.padded_batches(held_out, batch_size=config.images))
        )
        self.mesh = member_mesh(config.seeds)
        self.tables = {
            name: studies.Table(config.out / f"{name}.csv", columns, resume=config.resume)
            for name, columns in paths_report.COLUMNS.items()
        }
        self.lengths = np.unique(
            np.rint(config.blocks * np.linspace(0, 1, config.sampled) ** 1.5).astype(int)
        )

    def run(self, arm: str, blocks: int) -> None:
        """Train and measure one net over all seeds; one that is finished is skipped."""
        if self.tables["results"].has(arm=arm, blocks=blocks):
            return
        # Rows that a kill left of this net are measured again.
        for table in self.tables.values():
            table.rows = [r for r in table.rows if (r["arm"], r["blocks"]) != (arm, blocks)]
        make = lambda rngs: self.net(arm, blocks, rngs)  # noqa: E731
        init, apply = nn.functional(make)
        start = start_nets(init, self.config.seeds)
        measure = None
        if blocks == self.config.blocks and arm in self.config.measured:
            measure = over_members(
                measure_paths(make, lengths=self.lengths, samples=self.config.samples),
                self.mesh,
                in_axes=(0, 0, None, 0),
                few_calls=True,
            )
            self._paths(arm, measure, start, "initialisation")
        if arm in BEGUN:
            self.tables["results"].add(*paths_report.untrained(arm, blocks, self.config.seeds))
            return
        config = self.config
        trained = train_best(
            apply,
            start,
            self.train,
            self.dataset.info,
            seeds=config.seeds,
            learning_rates=config.learning_rates,
            steps=config.steps,
            batch_size=config.batch_size,
            clip=config.clip,
            name=f"{arm}, {blocks} blocks",
        )
        if measure:
            self._paths(arm, measure, trained.nets, "after training")
        self._lesions(arm, blocks, make, trained.nets)
        self.tables["results"].add(
            *[
                {
                    "arm": arm,
                    "blocks": blocks,
                    "seed": m.seed,
                    "learning_rate": m.learning_rate,
                    "train_loss": float(loss),
                }
                for m, loss in zip(trained.members, trained.losses, strict=True)
            ]
        )

    def net(self, arm: str, blocks: int, rngs: nnx.Rngs) -> models.DeepNet:
        """The net of one arm."""
        return models.DeepNet(
            classes=self.dataset.info.classes,
            inputs=self.dataset.info.channels,
            features=self.config.features,
            blocks=blocks,
            rngs=rngs,
            **ARMS[arm],
        )

    def _paths(self, arm: str, measure, nets, when: str) -> None:
        """Rows of the gradient by length, of every seed's net."""
        batch = self.dataset.info.normalize_batch(
            next(data.batches(self.train, batch_size=self.config.batch_size, seed=0))
        )
        found = jax.device_get(
            measure(*nets, batch, jnp.array(padded_seeds(self.config.seeds), jnp.uint32))
        )
        for seed in range(self.config.seeds):
            same = {"arm": arm, "blocks": self.config.blocks, "seed": seed, "when": when}
            self.tables["paths"].add(
                *[
                    {**same, "length": k, "log_norm": float(v), "off": float(found.off[seed])}
                    for k, v in enumerate(found.parts[seed])
                ]
            )
            self.tables["singles"].add(
                *[
                    {**same, "length": int(k), "log_norm": float(v)}
                    for k, values in zip(self.lengths, found.singles[seed], strict=True)
                    for v in values
                ]
            )

    def _lesions(self, arm: str, blocks: int, make, nets) -> None:
        """Rows of loss and accuracy of every seed's net, whole and after each lesion."""
        drawn = list(lesions(blocks, self.config.samples))
        orders, kept = (np.stack([d[i] for d in drawn]) for i in (2, 3))
        measure = over_members(
            measure_lesions(make), self.mesh, in_axes=(0, 0, None, None, None), few_calls=True
        )
        found = jax.device_get(measure(*nets, self.held_out, orders, kept))
        self.tables["lesions"].add(
            *[
                {
                    "arm": arm,
                    "blocks": blocks,
                    "seed": seed,
                    "kind": kind,
                    "number": number,
                    "loss": float(found[0][seed, i]),
                    "accuracy": float(found[1][seed, i]),
                }
                for seed in range(self.config.seeds)
                for i, (kind, number, _, _) in enumerate(drawn)
            ]
        )


def lesions(blocks: int, samples: int) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    """What is done to a net: its name, a number, the order of the blocks, and which are there.

    "whole"; "block", of each block alone; "delete", of k blocks drawn at random; "shuffle", of k
    blocks that change places among themselves. The same for all nets of one depth.
    """
    rng = np.random.default_rng(0)
    same, there = np.arange(blocks), np.ones(blocks, bool)
    powers = [2**i for i in range(blocks.bit_length()) if 2**i <= blocks]
    yield "whole", 0, same, there
    for block in range(blocks):
        yield "block", block, same, same != block
    for k in powers:
        for _ in range(samples):
            yield "delete", k, same, ~np.isin(same, rng.choice(blocks, k, replace=False))
    for k in powers[1:]:
        for _ in range(samples):
            places, order = rng.choice(blocks, k, replace=False), same.copy()
            order[places] = np.roll(places, 1)  # none keeps its place
            yield "shuffle", k, order, there


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    studies.run(main, PRESETS, name="paths", description=__doc__, args=args)


if __name__ == "__main__":
    command()
