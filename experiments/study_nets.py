"""Nets of several seeds, each trained at its arm's best learning rate, for studies of what became.

What the studies of paths and of loss surfaces share: data, optimiser, and the choice of the rate.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxseg import data
from jaxseg.training import clip_by_norm, member_mesh, over_members, pad_members
from jaxseg.training.state import Apply
from jaxseg.training.sweep import Member, train_members


class Trained(NamedTuple):
    """The nets of one arm.

    Attributes:
        nets: (params, stats) of every seed at the best rate, as NumPy arrays, padded to the
            devices of `member_mesh(seeds)`.
        members: all runs, of every seed and rate.
        losses: of each of them, the mean over the last tenth of its steps.
    """

    nets: tuple[Any, Any]
    members: list[Member]
    losses: np.ndarray

    def at_best(self) -> np.ndarray:
        """(seeds,) losses of the rate with the lowest median."""
        rates = {m.learning_rate: [] for m in self.members}
        for member, loss in zip(self.members, self.losses, strict=True):
            rates[member.learning_rate].append(loss)
        return np.array(min(rates.values(), key=np.median))


def load_mosaic(size: int, data_dir: Path | None) -> data.Dataset:
    """Textures that are learned within a hundred steps, so that what fails, fails by its depth."""
    return data.mosaic(
        size=size, cells=2, scale=4, equal=False, gain=0.0, offset=0.0, data_dir=data_dir
    )


def padded_seeds(seeds: int) -> list[int]:
    """The numbers of the seeds, as many as the devices share out evenly."""
    return pad_members(list(range(seeds)), member_mesh(seeds))


def start_nets(init: Callable[..., Any], seeds: int) -> tuple[Any, Any]:
    """(params, stats) of every seed at initialisation, as NumPy arrays, padded to the devices."""
    draw = over_members(
        lambda seed: init(jax.random.key(seed)), member_mesh(seeds), in_axes=(0,), few_calls=True
    )
    return jax.device_get(draw(jnp.array(padded_seeds(seeds), jnp.uint32)))


def train_best(
    apply: Apply,
    start: tuple[Any, Any],
    source: data.Source,
    info: data.DatasetInfo,
    *,
    seeds: int,
    learning_rates: Sequence[float],
    steps: int,
    batch_size: int,
    clip: float,
    name: str,
) -> Trained:
    """Train every seed at every rate, by Adam behind a clip; the rate falls over the second half.

    Args:
        apply: as for `train_members`.
        start: from `start_nets`.
        source: the training images.
        info: what they are normalized by.
        seeds: how many.
        learning_rates: those to choose from.
        steps: of each run.
        batch_size: images a step.
        clip: largest norm of the gradient.
        name: for the progress bar.
    """
    members = [Member(seed, rate) for rate in learning_rates for seed in range(seeds)]

    def optimizer(learning_rate) -> optax.GradientTransformation:
        fall = optax.linear_schedule(1.0, 0.0, steps - steps // 2, steps // 2)
        return optax.chain(
            clip_by_norm(clip), optax.adam(learning_rate), optax.scale_by_schedule(fall)
        )

    sweep = train_members(
        apply,
        jax.tree.map(lambda a: a[[m.seed for m in members]], start),
        optimizer,
        members,
        lambda seed: data.batches(source, batch_size=batch_size, seed=seed),
        steps=steps,
        mesh=member_mesh(len(members)),
        name=name,
        transform=lambda _, batch: info.normalize_batch(batch),
    )
    losses = sweep.final_losses()
    medians = np.median(losses.reshape(len(learning_rates), seeds), axis=1)
    rows = [int(np.argmin(medians)) * seeds + seed for seed in padded_seeds(seeds)]
    whole = jax.device_get((sweep.params, sweep.stats))
    return Trained(jax.tree.map(lambda a: np.asarray(a)[rows], whole), members, losses)
