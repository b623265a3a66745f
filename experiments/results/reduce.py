"""Runs to the few numbers that the README shows."""

import csv
import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from experiments.depth_scaling.claims import trainable_depth
from experiments.depth_scaling.config import ARMS, LABELS
from jaxseg.studies import Row, at_best_rate_by, column

Values = dict[str, Any]
"""What is kept of a run: numbers and names, as JSON holds them."""
_RUNS = {"arm": str, "depth": int, "seed": int, "learning_rate": float, "train_loss": float}


def depth_losses(folder: Path, *, classes: int) -> Values:
    """Reduce a depth study to its median training losses, each arm at its best rates.

    Args:
        folder: The study's folder.
        classes: Number of classes, whose logarithm is the loss of knowing nothing.
    """
    rows = [{name: kind(row[name]) for name, kind in _RUNS.items()} for row in _read(folder, _RUNS)]
    best = at_best_rate_by(rows, "depth", [arm for arm in ARMS if arm in _values(rows, "arm")])
    arms = {}
    for arm, depths in best.items():
        losses = {depth: column(runs, "train_loss") for depth, runs in depths.items()}
        arms[LABELS[arm]] = {
            "trainable_depth": trainable_depth(losses, math.log(classes)),
            "losses": {str(depth): _spread(values) for depth, values in losses.items()},
        }
    return {"seeds": len(_values(rows, "seed")), "arms": arms}


def ratios(folder: Path, *, groups: tuple[str, ...], ratio: str) -> Values:
    """Reduce a benchmark to ratios to PyTorch: geometric means over the cases, by group and way.

    Args:
        folder: The benchmark's folder.
        groups: Columns that name a group of cases.
        ratio: Column of the ratio.
    """
    by_group: dict[str, dict[str, list[float]]] = {}
    for row in _read(folder, (*groups, "way", ratio)):
        group = ", ".join(row[name] for name in groups)
        by_group.setdefault(group, {}).setdefault(row["way"], []).append(float(row[ratio]))
    means = {
        group: {
            way: round(float(np.exp(np.mean(np.log(values)))), 3) for way, values in ways.items()
        }
        for group, ways in by_group.items()
    }
    cases = {group: max(map(len, ways.values())) for group, ways in by_group.items()}
    return {"machine": _machine(folder), "cases": cases, "ratios": means}


def segmentation(folder: Path) -> Values:
    """Reduce a training run that was evaluated to its scores on the test split.

    Args:
        folder: The run's folder, in which `jaxseg evaluate --split test` left test/.
    """
    rows = {row["class"]: row for row in _read(folder / "test", ("class", "accuracy", "iou"))}
    counted = re.search(r"([\d,]+) parameters", (folder / "summary.md").read_text("utf-8"))
    return {
        "mean_iou": round(float(rows["mean of classes"]["iou"]), 4),
        "pixel_accuracy": round(float(rows["all pixels"]["accuracy"]), 4),
        "parameters": int(counted[1].replace(",", "")) if counted else None,
    }


def _spread(values: np.ndarray) -> list[float]:
    """Median, least and greatest."""
    return [round(float(v), 4) for v in (np.median(values), values.min(), values.max())]


def _values(rows: Iterable[Row], name: str) -> set[Any]:
    return {row[name] for row in rows}


def _read(folder: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    path = folder / "results.csv"
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error}): measure it again.") from error
    missing = [name for name in columns if not rows or name not in rows[0]]
    if missing:
        raise ValueError(f"{path} has no rows with {', '.join(missing)}: measure it again.")
    return rows


def _machine(folder: Path) -> dict[str, Any] | None:
    """Read the machine's description; a run from before there was one has none."""
    path = folder / "machine.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
