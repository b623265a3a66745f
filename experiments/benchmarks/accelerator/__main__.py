"""Is jaxseg right and fast on an accelerator? Run on CPU, it shows that the script works.

    python -m experiments.benchmarks.accelerator
    python -m experiments.benchmarks.accelerator --preset tiny

Each part stops after --seconds, and continues where it stopped when the command is repeated.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import cases, exactness
from experiments.benchmarks.accelerator.hlo import count_convolutions
from experiments.benchmarks.accelerator.parts import Row, Task, run_part, table
from jaxseg import ops

PRECISIONS = ("highest", "tensorfloat32")
Form = Literal["auto", "direct", "fast"]
FORMS: tuple[Form, ...] = ("auto", "direct", "fast")


def environment(tiny: bool) -> Iterator[Task]:
    """Yield the task that records versions and devices."""

    def describe() -> Row:
        device = jax.devices()[0]
        return {"jax": jax.__version__, "device": device.device_kind, "count": jax.device_count()}

    yield "environment", describe


def drawn_cases(tiny: bool) -> Iterator[Task]:
    """Yield drawn convolutions that are compared with float64, with TF32 off and on."""
    for number in range(6 if tiny else 5000):
        for precision in PRECISIONS:

            def compare(number=number, precision=precision) -> Row:
                with jax.default_matmul_precision(precision):
                    return exactness.compare(number, np.random.default_rng((0, number)))

            yield f"{number} {precision}", compare


def convolutions(tiny: bool) -> Iterator[Task]:
    """Yield the convolutions of the benchmark of operations, in every form and dtype."""
    for case in cases.TINY if tiny else cases.FULL:
        for form in FORMS:
            for dtype in ("float32", "bfloat16"):
                yield (
                    f"{case} {form} {dtype}",
                    lambda case=case, form=form, dtype=dtype: time_convolution(case, form, dtype),
                )


def time_convolution(case: cases.Case, form: Form, dtype: str, repeats: int = 10) -> Row:
    """Time the forward pass and both gradients of a case; read how its HLO runs them."""
    x, kernel, cotangent = (jnp.asarray(a, dtype) for a in cases.operands(case))

    def compute(x, kernel, cotangent):
        y, pull = jax.vjp(lambda x, k: getattr(ops, case.op)(x, k, **case.options), x, kernel)
        return y, pull(cotangent)

    with ops.lowering(form):
        compiled = jax.jit(compute).lower(x, kernel, cotangent).compile()
    jax.block_until_ready(compiled(x, kernel, cotangent))
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(compiled(x, kernel, cotangent))
        times.append(time.perf_counter() - begin)
    counts = count_convolutions(compiled.as_text() or "")
    return {"ms": round(1e3 * float(np.median(times)), 4), "run_by": str(counts)}


PARTS: dict[str, Callable[[bool], Iterator[Task]]] = {
    "environment": environment,
    "exactness": drawn_cases,
    "ops": convolutions,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the parts, and write JSON lines and a markdown table for each."""
    parser = argparse.ArgumentParser(description="Is jaxseg right and fast on an accelerator?")
    parser.add_argument("--preset", choices=("full", "tiny"), default="full")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/accelerator"))
    parser.add_argument("--seconds", type=float, default=480, help="time budget of each part")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.parts:
        begin = time.perf_counter()
        tasks = PARTS[name](options.preset == "tiny")
        rows = run_part(options.out / f"{name}.jsonl", tasks, options.seconds)
        (options.out / f"{name}.md").write_text(table(rows) + "\n")
        print(f"{name}: {len(rows)} rows, {time.perf_counter() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main()
