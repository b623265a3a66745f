"""One net trained from many seeds at many learning rates, all at once."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from jaxseg.progress import busy
from jaxseg.training.ensemble import over_members, pad_members, to_members
from jaxseg.training.loop import Diverged, fit
from jaxseg.training.state import Apply, Transform, init_state, make_eval_step, make_train_step


class Member(NamedTuple):
    """One run: where it starts and how fast it goes."""

    seed: int
    learning_rate: float


@dataclass(frozen=True)
class Ensemble:
    """What became of the members; every array has a leading axis of them.

    Attributes:
        params: the parameters at the end, padded to the devices.
        stats: the statistics, likewise.
        losses: (members, steps) training loss before each step; not finite from where a run
            diverged on.
        compile_seconds: what compiling the step took, for all members together.
        step_milliseconds: a member's share of the time of a step, data included.
    """

    params: Any
    stats: Any
    losses: np.ndarray
    compile_seconds: float
    step_milliseconds: float

    def final_losses(self) -> np.ndarray:
        """Mean over the last tenth of the steps; `inf` for a run that diverged."""
        tail = self.losses[:, -max(1, self.losses.shape[1] // 10) :].mean(axis=1)
        return np.where(np.isfinite(self.losses).all(axis=1), tail, np.inf)


def train_members(
    apply: Apply,
    start: tuple[Any, Any],
    optimizer: Callable[..., optax.GradientTransformation],
    members: list[Member],
    batches: Callable[[int], Iterator[dict[str, np.ndarray]]],
    *,
    steps: int,
    mesh: Mesh,
    name: str,
    transform: Transform | None = None,
    progress: bool = True,
    watch: Callable[[int, Any, Any], None] | None = None,
    watch_every: int = 10,
) -> Ensemble:
    """Train every member for `steps` steps.

    Args:
        apply: as for `make_train_step`.
        start: (params, stats) before the first step, with a leading axis of members.
        optimizer: `optimizer(learning_rate=...)`, an optax transformation.
        members: the runs. Those of one seed see the same batches.
        batches: `batches(seed)` yields the batches of that seed.
        steps: how many.
        mesh: from `member_mesh`.
        name: for the progress bar and for messages.
        transform: `transform(None, batch) -> batch`, run first on the device: normalization.
        progress: show a bar.
        watch: called as `watch(step, params, stats)` after each `watch_every` steps, with what the
            members then are, padded to the devices; its time is not counted.
        watch_every: see `watch`.
    """
    padded = pad_members(members, mesh)
    tunable = optax.inject_hyperparams(optimizer)

    def begin(params, stats, learning_rate):
        return init_state(params, stats, tunable(learning_rate=learning_rate))

    rows = np.array(pad_members(list(range(len(members))), mesh))
    params, stats = to_members(jax.tree.map(lambda a: np.asarray(a)[rows], start), mesh)
    rates = jnp.array([m.learning_rate for m in padded], jnp.float32)
    state = over_members(begin, mesh, in_axes=(0, 0, 0), few_calls=True)(params, stats, rates)

    stream = _member_batches([m.seed for m in padded], batches, mesh)
    first = next(stream)
    step = make_train_step(apply, tunable(learning_rate=0.0), transform=transform)
    began = time.perf_counter()
    with busy(f"{name}: compiling"):
        compiled = over_members(step, mesh, in_axes=(0, 0)).lower(state, first).compile()
    compile_seconds = time.perf_counter() - began

    watching = 0.0

    def look(count, state, _):
        nonlocal watching
        started = time.perf_counter()
        if watch is not None and count % watch_every == 0:
            watch(count, state.params, state.stats)
        watching += time.perf_counter() - started
        return False

    began = time.perf_counter()
    try:
        state, history = fit(
            compiled,
            state,
            _chain(first, stream),
            steps,
            name=name,
            progress=progress,
            check_every=10 if watch is None else watch_every,
            watch=look,
        )
    except Diverged as error:
        print(f"{error} All {len(members)} runs are recorded with a loss of inf.")
        state, history = error.state, error.history
    # A finite loss with a gradient that is not has diverged as well.
    losses = np.where(history["finite"], history["loss"], np.nan)
    seconds = time.perf_counter() - began - watching
    milliseconds = seconds * 1e3 / len(losses) / len(members)
    return Ensemble(
        state.params, state.stats, losses.T[: len(members)], compile_seconds, milliseconds
    )


def evaluate_members(
    apply: Apply,
    ensemble: Ensemble,
    batches: Iterable[dict[str, np.ndarray]],
    *,
    classes: int,
    mesh: Mesh,
    transform: Transform | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Confusion matrix of every member over all batches, and its predictions for the first.

    Args:
        apply: as for `make_eval_step`.
        ensemble: from `train_members`.
        batches: what is evaluated; all members see the same.
        classes: number of classes.
        mesh: from `member_mesh`.
        transform: `transform(None, batch) -> batch`, run first on the device: normalization.

    Returns:
        (members, classes, classes) counts as int64, and (members, batch, *space) labels.
    """
    evaluate = make_eval_step(apply, classes, transform=transform)
    step = over_members(evaluate, mesh, in_axes=(0, 0, None), few_calls=True)
    count = ensemble.losses.shape[0]
    confusion, shown = np.zeros((count, classes, classes), np.int64), None
    for batch in batches:
        counts, predictions = jax.device_get(step(ensemble.params, ensemble.stats, batch))
        confusion += counts[:count]
        shown = predictions[:count] if shown is None else shown
    if shown is None:
        raise ValueError("evaluate_members: there is no batch to evaluate: give at least one.")
    return confusion, shown


def _member_batches(seeds, batches, mesh):
    """One stream a seed, stacked along the members, on their devices."""
    streams = {seed: iter(batches(seed)) for seed in seeds}
    while True:
        drawn = {seed: next(stream) for seed, stream in streams.items()}
        stacked = {
            key: np.stack([drawn[seed][key] for seed in seeds]) for key in ("image", "label")
        }
        yield to_members(stacked, mesh)


def _chain(first, rest):
    yield first
    yield from rest
