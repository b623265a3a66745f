r"""Evaluate a trained net: tables of classes, of images, and of what is confused with what.

    jaxseg evaluate --run runs/deeplab --split test
    jaxseg evaluate --run runs/deeplab --split all --data.directory other_images
    jaxseg evaluate --run runs/deeplab --split test --inference.flip \
        --inference.scales 0.75 1 1.25
    jaxseg evaluate --run runs/deeplab --inference.window 120 160

Each image is brought to the size of training and its predictions back to the image's own size,
exactly as `jaxseg predict` does it; every pixel is then compared with the original mask. With
--prepared the prepared images and masks are compared instead. Besides the classes' IoU it computes
the F-score of their boundaries (Csurka et al. 2013), within 0.75 % of the diagonal.

It leaves results.csv (classes), images.csv (images), confusion.csv, summary.md, confusion.png,
panel.png and worst.png (the images of the lowest mean IoU) in --out, by default a folder of the run
that is named after the split.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro

from jaxseg import cli, metrics
from jaxseg.commands.evaluate_data import ALL, DataPlace, open_examples
from jaxseg.commands.evaluate_report import (
    FIGURES,
    TABLES,
    Evaluation,
    Thumbnail,
    draw,
    thumbnail,
    write_tables,
)
from jaxseg.commands.evaluate_scores import ImageScores, boundary_f_scores, confusion
from jaxseg.commands.outputs import Outputs
from jaxseg.commands.run import Run, load_run
from jaxseg.commands.segmentation import Segmenter
from jaxseg.data.originals import Original
from jaxseg.progress import busy, counting
from jaxseg.training.inference import InferenceConfig, Strip

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
    "out",
    "checkpoint",
    "data.directory",
    "prepared",
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
        split: "train", "validation" or "test", or "all" for all of them together.
        inference: How the net is applied to each image.
        data: Another place of the images than that of training.
        prepared: Score the prepared images, at the size of training, rather than the originals.
        worst: Number of images that worst.png shows.
        checkpoint: "best" for the best mean IoU on the validation split, "last" for the newest
            checkpoint, or the number of a step.
        out: Folder of the tables and figures; None is RUN/SPLIT.
        preset: Not used: there is one preset.
    """

    run: Path = Path("runs/quick")
    split: str = "validation"
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    data: DataPlace = field(default_factory=DataPlace)
    prepared: bool = False
    worst: int = 8
    checkpoint: str = "best"
    out: Path | None = None
    preset: tyro.conf.Suppress[str] = ""

    def __post_init__(self):
        """Refuse numbers that are out of range."""
        if self.worst < 1:
            raise ValueError(f"worst={self.worst} must be at least 1.")


def main(config: Config) -> Evaluation:
    """Score every image, then write tables and figures."""
    run = load_run(config.run, checkpoint=config.checkpoint)
    examples = open_examples(run, config.data, config.split, prepared=config.prepared)
    outputs = Outputs(config.out or config.run / config.split)
    outputs.check([*TABLES, *FIGURES])
    evaluation = evaluate(run, examples, config)
    about = describe(run, len(evaluation.images), config)
    write_tables(evaluation, run.info, about, outputs)
    draw(evaluation, run.info, about, outputs)
    names = ", ".join(str(outputs.folder / name) for name in FIGURES)
    print(f"Every image: {outputs.folder / 'images.csv'}. Figures: {names}")
    return evaluation


def evaluate(run: Run, examples: Mapping[str, Sequence[Original]], config: Config) -> Evaluation:
    """Score every image, one at a time.

    Args:
        run: The net.
        examples: The images and labels, by split.
        config: How they are evaluated.

    Raises:
        ValueError: An image or a mask cannot be read, or is not as expected.
    """
    segmenter = Segmenter(run, config.inference)
    with busy("compiling"):
        segmenter.compile()
    total = sum(map(len, examples.values()))
    every = max(1, total // PANEL)
    scores: list[ImageScores] = []
    panel: list[Thumbnail] = []
    worst: list[tuple[float, int, Thumbnail]] = []  # a heap, the best of the worst first
    with counting(total, config.split, "images") as bar:
        for split, originals in examples.items():
            for number in range(len(originals)):
                index, original = len(scores), originals[number]
                shown = index % every == 0 and len(panel) < PANEL
                prediction, uncertainty = _segment(segmenter, original.image, uncertainty=shown)
                scores.append(score(run, original, prediction, split=split, number=number))
                rank = -scores[-1].mean_iou
                among_worst = rank == rank and (len(worst) < config.worst or rank > worst[0][0])
                if shown or among_worst:
                    picture = thumbnail(run.info, original, prediction, uncertainty)
                    panel += [picture] * shown
                    if among_worst:
                        heapq.heappush(worst, (rank, -index, picture))
                        if len(worst) > config.worst:
                            heapq.heappop(worst)
                bar.update()
    ordered = sorted(worst, key=lambda entry: entry[:2], reverse=True)
    return Evaluation(scores, panel, [(scores[-i], shown) for _, i, shown in ordered])


def score(
    run: Run, original: Original, prediction: np.ndarray, *, split: str, number: int
) -> ImageScores:
    """Compare a prediction with the original mask, pixel by pixel.

    Args:
        run: The net.
        original: The image and its label.
        prediction: (height, width) of the image.
        split: Its split.
        number: Its number in the split.
    """
    label, classes = original.label, run.info.classes
    tolerance = max(1, round(0.0075 * float(np.hypot(*label.shape))))
    image, mask = original.paths or (str(number), "")
    return ImageScores(
        split,
        str(image),
        str(mask),
        (label.shape[0], label.shape[1]),
        confusion(label, prediction, classes),
        boundary_f_scores(label, prediction, classes, tolerance=tolerance),
    )


def describe(run: Run, images: int, config: Config) -> str:
    """Say in words what was evaluated, and how.

    Args:
        run: The net.
        images: Number of images.
        config: How they were evaluated.
    """
    height, width = run.info.size
    where = config.data.directory or run.info.name
    split = "all splits" if config.split == ALL else f"{config.split} split"
    size = f"of {height}x{width}, as prepared" if config.prepared else "at their own sizes"
    return (
        f"{run.config['model']['name']} on {where}, {split} ({images} images {size}), "
        f"step {run.step}; {describe_views(config.inference, crops=run.info.crops)}"
    )


def describe_views(inference: InferenceConfig, *, crops: bool) -> str:
    """Say in words how the net was applied.

    Args:
        inference: The views.
        crops: The net sees images at their own sizes, and large ones in windows.
    """
    height, width = inference.default_window
    words = ["whole images" + f", large ones in windows of {height}x{width}" * crops]
    if inference.window is not None:
        height, width = inference.window
        words = [f"windows of {height}x{width}, overlapping by {inference.overlap:.0%}"]
    if inference.scales != (1.0,):
        words.append(f"scales {', '.join(f'{s:g}' for s in inference.scales)}")
    return ", ".join(words + ["mirrored too"] * inference.flip)


def _segment(
    segmenter: Segmenter, image: np.ndarray, *, uncertainty: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The labels of an image, and its uncertainty in 8 bits, which is 0 if not asked for."""
    gray = np.zeros(image.shape[:2], np.uint8)

    def keep(strip: Strip) -> None:
        values = 255 * np.clip(strip.entropy(), 0, 1)
        gray[strip.rows, strip.columns] = values.round().astype(np.uint8)

    return segmenter(image, on_strip=keep if uncertainty else None), gray


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
