"""What running a net costs: times, memory, and ratios of times."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure


def depth_cost(stacks: Sequence[Mapping[str, Any]], nets: Sequence[Mapping[str, Any]]) -> Figure:
    """Time of a stack by way of running it; compile time, step time and memory against depth.

    Args:
        stacks: rows with blocks, way and median_ms.
        nets: rows with blocks, checkpoint_every, compile_seconds, step_ms and memory_mb.
    """
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    first, *others = figure.subplots(1, 4)
    ways = list(dict.fromkeys(row["way"] for row in stacks))
    for way in ways:
        rows = [row for row in stacks if row["way"] == way]
        rows = sorted(rows, key=lambda row: row["blocks"])
        first.plot([r["blocks"] for r in rows], [r["median_ms"] for r in rows], "o-", label=way)
    first.set(title="stack, forward + backward", ylabel="ms")
    first.legend(fontsize=7, frameon=False)
    for axes, (key, title, unit) in zip(
        others,
        (
            ("compile_seconds", "DeepNet, compile", "s"),
            ("step_ms", "DeepNet, gradient", "ms"),
            ("memory_mb", "DeepNet, memory", "MB"),
        ),
        strict=True,
    ):
        for kept, label in ((True, "all kept"), (False, "checkpoint every √L")):
            rows = [row for row in nets if (row["checkpoint_every"] == 0) == kept]
            axes.plot([r["blocks"] for r in rows], [r[key] for r in rows], "o-", label=label)
        axes.set(title=title, ylabel=unit)
        axes.legend(fontsize=7, frameon=False)
    others[0].set_ylim(bottom=0)
    for axes in (first, *others[1:]):
        axes.set_yscale("log")
    for axes in (first, *others):
        axes.set_xscale("log", base=2)
        axes.set_xlabel("blocks")
    return figure


def ratios(rows: Sequence[Mapping[str, Any]], reference: str = "PyTorch") -> Figure:
    """Time over the reference's, a line a case and a dot a way, on a log axis.

    Args:
        rows: each with "case", "way" and "ratio".
        reference: the way that the ratios are to, drawn as a line where it is among the ways.
    """
    cases = list(dict.fromkeys(str(row["case"]) for row in rows))
    ways = [w for w in dict.fromkeys(str(row["way"]) for row in rows) if w != reference]
    figure = Figure(figsize=(8.5, 1.4 + 0.21 * len(cases)), layout="constrained")
    axes = figure.subplots()
    for way, mark in zip(ways, "os^Dvx", strict=False):
        found = [(row["ratio"], cases.index(str(row["case"]))) for row in rows if row["way"] == way]
        axes.plot(*zip(*found, strict=True), mark, markersize=5, label=way, alpha=0.85)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(cases)), cases, fontsize=7)
    axes.grid(axis="y", linewidth=0.3)
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200) if low < t < high]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel(f"time over {reference}'s (left is faster)")
    figure.legend(
        *axes.get_legend_handles_labels(),
        ncols=4,
        loc="outside upper center",
        fontsize=8,
        frameon=False,
    )
    return figure
