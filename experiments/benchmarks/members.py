"""What do the studies' own nets cost: small residual nets, many of them at once?

The gradients of 1 to 36 `models.DeepNet`s, every one with respect to its own parameters, on 4
images of 20 to 48 pixels with 8 or 16 features. Every way starts from the same weights and is timed
in turns, each after a warm-up of its own; numbers are medians, and the gradients' norms must agree:

    jaxseg          `training.over_members`: `vmap`, shared out over one XLA device a core
    jaxseg, 1 device     `vmap` on one device; also with pure forms and with oneDNN only
    PyTorch loop    a Python loop over the nets, eager, on all cores and on one
    PyTorch vmap    `torch.func.vmap(grad)`

    make parity && python -m experiments.benchmarks.members     about 3 minutes on two cores

It leaves results.csv, summary.md and machine.json in --out.
"""

from experiments.launch import launch_benchmark

if __name__ == "__main__":  # before JAX is imported: the first words come at once
    launch_benchmark("experiments.benchmarks.members")

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.folder import BenchmarkConfig, run_folder, write_results
from experiments.benchmarks.timing import (
    TIMES,
    Rows,
    Ways,
    check_agreement,
    compares_with_torch,
    over_torch,
    single_forms,
    time_ways,
    torch_on_all_cores,
)
from jaxseg import models, nn, ops
from jaxseg.ops._lowering import Form
from jaxseg.progress import busy
from jaxseg.training import member_mesh, over_members, tables, to_members

COLUMNS = ("case", "members", "features", "size", "blocks", *TIMES, "to_pytorch")
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Case:
    """A number of equal nets.

    Attributes:
        members: Number of nets.
        features: Channels of their blocks.
        size: Height and width of the images in pixels.
        blocks: Residual blocks of two convolutions.
    """

    members: int
    features: int
    size: int
    blocks: int

    def __str__(self) -> str:
        """Name the case."""
        return (
            f"{self.members} x {2 * self.blocks + 2} convolutions, {self.features} features, "
            f"{self.size}x{self.size}"
        )


CASES = (
    Case(1, 8, 20, 31),
    Case(8, 8, 20, 7),
    Case(8, 8, 20, 31),
    Case(36, 8, 20, 7),
    Case(1, 16, 48, 15),
    Case(8, 16, 48, 7),
    Case(36, 16, 32, 7),
)


@dataclass(frozen=True, kw_only=True)
class Config(BenchmarkConfig):
    """Configuration of the benchmark.

    Attributes:
        small: Time one tiny case only, to try the benchmark.
        images: Images that every net sees.
        repeats: Timed turns.
    """

    out: Path = Path("runs/benchmarks/members")
    small: bool = False
    images: int = 4
    repeats: int = 9


PRESETS = {"full": Config(), "tiny": Config(small=True, images=2, repeats=1)}


def main(config: Config) -> None:
    """Time all cases, and write a table."""
    with run_folder(config) as machine:
        rows: Rows = []
        for case in (Case(2, 4, 6, 2),) if config.small else CASES:
            rows += compare(config, case)
            tables.write_csv(config.out / "results.csv", COLUMNS, rows)
        write_results(config.out, summarize(config, rows), COLUMNS, rows, machine)


def compare(config: Config, case: Case) -> Rows:
    """Time every way of one case: a row a way; "to_pytorch" is to the fastest of PyTorch's.

    Raises:
        ValueError: The ways do not agree.
    """
    with busy(f"{case}: compiling"):
        ways = make_ways(config, case)
        norms = {way: norms_of(run()) for way, run in ways.items()}
    check_agreement(norms, TOLERANCE)
    rows = over_torch(time_ways(str(case), ways, config.repeats))
    names = {name: getattr(case, name) for name in COLUMNS[1:5]}
    return [{"case": str(case), **names, **row} for row in rows]


def norms_of(gradients: list[Any]) -> np.ndarray:
    """Compute every net's gradient norm over all kernels, (members,)."""
    squares = [np.square(np.asarray(g)).reshape(len(g), -1).sum(1) for g in gradients]
    return np.sqrt(np.sum(squares, axis=0))


def make_ways(config: Config, case: Case) -> Ways:
    """Build every way to the kernels' gradients of a case, a list of arrays (members, ...)."""
    init, apply = nn.functional(
        lambda rngs: models.DeepNet(
            classes=3, features=case.features, blocks=case.blocks, rngs=rngs
        )
    )
    params, stats = jax.vmap(init)(jax.random.split(jax.random.key(0), case.members))
    shape = (config.images, case.size, case.size, 3)
    images = np.random.default_rng(1).standard_normal(shape, np.float32)
    pixels = jnp.asarray(images)

    def loss(params, stats):
        return jnp.mean(jnp.sin(apply(params, stats, pixels)[0]))

    gradient = jax.grad(loss)
    mesh = member_mesh(case.members)
    shared, shared_stats = to_members((params, stats), mesh)
    every_device = over_members(gradient, mesh, in_axes=(0, 0))
    ways: Ways = {
        "jaxseg": lambda: kernels(jax.block_until_ready(every_device(shared, shared_stats)))
    }
    forms: dict[str, Form] = {"jaxseg, 1 device": "auto", **single_forms()}
    for way, form in forms.items():
        with ops.lowering(form):
            compiled = jax.jit(jax.vmap(gradient)).lower(params, stats).compile()
        ways[way] = lambda run=compiled: kernels(jax.block_until_ready(run(params, stats)))
    if compares_with_torch():
        ways |= torch_ways(kernels(params), images, case.blocks)
    return ways


def kernels(params: Any) -> list[Any]:
    """Select the kernels of a DeepNet: stem, first and second of the blocks, head."""
    branch = params["stack"]["blocks"]["branch"]
    nodes = (params["stem"], branch["conv1"], branch["conv2"], params["head"])
    return [node["kernel"][...] for node in nodes]


def torch_ways(weights: list[Any], images: np.ndarray, blocks: int) -> Ways:
    """Build PyTorch's loops and its vmap, without the biases, which are zero at the start."""
    torch = torch_on_all_cores()
    functional, scale = torch.nn.functional, 1 / math.sqrt(blocks)
    stacked = [
        torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(w), (-1, -2), (-4, -3))))
        for w in weights
    ]
    pixels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))
    members = range(len(stacked[0]))
    single = [[w[n].clone().requires_grad_() for w in stacked] for n in members]

    def loss(weights):
        stem, firsts, seconds, head = weights
        x = functional.conv2d(pixels, stem, padding=1)
        for first, second in zip(firsts.unbind(0), seconds.unbind(0), strict=True):
            y = functional.conv2d(functional.relu(x), first, padding=1)
            x = x + scale * functional.conv2d(functional.relu(y), second, padding=1)
        return functional.conv2d(functional.relu(x), head).sin().mean()

    def by_loop():
        gradients = [torch.autograd.grad(loss(weights), weights) for weights in single]
        return [torch.stack(parts) for parts in zip(*gradients, strict=True)]

    mapped = torch.func.vmap(torch.func.grad(loss))

    def threaded(threads: int, way: Callable[[], Any]) -> Callable[[], Any]:
        def run():
            torch.set_num_threads(threads)
            return way()

        return run

    cores = os.cpu_count() or 1
    return {
        "PyTorch loop": threaded(cores, by_loop),
        "PyTorch loop, 1 thread": threaded(1, by_loop),
        "PyTorch vmap": threaded(cores, lambda: list(mapped(stacked))),
    }


def summarize(config: Config, rows: Rows) -> str:
    """Tabulate all ways in Markdown."""
    lines = [
        "# Gradients of the studies' nets",
        "",
        f"{config.images} images, medians of {config.repeats} turns.",
        "",
        *tables.markdown_table(
            "case | way | median ms | fastest ms | times PyTorch's fastest",
            (
                f"{r['case']} | {r['way']} | {r['median_ms']:.2f} | {r['fastest_ms']:.2f} "
                f"| {r['to_pytorch']:.2f}"
                for r in rows
            ),
        ),
    ]
    return "\n".join(lines) + "\n"
