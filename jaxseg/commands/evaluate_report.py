"""The tables and figures of an evaluation."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from jaxseg import data, metrics, plots
from jaxseg.commands.evaluate_scores import ImageScores, columns, row
from jaxseg.commands.outputs import Outputs
from jaxseg.commands.segmentation import to_rgb
from jaxseg.data import geometry
from jaxseg.data.originals import Original
from jaxseg.training import tables

TABLES = ("results.csv", "images.csv", "confusion.csv", "summary.md")
FIGURES = ("confusion.png", "panel.png", "worst.png")


class Thumbnail(NamedTuple):
    """An image, its label, the prediction and its uncertainty, at the size of the net."""

    image: np.ndarray
    label: np.ndarray
    prediction: np.ndarray
    uncertainty: np.ndarray


class Evaluation(NamedTuple):
    """Measurements of an evaluation.

    Attributes:
        images: Scores of every image.
        panel: A few images, evenly spread.
        worst: Those of the lowest mean IoU with their scores, the lowest first.
    """

    images: list[ImageScores]
    panel: list[Thumbnail]
    worst: list[tuple[ImageScores, Thumbnail]]


def thumbnail(
    info: data.DatasetInfo, original: Original, prediction: np.ndarray, uncertainty: np.ndarray
) -> Thumbnail:
    """Bring an image and what belongs to it to the size of the net.

    Args:
        info: What the net was trained on.
        original: The image and its label.
        prediction: (height, width) of the image.
        uncertainty: Likewise, in 8 bits.
    """
    size, keep_aspect = info.size, info.keep_aspect
    image = geometry.fit_image(original.image, size, keep_aspect=keep_aspect, mean=info.mean)
    gray = geometry.fit_image(uncertainty[..., None], size, keep_aspect=keep_aspect, mean=(0.0,))
    return Thumbnail(
        to_rgb(image),
        geometry.fit_label(original.label, size, keep_aspect=keep_aspect),
        geometry.fit_label(prediction, size, keep_aspect=keep_aspect),
        gray[..., 0] / np.float32(255),
    )


def mean_boundary(images: Sequence[ImageScores]) -> np.ndarray:
    """The mean boundary F-score of each class over the images that have such a boundary.

    Args:
        images: Scores of every image.

    Returns:
        (classes,); NaN for a class that no image has.
    """
    by_image = np.stack([scores.boundary for scores in images])
    known = np.isfinite(by_image)
    return np.where(known, by_image, 0).sum(0) / np.where(known.any(0), known.sum(0), np.nan)


def write_tables(
    evaluation: Evaluation, info: data.DatasetInfo, about: str, outputs: Outputs
) -> None:
    """Write and print the tables.

    Args:
        evaluation: What was measured.
        info: What the net was trained on.
        about: What was evaluated, and how.
        outputs: The folder.
    """
    names, images = info.class_names, evaluation.images
    counts = np.sum([scores.confusion for scores in images], 0)
    rows = metrics.per_class_rows(counts, names)
    _write_csv(outputs, "results.csv", metrics.COLUMNS, rows)
    _write_csv(outputs, "images.csv", columns(names), [row(s, names) for s in images])
    _write_csv(
        outputs,
        "confusion.csv",
        ["label", *names],
        [
            {"label": n, **dict(zip(names, line, strict=True))}
            for n, line in zip(names, counts.tolist(), strict=True)
        ],
    )
    boundary = tables.markdown_table(
        "class | boundary F",
        [
            f"{n} | {'-' if np.isnan(s) else f'{s:.3f}'}"
            for n, s in zip(names, mean_boundary(images), strict=True)
        ],
    )
    lowest = tables.markdown_table(
        "image | mean IoU", [f"{s.image} | {s.mean_iou:.3f}" for s, _ in evaluation.worst]
    )
    table = metrics.per_class_table(counts, names)
    text = "\n".join(
        [f"# Evaluation\n\n{about}.\n\n{table}\n", *boundary, "\nThe worst images:\n", *lowest]
    )
    outputs.write("summary.md", f"{text}\n".encode())
    print(text)


def draw(evaluation: Evaluation, info: data.DatasetInfo, about: str, outputs: Outputs) -> None:
    """Draw the figures.

    Args:
        evaluation: What was measured.
        info: What the net was trained on.
        about: What was evaluated, and how.
        outputs: The folder.
    """
    names, palette = info.class_names, info.palette
    counts = np.sum([scores.confusion for scores in evaluation.images], 0)
    _save(outputs, "confusion.png", plots.confusion_figure(counts, names, title=about))
    panel = [np.stack(column) for column in zip(*evaluation.panel, strict=True)]
    figure = plots.prediction_panel(*panel, palette=palette, class_names=names, title=about)
    _save(outputs, "panel.png", figure)
    if evaluation.worst:
        shown = [thumbnail for _, thumbnail in evaluation.worst]
        figure = plots.error_panel(
            [one.image for one in shown],
            [one.label for one in shown],
            [one.prediction for one in shown],
            palette=palette,
            class_names=names,
            titles=[
                f"{Path(s.image).name}: mean IoU {s.mean_iou:.3f}" for s, _ in evaluation.worst
            ],
            title=f"The lowest mean IoU: {about}",
        )
        _save(outputs, "worst.png", figure)


def _write_csv(
    outputs: Outputs, name: str, header: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    with outputs.path(name) as path:
        tables.write_csv(path, header, rows)


def _save(outputs: Outputs, name: str, figure: Figure) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=120)
    outputs.write(name, buffer.getvalue())
