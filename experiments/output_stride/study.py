"""The output_stride study: trains and evaluates every arm as `jaxseg train` and `evaluate` do."""

import io
import itertools
from contextlib import redirect_stdout
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.output_stride.claims import arm_table, verdicts
from experiments.output_stride.config import ARMS, Config
from experiments.output_stride.figures import CAPTIONS, draw
from jaxseg import analysis
from jaxseg.commands import evaluate, train
from jaxseg.commands.data import DataConfig, load
from jaxseg.commands.model import ModelConfig, build
from jaxseg.data import Augmentation
from jaxseg.startup import raise_if_stopped
from jaxseg.studies import Findings, Results, Row
from jaxseg.training import OptimizerConfig, tables

COLUMNS = {
    "arm": str,
    "seed": int,
    "mean_iou": float,
    "pixel_accuracy": float,
    "parameters": int,
    "multiply_adds": int,
    "field": int,
    "images_per_second": float,
}
"""Columns of results.csv."""
CLASSES = {"arm": str, "seed": int, "class": str, "iou": float}
"""Columns of classes.csv."""
MEAN, WHOLE = "mean of classes", "all pixels"
"""The rows of an evaluation that are no class."""


def run(config: Config) -> Findings:
    """Train and evaluate what is not there yet; judge and draw all of it."""
    results = Results(config.out / "results.csv", COLUMNS, resume=config.resume)
    classes = Results(config.out / "classes.csv", CLASSES, resume=config.resume)
    for seed, arm in config.shared(itertools.product(range(config.seeds), config.arms)):
        if not results.select(arm=arm, seed=seed):
            raise_if_stopped()
            row, ious = run_arm(config, arm, seed)
            # After a kill between the two tables the classes of this run are there already.
            classes.replace(ious, arm=arm, seed=seed)
            results.add([row])
    config.end_share()
    rows, ious = (
        sorted(table.rows, key=lambda row: (list(ARMS).index(row["arm"]), row["seed"]))
        for table in (results, classes)
    )
    seeds = len({row["seed"] for row in rows})
    about = (
        f"{config.dataset} at {config.size[0]} × {config.size[1]} pixels, {config.split} split, "
        f"ResNet-18 of width {config.width}, {config.steps} steps of {config.batch_size} images, "
        f"{seeds} seed{'s' if seeds > 1 else ''}"
    )
    return Findings(
        title="Output stride",
        about=f"{about}. Numbers are medians over the seeds with their range; an order holds where "
        "the ranges are apart.",
        verdicts=verdicts(rows, len({row["class"] for row in ious})),
        figures=CAPTIONS,
        drawings=draw(rows, ious, title=about),
        tables=[arm_table(rows)],
    )


def run_arm(config: Config, arm: str, seed: int) -> tuple[Row, list[Row]]:
    """Train and evaluate one arm from one seed.

    Returns:
        Its row of results.csv, and its rows of classes.csv.
    """
    folder = config.out / f"{arm.replace(' ', '')}-{seed}"
    training = train_config(config, arm, seed, folder)
    train.main(training)
    with redirect_stdout(io.StringIO()):  # the evaluation's text is in its own summary.md
        place = evaluate.DataPlace(data_dir=training.data.data_dir)
        # At the size that the arms are trained at: the study compares strides, not resizing.
        evaluate.main(evaluate.Config(run=folder, split=config.split, data=place, prepared=True))
    table = tables.read_csv(folder / config.split / "results.csv", evaluate.RESULTS)
    by_name = {row["class"]: row for row in table}
    log = tables.keep_jsonl(folder / "metrics.jsonl", lambda record: True)
    speed = np.median([r["images_per_second"] for r in log if "images_per_second" in r])
    row: Row = {
        "arm": arm,
        "seed": seed,
        "mean_iou": by_name[MEAN]["iou"],
        "pixel_accuracy": by_name[WHOLE]["accuracy"],
        **costs(training.data, training.model),
        "images_per_second": round(float(speed), 2),
    }
    ious: list[Row] = [
        {"arm": arm, "seed": seed, "class": name, "iou": values["iou"]}
        for name, values in by_name.items()
        if name not in (MEAN, WHOLE)
    ]
    return row, ious


def train_config(config: Config, arm: str, seed: int, folder: Path) -> train.Config:
    """Describe a run for the command that trains it.

    Args:
        config: The study's configuration.
        arm: The arm.
        seed: Seed of the run.
        folder: Folder of the run.
    """
    return train.Config(
        model=ModelConfig(width=config.width, dropout=0.0, **ARMS[arm]),
        data=DataConfig(
            name=config.dataset,
            directory=config.directory,
            size=config.size,
            data_dir=config.data_dir,
        ),
        seed=seed,
        steps=config.steps,
        batch_size=config.batch_size,
        devices=config.devices or jax.device_count(),
        keep=1,
        out=folder,
        augmentation=Augmentation(
            scale=(0.8, 1.25), brightness=0.2, contrast=0.2, crop=config.size
        ),
        optimizer=OptimizerConfig(
            learning_rate=config.learning_rate, warmup=config.steps // 20, weight_decay=0.01
        ),
        evaluate_every=config.steps,
        save_every=max(1, config.steps // 4),
        resume=config.resume and (folder / "config.json").exists(),
        overwrite=config.overwrite or not config.resume,
    )


def costs(dataset: DataConfig, model: ModelConfig) -> dict[str, int]:
    """Count parameters, an image's multiply-adds, and the height of a logit's receptive field."""
    info = load(dataset).info
    net = nnx.eval_shape(lambda: build(model, info.classes, info.channels, nnx.Rngs(0)))
    image = jax.ShapeDtypeStruct((1, *info.size, info.channels), jnp.float32)
    whole = analysis.summary(net, image)["all"]
    return {
        "parameters": whole.parameters,
        "multiply_adds": whole.multiply_adds,
        "field": whole.field.size[0],
    }
