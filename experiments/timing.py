"""Times of several ways to do one thing, and the figure of their ratios."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg import plots

Ways = dict[str, Callable[[], Any]]


def timed(run: Callable[[], Any]) -> float:
    """Seconds of a call after a pause, in which others' threads go to sleep, and a warm-up."""
    time.sleep(0.015)
    run()
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def in_turns(
    ways: Ways, repeats: int, *, slow: Collection[str] = (), slow_repeats: int = 3
) -> dict[str, list[float]]:
    """Milliseconds of every way in every turn; those that are `slow` take part in the first few."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(repeats):
        for way, run in ways.items():
            if way not in slow or turn < slow_repeats:
                times[way].append(1e3 * timed(run))
    return times


def base_of(ways: Collection[str]) -> str:
    """The way that ratios are to."""
    return "PyTorch" if "PyTorch" in ways else "jaxseg"


def draw_ratios(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """`plots.ratios` of rows with "case", "way" and "ratio", as a file."""
    plots.ratios(rows, base_of({row["way"] for row in rows})).savefig(path, dpi=150)
