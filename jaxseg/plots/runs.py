"""Figures of a training run: its curves, predictions with their uncertainty, and confusion."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from jaxseg.plots.images import displayable, to_rgb

BLUE, ORANGE, GRAY = "#0b5fa5", "#f08c2e", "#555555"


def run_curves(log: Iterable[Mapping[str, Any]], *, title: str) -> Figure:
    """Draw loss, gradient norm and learning rate by step, and IoU and accuracy on validation.

    Args:
        log: The records of a run's metrics.jsonl.
        title: Title of the figure.
    """
    records = list(log)
    trained = [r for r in records if "loss" in r]
    validated = [r for r in records if r.get("event") == "validation"]
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    figure.suptitle(title, fontsize=10)
    left, middle, right = figure.subplots(1, 3)
    steps = [r["step"] for r in trained]
    losses = np.array([r["loss"] for r in trained])
    left.plot(steps, losses, color=BLUE, alpha=0.3, linewidth=1)
    left.plot(steps, _smooth(losses), color=BLUE)
    left.set_ylabel("training loss")
    middle.semilogy(steps, [r["gradient_norm"] for r in trained], color=GRAY, linewidth=1)
    middle.set_ylabel("gradient norm")
    rate = middle.twinx()
    rate.plot(steps, [r["learning_rate"] for r in trained], color=ORANGE)
    rate.set_ylabel("learning rate", color=ORANGE)
    rate.set_ylim(bottom=0)
    at = [r["step"] for r in validated]
    for name, label, color in (
        ("mean_iou", "mean IoU", BLUE),
        ("pixel_accuracy", "pixel accuracy", GRAY),
    ):
        right.plot(at, [r[name] for r in validated], "o-", color=color, label=label, markersize=4)
    right.set_ylim(0, 1)
    right.set_ylabel("on the validation split")
    right.legend(loc="lower right", frameon=False)
    for axes in (left, middle, right):
        axes.set_xlabel("step")
        axes.grid(alpha=0.2)
    return figure


def prediction_panel(
    images: np.ndarray,
    labels: np.ndarray,
    predictions: np.ndarray,
    uncertainty: np.ndarray,
    *,
    palette: Sequence[tuple[int, int, int]],
    class_names: Sequence[str],
    title: str,
) -> Figure:
    """Draw a row an image: the image, its mask, the prediction and the prediction's entropy.

    Args:
        images: (n, height, width, channels) as they are stored, shown as `displayable` makes them.
        labels: (n, height, width); 255 is white.
        predictions: (n, height, width).
        uncertainty: (n, height, width), from 0 (certain) to 1 (undecided).
        palette: A color a class.
        class_names: A name a class.
        title: Title of the figure.
    """
    count, height, width = labels.shape
    cell = 2.7
    figure = Figure(figsize=(4 * cell, count * cell * height / width + 1.1), layout="constrained")
    figure.suptitle(title, fontsize=9)
    grid = figure.subplots(count, 4, squeeze=False)
    heads = ("image", "mask", "prediction", "uncertainty (entropy)")
    for i, row in enumerate(grid):
        row[0].imshow(displayable(images[i]), interpolation="nearest")
        row[1].imshow(to_rgb(labels[i], palette), interpolation="nearest")
        row[2].imshow(to_rgb(predictions[i], palette), interpolation="nearest")
        shown = row[3].imshow(uncertainty[i], vmin=0, vmax=1, cmap="magma")
        for axes, head in zip(row, heads, strict=True):
            axes.set_axis_off()
            if i == 0:
                axes.set_title(head, fontsize=9)
    figure.colorbar(shown, ax=grid[:, 3].tolist(), shrink=0.8)
    _legend(figure, palette, class_names)
    return figure


def error_panel(
    images: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
    *,
    palette: Sequence[tuple[int, int, int]],
    class_names: Sequence[str],
    titles: Sequence[str],
    title: str,
    ignore_index: int = 255,
) -> Figure:
    """Draw a row an image: the image, its mask, the prediction, and where they differ.

    Args:
        images: Images of any sizes, each (height, width, channels), 8 bits, of 1 or 3 channels.
        labels: The label map of each image, (height, width); 255 is white.
        predictions: The predicted map of each image, (height, width).
        palette: A color a class.
        class_names: A name a class.
        titles: A title an image.
        title: Title of the figure.
        ignore_index: The label of pixels that do not count.
    """
    count, cell = len(images), 2.7
    heights = [label.shape[0] / label.shape[1] for label in labels]
    total = sum(cell * min(height, 2.0) + 0.25 for height in heights) + 1.1
    figure = Figure(figsize=(4 * cell, total), layout="constrained")
    figure.suptitle(title, fontsize=9)
    ratios = [min(height, 2.0) for height in heights]
    grid = figure.subplots(count, 4, squeeze=False, height_ratios=ratios)
    heads = ("image", "mask", "prediction", "errors (black)")
    for i, row in enumerate(grid):
        image = images[i] if images[i].shape[-1] == 3 else np.repeat(images[i], 3, axis=-1)
        wrong = (labels[i] != predictions[i]) & (labels[i] != ignore_index)
        row[0].imshow(image, interpolation="nearest")
        row[1].imshow(to_rgb(labels[i], palette), interpolation="nearest")
        row[2].imshow(to_rgb(predictions[i], palette), interpolation="nearest")
        row[3].imshow(wrong, vmin=0, vmax=1, cmap="gray_r", interpolation="nearest")
        for axes, head in zip(row, heads, strict=True):
            axes.set(xticks=[], yticks=[])
            if i == 0:
                axes.set_title(head, fontsize=9)
        row[0].set_xlabel(titles[i], fontsize=7, loc="left")
    _legend(figure, palette, class_names)
    return figure


def confusion_figure(confusion: np.ndarray, class_names: Sequence[str], *, title: str) -> Figure:
    """Draw how the pixels of each class are predicted: a row a label, in shares of the class.

    Args:
        confusion: (classes, classes) counts, by label and prediction.
        class_names: A name a class.
        title: Title of the figure.
    """
    counts = np.asarray(confusion, np.float64)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    n = len(class_names)
    side = max(4.0, 0.45 * n + 2.2)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    figure.suptitle(title, fontsize=9)
    axes = figure.subplots()
    shown = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(n), class_names, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(n), class_names, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("labeled")
    if n <= 25:
        for i, j in np.ndindex(n, n):
            if shares[i, j] >= 0.005:
                color = "white" if shares[i, j] > 0.55 else "#222222"
                text = f"{100 * shares[i, j]:.0f}"
                axes.text(j, i, text, ha="center", va="center", color=color, fontsize=7)
    figure.colorbar(shown, ax=axes, shrink=0.8, label="share of the label's pixels")
    return figure


def _legend(figure: Figure, palette, class_names) -> None:
    patches = [
        Patch(
            facecolor=tuple(c / 255 for c in color), edgecolor="#999999", linewidth=0.5, label=name
        )
        for color, name in zip(palette, class_names, strict=True)
    ]
    figure.legend(
        handles=patches[:40],
        loc="outside lower center",
        ncols=min(11, len(patches)),
        fontsize=8,
        frameon=False,
    )


def _smooth(values: np.ndarray, reach: int = 4) -> np.ndarray:
    """The mean of each value and its neighbors up to `reach` away, fewer at both ends."""
    window = np.ones(2 * reach + 1)
    total, count = (
        np.convolve(np.pad(v, reach), window, "valid") for v in (values, np.ones(len(values)))
    )
    return total / count if len(values) else values
