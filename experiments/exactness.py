"""How exact the convolutions are: drawn cases against a sum over taps in float64.

Each case draws an operation (`ops.conv` or `ops.upconv`), 1 to 3 spatial axes, sizes, a window,
stride, dilation, padding (beyond the window's reach too), output padding, groups (depthwise too)
and a dtype, and compares the result, both gradients and the gradients under `vmap` (over images
alone, or over images and kernels) with NumPy's float64 on the same rounded operands. The error of
a case is its largest difference over the largest entry of what is compared.

    python experiments/exactness.py            3,000 cases, about half an hour on two cores
    python experiments/exactness.py --preset tiny

It leaves results.csv and summary.md in --out.
"""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from jaxseg import cli, files, ops
from jaxseg.ops.geometry import Geometry, conv_geometry, upconv_geometry
from jaxseg.training import records

RESULTS = {
    "case": int,
    "operation": str,
    "dtype": str,
    "axes": int,
    "groups": int,
    "vmap": str,
    "y": float,
    "dx": float,
    "dk": float,
    "vmap_dx": float,
    "vmap_dk": float,
    "options": str,
}
ERRORS = ("y", "dx", "dk", "vmap_dx", "vmap_dk")
DTYPES = {"float64": 1e-13, "float32": 1e-5, "float16": 2e-3, "bfloat16": 1.6e-2}
"""Largest error that is no defect, by dtype."""
QUICK = {"xla_backend_optimization_level": 0}
"""Each case is compiled for itself and runs once."""


@dataclass(frozen=True)
class Config:
    """What is drawn.

    Attributes:
        preset: where the other values come from.
        out: folder of the results.
        cases: how many.
        seed: of the draws.
    """

    preset: str = "full"
    out: Path = Path("runs/exactness")
    cases: int = 3000
    seed: int = 0


PRESETS = {"full": Config(), "tiny": Config(cases=8)}


def main(config: Config) -> None:
    """Compare all cases, then write the tables; where one is off, say which and fail."""
    records.open_run(config.out, config, results="results.csv", resume=False, overwrite=True)
    rows = []
    for number in tqdm(range(config.cases), desc="cases"):
        rows.append(compare(number, np.random.default_rng((config.seed, number))))
        if len(rows) % 100 == 0:
            jax.clear_caches()
    records.write_csv(config.out / "results.csv", list(RESULTS), rows)
    summary = summarise(rows)
    files.write_text(config.out / "summary.md", summary)
    print(summary)
    wrong = [row for row in rows if max(row[e] for e in ERRORS) > DTYPES[row["dtype"]]]
    if wrong:
        raise SystemExit(f"exactness: {len(wrong)} cases are off, the first of them {wrong[0]}.")


def draw_case(draw: np.random.Generator) -> tuple[str, Geometry, dict[str, Any], int, int]:
    """An operation, its geometry and options, and channels in and out of the operation."""
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
    """Errors of one drawn case."""
    operation, geometry, options, inputs, features = draw_case(draw)
    dtype = list(DTYPES)[number % len(DTYPES)]
    over = ("images", "both")[number // len(DTYPES) % 2]
    with jax.enable_x64(dtype == "float64"):
        size, out = geometry.input, geometry.output
        if operation == "upconv":
            size, out = out, size
        shapes = (
            (2, 2, *size, inputs),
            (2, *geometry.window, inputs // geometry.groups, features),
            (2, 2, *out, features),
        )
        x, k, c = (np.asarray(jnp.asarray(draw.normal(size=s), dtype)) for s in shapes)
        op = getattr(ops, operation)

        def gradients(x, k, c):
            y, back = jax.vjp(lambda x, k: op(x, k, **options), x, k)
            return y, *back(c)

        def both(x, k, c):
            axes = (0, None if over == "images" else 0, 0)
            mapped = jax.vmap(gradients, axes)(x, k[0] if over == "images" else k, c)
            return gradients(x[0], k[0], c[0]), mapped[1:]

        got, mapped = jax.jit(both, compiler_options=QUICK)(x, k, c)
        x, k, c = (a.astype(np.float64) for a in (x, k, c))
        if over == "images":
            k = np.stack([k[0], k[0]])
        members = [reference(operation, geometry, x[m], k[m], c[m]) for m in range(2)]
        wanted = [*members[0], *(np.stack(a) for a in list(zip(*members, strict=True))[1:])]
        errors = [error(a, b) for a, b in zip((*got, *mapped), wanted, strict=True)]
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


def error(got: Any, wanted: np.ndarray) -> float:
    """Largest difference over the largest entry; entries that must be 0 have to be."""
    difference = float(np.abs(np.asarray(got).astype(np.float64) - wanted).max())
    largest = float(np.abs(wanted).max())
    return difference / largest if largest else (0.0 if difference == 0 else math.inf)


def reference(operation: str, geometry: Geometry, x, kernel, cotangent):
    """(y, dx, dkernel) of one member by the definition, in float64."""
    if operation == "conv":
        return trilinear_reference(geometry, x, kernel, cotangent)
    # An upconvolution is the input gradient of the convolution with the turned kernel.
    turn = turned(kernel, geometry.groups)
    large = np.zeros((len(x), *geometry.input, kernel.shape[-1]))
    y = trilinear_reference(geometry, large, turn, x)[1]
    dx, _, dturn = trilinear_reference(geometry, cotangent, turn, x)
    return y, dx, turned(dturn, geometry.groups)


def turned(kernel: np.ndarray, groups: int) -> np.ndarray:
    """Space reversed and channels swapped within each group; its own inverse."""
    flipped = np.flip(kernel, tuple(range(kernel.ndim - 2)))
    each = np.split(flipped, groups, axis=-1)
    return np.concatenate([np.swapaxes(k, -1, -2) for k in each], axis=-1)


def trilinear_reference(geometry: Geometry, x, k, y):
    """(conv(x, k), its input gradient at y, its weight gradient at y), tap by tap."""
    g = geometry
    out, dx, dk = np.zeros(y.shape), np.zeros(x.shape), np.zeros(k.shape)
    per_in, per_out = k.shape[-2], k.shape[-1] // g.groups
    pixels = tuple(range(x.ndim - 1))
    for tap in itertools.product(*map(range, g.window)):
        where = [
            [(o, o * s + t * d - lo) for o in range(n) if 0 <= o * s + t * d - lo < i]
            for n, i, s, d, lo, t in zip(
                g.output, g.input, g.stride, g.dilation, g.low, tap, strict=True
            )
        ]
        if not all(where):
            continue
        at_y = np.ix_(range(len(y)), *([o for o, _ in pairs] for pairs in where))
        at_x = np.ix_(range(len(x)), *([i for _, i in pairs] for pairs in where))
        for group in range(g.groups):
            ins = slice(group * per_in, (group + 1) * per_in)
            outs = slice(group * per_out, (group + 1) * per_out)
            xs, ys, ks = x[at_x][..., ins], y[at_y][..., outs], k[tap][:, outs]
            out[(*at_y, outs)] += xs @ ks
            dx[(*at_x, ins)] += ys @ ks.T
            dk[tap][:, outs] += np.tensordot(xs, ys, (pixels, pixels))
    return out, dx, dk


def summarise(rows: list[dict[str, Any]]) -> str:
    """Worst and median error by dtype, as Markdown."""
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
        *records.markdown_table(" | ".join(["dtype", "cases", *ERRORS]), table),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(cli.parse(PRESETS, "full", description=__doc__, args=None))
