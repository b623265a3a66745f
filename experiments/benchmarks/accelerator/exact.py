"""Part b: drawn convolutions against float64 on the host, with TF32 off and on."""

from collections.abc import Iterator
from functools import partial

import jax
import numpy as np

from experiments.benchmarks import exactness
from experiments.benchmarks.accelerator.parts import Row, Task

PRECISIONS = ("highest", "tensorfloat32")
TF32_LIMIT = 5e-3
"""Largest relative error in TF32, whose products have 10 bits behind the point (2^-10 = 1e-3)."""
CASES, TINY_CASES = 5000, 6


def tasks(*, tiny: bool) -> Iterator[Task]:
    """Yield drawn cases: forward, both gradients, and those of two members by `vmap`.

    Args:
        tiny: Draw a few cases only.
    """
    for number in range(TINY_CASES if tiny else CASES):
        for precision in PRECISIONS:
            yield f"{number} {precision}", partial(compare, number, precision)


def compare(number: int, precision: str) -> Row:
    """Compare a drawn case with its definition.

    Raises:
        ValueError: It is not exact.
    """
    if number % exactness.CASES_IN_CACHE == 0:
        jax.clear_caches()
    with jax.default_matmul_precision(precision):
        row = exactness.compare(number, np.random.default_rng((0, number)))
    limit = exactness.DTYPES[row["dtype"]]
    if precision == "tensorfloat32" and row["dtype"] == "float32":
        limit = TF32_LIMIT
    worst = max(row[name] for name in exactness.ERRORS)
    if not worst <= limit:
        raise ValueError(f"{row['dtype']}: error {worst:.2g}, limit {limit:g}: {row['options']}")
    return {**row, "precision": precision}
