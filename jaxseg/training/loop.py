"""The loop around a train step: progress, history, and a guard against divergence."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from jaxseg.training.state import Batch, Metrics, TrainState

REMEDY = (
    "lower the learning rate, clip the gradients (optax.clip_by_global_norm), scale the residual "
    "branches by 1/sqrt(depth) or add a normalisation"
)


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
) -> tuple[TrainState, dict[str, np.ndarray]]:
    """Take `steps` steps.

    Args:
        step: compiled, of one run or of an ensemble whose metrics have a leading axis.
        state: where to start.
        batches: yields what `step` takes.
        steps: how many to take.
        name: of the run, for the progress bar and for the error.
        progress: show a bar.
        check_every: look at the metrics once in so many steps; in between the device runs ahead.

    Returns:
        the state, and each metric's history, (steps taken, *members).

    Raises:
        Diverged: the loss or the gradient of the run, or of every member, is not finite. Members
            that diverge alone stand still while the others go on.
    """
    history: list[Metrics] = []
    with tqdm(total=steps, desc=name, leave=False, disable=not progress) as bar:
        for count in range(1, steps + 1):
            state, metrics = step(state, next(batches))
            history.append(metrics)
            if count % check_every == 0 or count == steps:
                seen = jax.device_get(history[-check_every:])
                if not np.any(seen[-1]["finite"]):
                    message = _what_happened(seen, count - len(seen), name)
                    raise Diverged(message, state, _stack(history))
                loss = float(np.nanmedian(seen[-1]["loss"]))
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                bar.update(count - bar.n)
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
