"""What does it cost to measure gradient norms over many seeds: `vmap` beside loops and PyTorch?

The norms of dE/dx_l at every layer l, for 256 draws of the weights, of two nets:

    dense      64 layers x -> relu(x) W, a plain net
    deep net   `models.DeepNet`, 64 convolutions with 1/sqrt(L) branches, by block

Every way starts from the same weights and is timed in turns, after a warm-up of its own; numbers
are medians, and all norms must agree:

    jaxseg vmap            `analysis.over_seeds`: a few seeds at once, shared out over one XLA
                           device a core
    jaxseg map             the same with one seed at a time on each device
    jaxseg vmap, 1 device  vmap on one device
    jaxseg loop            a Python loop over the compiled single net, one device
    PyTorch loop           a Python loop over the seeds, autograd with respect to every x_l, eager,
                           on all cores and on one
    PyTorch vmap           `torch.func.vmap(grad)`, a few seeds at once

    make parity && python -m experiments.benchmarks.gradients   about 4 minutes on two cores

It leaves results.csv and summary.md in --out. Draws are not timed.
"""

from experiments.launch import launch_benchmark

if __name__ == "__main__":  # before JAX is imported: the first words come at once
    launch_benchmark("experiments.benchmarks.gradients")

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
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
    time_ways,
    torch_on_all_cores,
)
from jaxseg import models, nn
from jaxseg.analysis import backward_signal, forward_signal, leading_norms, over_seeds
from jaxseg.progress import busy
from jaxseg.training import member_mesh, tables, to_members

COLUMNS = ("net", "seeds", *TIMES, "to_pytorch")
TOLERANCE = 1e-3
SLOW = ("PyTorch loop", "PyTorch vmap")


@dataclass(frozen=True, kw_only=True)
class Config(BenchmarkConfig):
    """Configuration of the benchmark.

    Attributes:
        seeds: Draws of the weights.
        layers: Depth of the dense net.
        width: Features of the dense net.
        examples: Inputs of the dense net.
        blocks: Depth of the DeepNet: blocks of two convolutions, beside a stem and a head.
        features: Channels of the DeepNet.
        size: Height and width of the DeepNet's images in pixels.
        images: Images of the DeepNet.
        batch_size: Seeds at once on a device, of both libraries' `vmap`.
        repeats: Timed turns.
    """

    out: Path = Path("runs/benchmarks/gradients")
    seeds: int = 256
    layers: int = 64
    width: int = 128
    examples: int = 32
    blocks: int = 31
    features: int = 8
    size: int = 16
    images: int = 2
    batch_size: int = 8
    repeats: int = 5


PRESETS = {
    "full": Config(),
    "tiny": Config(
        seeds=4,
        layers=3,
        width=8,
        examples=4,
        blocks=2,
        features=4,
        size=6,
        images=1,
        batch_size=2,
        repeats=1,
    ),
}


def main(config: Config) -> None:
    """Time both nets, and write a table."""
    with run_folder(config) as machine:
        rows: Rows = []
        for name, make_ways in (("dense", dense_ways), ("deep net", deep_net_ways)):
            rows += compare(config, name, make_ways)
            tables.write_csv(config.out / "results.csv", COLUMNS, rows)
        write_results(config.out, summarize(config, rows), COLUMNS, rows, machine)


def compare(config: Config, net: str, make_ways: Callable[[Config], Ways]) -> Rows:
    """Time every way of one net: a row a way; "to_pytorch" is to the fastest of PyTorch's.

    Raises:
        ValueError: The ways do not agree.
    """
    with busy(f"{net}: compiling"):
        ways = make_ways(config)
        norms = {way: stacked_norms(run()) for way, run in ways.items()}
    check_agreement(norms, TOLERANCE)
    rows = over_torch(time_ways(net, ways, config.repeats, slow=SLOW))
    return [{"net": net, "seeds": config.seeds, **row} for row in rows]


def stacked_norms(result: Any) -> np.ndarray:
    """Convert norms to an array (seeds, layers); a loop over seeds gives a list."""
    if isinstance(result, list):
        return np.stack([np.asarray(norms) for norms in result])
    return np.asarray(result)


def dense_ways(config: Config) -> Ways:
    """Build every way to the (seeds, layers + 1) norms of the dense net."""
    draw = np.random.default_rng(0)
    shape = (config.seeds, config.layers, config.width, config.width)
    weights = draw.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / config.width))
    x, v = draw.standard_normal((2, config.examples, config.width), np.float32)

    def layer(w, x):
        return jax.nn.relu(x) @ w

    def norms(weights):
        forward = forward_signal(layer, weights, x, homogeneous=True, compare=None)
        back = backward_signal(layer, weights, forward.inputs, v, compare=None)
        return jnp.exp(0.5 * jax.nn.logsumexp(2 * back.log_norms, axis=1))

    def twin(torch_nets):
        return torch_nets.dense_signal(config.layers, x, v)

    return jax_ways(config, norms, weights) | torch_ways(config, [weights], twin)


def deep_net_ways(config: Config) -> Ways:
    """Build every way to the (seeds, blocks) norms at the inputs of a DeepNet's blocks."""
    init, apply = nn.functional(
        lambda rngs: models.DeepNet(
            classes=3, features=config.features, blocks=config.blocks, rngs=rngs
        )
    )
    params, stats = jax.vmap(init)(jax.random.split(jax.random.key(0), config.seeds))
    draw, square = np.random.default_rng(1), (config.images, config.size, config.size)
    images = draw.standard_normal((*square, 3), np.float32)
    v = draw.standard_normal((*square, 3), np.float32)

    def norms(drawn):
        def loss(perturbations):
            (logits, _), _ = apply(*drawn, images, perturbations=perturbations, method="trace")
            return jnp.vdot(logits, v)

        return leading_norms(jax.grad(loss)(jnp.zeros((config.blocks, *square, config.features))))

    branch = params["stack"]["blocks"]["branch"]
    kernels = [
        np.asarray(node["kernel"][...])
        for node in (params["stem"], branch["conv1"], branch["conv2"], params["head"])
    ]
    # PyTorch is spared the biases, which are zero at the start.
    weights = [np.ascontiguousarray(np.moveaxis(k, (-1, -2), (-4, -3))) for k in kernels]

    def twin(torch_nets):
        first, last = (np.moveaxis(a, -1, 1) for a in (images, v))
        return torch_nets.deep_net_signal(config.blocks, config.features, first, last)

    return jax_ways(config, norms, (params, stats)) | torch_ways(config, weights, twin)


def jax_ways(config: Config, norms: Callable[[Any], jax.Array], drawn: Any) -> Ways:
    """Build jaxseg's ways to `norms` of every seed of `drawn`, (seeds, ...)."""
    mesh = member_mesh(config.seeds)
    shared, stacked = to_members(drawn, mesh), jax.tree.map(jnp.asarray, drawn)
    single = [jax.tree.map(lambda a, i=i: a[i], stacked) for i in range(config.seeds)]
    chunks = partial(over_seeds, norms, batch_size=config.batch_size)
    all_devices = jax.jit(partial(chunks, mesh=mesh)).lower(shared).compile()
    one_by_one = jax.jit(partial(over_seeds, norms, batch_size=1, mesh=mesh))
    one_by_one = one_by_one.lower(shared).compile()
    one_device = jax.jit(chunks).lower(stacked).compile()
    one_net = jax.jit(norms).lower(single[0]).compile()
    return {
        "jaxseg vmap": lambda: jax.block_until_ready(all_devices(shared)),
        "jaxseg map": lambda: jax.block_until_ready(one_by_one(shared)),
        "jaxseg vmap, 1 device": lambda: jax.block_until_ready(one_device(stacked)),
        "jaxseg loop": lambda: jax.block_until_ready([one_net(weights) for weights in single]),
    }


def torch_ways(config: Config, weights: list[np.ndarray], make: Callable[[Any], Any]) -> Ways:
    """Build PyTorch's loop and its vmap, where it is installed.

    Args:
        config: The benchmark's configuration.
        weights: Arrays (seeds, ...).
        make: `make(torch_nets)` builds `run(weights, perturbations) -> (E, list of all x_l)` of
            one seed, and zeros for the perturbations.
    """
    if not compares_with_torch():
        return {}
    torch = torch_on_all_cores()
    run, zeros = make(import_module("experiments.benchmarks.torch_nets"))
    stacked = [torch.from_numpy(w) for w in weights]
    single = [[w[i] for w in stacked] for i in range(config.seeds)]

    def norms_by_autograd(weights):
        value, states = run(weights, None)
        return torch.stack([g.norm() for g in torch.autograd.grad(value, states)])

    def norms_by_grad(weights):
        gradients = torch.func.grad(lambda perturbations: run(weights, perturbations)[0])(zeros)
        return torch.stack([g.norm() for g in gradients])

    mapped = torch.func.vmap(norms_by_grad, chunk_size=config.batch_size)

    def threaded(threads, way):
        def run():
            torch.set_num_threads(threads)
            return way()

        return run

    cores = os.cpu_count() or 1
    return {
        "PyTorch loop": threaded(cores, lambda: [norms_by_autograd(w) for w in single]),
        "PyTorch loop, 1 thread": threaded(1, lambda: [norms_by_autograd(w) for w in single]),
        "PyTorch vmap": threaded(cores, lambda: mapped(stacked)),
    }


def summarize(config: Config, rows: Rows) -> str:
    """Tabulate all ways in Markdown."""
    lines = [
        f"# Gradient norms by layer, {config.seeds} seeds",
        "",
        f"dense: {config.layers} layers of width {config.width}, {config.examples} examples; deep "
        f"net: {2 * config.blocks + 2} convolutions of {config.features} features, {config.images} "
        f"images of {config.size}x{config.size}. "
        f"{config.batch_size} seeds at once in a vmap, medians of {config.repeats} turns.",
        "",
        *tables.markdown_table(
            "net | way | median ms | fastest ms | times PyTorch's fastest",
            (
                f"{r['net']} | {r['way']} | {r['median_ms']:.1f} | {r['fastest_ms']:.1f} "
                f"| {r['to_pytorch']:.2f}"
                for r in rows
            ),
        ),
    ]
    return "\n".join(lines) + "\n"
