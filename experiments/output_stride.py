"""What a finer output stride brings and what it costs; and the skips of an FCN in its place.

Nets with one encoder (a narrow ResNet-18), one head, the same parameters, data, steps and seeds:

    stride 32, 16, 8, 4   the last stages dilate instead of striding; one score every so many pixels
    fcn32s, fcn16s, fcn8s scores of one, two or three stages, upconvolved (Long et al. 2015)

The claim (Chen et al. 2017, Yu et al. 2017): the IoU falls as the output stride rises; and of Long
et al.: it rises with each skip, by less each time.

    python experiments/output_stride.py --preset quick
    python experiments/output_stride.py --preset camvid --resume

An order is said to hold only where it does for every pair of neighbours by more than their seeds'
spread (`orders`); the preset camvid, of one seed, cannot show one: give it --seeds 3.

It leaves results.csv, classes.csv, verdicts.csv, summary.md and output_stride.png in --out, and
every run in a folder of its own. A kill loses nothing that a run has saved: --resume goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import studies
from flax import nnx
from orders import order
from studies import Table, Verdict

from jaxseg import analysis, plots
from jaxseg.commands import evaluate, train
from jaxseg.commands.data import DataConfig, load
from jaxseg.commands.model import ModelConfig, build
from jaxseg.commands.train_config import Config as TrainConfig
from jaxseg.data import Augmentation
from jaxseg.training import OptimizerConfig, records

ARMS: dict[str, ModelConfig] = {
    **{f"stride {s}": ModelConfig(name="fcn", output_stride=s) for s in (32, 16, 8, 4)},
    "fcn32s": ModelConfig(name="fcn32s"),
    "fcn16s": ModelConfig(name="fcn16s"),
    "fcn8s": ModelConfig(name="fcn8s"),
}
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
CLASSES = {"arm": str, "seed": int, "class": str, "iou": float}
WRITTEN = (*studies.WRITTEN, "classes.csv")
ABOUT = (
    "{name} at {size}, {split} split, ResNet-18 of width {width}, {steps} steps of {batch} images, "
    "seeds: {seeds}"
)


@dataclass(frozen=True)
class Config:
    """The study.

    Attributes:
        data: the data set.
        arms: those of `ARMS` to run.
        width: channels of the encoder's stem.
        steps: of each run.
        batch_size: images a step.
        learning_rate: of each run.
        seeds: runs of each arm.
        split: what is evaluated at the end.
        out: where everything goes.
        resume: go on with what is in `out`.
        overwrite: start again over what is in `out`.
    """

    data: DataConfig = field(default_factory=DataConfig)
    arms: tuple[str, ...] = tuple(ARMS)
    width: int = 16
    steps: int = 300
    batch_size: int = 8
    learning_rate: float = 2e-3
    seeds: int = 2
    split: str = "test"
    out: Path = Path("runs/output_stride")
    preset: str = ""
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self):
        """Refuse what names no arm."""
        unknown = [arm for arm in self.arms if arm not in ARMS]
        if unknown or not self.arms:
            raise ValueError(f"arms={self.arms} must be some of {list(ARMS)}.")


PRESETS = {
    "tiny": Config(
        data=DataConfig(size=(32, 32)),
        arms=("stride 32", "stride 8", "fcn8s"),
        width=4,
        steps=4,
        batch_size=2,
        seeds=1,
    ),
    "quick": Config(data=DataConfig(size=(64, 64))),
    "camvid": Config(data=DataConfig(name="camvid", size=(90, 120)), width=32, steps=800, seeds=1),
}


def main(config: Config) -> None:
    """Run what is not there yet, then write tables and the figure."""
    records.open_run(
        config.out,
        config,
        results="results.csv",
        written=WRITTEN,
        may_differ=(
            "preset",
            "out",
            "resume",
            "overwrite",
            "arms",
            "seeds",
            "data.directory",
            "data.data_dir",
        ),
        resume=config.resume,
        overwrite=config.overwrite,
    )
    results, classes = (
        Table(config.out / name, columns, resume=config.resume)
        for name, columns in (("results.csv", COLUMNS), ("classes.csv", CLASSES))
    )
    for seed in range(config.seeds):
        for arm in config.arms:
            if results.has(arm=arm, seed=seed):
                continue
            row, ious = run(config, arm, seed)
            # A kill between the two tables leaves classes of a run that is done again.
            classes.rows = [c for c in classes.rows if (c["arm"], c["seed"]) != (arm, seed)]
            classes.add(*ious)
            results.add(row)
    report(config, results.rows, classes.rows)


def run(config: Config, arm: str, seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Train and evaluate one arm: its row, and a row a class."""
    folder = config.out / f"{arm.replace(' ', '')}-{seed}"
    model = replace(ARMS[arm], width=config.width, dropout=0.0)
    own = TrainConfig(
        model=model,
        data=config.data,
        seed=seed,
        steps=config.steps,
        batch_size=config.batch_size,
        keep=1,
        out=folder,
        augmentation=Augmentation(
            scale=(0.8, 1.25), brightness=0.2, contrast=0.2, crop=config.data.size
        ),
        optimizer=OptimizerConfig(
            learning_rate=config.learning_rate, warmup=config.steps // 20, weight_decay=0.01
        ),
        evaluate_every=config.steps,
        save_every=max(1, config.steps // 4),
        resume=config.resume and (folder / "config.json").exists(),
        overwrite=config.overwrite or not config.resume,
    )
    train.main(own)
    evaluate.main(evaluate.Config(run=folder, split=config.split, data=config.data))
    table = records.read_csv(folder / config.split / "results.csv", evaluate.RESULTS)
    by_name = {row["class"]: row for row in table}
    log = records.keep_jsonl(folder / "metrics.jsonl", lambda record: True)
    rate = np.median([r["images_per_second"] for r in log if "images_per_second" in r])
    row = {
        "arm": arm,
        "seed": seed,
        "mean_iou": by_name["mean of classes"]["iou"],
        "pixel_accuracy": by_name["all pixels"]["accuracy"],
        **cost(config, model),
        "images_per_second": round(float(rate), 2),
    }
    ious = [
        {"arm": arm, "seed": seed, "class": name, "iou": r["iou"]}
        for name, r in by_name.items()
        if name not in ("mean of classes", "all pixels")
    ]
    return row, ious


def cost(config: Config, model: ModelConfig) -> dict[str, int]:
    """Parameters, multiply-adds of an image, and the receptive field's height."""
    dataset = load(config.data)
    net = nnx.eval_shape(
        lambda: build(model, dataset.info.classes, dataset.info.channels, nnx.Rngs(0))
    )
    image = jax.ShapeDtypeStruct((1, *dataset.info.size, dataset.info.channels), jnp.float32)
    whole = analysis.summary(net, image)["all"]
    return {
        "parameters": whole.parameters,
        "multiply_adds": whole.multiply_adds,
        "field": whole.field.size[0],
    }


def report(config: Config, rows: list[dict[str, Any]], classes: list[dict[str, Any]]) -> None:
    """The table, with the verdict on both claims, and the figure."""
    rows, classes = (
        sorted(r, key=lambda row: list(ARMS).index(row["arm"])) for r in (rows, classes)
    )
    about = ABOUT.format(
        name=config.data.name,
        size=config.data.size,
        split=config.split,
        width=config.width,
        steps=config.steps,
        batch=config.batch_size,
        seeds=config.seeds,
    )
    figure = plots.output_strides(rows, classes, title=about)
    figure.savefig(config.out / "output_stride.png", dpi=150)
    text = studies.write_summary(
        config.out,
        title="Output stride",
        about=f"{about}.",
        verdicts=judge(rows),
        figures={"output_stride.png": "Mean IoU against cost, and each class's IoU, by arm"},
        tables=[table(rows)],
    )
    print(f"\n{text}\nFigure: {config.out / 'output_stride.png'}")


def judge(rows: Sequence[dict[str, Any]]) -> list[Verdict]:
    """Both orders."""
    ious = {arm: _values(rows, arm, "mean_iou") for arm in dict.fromkeys(r["arm"] for r in rows)}
    claims: tuple[tuple[studies.Heading, str, str, list[str]], ...] = (
        (
            "Dilation",
            "At equal parameters the mean IoU falls as the output stride rises",
            "Chen et al. 2017, Yu et al. 2017",
            [f"stride {s}" for s in (4, 8, 16, 32)],
        ),
        (
            "Segmentation",
            "The mean IoU rises with each skip from encoder to scores",
            "Long et al. 2015",
            ["fcn8s", "fcn16s", "fcn32s"],
        ),
    )
    return [
        order(heading, claim, source, "mean IoU", {a: ious[a] for a in best_first if a in ious})
        for heading, claim, source, best_first in claims
    ]


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line an arm."""
    first = {row["arm"]: row for row in reversed(rows)}
    lines = []
    for arm in dict.fromkeys(row["arm"] for row in rows):
        ious, accuracy, rate = (
            _values(rows, arm, name) for name in ("mean_iou", "pixel_accuracy", "images_per_second")
        )
        spread = ", ".join(f"{v:.3f}" for v in sorted(ious))
        lines.append(
            f"{arm} | {np.mean(ious):.3f} ({spread}) | {np.mean(accuracy):.3f} | "
            f"{first[arm]['multiply_adds'] / 1e6:,.0f} | {first[arm]['parameters']:,} | "
            f"{first[arm]['field']} | {np.mean(rate):.1f}"
        )
    head = (
        "arm | mean IoU (seeds) | pixel accuracy | M multiply-adds an image | parameters | "
        "receptive field | images a second in training"
    )
    return records.markdown_table(head, lines)


def _values(rows: Sequence[dict[str, Any]], arm: str, column: str) -> list[float]:
    return [row[column] for row in rows if row["arm"] == arm]


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    studies.run(main, PRESETS, name="output_stride", description=__doc__, args=args)


if __name__ == "__main__":
    command()
