"""Shared by the benchmarks: several ways to do one thing, timed in turns, and their ratios."""

import importlib.util
import math
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from matplotlib.figure import Figure

from jaxseg.ops import native
from jaxseg.ops._lowering import Form
from jaxseg.progress import progress_bar
from jaxseg.startup import raise_if_stopped

Ways = dict[str, Callable[[], Any]]
"""Name of a way -> what runs it to its end."""
Rows = list[dict[str, Any]]
TIMES = {"way": str, "median_ms": float, "fastest_ms": float}
"""Columns of the rows of `time_ways`."""
_PAUSE = 0.015


def compares_with_torch() -> bool:
    """Tell whether PyTorch is installed and JAX runs on the CPU, as PyTorch does here."""
    return bool(importlib.util.find_spec("torch")) and jax.default_backend() == "cpu"


def torch_on_all_cores() -> Any:
    """Import PyTorch and let it use every core."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    return torch


def sharing_devices(batch_size: int) -> list[Any]:
    """Select the local devices, as many as share a batch out evenly."""
    devices = jax.local_devices()
    return devices[: math.gcd(batch_size, len(devices))]


def single_forms() -> dict[str, Form]:
    """Name the ways that compare oneDNN with the pure forms, where it is in use: way -> form."""
    if jax.default_backend() != "cpu" or not native.is_available():
        return {}
    return {"pure, 1 device": "fast", "native, 1 device": "native"}


def batch_shardings(devices: Sequence[Any]) -> tuple[NamedSharding, NamedSharding]:
    """Build the shardings of a batch that devices share out, and of what all of them hold."""
    mesh = Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))
    return NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())


def timed(run: Callable[[], Any], *, warm_up: bool = True) -> float:
    """Time a call in seconds, after a pause in which the threads of others go to sleep.

    Args:
        run: What is called.
        warm_up: Call it once before, so that its own threads are awake and its data is in caches.
    """
    time.sleep(_PAUSE)
    if warm_up:
        run()
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def in_turns(
    ways: Ways,
    repeats: int,
    *,
    slow: Collection[str] = (),
    slow_repeats: int = 3,
    warm_up: bool = True,
    title: str = "turns",
) -> dict[str, list[float]]:
    """Time every way in every turn, in milliseconds.

    Args:
        ways: What is timed; all of it has been called once.
        repeats: Turns.
        slow: Ways that take part in the first turns only.
        slow_repeats: The number of these turns.
        warm_up: Call each way before it is timed, every time.
        title: Shown beside the number of turns, between the calls: a clock that ticked during a
            call would disturb it.
    """
    times: dict[str, list[float]] = {way: [] for way in ways}
    with progress_bar(desc=title, total=repeats) as bar:
        for turn in range(repeats):
            for way, run in ways.items():
                raise_if_stopped()
                if way not in slow or turn < slow_repeats:
                    bar.set_postfix_str(way)
                    times[way].append(1e3 * timed(run, warm_up=warm_up))
            bar.update()
    return times


def time_ways(
    title: str,
    ways: Ways,
    repeats: int,
    *,
    slow: Collection[str] = (),
    slow_repeats: int = 3,
    warm_up: bool = True,
) -> Rows:
    """Time ways in turns and print their medians.

    Args:
        title: What they all do.
        ways: What is timed; all of it has been called once.
        repeats: Turns.
        slow: Ways that take part in the first turns only.
        slow_repeats: The number of these turns.
        warm_up: Call each way before it is timed, every time.

    Returns:
        A row a way, with the columns of `TIMES`.
    """
    times = in_turns(
        ways, repeats, slow=slow, slow_repeats=slow_repeats, warm_up=warm_up, title=title
    )
    rows = [
        {"way": way, "median_ms": float(np.median(values)), "fastest_ms": min(values)}
        for way, values in times.items()
    ]
    print(f"{title}: " + ", ".join(f"{row['way']} {row['median_ms']:.2f} ms" for row in rows))
    return rows


def reference_of(ways: Collection[str]) -> str:
    """Name the way that ratios are to: PyTorch, or jaxseg where that is not timed."""
    return "PyTorch" if "PyTorch" in ways else "jaxseg"


def with_ratios(rows: Rows) -> Rows:
    """Add to the rows of one case their ratio to the median of `reference_of`."""
    medians = {row["way"]: row["median_ms"] for row in rows}
    return [{**row, "ratio": row["median_ms"] / medians[reference_of(medians)]} for row in rows]


def over_torch(rows: Rows) -> Rows:
    """Add to the rows of one case their ratio to the fastest of PyTorch's ways, or NaN."""
    medians = [row["median_ms"] for row in rows if "PyTorch" in row["way"]]
    fastest = min(medians, default=math.nan)
    return [{**row, "to_pytorch": row["median_ms"] / fastest} for row in rows]


def check_agreement(values: Mapping[str, np.ndarray], tolerance: float) -> None:
    """Check that all ways give the same.

    Args:
        values: Way -> what it computes.
        tolerance: Largest relative difference from the first way.

    Raises:
        ValueError: One differs.
    """
    first, expected = next(iter(values.items()))
    for way, array in values.items():
        same_shape = array.shape == expected.shape
        if not same_shape or not np.allclose(array, expected, rtol=tolerance, atol=0):
            raise ValueError(f"{way} disagrees with {first}: no times are given.")


def ratio_figure(rows: Rows) -> Figure:
    """Draw times over the reference's, a line a case and a dot a way, on a logarithmic axis.

    Args:
        rows: Rows with "case", "way" and "ratio".
    """
    cases = list(dict.fromkeys(str(row["case"]) for row in rows))
    reference = reference_of({row["way"] for row in rows})
    ways = [w for w in dict.fromkeys(str(row["way"]) for row in rows) if w != reference]
    figure = Figure(figsize=(8.5, 1.4 + 0.21 * len(cases)), layout="constrained")
    axes = figure.subplots()
    for way, mark in zip(ways, "os^Dvx", strict=False):
        here = [row for row in rows if row["way"] == way]
        places = [cases.index(str(row["case"])) for row in here]
        axes.plot([row["ratio"] for row in here], places, mark, markersize=5, label=way, alpha=0.85)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(cases)), cases, fontsize=7)
    axes.grid(axis="y", linewidth=0.3)
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200) if low < t < high]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel(f"time over that of {reference} (left is faster)")
    figure.legend(
        *axes.get_legend_handles_labels(),
        ncols=4,
        loc="outside upper center",
        fontsize=8,
        frameon=False,
    )
    return figure
