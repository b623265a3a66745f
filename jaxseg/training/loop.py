"""The loop around a train step: progress, history, and a guard against divergence."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from jaxseg.progress import alive
from jaxseg.startup import raise_if_stopped
from jaxseg.training.state import Batch, Metrics, TrainState

REMEDY = (
    "lower the learning rate, clip the gradients (optax.clip_by_global_norm), scale the residual "
    "branches by 1/sqrt(depth) or add a normalisation"
)

Watch = Callable[[int, TrainState, dict[str, np.ndarray]], bool]


class Diverged(RuntimeError):
    """The loss or its gradient was not finite; the message says where and what to try.

    `state` and `history` are what `fit` would have returned.
    """

    def __init__(self, message: str, state: TrainState, history: dict[str, np.ndarray]):
        super().__init__(message)
        self.state, self.history = state, history


def fit(
    step: Callable[[TrainState, Batch], tuple[TrainState, Metrics]],
    state: TrainState,
    batches: Iterator[Batch],
    steps: int,
    *,
    name: str,
    progress: bool = True,
    check_every: int = 10,
    start: int = 0,
    watch: Watch | None = None,
) -> tuple[TrainState, dict[str, np.ndarray]]:
    """Take the steps from `start` to `steps`.

    Args:
        step: compiled, of one run or of an ensemble whose metrics have a leading axis.
        state: where to start.
        batches: yields what `step` takes.
        steps: how many there are.
        name: of the run, for the progress bar and for the error.
        progress: show a bar.
        check_every: look at the metrics once in so many steps; in between the device runs ahead.
        start: how many of the steps the state has taken before.
        watch: called at each look with the number of steps taken, the state, and the metrics since
            the last look, a dict of arrays with a leading axis of steps; true ends the loop.

    Returns:
        the state, and each metric's history, (steps taken, *members).

    Raises:
        Diverged: the loss or the gradient of the run, or of every member, is not finite. Members
            that diverge alone stand still while the others go on.
    """
    history: list[Metrics] = []
    looked = start
    with (
        tqdm(total=steps, initial=start, desc=name, leave=False, disable=not progress) as bar,
        alive(bar),
    ):
        for count in range(start + 1, steps + 1):
            raise_if_stopped()
            state, metrics = step(state, next(batches))
            history.append(metrics)
            if count % check_every and count != steps:
                continue
            seen = jax.device_get(history[looked - start :])
            if not np.any(seen[-1]["finite"]):
                raise Diverged(_what_happened(seen, looked, name), state, _stack(history))
            loss = float(np.nanmedian(seen[-1]["loss"]))
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(count - bar.n)
            looked = count
            if watch is not None and watch(count, state, _stack(seen)):
                break
    return state, _stack(history)


def _what_happened(seen: list[dict[str, Any]], before: int, name: str) -> str:
    """Where nothing was left to train, and what to try."""
    first = next(i for i, m in enumerate(seen) if not np.any(m["finite"]))
    loss = np.ravel(seen[first]["loss"])
    norm = np.ravel(seen[first]["gradient_norm"])
    return (
        f"{name}: not finite any more at step {before + first + 1} (loss {loss.tolist()}, "
        f"gradient norm {norm.tolist()}): {REMEDY}."
    )


def _stack(history: list[Metrics]) -> dict[str, np.ndarray]:
    fetched = jax.device_get(history)
    return {key: np.stack([m[key] for m in fetched]) for key in fetched[0]} if fetched else {}
