"""Arms that are compared at their own best learning rates: which those are, and their values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from orders import by_chance

RESULTS = {
    "arm": str,
    "seed": int,
    "learning_rate": float,
    "train_loss": float,
    "pixel_accuracy": float,
    "mean_iou": float,
    "parameters": int,
    "step_milliseconds": float,
}
"""Columns of a run's results."""
Rows = Sequence[Mapping[str, Any]]


def best_rate(results: Rows, arm: str) -> float:
    """The arm's rate with the lowest median training loss."""
    own = [row for row in results if row["arm"] == arm]
    rates = sorted({row["learning_rate"] for row in own})
    medians = [
        np.median([row["train_loss"] for row in own if row["learning_rate"] == rate])
        for rate in rates
    ]
    return rates[int(np.argmin(medians))]


def best_rates(results: Rows, arms: Sequence[str]) -> dict[str, float]:
    """Arm -> its best rate, of those that were run."""
    there = {row["arm"] for row in results}
    return {arm: best_rate(results, arm) for arm in arms if arm in there}


def rate_text(results: Rows, arm: str, rate: float) -> str:
    """The arm's rate, and whether the sweep ends there, so that a better one may lie beyond."""
    rates = [row["learning_rate"] for row in results if row["arm"] == arm]
    ends = {max(rates): " (highest tried)", min(rates): " (lowest tried)"}
    return f"{rate:g}" + (ends.get(rate, "") if len({*rates}) > 1 else "")


def of_arm(
    rows: Rows, chosen: Mapping[str, float], arm: str, column: str, **where: Any
) -> np.ndarray:
    """A column of an arm at its chosen rate, by seed; `where` other columns have these values."""
    wanted = {"arm": arm, "learning_rate": chosen[arm], **where}
    own = [row for row in rows if all(row[k] == v for k, v in wanted.items())]
    return np.array([row[column] for row in sorted(own, key=lambda row: row["seed"])])


def how_compared(results: Rows) -> str:
    """Sentences on the rates that were tried, and on when an order is said to hold."""
    tried = ", ".join(f"{rate:g}" for rate in sorted({row["learning_rate"] for row in results}))
    seeds = len({row["seed"] for row in results})
    return (
        f"{seeds} seeds, each arm at its own best of the rates {tried}. Orders hold where the "
        "seeds' ranges are apart, which those of two equal arms are by chance "
        f"{by_chance(seeds):.0%} of the time."
    )


def mean_text(values: np.ndarray, digits: int = 3) -> str:
    """Mean and standard deviation."""
    return f"{values.mean():.{digits}f} ± {values.std():.{digits}f}"
