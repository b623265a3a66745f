"""The machine that a benchmark ran on: how fast it is, and how busy it was."""

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.timing import compares_with_torch, timed, torch_on_all_cores
from jaxseg import files
from jaxseg.progress import busy

MACHINE = "machine.json"
"""Name of the file that a benchmark leaves beside its results."""
_REPEATS = 7


@dataclass(frozen=True)
class Machine:
    """Description of a machine during a benchmark.

    Attributes:
        processor: Name of the processor.
        cores: Number of cores.
        load: Processes that wanted to run, over the minute before the benchmark.
        gigaflops: Fastest float32 matrix product at hand, in GFLOP/s.
        gigabytes: Fastest copy of a large array, bytes read and written, in GB/s.
        jax: Version of JAX.
        torch: Version of PyTorch, or "" without it.
    """

    processor: str
    cores: int
    load: float
    gigaflops: float
    gigabytes: float
    jax: str
    torch: str

    def sentence(self) -> str:
        """Describe the machine in a sentence."""
        torch = f", PyTorch {self.torch}" if self.torch else ""
        return (
            f"{self.cores} cores ({self.processor}), load {self.load:.1f} before the benchmark, "
            f"fastest matrix product {self.gigaflops:.0f} GFLOP/s, fastest copy "
            f"{self.gigabytes:.0f} GB/s, jax {self.jax}{torch}."
        )

    def save(self, folder: Path) -> None:
        """Write the description to machine.json in a folder."""
        files.write_text(folder / MACHINE, json.dumps(asdict(self), indent=2) + "\n")


def measure_machine(*, side: int = 2048, megabytes: int = 256) -> Machine:
    """Measure the machine.

    Args:
        side: Height and width of the matrices of the product.
        megabytes: Size of the array that is copied.
    """
    load = os.getloadavg()[0]
    torch = torch_on_all_cores().__version__ if compares_with_torch() else ""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        load=load,
        gigaflops=_matmul_peak(side),
        gigabytes=_copy_peak(megabytes),
        jax=jax.__version__,
        torch=torch,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _matmul_peak(side: int) -> float:
    """Measure the GFLOP/s of the fastest float32 matrix product at hand."""
    a = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
    x = jnp.asarray(a)
    with busy("matrix product: compiling"):
        product = jax.jit(jnp.dot).lower(x, x).compile()
    ways: list[Callable[[], Any]] = [lambda: product(x, x).block_until_ready()]
    if compares_with_torch():
        tensor = torch_on_all_cores().tensor(a)
        ways.append(lambda: tensor @ tensor)
    return 2 * side**3 / _fastest(ways) / 1e9


def _copy_peak(megabytes: int) -> float:
    """Measure the GB/s of the fastest copy, on one core and on all of them."""
    source = np.ones(megabytes << 18, np.float32)
    target = np.empty_like(source)
    ways: list[Callable[[], Any]] = [lambda: np.copyto(target, source)]
    if compares_with_torch():
        torch = torch_on_all_cores()
        pair = torch.from_numpy(target), torch.from_numpy(source)
        ways.append(lambda: pair[0].copy_(pair[1]))
    return 2 * source.nbytes / _fastest(ways) / 1e9


def _fastest(ways: list[Callable[[], Any]]) -> float:
    return min(min(timed(way) for _ in range(_REPEATS)) for way in ways)
