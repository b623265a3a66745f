"""Drawn convolutions by oneDNN against a sum over taps in float64.

The suite compares a few hundred cases (test_drawn_cases.py). A long run, from the root:

    PYTHONPATH=.:tests:tests/ops/native python -m drawn_cases 5000
"""

import sys
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from compiling import quick_jit

from experiments.benchmarks.exactness import reference
from jaxseg import ops
from jaxseg.ops.geometry import Geometry, conv_geometry, upconv_geometry

CASES_IN_PROGRAM = 20
"""One compilation costs more than the cases."""


@dataclass(frozen=True)
class Case:
    """One operation and its operands.

    Attributes:
        operation: "conv" or "upconv".
        options: its options.
        geometry: its geometry.
        mapped: what `vmap` maps over: "", "x", "kernel" or "both".
        operands: images, kernel and cotangent, the mapped ones and the cotangent with an axis of
            members in front.
    """

    operation: str
    options: dict[str, Any]
    geometry: Geometry
    mapped: str
    operands: tuple[np.ndarray, np.ndarray, np.ndarray]

    def __str__(self):
        shapes = [a.shape for a in self.operands]
        return f"{self.operation} {self.operands[0].dtype} {shapes} {self.mapped} {self.options}"


def draw_case(draw: np.random.Generator) -> Case:
    """Draw a case of any options, small or, every third time, large enough for several threads."""
    while True:
        case = _try_case(draw)
        if case is not None:
            return case


def _try_case(draw: np.random.Generator) -> Case | None:
    axes, large = int(draw.choice([1, 2, 2, 2, 3])), draw.random() < 0.35
    least, most = {1: (60, 300), 2: (14, 24), 3: (5, 8)}[axes] if large else (1, 16 // axes)

    def entries(low, high):
        return tuple(int(v) for v in draw.integers(low, high + 1, axes))

    size, window = entries(least, most), entries(1, min(5, most))
    groups = int(draw.choice([1, 1, 1, 2, 3, 8]))
    widest = 6 if groups > 3 or not large else 24
    inputs = groups * (1 if draw.random() < 0.4 else int(draw.integers(1, widest + 1)))
    features = groups * int(draw.integers(1, widest + 1))
    options: dict[str, Any] = {"stride": entries(1, int(draw.choice([1, 3, 6]))), "groups": groups}
    options["dilation"] = entries(1, int(draw.choice([3, 7]))) if draw.random() < 0.5 else 1
    pairs = tuple(zip(entries(0, 5), entries(0, 5), strict=True))
    paddings = ["same", "valid", int(draw.integers(0, 4)), pairs]
    options["padding"] = paddings[int(draw.integers(len(paddings)))]
    operation = str(draw.choice(["conv", "upconv"]))
    make = conv_geometry if operation == "conv" else upconv_geometry
    if operation == "upconv":
        options["output_padding"] = entries(0, min(options["stride"]) - 1)
    try:
        geometry = make(size, window, **options)
    except ValueError:  # a window larger than its padded input, or nothing left
        return None
    if max(np.prod(geometry.input), np.prod(geometry.output)) > 2_000:  # the definition is slow
        return None
    given, result = geometry.input, geometry.output
    if operation == "upconv":
        given, result = result, given
    batch = int(draw.choice([0, 1, 1, 2, 3, 5], p=[0.04, 0.26, 0.2, 0.2, 0.2, 0.1]))
    mapped = str(draw.choice(["", "", "x", "kernel", "both"]))
    members = (int(draw.integers(1, 5)),)
    shapes = (
        (*(members if mapped in ("x", "both") else ()), batch, *given, inputs),
        (*(members if mapped in ("kernel", "both") else ()), *window, inputs // groups, features),
        (*(members if mapped else ()), batch, *result, features),
    )
    dtype = str(draw.choice(["float32", "float32", "float32", "bfloat16", "float16"]))
    arrays = [np.asarray(draw.normal(size=shape), jnp.dtype(dtype)) for shape in shapes]
    return Case(operation, options, geometry, mapped, tuple(arrays))


def gradients(case: Case, x, kernel, cotangent):
    """Compute (y, dx, dkernel) of every member."""

    def one(x, kernel, cotangent):
        op = getattr(ops, case.operation)
        y, back = jax.vjp(lambda x, k: op(x, k, **case.options), x, kernel)
        return y, *back(cotangent)

    if not case.mapped:
        return one(x, kernel, cotangent)
    axes = [0 if case.mapped in (name, "both") else None for name in ("x", "kernel")]
    return jax.vmap(one, (*axes, 0))(x, kernel, cotangent)


def expected(case: Case) -> list[np.ndarray]:
    """Compute the same by the definition, in float64."""
    exact = [a.astype(np.float64) for a in case.operands]
    if not case.mapped:
        return list(reference(case.operation, case.geometry, *exact))
    mapped = (case.mapped in ("x", "both"), case.mapped in ("kernel", "both"), True)
    members = [
        reference(
            case.operation,
            case.geometry,
            *(a[m] if over else a for a, over in zip(exact, mapped, strict=True)),
        )
        for m in range(len(case.operands[2]))
    ]
    return [np.stack(arrays) for arrays in zip(*members, strict=True)]


def error_of(got: Any, wanted: np.ndarray) -> float:
    """Return the largest error over the one that is allowed.

    That is half a step of an entry's own size, and float32's error of a sum: a result of 16 bits
    is rounded once.
    """
    got = np.asarray(got)
    assert got.shape == wanted.shape
    if not got.size:
        return 0.0
    half_step = float(jnp.finfo(got.dtype).eps) / 2
    allowed = 1.01 * half_step * np.abs(wanted) + 1e-5 * np.abs(wanted).max()
    difference = np.abs(got.astype(np.float64) - wanted)
    return float(np.where(difference, difference / np.maximum(allowed, 1e-300), 0.0).max())


def errors_of(cases: list[Case]) -> list[float]:
    """Compute the cases in one program under the present lowering, and return their errors."""

    @quick_jit
    def everything(operands):
        return [gradients(case, *arrays) for case, arrays in zip(cases, operands, strict=True)]

    results = everything([case.operands for case in cases])
    return [
        max(map(error_of, result, expected(case)))
        for case, result in zip(cases, results, strict=True)
    ]


def main(count: int, seed: int = 0) -> None:
    """Compare `count` cases, and print the wrong ones."""
    worst, wrong = 0.0, 0
    for first in range(0, count, CASES_IN_PROGRAM):
        draws = [np.random.default_rng((seed, first + i)) for i in range(CASES_IN_PROGRAM)]
        cases = [draw_case(draw) for draw in draws]
        with ops.lowering("native"):
            errors = errors_of(cases)
        jax.clear_caches()
        worst = max(worst, *errors)
        for case, error in zip(cases, errors, strict=True):
            if not error <= 1:
                wrong += 1
                print(f"{error:.2g} of what is allowed: {case}", flush=True)
    print(f"{count} cases, {wrong} wrong, the largest error {worst:.2g} of what is allowed.")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
