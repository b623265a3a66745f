r"""Evaluate a trained net: a table of classes, and of what is confused with what.

    jaxseg evaluate --run runs/deeplab --split test
    jaxseg evaluate --run runs/deeplab --split test --inference.flip \
        --inference.scales 0.75 1 1.25
    jaxseg evaluate --run runs/deeplab --inference.window 120 160

Every pixel of every image counts; images are seen whole unless windows are asked for. Besides the
classes' IoU it computes the F-score of their boundaries (Csurka et al. 2013), within 0.75 % of the
diagonal. It leaves results.csv, confusion.csv, summary.md, confusion.png and panel.png in --out, by
default a folder of the run that is named after the split.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from jaxseg import cli, data, files, metrics, plots
from jaxseg.commands.data import DataConfig
from jaxseg.commands.run import Run, load_run
from jaxseg.training import records
from jaxseg.training.inference import InferenceConfig, entropy, probabilities

PANEL = 4
"""Images that the panel shows."""
RESULTS: dict[str, type] = {
    "class": str,
    "pixels": int,
    **dict.fromkeys(metrics.COLUMNS[2:], float),
}
"""Columns of results.csv."""
COMMON = (
    "run",
    "split",
    "checkpoint",
    "out",
    "inference.flip",
    "inference.scales",
    "inference.window",
)
"""Fields on the first page of help."""


@dataclass(frozen=True)
class Config:
    """An evaluation.

    Attributes:
        run: Folder of the training run.
        split: "train", "validation" or "test".
        inference: How the net is applied to each image.
        data: Another place of the data set than it was trained from; its name is the run's.
        batch_size: Images a step.
        checkpoint: "best" for the best mean IoU on the validation split, "last" for the newest
            checkpoint, or the number of a step.
        out: Folder of the tables and figures; None is RUN/SPLIT.
        preset: Not used.
    """

    run: Path = Path("runs/quick")
    split: str = "validation"
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    data: DataConfig = field(default_factory=DataConfig)
    batch_size: int = 8
    checkpoint: str = "best"
    out: Path | None = None
    preset: str = ""


def main(config: Config) -> None:
    """Count, then write tables and figures."""
    run = load_run(config.run, checkpoint=config.checkpoint)
    dataset = run.open_data(directory=config.data.directory, data_dir=config.data.data_dir)
    if dataset.info.class_names != run.info.class_names:
        raise ValueError(
            f"the data has the classes {list(dataset.info.class_names)}, but {config.run} was "
            f"trained on {list(run.info.class_names)}: evaluate on data of the same classes."
        )
    source = dataset.source(config.split, cache=False)
    out = config.out or config.run / config.split
    out.mkdir(parents=True, exist_ok=True)
    predict = jax.jit(lambda images: probabilities(run.logits, images, config.inference))
    counts, scores, shown = count(run, predict, source, config)
    names = run.info.class_names
    rows = metrics.per_class_rows(counts, names)
    records.write_csv(out / "results.csv", metrics.COLUMNS, rows)
    records.write_csv(
        out / "confusion.csv",
        ["label", *names],
        [
            {"label": n, **dict(zip(names, row, strict=True))}
            for n, row in zip(names, counts.tolist(), strict=True)
        ],
    )
    about = (
        f"{run.config['model']['name']} on {run.info.name}, {config.split} split "
        f"({len(source)} images of {run.info.size[0]}x{run.info.size[1]}), step {run.step}; "
        f"{describe(config.inference)}"
    )
    lines = records.markdown_table(
        "class | boundary F",
        [f"{n} | {'-' if np.isnan(s) else f'{s:.3f}'}" for n, s in zip(names, scores, strict=True)],
    )
    table = metrics.per_class_table(counts, names)
    text = f"# Evaluation\n\n{about}.\n\n{table}\n\n" + "\n".join(lines)
    files.write_text(out / "summary.md", f"{text}\n")
    print(text)
    plots.confusion_figure(counts, names, title=about).savefig(out / "confusion.png", dpi=120)
    plots.prediction_panel(
        *shown, palette=run.info.palette, class_names=names, title=about
    ).savefig(out / "panel.png", dpi=120)
    print(f"Figures: {out / 'confusion.png'}, {out / 'panel.png'}")


def count(run: Run, predict, source: data.Source, config: Config):
    """Count the confusion matrix and boundary F-scores, and keep a few images for the panel."""
    classes = run.info.classes
    tolerance = max(1, round(0.0075 * float(np.hypot(*run.info.size))))

    @jax.jit
    def step(batch):
        shares = predict(batch["image"])
        labels, predictions = batch["label"].astype(jnp.int32), jnp.argmax(shares, -1)
        edges = metrics.boundary_counts(labels, predictions, classes, tolerance=tolerance)
        return (
            metrics.confusion_matrix(labels, predictions, classes),
            metrics.boundary_f_score(edges),
            predictions,
            entropy(shares),
        )

    every = max(1, len(source) // PANEL)
    total, scores, panel = np.zeros((classes, classes), np.int64), [], []
    batches = data.padded_batches(source, batch_size=config.batch_size)
    steps = -(-len(source) // config.batch_size)
    for number, batch in enumerate(tqdm(batches, total=steps, desc=config.split, leave=False)):
        counts, edges, predictions, uncertainty = jax.device_get(step(batch))
        total += counts
        scores.append(edges)
        for i in range(len(predictions)):
            index = number * config.batch_size + i
            if index < len(source) and index % every == 0 and len(panel) < PANEL:
                panel.append((batch["image"][i], batch["label"][i], predictions[i], uncertainty[i]))
    # The mean over the images that have such a boundary; no image at all is NaN, without a warning.
    by_image = np.concatenate(scores)
    known = np.isfinite(by_image)
    mean = np.where(known, by_image, 0).sum(0) / np.where(known.any(0), known.sum(0), np.nan)
    return total, mean, [np.stack(column) for column in zip(*panel, strict=True)]


def describe(inference: InferenceConfig) -> str:
    """Say in words how the net was applied."""
    words = ["whole images"]
    if inference.window is not None:
        height, width = inference.window
        words = [f"windows of {height}x{width}, overlapping by {inference.overlap:.0%}"]
    if inference.scales != (1.0,):
        words.append(f"scales {', '.join(f'{s:g}' for s in inference.scales)}")
    return ", ".join(words + ["mirrored too"] * inference.flip)


def command(args: Sequence[str]) -> None:
    """Read the command line and evaluate."""
    presets = {"default": Config()}
    main(
        cli.parse(
            presets,
            "default",
            description=__doc__,
            args=args,
            program="jaxseg evaluate",
            common=COMMON,
        )
    )
