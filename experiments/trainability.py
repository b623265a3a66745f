"""How deep does a random net let itself be trained, and how fast may it learn?

Two parts, on neighbourhoods of pixels of photographs, to be told apart by what their middle shows:

1. The phase diagram. A plain tanh net's weight variance decides whether two inputs become alike
   (order) or unlike (chaos) from layer to layer, and the depth scale xi_c how soon. Mean-field
   theory says that nets train to about 6 xi_c (Schoenholz et al. 2017, arXiv:1611.01232; Xiao et
   al. 2018, 1806.05393). The same layers as residual branches divided by sqrt(L) have no such edge.
2. Depth transfer. The best learning rate of residual nets against depth, for branches divided by
   sqrt(L), for which it should not move (Bordelon et al. 2023, 2309.16620; Yang et al. 2023,
   2310.02244), for branches as they are, and for branches behind a learned scale that starts at
   0 (De & Smith 2020, 2002.10444; Bachlechner et al. 2020, 2003.04887).

Every run of one depth is trained by one compiled function. Each arm is judged at its own best rate,
by its training loss; a net *trains* if its median loss over the seeds is below half of chance.

    python experiments/trainability.py --preset quick
    python experiments/trainability.py --preset full --resume

On two cores `quick` takes two to three minutes. It leaves results.csv, summary.md, verdicts.csv,
phase_diagram.png and depth_transfer.png in --out.
"""

import functools
import math
import time
from collections.abc import Sequence

import jax
import numpy as np
import trainability_nets as nets
from studies import Table, run, write_summary
from trainability_config import PRESETS, Config, phase_members, transfer_members
from trainability_phase import boundary_table, phase_figure, phase_verdicts
from trainability_tables import COLUMNS
from trainability_transfer import transfer_figure, transfer_verdicts

from jaxseg import data
from jaxseg.training import (
    member_mesh,
    over_members,
    pad_members,
    records,
    to_members,
    use_all_cores,
)

CLASSES = 3
IMAGES = 256


def main(config: Config) -> None:
    """Run what is not there yet, then write tables and figures."""
    use_all_cores(config.devices)
    records.open_run(
        config.out,
        config,
        results="results.csv",
        written=("results.csv", "verdicts.csv", "summary.md", "*.png"),
        may_differ=(
            "preset",
            "out",
            "data_dir",
            "devices",
            "resume",
            "overwrite",
            "depths",
            "blocks",
            "chains",
        ),
        resume=config.resume,
        overwrite=config.overwrite,
    )
    table = Table(config.out / "results.csv", COLUMNS, resume=config.resume)
    x, labels = neighbourhoods(config, config.examples)
    for depth in config.depths:
        shape = nets.Shape(depth, 1, config.width, x.shape[1], CLASSES)
        train_all(
            "phase",
            table,
            shape,
            phase_members(config, depth),
            x,
            labels,
            phi=jax.numpy.tanh,
            steps=config.steps,
            batch_size=config.batch_size,
            momentum=0.9,
            clip=1.0,
        )
    x, labels = neighbourhoods(config, config.block_examples)
    for chain in config.chains:
        for depth in config.blocks:
            shape = nets.Shape(depth, chain, config.block_width, x.shape[1], CLASSES)
            # Without momentum or a clip: where descent diverges is a part of the answer.
            train_all(
                "transfer",
                table,
                shape,
                transfer_members(config, depth),
                x,
                labels,
                phi=jax.nn.relu,
                steps=config.block_steps,
                batch_size=config.batch_size,
                momentum=0.0,
                clip=np.inf,
            )
    report(config, table)


def neighbourhoods(config: Config, examples: int) -> tuple[np.ndarray, np.ndarray]:
    """(examples, window**2) pixels about random ones, of mean 0 and variance 1 in all; labels."""
    dataset = data.mosaic(
        size=max(20, config.window + 4),
        cells=2,
        scale=4,
        equal=False,
        gain=0.0,
        offset=0.0,
        train=IMAGES,
        validation=1,
        test=1,
        data_dir=config.data_dir,
    )
    batch = next(data.batches(dataset.source("train"), batch_size=IMAGES, seed=0))
    batch = jax.device_get(dataset.info.normalize_batch(batch))
    window, edge = config.window, config.window // 2
    views = np.lib.stride_tricks.sliding_window_view(
        batch["image"][..., 0], (window, window), axis=(1, 2)
    )
    labels = batch["label"][:, edge:-edge, edge:-edge].ravel()
    pick = np.random.default_rng(0).choice(labels.size, examples, replace=False)
    x = views.reshape(-1, window**2)[pick]
    return ((x - x.mean()) / x.std()).astype(np.float32), labels[pick].astype(np.int32)


def train_all(
    part: str,
    table: Table,
    shape: nets.Shape,
    runs,
    x,
    labels,
    *,
    steps: int,
    batch_size: int,
    **options,
) -> None:
    """Train every run of one depth at once and add a row for each; nothing if they are there."""
    rows, members = zip(*runs, strict=True)
    same = {"part": part, "chain": shape.chain, "depth": shape.depth}
    if all(table.has(**same, **row) for row in rows):
        return
    # Of a table that has lost some of the runs, all of that depth are run again.
    table.rows = [r for r in table.rows if any(r[k] != v for k, v in same.items())]
    mesh = member_mesh(len(members))
    padded = nets.stack_members(pad_members(list(members), mesh))
    start = over_members(
        functools.partial(nets.draw, shape=shape), mesh, in_axes=(0,), few_calls=True
    )(padded)
    picks = np.stack(
        [
            np.random.default_rng(seed).integers(len(x), size=(steps, batch_size))
            for seed in padded.seed
        ]
    )
    # One after the other on each device: parameters of one run stay in its cache, which those of
    # all together do not; vmap took half as long again.
    one = functools.partial(nets.train, **options)
    train = over_members(
        lambda runs, x, labels: jax.lax.map(lambda run: one(*run, x, labels), runs),
        mesh,
        in_axes=(0, None, None),
    )
    inputs = jax.tree.map(
        lambda a: to_members(np.reshape(a, (mesh.size, -1, *a.shape[1:])), mesh),
        (jax.device_get(start), padded, picks.astype(np.int32)),
    )
    began = time.perf_counter()
    compiled = train.lower(inputs, x, labels).compile()
    middle = time.perf_counter()
    found = jax.device_get(compiled(inputs, x, labels))
    seconds = time.perf_counter() - middle
    losses = nets.final_losses(found.losses.reshape(-1, steps))
    moved = found.moved.ravel()
    table.add(
        *(
            {**same, **row, "train_loss": float(losses[i]), "moved": float(moved[i])}
            for i, row in enumerate(rows)
        )
    )
    print(
        f"{part:>8} {shape.depth:>4} x {shape.chain} layers: {len(rows)} runs in {seconds:.1f} s, "
        f"compiled in {middle - began:.1f} s; best loss {losses.min():.3f}"
    )


def report(config: Config, table: Table) -> None:
    """Tables, verdicts and figures of all that is known."""
    about = (
        f"Neighbourhoods of {config.window}x{config.window} pixels of the mosaic, {CLASSES} "
        f"classes, batches of {config.batch_size}. Phase diagram: {config.examples} of them, dense "
        f"tanh nets of width {config.width}, {config.steps} steps with momentum .9 and a clip at "
        f"1, biases of variance {config.bias_variance:g}. Depth transfer: {config.block_examples} "
        f"of them, dense ReLU nets of width {config.block_width}, {config.block_steps} steps of "
        "plain gradient descent."
    )
    chance = math.log(CLASSES)
    for name, figure in (
        ("phase_diagram", phase_figure(config, table.rows, chance)),
        ("depth_transfer", transfer_figure(config, table.rows, chance)),
    ):
        figure.savefig(config.out / f"{name}.png", dpi=150)
        print(f"Figure: {config.out / name}.png")
    text = write_summary(
        config.out,
        title="Trainability",
        about=about,
        verdicts=[
            *phase_verdicts(config, table.rows, chance),
            *transfer_verdicts(config, table.rows, chance),
        ],
        tables=[boundary_table(config, table.rows, chance)],
    )
    print(f"\n{text}")


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    run(main, PRESETS, name="trainability", description=__doc__, args=args)


if __name__ == "__main__":
    command()
