"""The loop around a train step: progress, history, and a guard against divergence."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jaxseg.progress import alive, progress_bar
from jaxseg.startup import raise_if_stopped
from jaxseg.training.state import Batch, Metrics, TrainState

_REMEDY = (
    "lower the learning rate, clip the gradients (optax.clip_by_global_norm), scale the residual "
    "branches by 1/sqrt(depth) or add a normalization"
)

Watch = Callable[[int, TrainState, dict[str, np.ndarray]], bool]
"""`watch(steps taken, state, metrics since the last call)`; true ends the loop."""


class Diverged(RuntimeError):
    """The loss or its gradient was not finite; the message says where and what to try.

    Args:
        message: What happened and what to try.
        state: The state that `fit` would have returned.
        history: The history that `fit` would have returned.
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
    due: Callable[[int], bool] | None = None,
    batch_size: int | None = None,
) -> tuple[TrainState, dict[str, np.ndarray]]:
    """Takes the steps from `start` to `steps`.

    Args:
        step: The compiled step, of one run or of an ensemble whose metrics have a leading axis.
        state: The state to start from.
        batches: Gives the batches that `step` takes.
        steps: Number of steps that the state will have taken at the end.
        name: Name of the run, for the progress bar and for the error.
        progress: Whether a bar is shown.
        check_every: The metrics are looked at once in so many steps. In between the device runs
            ahead, by one step.
        start: Number of steps that the state has taken before.
        watch: Called whenever the metrics are looked at, with the number of steps taken, the state,
            and the metrics since the last time: arrays with a leading axis of steps. If it returns
            true, the loop ends.
        due: `due(steps taken)`, asked after each step, returns whether the metrics are to be looked
            at now as well.
        batch_size: Number of images a step, for the bar to show their rate; None shows none.

    Returns:
        The state, and the history of each metric, (steps taken, *members).

    Raises:
        Diverged: The loss or the gradient of the run, or of every member, is not finite. Members
            that diverge alone stand still while the others go on.
    """
    history: list[Metrics] = []
    checked = start
    with (
        progress_bar(desc=name, total=steps, initial=start, disable=not progress) as bar,
        alive(bar),
    ):
        for count in range(start + 1, steps + 1):
            raise_if_stopped()
            state, metrics = step(state, next(batches))
            history.append(metrics)
            if len(history) > 1:
                # A step later, so that the device always has one to go on with. Without this,
                # dozens could be under way, and a stop would have to wait for all of them.
                jax.block_until_ready(history[-2])
                bar.update(count - 1 - bar.n)
            if count % check_every and count != steps and not (due is not None and due(count)):
                continue
            recent = jax.device_get(history[checked - start :])
            if not np.any(recent[-1]["finite"]):
                raise Diverged(_describe(recent, checked, name), state, _stack(history))
            loss = float(np.nanmedian(recent[-1]["loss"]))
            shown = {"loss": f"{loss:.3f}"}
            if batch_size is not None and (rate := bar.format_dict["rate"]):
                shown["images/s"] = f"{rate * batch_size:.3g}"
            bar.set_postfix(shown, refresh=False)
            bar.update(count - bar.n)
            checked = count
            if watch is not None and watch(count, state, _stack(recent)):
                break
    return state, _stack(history)


def _describe(recent: list[dict[str, Any]], before: int, name: str) -> str:
    """Says at which step the last run diverged, and what to try."""
    first = next(i for i, metrics in enumerate(recent) if not np.any(metrics["finite"]))
    loss = np.ravel(recent[first]["loss"])
    norm = np.ravel(recent[first]["gradient_norm"])
    return (
        f"{name}: not finite any more at step {before + first + 1} (loss {loss.tolist()}, "
        f"gradient norm {norm.tolist()}): {_REMEDY}."
    )


def _stack(history: list[Metrics]) -> dict[str, np.ndarray]:
    fetched = jax.device_get(history)
    return {key: np.stack([m[key] for m in fetched]) for key in fetched[0]} if fetched else {}
