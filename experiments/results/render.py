"""The README's tables, in Markdown, from what was kept of the runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.results.reduce import Values
from jaxseg.training import tables


def depth_table(values: Values) -> str:
    """Tabulate the median training loss by arm and depth."""
    depths = sorted({int(depth) for arm in values["arms"].values() for depth in arm["losses"]})
    head = ["arm", "trainable depth", *(f"{depth} convs" for depth in depths)]
    rows = [
        [
            name,
            str(arm["trainable_depth"] or "none"),
            *(f"{arm['losses'][str(depth)][0]:.3f}" for depth in depths),
        ]
        for name, arm in values["arms"].items()
    ]
    return _table(head, rows)


def losses_sentence(values: Values) -> str:
    """Say the median training loss of each arm's deepest nets, and its range over the seeds."""
    parts = []
    for name, arm in values["arms"].items():
        depth = max(arm["losses"], key=int)
        median, least, greatest = arm["losses"][depth]
        parts.append(
            f"{name}, {int(depth):,} convolutions: {median:.3f} ({least:.3f} to {greatest:.3f})"
        )
    return f"Training loss, median and range of {values['seeds']} seeds: {'; '.join(parts)}."


def ratio_table(results: Mapping[str, Values], rows: Sequence[tuple[str, str, str]]) -> str:
    """Tabulate ratios to PyTorch: the default lowering, pure forms, plain XLA.

    Args:
        results: Benchmark -> what was kept of it.
        rows: Benchmark, group of its cases, and the row's head.
    """
    cells = []
    for benchmark, group, head in rows:
        ways = results[benchmark]["ratios"][group]
        cells.append(
            [
                head.format(results[benchmark]["cases"][group]),
                *(_ratio(ways, names) for names in _COLUMNS.values()),
            ]
        )
    return _table(["", *_COLUMNS], cells)


_COLUMNS = {
    "jaxseg, 1 device": ("jaxseg, 1 device", "jaxseg vmap, 1 device", "jaxseg norms, 1 device"),
    "2 devices": ("jaxseg", "jaxseg vmap", "jaxseg norms"),
    "pure forms": ("pure, 1 device",),
    "plain `lax`": ("plain lax", "plain lax vmap"),
    "`torch.compile`": ("PyTorch, compiled",),
}
"""Head of a column -> the way that it shows, by its name in one benchmark or another."""


def machine_sentence(results: Mapping[str, Values]) -> str:
    """Say on what machine the benchmarks ran, and how busy it was."""
    machines: list[dict[str, Any]] = [v["machine"] for v in results.values() if v["machine"]]
    first = machines[0]
    load = max(machine["load"] for machine in machines)
    rates = sorted(machine["gigaflops"] for machine in machines)
    bandwidths = sorted(machine["gigabytes"] for machine in machines)
    return (
        f"{first['cores']} cores ({first['processor']}), load at most {load:.1f} before each, "
        f"{rates[0]:.0f} to {rates[-1]:.0f} GFLOP/s in a matrix product and {bandwidths[0]:.0f} to "
        f"{bandwidths[-1]:.0f} GB/s in a copy; jax {first['jax']}, PyTorch {first['torch']}."
    )


def _ratio(ways: Mapping[str, float], names: Sequence[str]) -> str:
    values = [ways[name] for name in names if name in ways]
    return f"{values[0]:.2f}" if values else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(tables.markdown_table(" | ".join(head), (" | ".join(r) for r in rows)))
