"""Train a segmentation net, from a data set's name to weights, curves and a table of classes.

    jaxseg train --preset quick
    jaxseg train --data.name folder --data.directory my_images --out runs/mine
    jaxseg train --preset camvid --model.name deeplabv3plus --out runs/deeplab
    jaxseg train --preset camvid --out runs/deeplab --resume

`quick` trains a small U-Net on the embedded mosaic, in about a minute on two cores. `camvid` is a
schedule for two cores within the hour (180 x 240 pixels), `full` one for a GPU (360 x 480).

It leaves in --out: config.json, dataset.json (classes, colors, normalization), metrics.jsonl,
checkpoints/, curves.png, panel.png, results.csv and summary.md. Ctrl-C and SIGTERM save and stop;
--resume goes on from the newest checkpoint, bit for bit as if nothing had happened. Then:

    jaxseg evaluate --run runs/deeplab --split test --inference.flip
    jaxseg predict --run runs/deeplab --images "photos/*.jpg"
    jaxseg export --run runs/deeplab
"""

import json
import time
from collections.abc import Sequence
from contextlib import nullcontext

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxseg import cli, data, files, metrics
from jaxseg.commands.data import load
from jaxseg.commands.loss import make_loss
from jaxseg.commands.model import functions, load_pretrained
from jaxseg.commands.run import evaluated, start
from jaxseg.commands.train_config import COMMON, MAY_DIFFER, PRESETS, Config, default_preset
from jaxseg.commands.train_data import crop_options, open_splits
from jaxseg.commands.train_report import RunLog, report
from jaxseg.startup import Stopped
from jaxseg.training import (
    Diverged,
    TrainState,
    fit,
    make_eval_step,
    make_optimizer,
    make_schedule,
    make_train_step,
    records,
    use_all_cores,
)
from jaxseg.training.checkpoint import Checkpoints
from jaxseg.training.devices import batch_mesh, batch_placer, join_processes, replicate
from jaxseg.training.preemption import StopRequest, stop_requests

WRITTEN = ("metrics.jsonl", "results.csv", "summary.md", "curves.png", "panel.png")


def main(config: Config) -> None:
    """Train to the last step, or until told to stop, then write tables and figures."""
    use_all_cores(config.devices)
    join_processes(config.coordinator, config.processes, config.process)
    dataset = load(config.data)
    _check_run(config, dataset.info)
    leader = jax.process_index() == 0
    with records.only_run(config.out) if leader else nullcontext():
        _train(config, dataset)


def _train(config: Config, dataset: data.Dataset) -> None:
    if jax.process_index() == 0:
        _check_data(config, dataset.info)
        records.open_run(
            config.out,
            config,
            results="metrics.jsonl",
            may_differ=MAY_DIFFER,
            written=WRITTEN,
            resume=config.resume,
            overwrite=config.overwrite,
        )
        files.write_text(
            config.out / "dataset.json", json.dumps(records.config_record(dataset.info)) + "\n"
        )
    with (
        stop_requests() as stop,
        Checkpoints(config.out / "checkpoints", keep=config.keep) as checkpoints,
    ):
        if not config.resume:
            checkpoints.discard_after(-1)
        training = Training(config, dataset, checkpoints, stop)
        state = training.run()
    if stop.by is not None and int(state.step) < config.steps:
        print(
            f"\nStopped at step {int(state.step)}, which is saved in {config.out}. To go on, give "
            "the same command with --resume in place of --overwrite."
        )
        raise SystemExit(128 + stop.by)
    confusion = training.evaluate(state)
    if jax.process_index() == 0:
        validation = training.validation
        report(config, training.info, state, confusion, validation, training.apply)


class Training:
    """A run: what it reads, how it steps, and what it writes."""

    def __init__(
        self, config: Config, dataset: data.Dataset, checkpoints: Checkpoints, stop: StopRequest
    ):
        self.config, self.dataset, self.checkpoints, self.stop = config, dataset, checkpoints, stop
        self.info: data.DatasetInfo = dataset.info
        self.log = RunLog(config)
        self.mesh = batch_mesh(config.batch_size, space=config.space)
        self.put = batch_placer(self.mesh)
        train, self.validation = open_splits(dataset)
        crop, self.augmentation = crop_options(config.augmentation, self.info)
        self.batches = data.prefetch(
            data.batches(
                train,
                batch_size=config.batch_size,
                seed=config.seed,
                with_index=True,
                crop=crop,
                process=jax.process_index(),
                processes=jax.process_count(),
            ),
            self.put,
        )
        _, apply = functions(config.model, self.info.classes, self.info.channels)
        self.weights = self._class_weights(train)
        self.augmentation = config.augmentation.for_images(self.info.channels, self.info.dtype)
        if self.augmentation != config.augmentation and jax.process_index() == 0:
            print(
                "Images are not of red, green and blue: augmentation.saturation and "
                "augmentation.hue are left out."
            )
        self.step = jax.jit(
            make_train_step(
                apply,
                make_optimizer(config.optimizer, config.steps),
                make_loss(config.loss, self.weights, config.model.auxiliary),
                transform=self._transform,
                accumulate=config.optimizer.accumulate,
                decay=config.optimizer.average,
            )
        )
        everywhere = NamedSharding(self.mesh, PartitionSpec())
        self.evaluate_step = jax.jit(self._evaluate_step(apply), out_shardings=everywhere)
        self.apply = apply

    def run(self) -> TrainState:
        """Take the steps that are left."""
        state, done = self._begin()
        self.logged, self.clock = done, time.perf_counter()
        name = f"{self.config.model.name} on {self.info.name}"
        try:
            state, _ = fit(
                self.step,
                state,
                self.batches,
                self.config.steps,
                name=name,
                start=done,
                check_every=self.config.log_every,
                watch=self._watch,
                progress=jax.process_index() == 0,
            )
        except Diverged as error:
            self.checkpoints.wait()
            raise SystemExit(
                f"jaxseg train: {error} The rate was --optimizer.learning-rate "
                f"{self.config.optimizer.learning_rate:g}; another one starts again, with "
                f"--overwrite or another --out. In {self.config.out} the checkpoints of the steps "
                f"{self.checkpoints.steps()} stay."
            ) from error
        finally:
            self.log.close()
        return state

    def evaluate(self, state: TrainState) -> np.ndarray:
        """Count the confusion matrix of the validation split, int64."""
        total = np.zeros((self.info.classes, self.info.classes), np.int64)
        share = slice(jax.process_index(), None, jax.process_count())
        params, stats = evaluated(state)
        size = self.config.batch_size
        for batch in data.padded_batches(self.validation, batch_size=size):
            placed = self.put({name: array[share] for name, array in batch.items()})
            total += np.asarray(self.evaluate_step(params, stats, placed), np.int64)
        return total

    def _begin(self) -> tuple[TrainState, int]:
        """Return the state to start from, and how many steps it has taken."""
        config = self.config
        state = start(config.model, config.optimizer, self.info, config.steps, config.seed)
        if config.model.weights is not None and not config.resume:
            state = load_pretrained(config.model, config.model.weights, self.info, state)
        state, done = replicate(state, self.mesh), 0
        if config.resume and self.checkpoints.latest() is not None:
            try:
                done, state, position = self.checkpoints.restore(state, config.resume_step)
            except ValueError as error:
                raise ValueError(f"{error} (--resume-step STEP does that.)") from error
            self.checkpoints.discard_after(done)
            self.batches.set_state(position)
        if jax.process_index() == 0:
            print(self._beginning(state, done))
        self.log.begin(done)
        return state, done

    def _beginning(self, state: TrainState, done: int) -> str:
        """Say what is about to happen, which the user reads while the step compiles."""
        config, (height, width) = self.config, self.info.size
        head = f"Going on from step {done}: " if done else ""
        if config.resume and not done:
            head = f"There is no checkpoint in {config.out}, so this begins at step 0: "
        count = sum(a.size for a in jax.tree.leaves(state.params))
        return (
            f"{head}{config.model.name}, {count:,} parameters, {config.steps} steps of "
            f"{config.batch_size} of the {self.dataset.splits['train']} training images of "
            f"{height}x{width} pixels. Compiling first."
        )

    def _watch(self, count: int, state: TrainState, history: dict[str, np.ndarray]) -> bool:
        """Log, evaluate and save where it is time; return whether to stop."""
        config, now = self.config, time.perf_counter()
        stopping = self.stop.anywhere()
        last = count == config.steps
        schedule = make_schedule(config.optimizer, config.steps)
        self.log.write(
            {
                "step": count,
                "loss": float(np.mean(history["loss"])),
                "gradient_norm": float(np.mean(history["gradient_norm"])),
                "learning_rate": float(np.asarray(schedule(count - 1))),
                "images_per_second": (count - self.logged) * config.batch_size / (now - self.clock),
            }
        )
        if (last or _passed(self.logged, count, config.evaluate_every)) and not stopping:
            confusion = self.evaluate(state)
            self.log.write(
                {
                    "event": "validation",
                    "step": count,
                    "mean_iou": float(metrics.mean_iou(confusion)),
                    "pixel_accuracy": float(metrics.pixel_accuracy(confusion)),
                }
            )
        if last or stopping or _passed(self.logged, count, config.save_every):
            self.checkpoints.save(count, state, self.batches.get_state(), wait=last or stopping)
        self.logged, self.clock = count, time.perf_counter()
        return stopping

    def _transform(self, key, batch):
        """Augment and normalize a batch, on the device."""
        images, labels = data.augment(
            key,
            batch["image"],
            batch["label"].astype(np.int32),
            self.augmentation,
            index=batch["index"],
            fill=self.info.mean,
            clip=self.info.dtype != "float32",
        )
        return {"image": self.info.normalize(images), "label": labels}

    def _evaluate_step(self, apply):
        evaluate = make_eval_step(
            apply, self.info.classes, transform=lambda _, batch: self.info.normalize_batch(batch)
        )
        return lambda params, stats, batch: evaluate(params, stats, batch)[0]

    def _class_weights(self, train: data.Source) -> np.ndarray | None:
        kind = self.config.loss.class_weights
        if kind == "none":
            return None
        median = kind == "median_frequency"
        frequencies = data.class_frequencies(train, self.info.classes, where_present=median)
        if median:
            return data.median_frequency_weights(frequencies)
        return data.inverse_log_weights(frequencies)


def _check_run(config: Config, info: data.DatasetInfo) -> None:
    """Refuse an impossible run before anything of an earlier one is removed."""
    batch_mesh(config.batch_size, space=config.space)
    jax.eval_shape(lambda: start(config.model, config.optimizer, info, config.steps, config.seed))


def _check_data(config: Config, now: data.DatasetInfo) -> None:
    """Refuse to go on with images or classes other than those that the run began with."""
    saved = config.out / "dataset.json"
    if not (config.resume and saved.exists()):
        return
    old, new = records.read_config(saved), records.config_record(now)
    changed = [f"{k}: {old.get(k)!r} there, {v!r} now" for k, v in new.items() if old.get(k) != v]
    if changed:
        raise ValueError(
            f"{config.out} was trained on other data ({'; '.join(changed)}): resume with that, or "
            "give another --out."
        )


def _passed(before: int, now: int, every: int) -> bool:
    return before // every < now // every


def command(args: Sequence[str]) -> None:
    """Read the command line and train."""
    config = cli.parse(
        PRESETS,
        default_preset(args),
        description=__doc__,
        args=args,
        program="jaxseg train",
        common=COMMON,
    )
    try:
        main(config)
    except Stopped as stop:
        stop.advice = f"To go on from the last checkpoint in {config.out}, add --resume."
        raise
