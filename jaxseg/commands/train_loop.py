"""The steps of a training run: what it reads, logs, evaluates and saves on its way."""

import math
import signal
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import jax
import numpy as np

from jaxseg import data, metrics
from jaxseg.commands.model import functions
from jaxseg.commands.run import METRIC, evaluated, start
from jaxseg.commands.run_folder import RunFolder
from jaxseg.commands.train_config import Config
from jaxseg.commands.train_data import (
    NO_COLORS,
    crop_options,
    leaves_colors_out,
    open_splits,
    training_batches,
)
from jaxseg.commands.train_report import RunLog, describe_beginning, describe_ending
from jaxseg.commands.train_scores import Scores
from jaxseg.commands.train_steps import class_weights, evaluate_step, load_weights, train_step
from jaxseg.progress import alive, busy, in_background, progress_bar
from jaxseg.startup import Stopped
from jaxseg.training import Diverged, TrainState, fit, make_schedule
from jaxseg.training.checkpoint import Checkpoints
from jaxseg.training.devices import batch_mesh, batch_placer, replicate
from jaxseg.training.preemption import StopRequest, stop_requests


class Training:
    """A run: what it reads, how it steps, and what it writes.

    Args:
        config: The run.
        dataset: Its data set.
        checkpoints: Its checkpoints.
        folder: Its folder, in which an earlier run may be set aside.
        steps_before: The steps that a resumed run was to take.
    """

    def __init__(
        self,
        config: Config,
        dataset: data.Dataset,
        checkpoints: Checkpoints,
        folder: RunFolder,
        steps_before: int | None,
    ):
        self.config, self.dataset, self.checkpoints = config, dataset, checkpoints
        self.folder, self.steps_before, self.stop = folder, steps_before, StopRequest()
        self.info: data.DatasetInfo = dataset.info
        self.log = RunLog(config)
        self.mesh = batch_mesh(config.batch_size, space=config.space)
        self.put = batch_placer(self.mesh)
        with busy("reading the images"):
            train, self.validation = open_splits(dataset)
        crop, augmentation = crop_options(config.augmentation, self.info)
        if jax.process_index() == 0 and leaves_colors_out(config.augmentation, augmentation):
            print(NO_COLORS)
        self.batches = training_batches(config, train, crop, self.put)
        _, self.apply = functions(config.model, self.info.classes, self.info.channels)
        weights = class_weights(config.loss, train, self.info.classes)
        self.step = train_step(config, self.info, self.apply, weights, augmentation)
        self.evaluate_step = evaluate_step(self.info, self.apply, self.mesh)
        # What a resumed run must know besides its state: the metrics since the last line of the
        # log, and the evaluations so far.
        self.pending: dict[str, list[float]] = {"loss": [], "gradient_norm": []}
        self.scores = Scores()
        self.stopped = False

    def run(self) -> TrainState:
        """Take the steps that are left, or as many as there is patience for.

        Raises:
            Stopped: Somebody asked the run to stop; the step that it has reached is saved.
        """
        config = self.config
        try:
            state, done = self._begin()
            if done < config.steps and not self._out_of_patience():
                batches = self._compile(state)
                self.logged, self.clock = done, time.perf_counter()
                with stop_requests() as self.stop:
                    state = self._fit(state, batches, done)
        finally:
            self.log.close()
        if self.stopped:
            stop = Stopped(self.stop.by or signal.SIGTERM)  # another process may have been asked
            stop.advice = (
                f"Step {int(state.step)} is saved. To go on: jaxseg train --out {config.out} "
                "--resume"
            )
            raise stop
        if jax.process_index() == 0 and int(state.step) < config.steps:
            print(describe_ending(config, int(state.step), self.scores.since_best))
        return state

    def best(self, state: TrainState) -> TrainState:
        """Return the state with the best mean IoU on the validation split.

        Args:
            state: The state after the last step, which is returned if it is the best, or if no
                checkpoint has been evaluated.
        """
        step = self.checkpoints.best()
        if step is None or step == int(state.step):
            return state
        if jax.process_index() == 0:
            best, last = self.scores.shown(step), self.scores.shown(int(state.step))
            print(
                f"The best mean IoU is {best}, at step {step} (the last: {last}): this checkpoint "
                "is kept and reported. --checkpoint last takes the last one."
            )
        return self.checkpoints.restore(state, step, with_iterator_state=False).state

    def evaluate(self, state: TrainState) -> np.ndarray | None:
        """Count the confusion matrix of the validation split, int64; None if the run is to stop."""
        total = np.zeros((self.info.classes, self.info.classes), np.int64)
        share = slice(jax.process_index(), None, jax.process_count())
        params, stats = evaluated(state)
        size, alone = self.config.batch_size, jax.process_count() == 1
        steps = -(-len(self.validation) // size)
        shown = jax.process_index() == 0
        with progress_bar(desc="evaluating", total=steps, disable=not shown) as bar, alive(bar):
            for batch in data.padded_batches(self.validation, batch_size=size):
                if alone and self.stop:
                    return None
                placed = self.put({name: array[share] for name, array in batch.items()})
                total += np.asarray(self.evaluate_step(params, stats, placed), np.int64)
                bar.update()
        return total

    def _fit(self, state: TrainState, batches: Iterator[Any], done: int) -> TrainState:
        config = self.config
        try:
            state, _ = fit(
                self.step,
                state,
                batches,
                config.steps,
                name=f"{config.model.name} on {self.info.name}",
                start=done,
                check_every=config.log_every,
                watch=self._watch,
                due=self._due,
                progress=jax.process_index() == 0,
                batch_size=config.batch_size,
            )
        except Diverged as error:
            self.checkpoints.wait()
            raise SystemExit(
                f"jaxseg train: {error} The rate was --optimizer.learning-rate "
                f"{config.optimizer.learning_rate:g}; another one starts again, with "
                f"--overwrite or another --out. In {config.out} the checkpoints of the steps "
                f"{self.checkpoints.steps()} stay."
            ) from error
        return state

    def _begin(self) -> tuple[TrainState, int]:
        """Return the state to start from, and how many steps it has taken."""
        config = self.config
        with busy("building the net"):
            state = start(config.model, config.optimizer, self.info, config.steps, config.seed)
            goes_on = config.resume and self.checkpoints.latest() is not None
            if config.model.weights is not None and not goes_on:
                state = load_weights(config.model, config.model.weights, self.info, state)
            state, done = replicate(state, self.mesh), 0
            if goes_on:
                state, done = self._restore(state)
        if jax.process_index() == 0:
            print(describe_beginning(config, self.dataset, state, done, self.steps_before))
        self.log.begin(done)
        if done and done % config.evaluate_every == 0 and done not in self.scores:
            # The run was stopped, or killed, before this evaluation was over.
            self._validate(done, state)
            self.checkpoints.record(done, {METRIC: self.scores.last})
        return state, done

    def _restore(self, state: TrainState) -> tuple[TrainState, int]:
        """Go back to a checkpoint."""
        config = self.config
        try:
            done, state, position = self.checkpoints.restore(state, config.resume_step)
        except ValueError as error:
            raise ValueError(
                f"{error} --resume-step STEP goes on from another checkpoint, of the steps "
                f"{self.checkpoints.steps()}."
            ) from error
        if done > config.steps:
            raise ValueError(
                f"{config.out} has taken {done} steps, more than --steps {config.steps}: give more "
                "steps, or go on from an earlier checkpoint by --resume-step."
            )
        self.checkpoints.discard_after(done)
        self.batches.set_state(position["batches"])
        self.pending = position["pending"]
        self.scores = Scores(position["scores"])
        return state, done

    def _position(self) -> dict[str, Any]:
        """Return what a checkpoint holds besides the state, as JSON values."""
        return {
            "batches": self.batches.get_state(),
            "pending": self.pending,
            "scores": self.scores.to_json(),
        }

    def _compile(self, state: TrainState) -> Iterator[Any]:
        """Compile the step; return the batches, of which the first has been read."""
        began = time.perf_counter()
        with busy("compiling"):
            first = next(self.batches)
            # A signal is obeyed at once while another thread compiles.
            in_background(self.step.lower(state, first).compile)
        if jax.process_index() == 0:
            print(f"Compiled in {time.perf_counter() - began:.1f} s.")
        return chain([first], self.batches)

    def _due(self, count: int) -> bool:
        """Tell whether to look at the run after this step, though the log has no line of it."""
        config = self.config
        alone = jax.process_count() == 1  # several processes agree on a stop at the log's lines
        return (
            count % config.evaluate_every == 0
            or count % config.save_every == 0
            or (alone and bool(self.stop))
        )

    def _watch(self, count: int, state: TrainState, history: dict[str, np.ndarray]) -> bool:
        """Log, evaluate and save where it is time; return whether to stop."""
        config, last = self.config, count == self.config.steps
        for name, values in self.pending.items():
            values += history[name].tolist()
        stopping = self.stop.anywhere() and not last
        if last or count % config.log_every == 0:
            self._log(count)
        best_before = self.scores.best
        validated = False
        if (last or count % config.evaluate_every == 0) and not stopping:
            validated = self._validate(count, state)
            stopping = not validated
        score = self.scores.last if validated else math.nan
        early = validated and not last and self._out_of_patience()
        ending = last or stopping or early
        if ending or count % config.save_every == 0 or score >= best_before:
            self.checkpoints.save(
                count,
                state,
                self._position(),
                metrics={METRIC: score} if validated else None,
                wait=ending or self.folder.has_previous,
            )
            if self.folder.has_previous and jax.process_index() == 0:
                self.folder.discard()
        self.stopped = stopping
        return stopping or early

    def _log(self, count: int) -> None:
        """Write the means since the last line."""
        config, now = self.config, time.perf_counter()
        mean = {k: float(np.mean(np.array(v, np.float32))) for k, v in self.pending.items()}
        schedule = make_schedule(config.optimizer, config.steps)
        taken = (count - self.logged) * config.batch_size
        self.log.write(
            {
                "step": count,
                **mean,
                "learning_rate": float(np.asarray(schedule(count - 1))),
                "images_per_second": taken / (now - self.clock),
            }
        )
        self.pending = {name: [] for name in self.pending}
        self.logged, self.clock = count, now

    def _validate(self, count: int, state: TrainState) -> bool:
        """Evaluate on the validation split; return false if the run is to stop instead."""
        began = time.perf_counter()
        confusion = self.evaluate(state)
        if confusion is None:
            return False
        mean_iou = float(metrics.mean_iou(confusion))
        self.scores.add(count, mean_iou)
        self.log.write(
            {
                "event": "validation",
                "step": count,
                "mean_iou": mean_iou,
                "pixel_accuracy": float(metrics.pixel_accuracy(confusion)),
            }
        )
        self.clock = getattr(self, "clock", began) + time.perf_counter() - began
        return True

    def _out_of_patience(self) -> bool:
        """Tell whether too many evaluations in a row have brought nothing better."""
        patience = self.config.patience
        return patience is not None and self.scores.since_best >= patience
