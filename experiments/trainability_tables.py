"""What both parts of the study of trainability make of their rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from studies import Judgement, judged

COLUMNS = {
    "part": str,
    "chain": int,
    "depth": int,
    "arm": str,
    "weight_variance": float,
    "seed": int,
    "log2_rate": int,
    "train_loss": float,
    "moved": float,
}
Rows = Sequence[Mapping[str, Any]]


def by_rate(rows: Rows) -> list[np.ndarray]:
    """Losses of the seeds, for each rate in turn."""
    rates = sorted({r["log2_rate"] for r in rows})
    order = sorted(rows, key=lambda r: r["seed"])
    return [np.array([r["train_loss"] for r in order if r["log2_rate"] == rate]) for rate in rates]


def all_train(losses: np.ndarray, chance: float) -> Judgement:
    """Depths lead: where the shallowest nets learn nothing, the task is at fault."""
    if losses[0].min() >= chance / 2:
        return judged(None)
    return judged(bool(losses.max() < chance / 2))
