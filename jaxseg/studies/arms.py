"""Arms compared at their own best learning rates: one rule, one statistic, one way to print it.

An arm is one of the things that a study compares. Its runs are rows with the columns "arm", "seed",
"learning_rate" and "train_loss", and with further ones where an arm is run at several depths, say.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg.studies.results import Row

Rows = Sequence[Row]


def best_rate(rows: Rows) -> float:
    """Return the learning rate with the lowest median training loss over the seeds.

    A rate that was tried with fewer seeds than another one is never the best: a single lucky seed
    says nothing of a rate.

    Args:
        rows: The runs of one arm.

    Raises:
        ValueError: There are no rows.
    """
    losses: dict[float, list[float]] = {}
    for row in rows:
        losses.setdefault(row["learning_rate"], []).append(row["train_loss"])
    if not losses:
        raise ValueError("best_rate: there are no runs: train the arm first.")
    most = max(len(values) for values in losses.values())
    tried = [rate for rate, values in losses.items() if len(values) == most]
    return min(sorted(tried), key=lambda rate: float(np.median(losses[rate])))


def at_best_rate(rows: Rows, arms: Sequence[str] | None = None) -> dict[str, list[Row]]:
    """Select each arm's runs at its best learning rate, one a seed, in the order of the seeds.

    Args:
        rows: The runs of all arms.
        arms: The arms in the order wanted; those without runs are left out. None takes all, in
            the order of the rows.

    Returns:
        Arm -> rows.
    """
    present = list(dict.fromkeys(row["arm"] for row in rows))
    chosen = present if arms is None else [arm for arm in arms if arm in present]
    return {arm: _best([row for row in rows if row["arm"] == arm]) for arm in chosen}


def at_best_rate_by(
    rows: Rows, column: str, arms: Sequence[str] | None = None
) -> dict[str, dict[Any, list[Row]]]:
    """Select like `at_best_rate` where each value of a column has a best rate of its own.

    Args:
        rows: The runs of all arms.
        column: The column, such as "depth".
        arms: The arms in the order wanted; None takes all, in the order of the rows.

    Returns:
        Arm -> value of the column, ascending -> rows.
    """
    by_arm: dict[str, dict[Any, list[Row]]] = {}
    for value in sorted({row[column] for row in rows}):
        here = [row for row in rows if row[column] == value]
        for arm, best in at_best_rate(here).items():
            by_arm.setdefault(arm, {})[value] = best
    order = list(dict.fromkeys(row["arm"] for row in rows)) if arms is None else arms
    return {arm: by_arm[arm] for arm in order if arm in by_arm}


def _best(runs: Rows) -> list[Row]:
    rate = best_rate(runs)
    return sorted((r for r in runs if r["learning_rate"] == rate), key=lambda r: r["seed"])


def column(rows: Rows, name: str) -> np.ndarray:
    """Collect one column of some rows as an array.

    Args:
        rows: Rows of any table.
        name: The column.
    """
    return np.array([row[name] for row in rows])


def columns(best: Mapping[Any, Rows], name: str) -> dict[Any, np.ndarray]:
    """Collect one column of every arm.

    Args:
        best: Arm -> rows, from `at_best_rate`.
        name: The column.

    Returns:
        Arm -> one value a seed.
    """
    return {arm: column(rows, name) for arm, rows in best.items()}


def matching(rows: Rows, best: Rows, **where: Any) -> list[Row]:
    """Select the rows of another table that belong to an arm's runs at its best rate.

    Args:
        rows: Of a table with the columns "arm", "seed" and "learning_rate".
        best: The arm's runs, from `at_best_rate`.
        **where: Further columns and the values that they must have.

    Returns:
        The rows in the order of the seeds.
    """
    runs = {(run["arm"], run["seed"], run["learning_rate"]) for run in best}
    selected = [
        row
        for row in rows
        if (row["arm"], row["seed"], row["learning_rate"]) in runs
        and all(row[name] == value for name, value in where.items())
    ]
    return sorted(selected, key=lambda row: row["seed"])


def spread(
    values: Sequence[float] | np.ndarray, digits: int = 3, *, significant: bool = False
) -> str:
    """Print the median of some values, and their range where there are several.

    Values that are NaN are left out and counted; an infinite one, of a run that diverged, is ∞.

    Args:
        values: One a seed.
        digits: Digits behind the decimal point.
        significant: Print so many significant digits instead, for values over many decades.

    >>> spread([0.44, 0.46, 0.43]), spread([0.5], 1)
    ('0.440 (0.430 to 0.460)', '0.5')
    >>> spread([17400.0, 0.0125], significant=True)
    '8.7e+03 (0.0125 to 1.74e+04)'
    >>> spread([1.0, float("inf"), float("nan")], 1)
    '∞ (1.0 to ∞; 1 of 3 undefined)'
    """
    values = np.asarray(values, float)
    if not values.size:
        return "none"
    known = values[~np.isnan(values)]
    lost = f"{values.size - known.size} of {values.size} undefined"
    if not known.size:
        return "undefined"
    style = f".{digits}{'g' if significant else 'f'}"
    middle, low, high = (
        f"{value:{style}}".replace("inf", "∞")
        for value in (np.median(known), known.min(), known.max())
    )
    inside = [] if known.size == 1 else [f"{low} to {high}"]
    inside += [lost] if known.size < values.size else []
    return f"{middle} ({'; '.join(inside)})" if inside else middle


def rate_text(rows: Rows, best: Rows) -> str:
    """Print an arm's best rate, and whether the sweep ends there: a better one may lie beyond.

    Args:
        rows: The runs of all arms.
        best: The arm's runs at its best rate, from `at_best_rate`.
    """
    rate = best[0]["learning_rate"]
    tried = {row["learning_rate"] for row in rows if row["arm"] == best[0]["arm"]}
    ends = {max(tried): " (highest tried)", min(tried): " (lowest tried)"}
    return f"{rate:g}" + (ends.get(rate, "") if len(tried) > 1 else "")


def measured_over(rows: Rows) -> str:
    """Say in a sentence what seeds and rates stand behind the numbers of a sweep.

    Args:
        rows: The runs of all arms.
    """
    rates = ", ".join(f"{rate:g}" for rate in sorted({row["learning_rate"] for row in rows}))
    seeds = len({row["seed"] for row in rows})
    return (
        f"{seeds} seeds; each arm at its own best of the learning rates {rates}, by its training "
        "loss. Numbers are medians over the seeds with their range; an order holds where the "
        "ranges are apart."
    )
