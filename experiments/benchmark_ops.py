"""What convolutions cost: jaxseg, plain lax and PyTorch side by side, forward and both gradients.

One run times every way of every case in turns, each after a call of its own that warms caches and
wakes threads, and takes medians:

    jaxseg            `ops.conv`, `ops.upconv`, the batch shared out over one XLA device a core
    jaxseg, 1 device  the same on one device
    plain lax         `ops.lowering("direct")` on one device: what JAX derives by itself
    PyTorch           eager, channels last, as many threads as cores (if installed)

and checks that all of them agree. `% of peak` is of the matrix product that the machine does
fastest in the same run. Ensembles (`vmap` over parameters) and per-example gradient norms follow.

    make parity && python experiments/benchmark_ops.py          about 5 minutes on two cores

It leaves results.csv, summary.md and benchmark_ops.png in --out.
"""

import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from timing import base_of, draw_ratios, in_turns, timed

from jaxseg import cli, files, ops
from jaxseg.training import records, use_all_cores

RESULTS = {
    "family": str,
    "case": str,
    "way": str,
    "median_ms": float,
    "fastest_ms": float,
    "ratio": float,
    "peak_share": float,
    "error": float,
}
TOLERANCE = 1e-3
"""Largest difference between two ways, relative to the largest entry, in float32."""


@dataclass(frozen=True)
class Case:
    """One convolution: `op`, batch, side of the square images, channels, and its options."""

    family: str
    op: str
    batch: int
    size: int
    inputs: int
    features: int
    window: int
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self):
        """For example "conv 3x3 s2, 8x64x64x64 > 128"."""
        extra = "".join(
            f" {k[0]}{v}" for k, v in self.options.items() if k in ("stride", "dilation")
        )
        return (
            f"{'depthwise ' * (self.family == 'depthwise')}"
            f"{self.op} {self.window}x{self.window}{extra}, "
            f"{self.batch}x{self.size}x{self.size}x{self.inputs} > {self.features}"
        )


def up(window: int, stride: int, *shapes: tuple[int, int, int, int]) -> list[Case]:
    """Upconvolutions to `stride` times the size, as PyTorch pads them."""
    padding, extra = (window - stride + 1) // 2, (window - stride) % 2
    options = {"stride": stride, "padding": padding, "output_padding": extra}
    return [Case("upconvolution", "upconv", *shape, window, options) for shape in shapes]


def conv(
    family: str, window: int, *shapes: tuple[int, int, int, int], **options: int
) -> list[Case]:
    """Convolutions padded by half their dilated window."""
    padding = (window - 1) * options.get("dilation", 1) // 2
    return [
        Case(family, "conv", *shape, window, {**options, "padding": padding}) for shape in shapes
    ]


def depthwise(window: int, *shapes: tuple[int, int, int], **options: int) -> list[Case]:
    """Convolutions of every channel by itself."""
    return [
        case
        for batch, size, channels in shapes
        for case in conv(
            "depthwise", window, (batch, size, channels, channels), groups=channels, **options
        )
    ]


FULL = (
    *up(2, 2, (8, 32, 128, 64), (8, 64, 64, 32), (4, 16, 256, 128)),
    *up(3, 2, (8, 32, 128, 64), (4, 64, 64, 32)),
    *up(4, 2, (8, 32, 128, 64), (4, 64, 64, 64), (8, 16, 256, 128)),
    *up(8, 4, (4, 16, 64, 21), (8, 32, 64, 32)),
    *up(16, 8, (8, 16, 64, 21), (4, 32, 21, 21)),
    *conv("dense", 3, (8, 64, 64, 64), (8, 32, 128, 128), (8, 16, 256, 256), (32, 32, 32, 32)),
    *conv("dense", 7, (8, 128, 3, 64), stride=2),
    *conv("dense", 3, (8, 64, 64, 128), (8, 32, 128, 256), stride=2),
    *conv("dense", 1, (8, 32, 256, 64), (8, 32, 64, 256)),
    *conv("dense", 1, (8, 64, 64, 128), stride=2),
    *(
        c
        for rate in (6, 12, 18, 24, 36)
        for c in conv("atrous", 3, (4, 33, 128, 64), dilation=rate)
    ),
    *(c for rate in (12, 24, 36) for c in conv("atrous", 3, (2, 65, 128, 64), dilation=rate)),
    *depthwise(3, (8, 64, 64), (8, 32, 256)),
    *depthwise(3, (8, 64, 128), stride=2),
)
TINY = (*up(4, 2, (2, 4, 3, 2)), *conv("dense", 3, (2, 6, 3, 4)), *depthwise(3, (2, 6, 4)))


@dataclass(frozen=True)
class Config:
    """What is timed.

    Attributes:
        preset: where the other values come from.
        out: folder of the results.
        families: which cases: some of upconvolution, dense, atrous, depthwise.
        repeats: timed turns.
    """

    preset: str = "full"
    out: Path = Path("runs/benchmark_ops")
    families: tuple[str, ...] = ("upconvolution", "dense", "atrous", "depthwise")
    repeats: int = 9


PRESETS = {"full": Config(), "tiny": Config(preset="tiny", repeats=1)}


def main(config: Config) -> None:
    """Measure, then write tables and the figure."""
    use_all_cores()
    records.open_run(config.out, config, results="results.csv", resume=False, overwrite=True)
    peak = matmul_peak(64 if config.preset == "tiny" else 2048)
    rows = []
    for case in TINY if config.preset == "tiny" else FULL:
        if case.family in config.families:
            rows += compare(case, config.repeats, peak)
            records.write_csv(config.out / "results.csv", list(RESULTS), rows)
    summary = summarise(rows, peak)
    files.write_text(config.out / "summary.md", summary)
    print(summary)
    draw_ratios(config.out / "benchmark_ops.png", rows)


def matmul_peak(side: int) -> float:
    """The machine's GFLOP/s in the fastest float32 matrix product at hand."""
    a = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
    x = jnp.asarray(a)
    product = jax.jit(jnp.dot).lower(x, x).compile()
    ways: list[Callable[[], Any]] = [lambda: product(x, x).block_until_ready()]
    if importlib.util.find_spec("torch"):
        import torch

        t = torch.tensor(a)
        ways.append(lambda: t @ t)
    best = min(min(timed(way) for _ in range(7)) for way in ways)
    return 2 * side**3 / best / 1e9


def compare(case: Case, repeats: int, peak: float) -> list[dict[str, Any]]:
    """Time every way of one case in turns; ratios are to PyTorch, else to jaxseg."""
    x, kernel, cotangent = operands(case)
    share = np.gcd(case.batch, len(jax.local_devices()))
    ways = {
        "jaxseg": jax_way(case, x, kernel, cotangent, jax.local_devices()[:share]),
        "jaxseg, 1 device": jax_way(case, x, kernel, cotangent, jax.local_devices()[:1]),
    }
    with ops.lowering("direct"):
        ways["plain lax"] = jax_way(case, x, kernel, cotangent, jax.local_devices()[:1])
    if importlib.util.find_spec("torch") and jax.default_backend() == "cpu":
        ways["PyTorch"] = torch_way(case, x, kernel, cotangent)
    wanted = [np.asarray(a) for a in ways["plain lax"]()]
    errors = {way: _worst(run(), wanted) for way, run in ways.items()}
    for way, error in errors.items():
        if error > TOLERANCE:
            raise AssertionError(f"{case}: {way} is off by {error:.1e} of the largest entry.")
    times = in_turns(ways, repeats, slow={"plain lax"})  # ten to a hundred times slower
    median = {way: float(np.median(t)) for way, t in times.items()}
    base = median[base_of(ways)]
    work = 3 * multiply_adds(case) * 2 / 1e6
    print(f"{case}: " + ", ".join(f"{w} {m:.2f} ms" for w, m in median.items()), flush=True)
    return [
        {
            "family": case.family,
            "case": str(case).replace(",", ""),
            "way": way.replace(",", ""),
            "median_ms": m,
            "fastest_ms": min(times[way]),
            "ratio": m / base,
            "peak_share": work / m / peak,
            "error": errors[way],
        }
        for way, m in median.items()
    ]


def operands(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, kernel, and the gradient in the result."""
    draw = np.random.default_rng(0)
    groups = case.options.get("groups", 1)
    x = draw.normal(size=(case.batch, case.size, case.size, case.inputs))
    kernel = draw.normal(size=(case.window, case.window, case.inputs // groups, case.features))
    y = jax.eval_shape(lambda x, k: getattr(ops, case.op)(x, k, **case.options), x, kernel)
    cotangent = draw.normal(size=y.shape)
    return tuple(a.astype(np.float32) for a in (x, kernel, cotangent))  # type: ignore[return-value]


def multiply_adds(case: Case) -> int:
    """Of the forward pass; the gradients cost as many each."""
    side = case.size if case.op == "upconv" else case.size // case.options.get("stride", 1)
    per_pixel = case.window**2 * case.inputs * case.features // case.options.get("groups", 1)
    return case.batch * side**2 * per_pixel


def jax_way(case: Case, x, kernel, cotangent, devices: Sequence[Any]) -> Callable[[], Any]:
    """(y, dx, dk) by JAX, the batch shared out over `devices`."""
    mesh = Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))
    split, whole = (NamedSharding(mesh, spec) for spec in (PartitionSpec("data"), PartitionSpec()))
    x, cotangent = jax.device_put((x, cotangent), split)
    kernel = jax.device_put(kernel, whole)

    def both(x, kernel, cotangent):
        y, back = jax.vjp(lambda x, k: getattr(ops, case.op)(x, k, **case.options), x, kernel)
        return y, *back(cotangent)

    jitted = jax.jit(both, out_shardings=(split, split, whole))
    compiled = jitted.lower(x, kernel, cotangent).compile()
    return lambda: jax.block_until_ready(compiled(x, kernel, cotangent))


def torch_way(case: Case, x, kernel, cotangent) -> Callable[[], Any]:
    """(y, dx, dk) by PyTorch, in jaxseg's layouts but not copied there."""
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(os.cpu_count() or 1)
    last = torch.channels_last
    first = torch.tensor(np.moveaxis(x, -1, 1)).to(memory_format=last).requires_grad_()
    back = torch.tensor(np.moveaxis(cotangent, -1, 1)).to(memory_format=last)
    if case.op == "upconv":
        turned = np.flip(kernel, (0, 1)).transpose(2, 3, 0, 1)  # (in, out, *window)
        op = F.conv_transpose2d
    else:
        turned, op = kernel.transpose(3, 2, 0, 1), F.conv2d
    weight = torch.tensor(turned.copy()).to(memory_format=last).requires_grad_()

    def run():
        y = op(first, weight, **case.options)
        dx, dk = torch.autograd.grad(y, (first, weight), back)
        dk = dk.permute(2, 3, 0, 1).flip(0, 1) if case.op == "upconv" else dk.permute(2, 3, 1, 0)
        return y.detach().permute(0, 2, 3, 1), dx.permute(0, 2, 3, 1), dk

    return run


def _worst(got, wanted) -> float:
    return max(
        float(np.abs(np.asarray(a) - b).max() / np.abs(b).max())
        for a, b in zip(got, wanted, strict=True)
    )


def geometric_mean(values: Sequence[float]) -> float:
    """The n-th root of the product."""
    return float(np.exp(np.mean(np.log(values))))


def summarise(rows: list[dict[str, Any]], peak: float) -> str:
    """A table of cases and one of families, as Markdown."""
    ways = list(dict.fromkeys(row["way"] for row in rows))
    cases = list(dict.fromkeys(row["case"] for row in rows))
    by = {(row["case"], row["way"]): row for row in rows}
    base = base_of(ways)
    in_ms, means = [], []
    for case in cases:
        cells = [f"{by[case, w]['median_ms']:.2f} ({by[case, w]['ratio']:.2f})" for w in ways]
        share = f"{100 * by[case, 'jaxseg']['peak_share']:.0f}"
        in_ms.append(" | ".join([case, *cells, share]))
    for family in dict.fromkeys(row["family"] for row in rows):
        here = {
            w: [r["ratio"] for r in rows if (r["family"], r["way"]) == (family, w)] for w in ways
        }
        cells = [f"{geometric_mean(r):.2f} ({max(r):.2f})" for r in here.values()]
        means.append(" | ".join([family, str(len(here["jaxseg"])), *cells]))
    lines = [
        "# Convolutions: forward and both gradients, float32",
        "",
        f"Milliseconds (times {base}); {os.cpu_count()} cores, fastest matrix product "
        f"{peak:.0f} GFLOP/s, jax {jax.__version__}.",
        "",
        *records.markdown_table(" | ".join(["case", *ways, "% of peak"]), in_ms),
        "",
        f"Geometric means over {base}, worst case in brackets:",
        "",
        *records.markdown_table(" | ".join(["family", "cases", *ways]), means),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(cli.parse(PRESETS, "full", description=__doc__, args=None))
