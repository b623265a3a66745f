"""How exact are the convolutions? Drawn cases are compared with a sum over taps in float64.

Each case draws an operation (`ops.conv` or `ops.upconv`), 1 to 3 spatial axes, sizes, a window,
stride, dilation, padding (beyond the window's reach too), output padding, groups (depthwise too)
and a dtype. Its result, both gradients, and the gradients under `vmap` (over images alone, or over
images and kernels) are compared with those of NumPy in float64 for the same rounded operands. The
error of a case is its largest difference over the largest entry of what is compared.

    python -m experiments.benchmarks.exactness                  3,000 cases, half an hour
    python -m experiments.benchmarks.exactness --preset tiny

It leaves results.csv and summary.md in --out, and fails if a case is not exact.
"""

from experiments.launch import launch_benchmark

if __name__ == "__main__":  # before JAX is imported: the first words come at once
    launch_benchmark("experiments.benchmarks.exactness")

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.folder import BenchmarkConfig, run_folder, write_results
from experiments.benchmarks.timing import Rows
from jaxseg import ops
from jaxseg.ops.geometry import Geometry, conv_geometry, upconv_geometry
from jaxseg.progress import alive, progress_bar
from jaxseg.startup import raise_if_stopped
from jaxseg.training import tables

ERRORS = ("y", "dx", "dk", "vmap_dx", "vmap_dk")
COLUMNS = ("case", "operation", "dtype", "axes", "groups", "vmap", *ERRORS, "options")
DTYPES = {"float64": 1e-13, "float32": 1e-5, "float16": 2e-3, "bfloat16": 1.6e-2}
"""Dtype -> largest error that is no defect."""
QUICK = {"xla_backend_optimization_level": 0}
"""Each case is compiled for itself and runs once."""
CASES_IN_CACHE = 100
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Config(BenchmarkConfig):
    """Configuration of the benchmark.

    Attributes:
        cases: Number of cases.
        seed: Seed of the draws.
    """

    out: Path = Path("runs/benchmarks/exactness")
    cases: int = 3000
    seed: int = 0

    def __post_init__(self):
        """Refuse what compares nothing."""
        if self.cases < 1:
            raise ValueError(f"cases={self.cases} must be at least 1.")


PRESETS = {"full": Config(), "tiny": Config(cases=8)}


def main(config: Config) -> None:
    """Compare all cases, and write the tables.

    Raises:
        ValueError: Cases are not exact; the tables are written all the same.
    """
    with run_folder(config) as machine:
        rows: Rows = []
        with progress_bar(desc="cases", total=config.cases) as bar, alive(bar):
            for number in range(config.cases):
                raise_if_stopped()
                rows.append(compare(number, np.random.default_rng((config.seed, number))))
                bar.update()
                if len(rows) % CASES_IN_CACHE == 0:
                    jax.clear_caches()
        write_results(config.out, summarize(rows), COLUMNS, rows, machine)
    wrong = [row for row in rows if max(row[e] for e in ERRORS) > DTYPES[row["dtype"]]]
    if wrong:
        raise ValueError(f"{len(wrong)} cases are not exact, the first of them {wrong[0]}.")


def draw_case(draw: np.random.Generator) -> tuple[str, Geometry, dict[str, Any], int, int]:
    """Draw an operation, its geometry and options, and its channels in and out."""
    while True:
        axes = int(draw.choice([1, 2, 2, 2, 3]))
        most = {1: 12, 2: 9, 3: 5}[axes]

        def entries(low, high, axes=axes):
            return tuple(int(v) for v in draw.integers(low, high + 1, axes))

        size, window = entries(1, most), entries(1, min(5, most))
        groups = int(draw.choice([1, 1, 1, 2, 3]))
        inputs = groups * (1 if draw.random() < 0.4 else int(draw.integers(1, 7)))
        features = groups * int(draw.integers(1, 7))
        options: dict[str, Any] = {"stride": entries(1, 3), "groups": groups}
        options["dilation"] = entries(1, 3) if draw.random() < 0.5 else 1
        pairs = tuple(zip(entries(0, 3), entries(0, 3), strict=True))
        kinds = ["same", "valid", int(draw.integers(0, 3)), pairs]
        options["padding"] = kinds[int(draw.integers(len(kinds)))]
        operation = str(draw.choice(["conv", "upconv"]))
        make = conv_geometry if operation == "conv" else upconv_geometry
        if operation == "upconv":
            options["output_padding"] = entries(0, min(options["stride"]) - 1)
        try:
            return operation, make(size, window, **options), options, inputs, features
        except ValueError:  # a window larger than its padded input, or nothing left
            continue


def compare(number: int, draw: np.random.Generator) -> dict[str, Any]:
    """Measure the errors of one drawn case.

    Args:
        number: The case's number, which decides its dtype and what `vmap` maps over.
        draw: Draws all else.

    Returns:
        A row with the columns of `COLUMNS`.
    """
    operation, geometry, options, inputs, features = draw_case(draw)
    dtype = list(DTYPES)[number % len(DTYPES)]
    over = ("images", "both")[number // len(DTYPES) % 2]
    size, out = geometry.input, geometry.output
    if operation == "upconv":
        size, out = out, size
    shapes = (
        (2, 2, *size, inputs),
        (2, *geometry.window, inputs // geometry.groups, features),
        (2, 2, *out, features),
    )
    with jax.enable_x64(dtype == "float64"):
        drawn = [np.asarray(jnp.asarray(draw.normal(size=s), dtype)) for s in shapes]
        results = compute(operation, options, over, *drawn)
        x, k, c = (a.astype(np.float64) for a in drawn)
        k = np.stack([k[0], k[0]]) if over == "images" else k
        members = [reference(operation, geometry, x[m], k[m], c[m]) for m in range(2)]
        gradients = [np.stack(a) for a in list(zip(*members, strict=True))[1:]]
        errors = [
            relative_error(a, b) for a, b in zip(results, (*members[0], *gradients), strict=True)
        ]
    return {
        "case": number,
        "operation": operation,
        "dtype": dtype,
        "axes": len(size),
        "groups": geometry.groups,
        "vmap": over,
        **dict(zip(ERRORS, errors, strict=True)),
        "options": f"{size} {geometry.window} {inputs}>{features} {options}".replace(",", ""),
    }


def compute(
    operation: str,
    options: dict[str, Any],
    over: str,
    x: np.ndarray,
    kernel: np.ndarray,
    cotangent: np.ndarray,
) -> tuple[Any, ...]:
    """Compute what `ERRORS` names: (y, dx, dk) of the first member, (dx, dk) of both by `vmap`.

    Args:
        operation: "conv" or "upconv".
        options: Options of the operation.
        over: "images", where both members share the first kernel, or "both".
        x: Images, like the others with a leading axis of two members.
        kernel: Kernels.
        cotangent: Gradients with respect to the results.
    """
    op, shared = getattr(ops, operation), over == "images"

    def gradients(x, k, c):
        y, back = jax.vjp(lambda x, k: op(x, k, **options), x, k)
        return y, *back(c)

    def everything(x, k, c):
        mapped = jax.vmap(gradients, (0, None if shared else 0, 0))(x, k[0] if shared else k, c)
        return *gradients(x[0], k[0], c[0]), *mapped[1:]

    return jax.jit(everything, compiler_options=QUICK)(x, kernel, cotangent)


def relative_error(result: Any, expected: np.ndarray) -> float:
    """Divide the largest difference by the largest entry; entries that must be 0 have to be."""
    difference = float(np.abs(np.asarray(result).astype(np.float64) - expected).max())
    largest = float(np.abs(expected).max())
    return difference / largest if largest else (0.0 if difference == 0 else math.inf)


def reference(
    operation: str, geometry: Geometry, x: np.ndarray, kernel: np.ndarray, cotangent: np.ndarray
) -> Arrays:
    """Compute (y, dx, dkernel) of one member by the definition, in float64."""
    if operation == "conv":
        return trilinear_reference(geometry, x, kernel, cotangent)
    # An upconvolution is the input gradient of the convolution with the transposed kernel.
    transposed = transposed_kernel(kernel, geometry.groups)
    large = np.zeros((len(x), *geometry.input, kernel.shape[-1]))
    y = trilinear_reference(geometry, large, transposed, x)[1]
    dx, _, gradient = trilinear_reference(geometry, cotangent, transposed, x)
    return y, dx, transposed_kernel(gradient, geometry.groups)


def transposed_kernel(kernel: np.ndarray, groups: int) -> np.ndarray:
    """Reverse space and swap the channels within each group; this is its own inverse."""
    flipped = np.flip(kernel, tuple(range(kernel.ndim - 2)))
    each = np.split(flipped, groups, axis=-1)
    return np.concatenate([np.swapaxes(k, -1, -2) for k in each], axis=-1)


def trilinear_reference(geometry: Geometry, x: np.ndarray, k: np.ndarray, y: np.ndarray) -> Arrays:
    """Compute conv(x, k), its input gradient at y and its weight gradient at y, tap by tap."""
    g = geometry
    out, dx, dk = np.zeros(y.shape), np.zeros(x.shape), np.zeros(k.shape)
    per_in, per_out = k.shape[-2], k.shape[-1] // g.groups
    pixels = tuple(range(x.ndim - 1))
    for tap in itertools.product(*map(range, g.window)):
        # The pairs of an output and an input position that meet at this tap, axis by axis.
        meetings = [
            [(o, o * s + t * d - lo) for o in range(n) if 0 <= o * s + t * d - lo < i]
            for n, i, s, d, lo, t in zip(
                g.output, g.input, g.stride, g.dilation, g.low, tap, strict=True
            )
        ]
        if not all(meetings):
            continue
        at_y = np.ix_(range(len(y)), *([o for o, _ in pairs] for pairs in meetings))
        at_x = np.ix_(range(len(x)), *([i for _, i in pairs] for pairs in meetings))
        for group in range(g.groups):
            ins = slice(group * per_in, (group + 1) * per_in)
            outs = slice(group * per_out, (group + 1) * per_out)
            xs, ys, ks = x[at_x][..., ins], y[at_y][..., outs], k[tap][:, outs]
            out[(*at_y, outs)] += xs @ ks
            dx[(*at_x, ins)] += ys @ ks.T
            dk[tap][:, outs] += np.tensordot(xs, ys, (pixels, pixels))
    return out, dx, dk


def summarize(rows: Rows) -> str:
    """Tabulate the worst and the median error by dtype, in Markdown."""
    table = []
    for dtype in DTYPES:
        here = [row for row in rows if row["dtype"] == dtype]
        if here:
            errors = ([row[name] for row in here] for name in ERRORS)
            cells = [f"{max(e):.1e} ({np.median(e):.1e})" for e in errors]
            table.append(" | ".join([dtype, str(len(here)), *cells]))
    lines = [
        f"# Exactness of {len(rows)} drawn convolutions",
        "",
        "Largest difference from float64 over the largest entry: worst case (median case).",
        "",
        *tables.markdown_table(" | ".join(["dtype", "cases", *ERRORS]), table),
    ]
    return "\n".join(lines) + "\n"
