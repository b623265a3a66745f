"""Train a segmentation net, from a data set's name to weights, curves and a table of classes.

    python experiments/train.py --preset quick
    python experiments/train.py --preset camvid --model.name deeplabv3plus --out runs/deeplab
    python experiments/train.py --data.name folder --data.directory my_images --out runs/mine
    python experiments/train.py --preset camvid --out runs/deeplab --resume

`quick` trains a small U-Net on the embedded mosaic, in about a minute on two cores. `camvid` is a
schedule for two cores within the hour (180 x 240 pixels), `full` one for a GPU (360 x 480).

It leaves in --out: config.json, scene.json (classes, colours, normalisation), metrics.jsonl,
checkpoints/, curves.png, panel.png, results.csv and summary.md. Ctrl-C and SIGTERM save and stop;
--resume goes on from the newest checkpoint, bit for bit as if nothing had happened. Then:

    python experiments/evaluate.py --run runs/deeplab --split test --inference.flip
    python experiments/predict.py --run runs/deeplab --images "photos/*.jpg"
    python experiments/export.py --run runs/deeplab
"""

import itertools
import json
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from segmentation import (
    LossConfig,
    ModelConfig,
    Scene,
    evaluated,
    functions,
    make_loss,
    pretrained,
    scene_of,
    start,
)
from segmentation_data import DataConfig, load

from jaxseg import cli, data, metrics, plots
from jaxseg.data import Augmentation
from jaxseg.training import (
    Diverged,
    OptimizerConfig,
    TrainState,
    fit,
    make_eval_step,
    make_optimizer,
    make_schedule,
    make_train_step,
    records,
    use_all_cores,
)
from jaxseg.training.checkpoints import Checkpoints
from jaxseg.training.devices import batch_mesh, batch_placer, join_processes, replicate
from jaxseg.training.inference import entropy
from jaxseg.training.signals import StopRequest, stop_requests

MAY_DIFFER = (
    "preset", "out", "resume", "resume_step", "overwrite", "devices", "space", "coordinator",
    "processes", "process", "log_every", "evaluate_every", "save_every", "keep", "tensorboard",
    "data.directory", "data.data_dir",
)  # fmt: skip
"""Fields that may change when a run goes on."""
WRITTEN = ("metrics.jsonl", "results.csv", "summary.md", "curves.png", "panel.png")
PANEL = 4
"""Validation images that the panel shows."""
CACHED = 1 << 30
"""Bytes up to which a split is decoded once and kept; larger ones are decoded as they are read."""


@dataclass(frozen=True)
class Config:
    """A training run.

    Attributes:
        model: the net.
        data: the data set.
        optimizer: how it is trained.
        augmentation: what is done to each training image.
        loss: what is minimised.
        steps: batches to train on.
        batch_size: images a step, of all devices together.
        seed: of the weights, of the order of the images, of augmentation and dropout.
        log_every: steps between two lines of metrics.jsonl.
        evaluate_every: steps between two evaluations on the validation split.
        save_every: steps between two checkpoints; the last step is always saved.
        keep: newest checkpoints that stay.
        out: where the run's files go.
        resume: go on with the run in `out`.
        resume_step: the checkpoint to go on from; None: the newest. Later ones are removed.
        overwrite: start again over what is in `out`.
        devices: XLA devices of the CPU; other accelerators are all used.
        space: devices that share the height of each image.
        coordinator: host:port of process 0 where several processes train one net.
        processes: how many they are. The curve is that of one process, but for rounding, and for
            dropout, which goes by an image's place in the batch.
        process: which one this is.
        tensorboard: write event files too (needs tensorboardX).
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: LossConfig = field(default_factory=LossConfig)
    steps: int = 1000
    batch_size: int = 8
    seed: int = 0
    log_every: int = 10
    evaluate_every: int = 200
    save_every: int = 100
    keep: int = 2
    out: Path = Path("runs/train")
    preset: str = ""
    resume: bool = False
    resume_step: int | None = None
    overwrite: bool = False
    devices: int = 1
    space: int = 1
    coordinator: str | None = None
    processes: int = 1
    process: int = 0
    tensorboard: bool = False

    def __post_init__(self):
        """Refuse numbers that make no run."""
        for name in ("steps", "batch_size", "log_every", "evaluate_every", "save_every", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        if self.batch_size % self.optimizer.accumulate:
            raise ValueError(
                f"optimizer.accumulate={self.optimizer.accumulate} does not divide "
                f"batch_size={self.batch_size}: choose a divisor."
            )
        if self.resume and self.overwrite:
            raise ValueError(
                "resume and overwrite are both given: go on with --resume alone, or start again "
                "with --overwrite alone."
            )
        if self.resume_step is not None and not self.resume:
            raise ValueError(
                f"resume_step={self.resume_step} is given without resume: add --resume, or leave "
                "it out."
            )


_STREET = Augmentation(
    scale=(0.75, 1.5), crop=(144, 192), brightness=0.3, contrast=0.3, saturation=0.3
)
PRESETS = {
    "quick": Config(
        model=ModelConfig(widths=(8, 16, 32)),
        data=DataConfig(name="mosaic", size=(48, 48)),
        augmentation=Augmentation(scale=(1.0, 1.0), brightness=0.1, contrast=0.1),
        optimizer=OptimizerConfig(learning_rate=3e-3, average=0.98),
        steps=400,
        out=Path("runs/quick"),
    ),
    "folder": Config(
        model=ModelConfig(widths=(16, 32, 64, 128)),
        data=DataConfig(name="folder"),
        augmentation=Augmentation(brightness=0.2, contrast=0.2, saturation=0.2),
        optimizer=OptimizerConfig(average=0.98),
        steps=600,
        out=Path("runs/folder"),
    ),
    "camvid": Config(
        data=DataConfig(name="camvid", size=(180, 240)),
        augmentation=_STREET,
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup=50, average=0.99),
        steps=2000,
        out=Path("runs/camvid"),
    ),
    "full": Config(
        model=ModelConfig(name="deeplabv3plus", backbone="resnet50", dtype="bfloat16"),
        data=DataConfig(name="camvid", size=(360, 480)),
        augmentation=Augmentation(
            crop=(352, 480), brightness=0.3, contrast=0.3, saturation=0.3
        ),
        optimizer=OptimizerConfig(learning_rate=5e-4, warmup=500, average=0.999),
        steps=40_000,
        evaluate_every=1000,
        save_every=1000,
        batch_size=16,
        out=Path("runs/full"),
    ),
}  # fmt: skip


def main(config: Config) -> None:
    """Train to the last step, or until told to stop, then write tables and figures."""
    use_all_cores(config.devices)
    join_processes(config.coordinator, config.processes, config.process)
    dataset = load(config.data)
    _check_run(config, scene_of(dataset))
    leader = jax.process_index() == 0
    with records.only_run(config.out) if leader else nullcontext():
        _train(config, dataset)


def _train(config: Config, dataset: data.Dataset) -> None:
    if jax.process_index() == 0:
        _check_scene(config, scene_of(dataset))
        records.open_run(
            config.out, config, results="metrics.jsonl", may_differ=MAY_DIFFER, written=WRITTEN,
            resume=config.resume, overwrite=config.overwrite,
        )  # fmt: skip
        records.write_text(
            config.out / "scene.json", json.dumps(records.config_record(scene_of(dataset))) + "\n"
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
    training.report(state)


class Training:
    """One run: what it reads, steps and writes."""

    def __init__(
        self, config: Config, dataset: data.Dataset, checkpoints: Checkpoints, stop: StopRequest
    ):
        self.config, self.dataset, self.checkpoints, self.stop = config, dataset, checkpoints, stop
        self.scene: Scene = scene_of(dataset)
        self.mesh = batch_mesh(config.batch_size, space=config.space)
        self.put = batch_placer(self.mesh)
        self.validation, train = (
            dataset.source(split, cache=_fits(dataset, split)) for split in ("validation", "train")
        )
        self.batches = data.prefetch(
            data.batches(
                train.pixels, batch_size=config.batch_size, seed=config.seed, with_index=True,
                process=jax.process_index(), processes=jax.process_count(),
            ),
            self.put,
        )  # fmt: skip
        _, apply = functions(config.model, self.scene.classes, self.scene.channels)
        self.weights = self._class_weights(train)
        self.step = jax.jit(
            make_train_step(
                apply, make_optimizer(config.optimizer, config.steps),
                make_loss(config.loss, self.weights, config.model.auxiliary),
                transform=self._transform, accumulate=config.optimizer.accumulate,
                decay=config.optimizer.average,
            )
        )  # fmt: skip
        everywhere = NamedSharding(self.mesh, PartitionSpec())
        self.evaluate_step = jax.jit(self._evaluate_step(apply), out_shardings=everywhere)
        self.apply = apply

    def run(self) -> TrainState:
        """Take the steps that are left."""
        state, done = self._begin()
        self.logged, self.clock = done, time.perf_counter()
        name = f"{self.config.model.name} on {self.dataset.name}"
        try:
            state, _ = fit(
                self.step, state, self.batches, self.config.steps, name=name, start=done,
                check_every=self.config.log_every, watch=self._watch,
                progress=jax.process_index() == 0,
            )  # fmt: skip
        except Diverged as error:
            self.checkpoints.wait()
            raise SystemExit(
                f"train: {error} The rate was --optimizer.learning-rate "
                f"{self.config.optimizer.learning_rate:g}; another one starts again, with "
                f"--overwrite or another --out. In {self.config.out} the checkpoints of the steps "
                f"{self.checkpoints.steps()} stay."
            ) from error
        return state

    def report(self, state: TrainState) -> None:
        """Tables and figures of the validation split and of the run."""
        config, out = self.config, self.config.out
        confusion = self.evaluate(state)
        if jax.process_index():
            return
        rows = metrics.per_class_rows(confusion, self.scene.class_names)
        records.write_csv(out / "results.csv", metrics.COLUMNS, rows)
        table = metrics.per_class_table(confusion, self.scene.class_names)
        count = sum(a.size for a in jax.tree.leaves(state.params))
        about = (
            f"{config.model.name}, {count:,} parameters, on {self.dataset.name} at "
            f"{self.scene.size[0]}x{self.scene.size[1]} pixels: step {int(state.step)} of "
            f"{config.steps}, {config.batch_size} images a step"
        )
        text = f"# Validation\n\n{about}.\n\n{table}\n"
        records.write_text(out / "summary.md", text)
        print(f"\n{text}")
        log = records.keep_jsonl(out / "metrics.jsonl", lambda record: True)
        plots.run_curves(log, title=about).savefig(out / "curves.png", dpi=120)
        self._panel(state, about).savefig(out / "panel.png", dpi=120)
        print(f"Figures: {out / 'curves.png'}, {out / 'panel.png'}")

    def evaluate(self, state: TrainState) -> np.ndarray:
        """The confusion matrix of the validation split, int64."""
        total = np.zeros((self.scene.classes, self.scene.classes), np.int64)
        own = slice(jax.process_index(), None, jax.process_count())
        params, stats = evaluated(state)
        size = self.config.batch_size
        for batch in data.padded_batches(self.validation.pixels, batch_size=size):
            placed = self.put({name: array[own] for name, array in batch.items()})
            total += np.asarray(self.evaluate_step(params, stats, placed), np.int64)
        return total

    def _begin(self) -> tuple[TrainState, int]:
        """The state to start from, and how many steps it has taken."""
        config = self.config
        state = start(config.model, config.optimizer, self.scene, config.steps, config.seed)
        if config.model.weights is not None and not config.resume:
            state = pretrained(config.model, config.model.weights, self.scene, state)
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
            log = config.out / "metrics.jsonl"
            records.keep_jsonl(log, lambda record: record.get("step", done + 1) <= done)
            records.append_jsonl(log, {
                "event": "start", "step": done, "devices": jax.device_count(),
                "platform": jax.default_backend(), "processes": jax.process_count(),
                "revision": records.revision(Path(__file__).parent),
            })  # fmt: skip
        return state, done

    def _beginning(self, state: TrainState, done: int) -> str:
        """What is about to happen: the first thing that a user sees, while the step compiles."""
        config, (height, width) = self.config, self.scene.size
        head = f"Going on from step {done}: " if done else ""
        if config.resume and not done:
            head = f"There is no checkpoint in {config.out}, so this begins at step 0: "
        count = sum(a.size for a in jax.tree.leaves(state.params))
        return (
            f"{head}{config.model.name}, {count:,} parameters, {config.steps} steps of "
            f"{config.batch_size} of the {self.dataset.splits['train']} training images of "
            f"{height}x{width} pixels. Compiling first."
        )

    def _watch(self, count: int, state: TrainState, seen: dict[str, np.ndarray]) -> bool:
        """Log, evaluate and save where it is time; whether to stop."""
        config, now = self.config, time.perf_counter()
        stopping = self.stop.anywhere()
        last = count == config.steps
        schedule = make_schedule(config.optimizer, config.steps)
        self._log({
            "step": count, "loss": float(np.mean(seen["loss"])),
            "gradient_norm": float(np.mean(seen["gradient_norm"])),
            "learning_rate": float(np.asarray(schedule(count - 1))),
            "images_per_second": (count - self.logged) * config.batch_size / (now - self.clock),
        })  # fmt: skip
        if (last or _passed(self.logged, count, config.evaluate_every)) and not stopping:
            confusion = self.evaluate(state)
            self._log({
                "event": "validation", "step": count,
                "mean_iou": float(metrics.mean_iou(confusion)),
                "pixel_accuracy": float(metrics.pixel_accuracy(confusion)),
            })  # fmt: skip
        if last or stopping or _passed(self.logged, count, config.save_every):
            self.checkpoints.save(count, state, self.batches.get_state(), wait=last or stopping)
        self.logged, self.clock = count, time.perf_counter()
        return stopping

    def _log(self, record: dict[str, Any]) -> None:
        if jax.process_index():
            return
        records.append_jsonl(self.config.out / "metrics.jsonl", record)
        if self.config.tensorboard:
            _write_events(self.config.out, record)

    def _transform(self, key, batch):
        """Augmentation and normalisation, on the device."""
        images, labels = data.augment(
            key, data.to_float(batch["image"]), batch["label"].astype(np.int32),
            self.config.augmentation, index=batch["index"], fill=self.scene.mean,
        )  # fmt: skip
        return {"image": data.standardise(images, self.scene.mean, self.scene.std), "label": labels}

    def _evaluate_step(self, apply):
        evaluate = make_eval_step(apply, self.scene.classes, metrics.confusion_matrix)

        def step(params, stats, batch):
            images = self.scene.standardise(batch["image"])
            return evaluate(params, stats, {"image": images, "label": batch["label"]})[0]

        return step

    def _class_weights(self, train: data.Source) -> np.ndarray | None:
        kind = self.config.loss.class_weights
        if kind == "none":
            return None
        median = kind == "median_frequency"
        frequencies = data.class_frequencies(train.pixels, self.scene.classes, where_present=median)
        if median:
            return data.median_frequency_weights(frequencies)
        return data.inverse_log_weights(frequencies)

    def _panel(self, state: TrainState, title: str):
        """A few validation images, their masks, predictions and uncertainty."""
        shown = self.validation.pixels[:: max(1, len(self.validation) // PANEL)][:PANEL]
        images = np.stack([example["image"] for example in shown])
        params, stats = jax.device_get(evaluated(state))

        @jax.jit
        def look(images):
            logits, _ = self.apply(params, stats, self.scene.standardise(images), train=False)
            found = jax.nn.softmax(logits)
            return found.argmax(-1), entropy(found)

        predictions, uncertainty = jax.device_get(look(images))
        return plots.prediction_panel(
            images, np.stack([example["label"] for example in shown]), predictions, uncertainty,
            palette=self.scene.palette, class_names=self.scene.class_names, title=title,
        )  # fmt: skip


def _check_run(config: Config, scene: Scene) -> None:
    """Refuse what makes no run, before anything of an earlier one is removed."""
    batch_mesh(config.batch_size, space=config.space)
    jax.eval_shape(lambda: start(config.model, config.optimizer, scene, config.steps, config.seed))


def _check_scene(config: Config, now: Scene) -> None:
    """Refuse to go on with images or classes other than those that the run began with."""
    saved = config.out / "scene.json"
    if not (config.resume and saved.exists()):
        return
    old, new = records.read_config(saved), records.config_record(now)
    changed = [f"{k}: {old.get(k)!r} there, {v!r} now" for k, v in new.items() if old.get(k) != v]
    if changed:
        raise ValueError(
            f"{config.out} was trained on other data ({'; '.join(changed)}): resume with that, or "
            "give another --out."
        )


def _fits(dataset: data.Dataset, split: str) -> bool:
    """Whether a split may be kept decoded in memory."""
    pixels = dataset.splits[split] * dataset.size[0] * dataset.size[1]
    return pixels * (dataset.channels + 1) <= CACHED


def _passed(before: int, now: int, every: int) -> bool:
    return before // every < now // every


def _write_events(out: Path, record: dict[str, Any]) -> None:
    try:
        from tensorboardX import SummaryWriter  # type: ignore[import-not-found]
    except ImportError as error:
        raise ValueError(
            "tensorboard=True needs tensorboardX: pip install tensorboardX, or leave it out "
            "(metrics.jsonl has the same numbers)."
        ) from error
    with SummaryWriter(str(out / "tensorboard")) as writer:
        for name, value in record.items():
            if isinstance(value, float):
                writer.add_scalar(name, value, record["step"])


def _default(args: Sequence[str] | None) -> str:
    """The preset that goes with the data set named on the command line."""
    words = " ".join(sys.argv[1:] if args is None else args).replace("=", " ").split()
    name = dict(itertools.pairwise(words)).get("--data.name", "mosaic")
    return {"mosaic": "quick", "camvid": "camvid"}.get(name, "folder")


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line, run, and say what is wrong in one line where something is."""
    try:
        main(cli.parse(PRESETS, _default(args), description=__doc__, args=args))
    except (ValueError, OSError) as error:
        raise SystemExit(f"train: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("train: interrupted; --resume goes on from the last checkpoint.") from None


if __name__ == "__main__":
    command()
