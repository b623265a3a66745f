"""The records of a training run: its log while it runs, tables and figures at the end."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxseg import data, files, metrics, plots
from jaxseg.commands.data import describe_size
from jaxseg.commands.run import evaluated
from jaxseg.commands.train_config import Config
from jaxseg.training import TrainState, make_schedule, records, tables
from jaxseg.training.inference import entropy

PANEL = 4
"""Validation images that the panel shows."""


class RunLog:
    """metrics.jsonl, and TensorBoard's event files if asked for; silent but in process 0."""

    def __init__(self, config: Config):
        self.path = config.out / "metrics.jsonl"
        self.silent = jax.process_index() > 0
        self.writer: Any = None
        if config.tensorboard and not self.silent:
            from tensorboardX import SummaryWriter  # type: ignore[import-not-found]

            self.writer = SummaryWriter(str(config.out / "tensorboard"))

    def begin(self, step: int) -> None:
        """Drop what a resumed run will write again, and log what it begins with."""
        if self.silent:
            return
        tables.keep_jsonl(self.path, lambda record: record.get("step", step + 1) <= step)
        self.write(
            {
                "event": "start",
                "step": step,
                "devices": jax.device_count(),
                "platform": jax.default_backend(),
                "processes": jax.process_count(),
                "revision": records.revision(Path(__file__).parent),
            }
        )

    def write(self, record: dict[str, Any]) -> None:
        """Add a record; its numbers go to TensorBoard too."""
        if self.silent:
            return
        tables.append_jsonl(self.path, record)
        for name, value in record.items():
            if self.writer is not None and isinstance(value, float):
                self.writer.add_scalar(name, value, record["step"])

    def close(self) -> None:
        """Finish the event files."""
        if self.writer is not None:
            self.writer.close()


def describe_beginning(
    config: Config, dataset: data.Dataset, state: TrainState, done: int, steps_before: int | None
) -> str:
    """Say what is about to happen, which the user reads while the step compiles.

    Args:
        config: The run.
        dataset: Its data set.
        state: The state that it begins with.
        done: The steps that it has taken.
        steps_before: The steps that a resumed run was to take.
    """
    head = f"Going on from step {done}: " if done else ""
    if config.resume and not done:
        head = f"There is no checkpoint in {config.out}, so this begins at step 0: "
    count = sum(a.size for a in jax.tree.leaves(state.params))
    tail = ""
    if steps_before not in (None, config.steps):
        rate = float(np.asarray(make_schedule(config.optimizer, config.steps)(done)))
        tail = (
            f" The run was to take {steps_before} steps: from here on, the learning rate follows "
            f"the schedule of {config.steps}, and is {rate:.3g} now."
        )
    info, images = dataset.info, dataset.splits["train"]
    size = f"{', in ' if info.crops else ' of '}{describe_size(info)}"
    return (
        f"{head}{config.model.name}, {count:,} parameters, {config.steps} steps of "
        f"{config.batch_size} of the {images} training images{size}.{tail}"
    )


def describe_ending(config: Config, step: int, since_best: int) -> str:
    """Say why a run ended before its last step, and how it goes on.

    Args:
        config: The run.
        step: The steps that it has taken.
        since_best: The evaluations since the best.
    """
    return (
        f"Ended at step {step}: {since_best} evaluations in a row without a better mean IoU "
        f"(--patience {config.patience}). To go on, raise it: jaxseg train --out {config.out} "
        f"--resume --patience {since_best + (config.patience or 0)}"
    )


def report(
    config: Config,
    info: data.DatasetInfo,
    state: TrainState,
    confusion: np.ndarray,
    validation: data.Source,
    apply: Any,
) -> str:
    """Write tables and figures of the validation split and of the run.

    Args:
        config: Configuration of the run.
        info: Its data set.
        state: The state that is reported.
        confusion: (classes, classes) counts on the validation split.
        validation: That split.
        apply: The net, as `model.functions` gives it.

    Returns:
        The table, and the figures' names.
    """
    out = config.out
    rows = metrics.per_class_rows(confusion, info.class_names)
    tables.write_csv(out / "results.csv", metrics.COLUMNS, rows)
    count = sum(a.size for a in jax.tree.leaves(state.params))
    about = (
        f"{config.model.name}, {count:,} parameters, on {info.name}, "
        f"{describe_size(info)}: step {int(state.step)} of {config.steps}, "
        f"{config.batch_size} images a step"
    )
    table = metrics.per_class_table(confusion, info.class_names)
    text = f"# Validation\n\n{about}.\n\n{table}\n"
    files.write_text(out / "summary.md", text)
    log = tables.keep_jsonl(out / "metrics.jsonl", lambda record: True)
    plots.run_curves(log, title=about).savefig(out / "curves.png", dpi=120)
    _panel(info, state, validation, apply, about).savefig(out / "panel.png", dpi=120)
    return f"{text}\nFigures: {out / 'curves.png'}, {out / 'panel.png'}"


def _panel(
    info: data.DatasetInfo, state: TrainState, validation: data.Source, apply: Any, title: str
):
    """Draw a few validation images, their masks, predictions and uncertainty."""
    shown = validation[:: max(1, len(validation) // PANEL)][:PANEL]
    images = np.stack([example["image"] for example in shown])
    params, stats = jax.device_get(evaluated(state))

    @jax.jit
    def look(images):
        logits, _ = apply(params, stats, info.normalize(images), train=False)
        shares = jax.nn.softmax(logits)
        return shares.argmax(-1), entropy(shares)

    predictions, uncertainty = jax.device_get(look(images))
    return plots.prediction_panel(
        images,
        np.stack([example["label"] for example in shown]),
        predictions,
        uncertainty,
        palette=info.palette,
        class_names=info.class_names,
        title=title,
    )
