"""What does a convolution cost in jaxseg, in plain XLA and in PyTorch?

Every way of every case is timed in turns, each after a warm-up of its own: the forward pass and
both gradients, in float32. Numbers are medians.

    jaxseg            `ops.conv`, `ops.upconv`, the batch shared out over one XLA device a core
    jaxseg, 1 device  the same on one device
    pure, 1 device    the rewritten forms in JAX alone, without oneDNN (where that is in use)
    native, 1 device  oneDNN for every case (where it is in use), which "jaxseg" takes for most
    plain lax         `ops.lowering("direct")` on one device: what JAX derives by itself
    PyTorch           eager, channels last, as many threads as cores (if it is installed)

All of them must agree. "% of peak" compares with the fastest matrix product of the same run.

    make parity && python -m experiments.benchmarks.ops         about 5 minutes on two cores

It leaves results.csv, summary.md and times.png in --out.
"""

from experiments.launch import launch_benchmark

if __name__ == "__main__":  # before JAX is imported: the first words come at once
    launch_benchmark("experiments.benchmarks.ops")

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.benchmarks.cases import FAMILIES, FULL, TINY, Case, multiply_adds, operands
from experiments.benchmarks.folder import BenchmarkConfig, run_folder, write_results
from experiments.benchmarks.timing import (
    TIMES,
    Rows,
    Ways,
    batch_shardings,
    compares_with_torch,
    ratio_figure,
    reference_of,
    sharing_devices,
    single_forms,
    time_ways,
    torch_on_all_cores,
    with_ratios,
)
from jaxseg import ops
from jaxseg.progress import busy
from jaxseg.training import tables

COLUMNS = ("family", "case", *TIMES, "ratio", "peak_share", "error")
TOLERANCE = 1e-3
"""Largest difference between two ways, relative to the largest entry, in float32."""
PLAIN = "plain lax"
"""The way that is ten to a hundred times slower than the others."""


@dataclass(frozen=True, kw_only=True)
class Config(BenchmarkConfig):
    """Configuration of the benchmark.

    Attributes:
        families: Some of upconvolution, dense, atrous, depthwise.
        small: Time a few tiny convolutions only, to try the benchmark.
        repeats: Timed turns.
    """

    out: Path = Path("runs/benchmarks/ops")
    families: tuple[str, ...] = FAMILIES
    small: bool = False
    repeats: int = 9

    def __post_init__(self):
        """Refuse what cannot be timed."""
        unknown = sorted({*self.families} - {*FAMILIES})
        if unknown or not self.families or self.repeats < 1:
            raise ValueError(
                f"families={self.families} must be some of {', '.join(FAMILIES)}, and "
                f"repeats={self.repeats} at least 1."
            )


PRESETS = {"full": Config(), "tiny": Config(small=True, repeats=1)}


def main(config: Config) -> None:
    """Time all cases, and write tables and a figure."""
    with run_folder(config) as machine:
        rows: Rows = []
        for case in TINY if config.small else FULL:
            if case.family in config.families:
                rows += compare(case, config.repeats, machine.gigaflops)
                tables.write_csv(config.out / "results.csv", COLUMNS, rows)
        write_results(config.out, summarize(rows), COLUMNS, rows, machine, ratio_figure(rows))


def compare(case: Case, repeats: int, peak: float) -> Rows:
    """Time every way of one case.

    Args:
        case: The convolution.
        repeats: Timed turns.
        peak: The machine's GFLOP/s, in the fastest matrix product.

    Returns:
        A row a way, with the columns of `COLUMNS`.

    Raises:
        ValueError: The ways do not agree.
    """
    with busy(f"{case}: compiling"):
        ways = make_ways(case)
        results = {way: [np.asarray(array) for array in run()] for way, run in ways.items()}
    errors = {way: largest_error(result, results[PLAIN]) for way, result in results.items()}
    for way, error in errors.items():
        if error > TOLERANCE:
            raise ValueError(f"{case}: {way} differs by {error:.1e} of the largest entry.")
    gigaflops = 3 * 2 * multiply_adds(case) / 1e9
    return [
        {
            "family": case.family,
            "case": str(case),
            **row,
            "peak_share": gigaflops / (row["median_ms"] / 1e3) / peak,
            "error": errors[row["way"]],
        }
        for row in with_ratios(time_ways(str(case), ways, repeats, slow={PLAIN}))
    ]


def make_ways(case: Case) -> Ways:
    """Build every way of one case, compiled."""
    x, kernel, cotangent = operands(case)
    devices = sharing_devices(case.batch)
    ways = {
        "jaxseg": jax_way(case, x, kernel, cotangent, devices),
        "jaxseg, 1 device": jax_way(case, x, kernel, cotangent, devices[:1]),
    }
    for way, form in single_forms().items():
        with ops.lowering(form):
            ways[way] = jax_way(case, x, kernel, cotangent, devices[:1])
    with ops.lowering("direct"):
        ways[PLAIN] = jax_way(case, x, kernel, cotangent, devices[:1])
    if compares_with_torch():
        ways["PyTorch"] = torch_way(case, x, kernel, cotangent)
    return ways


def jax_way(
    case: Case, x: np.ndarray, kernel: np.ndarray, cotangent: np.ndarray, devices: Sequence[Any]
) -> Callable[[], Any]:
    """Compile (y, dx, dkernel), the batch shared out over `devices`."""
    split, whole = batch_shardings(devices)
    images, gradient = jax.device_put((x, cotangent), split)
    weights = jax.device_put(kernel, whole)

    def forward_and_back(x, kernel, cotangent):
        y, back = jax.vjp(lambda x, k: getattr(ops, case.op)(x, k, **case.options), x, kernel)
        return y, *back(cotangent)

    jitted = jax.jit(forward_and_back, out_shardings=(split, split, whole))
    compiled = jitted.lower(images, weights, gradient).compile()
    return lambda: jax.block_until_ready(compiled(images, weights, gradient))


def torch_way(
    case: Case,
    x: np.ndarray,
    kernel: np.ndarray,
    cotangent: np.ndarray,
    *,
    device: str = "cpu",
    dtype: str = "float32",
) -> Callable[[], Any]:
    """Build (y, dx, dkernel) in PyTorch, returned in jaxseg's layouts but not copied there."""
    torch = torch_on_all_cores()
    functional, channels_last = torch.nn.functional, torch.channels_last
    kind = {"device": device, "dtype": getattr(torch, dtype)}
    images = torch.tensor(np.moveaxis(x, -1, 1), **kind).to(memory_format=channels_last)
    images = images.requires_grad_()
    back = torch.tensor(np.moveaxis(cotangent, -1, 1), **kind).to(memory_format=channels_last)
    if case.op == "upconv":
        flipped = np.flip(kernel, (0, 1)).transpose(2, 3, 0, 1)  # (in, out, *window)
        weights, op = flipped, functional.conv_transpose2d
    else:
        weights, op = kernel.transpose(3, 2, 0, 1), functional.conv2d
    weights = torch.tensor(weights.copy(), **kind).to(memory_format=channels_last).requires_grad_()

    def run():
        y = op(images, weights, **case.options)
        dx, dk = torch.autograd.grad(y, (images, weights), back)
        dk = dk.permute(2, 3, 0, 1).flip(0, 1) if case.op == "upconv" else dk.permute(2, 3, 1, 0)
        return y.detach().permute(0, 2, 3, 1), dx.permute(0, 2, 3, 1), dk

    return run


def largest_error(result: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """Return the largest difference of any array over its largest entry."""
    return max(
        float(np.abs(array - reference).max() / np.abs(reference).max())
        for array, reference in zip(result, expected, strict=True)
    )


def geometric_mean(values: Sequence[float]) -> float:
    """Return the n-th root of the product of n positive numbers."""
    return float(np.exp(np.mean(np.log(values))))


def summarize(rows: Rows) -> str:
    """Tabulate the cases, and the means of the families, in Markdown."""
    ways = list(dict.fromkeys(row["way"] for row in rows))
    by = {(row["case"], row["way"]): row for row in rows}
    reference = reference_of(ways)
    times, means = [], []
    for case in dict.fromkeys(row["case"] for row in rows):
        cells = [f"{by[case, w]['median_ms']:.2f} ({by[case, w]['ratio']:.2f})" for w in ways]
        times.append(" | ".join([case, *cells, f"{by[case, 'jaxseg']['peak_share']:.0%}"]))
    for family in dict.fromkeys(row["family"] for row in rows):
        ratios = [
            [row["ratio"] for row in rows if (row["family"], row["way"]) == (family, way)]
            for way in ways
        ]
        cells = [f"{geometric_mean(values):.2f} ({max(values):.2f})" for values in ratios]
        means.append(" | ".join([family, str(len(ratios[0])), *cells]))
    lines = [
        "# Convolutions: forward and both gradients, float32",
        "",
        f"Milliseconds (times {reference}).",
        "",
        *tables.markdown_table(" | ".join(["case", *ways, "% of peak"]), times),
        "",
        f"Geometric means of the time over that of {reference}; the worst case in brackets:",
        "",
        *tables.markdown_table(" | ".join(["family", "cases", *ways]), means),
    ]
    return "\n".join(lines) + "\n"
