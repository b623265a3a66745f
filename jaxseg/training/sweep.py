"""One net trained from many seeds at many learning rates, all at once."""

import itertools
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
    """One run of an ensemble.

    Attributes:
        seed: Seed that the run starts from.
        learning_rate: Its learning rate.
    """

    seed: int
    learning_rate: float


@dataclass(frozen=True)
class Ensemble:
    """Trained members; every array has a leading axis of them.

    Attributes:
        params: Parameters at the end, padded to the devices.
        stats: Statistics, likewise.
        losses: Training loss before each step, (members, steps); not finite from where a run
            diverged on.
        compile_seconds: Seconds of compiling the step, for all members together.
        step_milliseconds: A member's share of the time of a step, data included.
    """

    params: Any
    stats: Any
    losses: np.ndarray
    compile_seconds: float
    step_milliseconds: float

    def final_losses(self) -> np.ndarray:
        """Average the last tenth of the steps; `inf` for a run that diverged."""
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
        apply: The net, as `make_train_step` takes it.
        start: (params, stats) before the first step, with a leading axis of members.
        optimizer: `optimizer(learning_rate=...)` gives an optax transformation.
        members: Runs. Those of one seed see the same batches.
        batches: `batches(seed)` yields the batches of that seed.
        steps: Number of steps.
        mesh: Devices, from `member_mesh`.
        name: Name for the progress bar and for messages.
        transform: `transform(None, batch) -> batch`, which runs first on the device: normalization.
        progress: Show a bar.
        watch: Called as `watch(step, params, stats)` every `watch_every` steps, with the members'
            values, padded to the devices; its time is not counted.
        watch_every: Steps between two calls of `watch`.
    """
    tunable = optax.inject_hyperparams(optimizer)
    state = _initial_state(start, members, tunable, mesh)
    stream = _member_batches([m.seed for m in pad_members(members, mesh)], batches, mesh)
    first = next(stream)
    step = make_train_step(apply, tunable(learning_rate=0.0), transform=transform)
    compile_start = time.perf_counter()
    with busy(f"{name}: compiling"):
        compiled = over_members(step, mesh, in_axes=(0, 0)).lower(state, first).compile()
    watching = _Watch(watch, watch_every)
    start_time = time.perf_counter()
    try:
        state, history = fit(
            compiled,
            state,
            itertools.chain([first], stream),
            steps,
            name=name,
            progress=progress,
            check_every=10 if watch is None else watch_every,
            watch=watching,
        )
    except Diverged as error:
        print(f"{error} All {len(members)} runs are recorded with a loss of inf.")
        state, history = error.state, error.history
    seconds = time.perf_counter() - start_time - watching.seconds
    # A finite loss with a gradient that is not has diverged as well.
    losses = np.where(history["finite"], history["loss"], np.nan)
    return Ensemble(
        state.params,
        state.stats,
        losses=losses.T[: len(members)],
        compile_seconds=start_time - compile_start,
        step_milliseconds=seconds * 1e3 / len(losses) / len(members),
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
    """Count every member's confusion matrix over all batches, and predict the first batch.

    Args:
        apply: The net, as `make_eval_step` takes it.
        ensemble: Trained members, from `train_members`.
        batches: Batches, the same for all members.
        classes: Number of classes.
        mesh: Devices, from `member_mesh`.
        transform: `transform(None, batch) -> batch`, which runs first on the device: normalization.

    Returns:
        Counts (members, classes, classes), int64, and labels (members, batch, *space).

    Raises:
        ValueError: There is no batch.
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


def _initial_state(start, members, tunable, mesh):
    """Put the members on their devices, each with an optimizer of its own learning rate."""
    rows = np.array(pad_members(list(range(len(members))), mesh))
    params, stats = to_members(jax.tree.map(lambda a: np.asarray(a)[rows], start), mesh)
    rates = jnp.array([members[row].learning_rate for row in rows], jnp.float32)

    def begin(params, stats, learning_rate):
        return init_state(params, stats, tunable(learning_rate=learning_rate))

    return over_members(begin, mesh, in_axes=(0, 0, 0), few_calls=True)(params, stats, rates)


class _Watch:
    """Calls `watch` where it is time, and measures how long it takes."""

    def __init__(self, watch: Callable[[int, Any, Any], None] | None, every: int):
        self.watch, self.every, self.seconds = watch, every, 0.0

    def __call__(self, count, state, _):
        start_time = time.perf_counter()
        if self.watch is not None and count % self.every == 0:
            self.watch(count, state.params, state.stats)
        self.seconds += time.perf_counter() - start_time
        return False


def _member_batches(seeds, batches, mesh):
    """Yield batches of one stream a seed, stacked along the members, on their devices."""
    streams = {seed: iter(batches(seed)) for seed in seeds}
    while True:
        drawn = {seed: next(stream) for seed, stream in streams.items()}
        stacked = {
            key: np.stack([drawn[seed][key] for seed in seeds]) for key in ("image", "label")
        }
        yield to_members(stacked, mesh)
