"""Part c: the operations in every form and dtype, beside PyTorch's on the same device."""

import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp

from experiments.benchmarks import cases
from experiments.benchmarks.accelerator.hlo import count_convolutions
from experiments.benchmarks.accelerator.parts import Row, Task, median_ms
from experiments.benchmarks.ops import torch_way
from jaxseg import ops

Form = Literal["auto", "direct", "fast"]
FORMS: tuple[Form, ...] = ("auto", "direct", "fast")
MODES = ("forward", "input gradient", "weight gradient")
KINDS = {
    "float32": ("float32", "highest"),
    "tf32": ("float32", "tensorfloat32"),
    "bfloat16": ("bfloat16", "default"),
}
"""Name -> dtype and precision of products."""
REPEATS = 10


def tasks(*, tiny: bool) -> Iterator[Task]:
    """Yield the cases of the benchmark of operations: mode by mode, form by form.

    Args:
        tiny: A few small convolutions only.
    """
    for case in cases.TINY if tiny else cases.FULL:
        for mode in MODES:
            for kind in KINDS:
                for form in FORMS:
                    yield f"{case}: {mode}, {kind}, {form}", partial(_ours, case, mode, kind, form)
        if importlib.util.find_spec("torch"):
            for kind in KINDS:
                yield f"{case}: all, {kind}, PyTorch", partial(_torch, case, kind)


def _ours(case: cases.Case, mode: str, kind: str, form: Form) -> Row:
    """Time one mode of one form, and read who runs its convolutions from the compiled program."""
    dtype, precision = KINDS[kind]
    x, kernel, cotangent = (jnp.asarray(a, dtype) for a in cases.operands(case))

    def compute(x, kernel, cotangent):
        y, pull = jax.vjp(lambda x, k: getattr(ops, case.op)(x, k, **case.options), x, kernel)
        return y if mode == "forward" else pull(cotangent)[mode == "weight gradient"]

    with ops.lowering(form), jax.default_matmul_precision(precision):
        compiled = jax.jit(compute).lower(x, kernel, cotangent).compile()
    run = partial(_wait, compiled, x, kernel, cotangent)
    return {"ms": median_ms(run, REPEATS), "run_by": count_convolutions(compiled.as_text() or "")}


def _wait(compiled: Callable[..., Any], *operands: jax.Array) -> Any:
    return jax.block_until_ready(compiled(*operands))


def _torch(case: cases.Case, kind: str) -> Row:
    """Time PyTorch's forward and both gradients, channels last, by its own kernels."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = kind == "tf32"
    torch.backends.cudnn.benchmark = True
    run = torch_way(case, *cases.operands(case), device=device, dtype=KINDS[kind][0])

    def wait():
        run()
        if device == "cuda":
            torch.cuda.synchronize()

    return {"ms": median_ms(wait, REPEATS), "device": device}
