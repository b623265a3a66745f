"""What it costs to measure gradient norms over many seeds: `vmap` against loops and PyTorch.

The norm of dE/dx_l at every layer, for 256 draws of the weights, of two nets of 64 layers:

    dense      x -> relu(x) W, the plain net of the study `residual_gradient` (1x1 convolutions)
    deep net   `models.DeepNet`, 64 convolutions with 1/sqrt(L) branches, by block

One run times every way in turns from the same weights, each after a warm-up of its own, takes
medians, and checks that all norms agree:

    jaxseg vmap            `analysis.over_seeds`: a few seeds at once, shared out over one XLA
                           device a core
    jaxseg map             the same with one seed at a time on each device
    jaxseg vmap, 1 device  vmap on one device
    jaxseg loop            a Python loop over the compiled single net, one device
    PyTorch loop           a Python loop over the seeds, autograd with respect to every x_l, eager,
                           on all cores and on one
    PyTorch vmap           `torch.func.vmap(grad)`, a few seeds at once

    make parity && python experiments/benchmark_gradients.py    about 4 minutes on two cores

It leaves results.csv and summary.md in --out. Draws are not timed.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from benchmark_ensembles import torch_is_here
from timing import Ways, in_turns

from jaxseg import cli, files, models, nn
from jaxseg.analysis import backward_signal, forward_signal, leading_norms, over_seeds
from jaxseg.training import member_mesh, records, to_members, use_all_cores

RESULTS = {
    "net": str,
    "seeds": int,
    "way": str,
    "median_ms": float,
    "fastest_ms": float,
    "to_pytorch": float,
}
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Config:
    """What is timed.

    Attributes:
        preset: where the other values come from.
        out: folder of the results.
        seeds: draws of the weights.
        layers: of the dense net.
        width: its features.
        examples: its inputs.
        blocks: of the DeepNet, of two convolutions each, beside a stem and a head.
        features: its channels.
        size: side of its images, in pixels.
        images: how many.
        batch_size: seeds at once on a device, of both vmaps.
        repeats: timed turns.
    """

    preset: str = "full"
    out: Path = Path("runs/benchmark_gradients")
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
    """Measure, then write the tables."""
    use_all_cores()
    records.open_run(config.out, config, results="results.csv", resume=False, overwrite=True)
    rows = []
    for name, make in (("dense", dense_ways), ("deep net", deep_net_ways)):
        rows += compare(config, name, make(config))
        records.write_csv(config.out / "results.csv", list(RESULTS), rows)
    summary = summarise(config, rows)
    files.write_text(config.out / "summary.md", summary)
    print(summary)


def dense_ways(config: Config) -> Ways:
    """(seeds, layers + 1) norms of the plain dense net, by every way."""
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

    theirs = partial(_dense, config.layers, x, v)
    return jax_ways(config, norms, weights) | torch_ways(config, [weights], theirs)


def deep_net_ways(config: Config) -> Ways:
    """(seeds, blocks) norms at the inputs of a DeepNet's blocks, by every way."""
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
    # Shifts and biases, which the nets begin with at zero, PyTorch is spared.
    turned = [np.ascontiguousarray(np.moveaxis(k, (-1, -2), (-4, -3))) for k in kernels]
    theirs = partial(_deep_net, config, np.moveaxis(images, -1, 1), np.moveaxis(v, -1, 1))
    return jax_ways(config, norms, (params, stats)) | torch_ways(config, turned, theirs)


def jax_ways(config: Config, norms: Callable[[Any], jax.Array], drawn: Any) -> Ways:
    """`norms` of every seed of `drawn`, (seeds, ...)."""
    mesh = member_mesh(config.seeds)
    shared, stacked = to_members(drawn, mesh), jax.tree.map(jnp.asarray, drawn)
    each = [jax.tree.map(lambda a, i=i: a[i], stacked) for i in range(config.seeds)]
    chunks = partial(over_seeds, norms, batch_size=config.batch_size)
    everywhere = jax.jit(partial(chunks, mesh=mesh)).lower(shared).compile()
    in_turn = jax.jit(partial(over_seeds, norms, batch_size=1, mesh=mesh)).lower(shared).compile()
    together = jax.jit(chunks).lower(stacked).compile()
    one = jax.jit(norms).lower(each[0]).compile()
    return {
        "jaxseg vmap": lambda: jax.block_until_ready(everywhere(shared)),
        "jaxseg map": lambda: jax.block_until_ready(in_turn(shared)),
        "jaxseg vmap, 1 device": lambda: jax.block_until_ready(together(stacked)),
        "jaxseg loop": lambda: jax.block_until_ready([one(one_drawn) for one_drawn in each]),
    }


def torch_ways(config: Config, weights: list[np.ndarray], make: Callable[[], Any]) -> Ways:
    """PyTorch's loop and its vmap, where it is installed.

    Args:
        config: of the benchmark.
        weights: arrays (seeds, ...).
        make: makes `run(weights, perturbations) -> E and the x_l`, of one seed, and zeros
            for perturbations.
    """
    if not torch_is_here():
        return {}
    import torch

    run, zeros = make()
    stacked = [torch.from_numpy(w) for w in weights]
    each = [[w[i] for w in stacked] for i in range(config.seeds)]

    def one(weights):
        value, states = run(weights, None)
        return torch.stack([g.norm() for g in torch.autograd.grad(value, states)])

    def norms(weights):
        gradients = torch.func.grad(lambda perturbations: run(weights, perturbations)[0])(zeros)
        return torch.stack([g.norm() for g in gradients])

    mapped = torch.func.vmap(norms, chunk_size=config.batch_size)

    def threaded(threads, way):
        def run():
            torch.set_num_threads(threads)
            return way()

        return run

    every = os.cpu_count() or 1
    return {
        "PyTorch loop": threaded(every, lambda: [one(weights) for weights in each]),
        "PyTorch loop, 1 thread": threaded(1, lambda: [one(weights) for weights in each]),
        "PyTorch vmap": threaded(every, lambda: mapped(stacked)),
    }


def _perturbed(x, perturbations, number):
    """One of the x_l, which either stands for itself or is moved by its nudge."""
    if perturbations is not None:
        return x + perturbations[number]
    return x if x.requires_grad else x.clone().requires_grad_()


def _dense(layers: int, x: np.ndarray, v: np.ndarray):
    import torch

    first, last = torch.from_numpy(x), torch.from_numpy(v)

    def run(weights, perturbations):
        states = [_perturbed(first, perturbations, 0)]
        for number, w in enumerate(weights[0], 1):
            states.append(_perturbed(torch.relu(states[-1]) @ w, perturbations, number))
        return (states[-1] * last).sum(), states

    return run, tuple(torch.zeros_like(first) for _ in range(layers + 1))


def _deep_net(config: Config, images: np.ndarray, v: np.ndarray):
    import torch
    from torch.nn import functional as F

    pixels, last = (torch.from_numpy(np.ascontiguousarray(a)) for a in (images, v))
    scale = 1 / math.sqrt(config.blocks)

    def run(weights, perturbations):
        stem, firsts, seconds, head = weights
        x, states = F.conv2d(pixels, stem, padding=1), []
        for number, (first, second) in enumerate(zip(firsts, seconds, strict=True)):
            x = _perturbed(x, perturbations, number)
            states.append(x)
            y = F.conv2d(F.relu(x), first, padding=1)
            x = x + scale * F.conv2d(F.relu(y), second, padding=1)
        return (F.conv2d(F.relu(x), head) * last).sum(), states

    zeros = torch.zeros(config.images, config.features, config.size, config.size)
    return run, tuple(zeros.clone() for _ in range(config.blocks))


def compare(config: Config, net: str, ways: Ways) -> list[dict[str, Any]]:
    """Check that all ways agree, then time them in turns."""
    check({way: run() for way, run in ways.items()})
    times = in_turns(ways, config.repeats, slow={"PyTorch loop", "PyTorch vmap"})
    median = {way: float(np.median(t)) for way, t in times.items()}
    theirs = min((m for way, m in median.items() if "PyTorch" in way), default=float("nan"))
    print(f"{net}: " + ", ".join(f"{w} {m:.0f} ms" for w, m in median.items()), flush=True)
    return [
        {
            "net": net,
            "seeds": config.seeds,
            "way": way.replace(",", ""),
            "median_ms": m,
            "fastest_ms": min(times[way]),
            "to_pytorch": m / theirs,
        }
        for way, m in median.items()
    ]


def check(results: dict[str, Any]) -> None:
    """All ways give the same norms, seed by seed and layer by layer."""
    found = {
        way: np.stack([np.asarray(r) for r in result])
        if isinstance(result, list)
        else np.asarray(result)
        for way, result in results.items()
    }
    first, wanted = next(iter(found.items()))
    for way, norms in found.items():
        if norms.shape != wanted.shape or not np.allclose(norms, wanted, rtol=TOLERANCE, atol=0):
            raise AssertionError(f"{way} disagrees with {first}.")


def summarise(config: Config, rows: list[dict[str, Any]]) -> str:
    """One table, as Markdown."""
    lines = [
        f"# Gradient norms by layer, {config.seeds} seeds",
        "",
        f"dense: {config.layers} layers of width {config.width}, {config.examples} examples; deep "
        f"net: {2 * config.blocks + 2} convolutions of {config.features} features, {config.images} "
        f"images of {config.size}x{config.size}. {os.cpu_count()} cores, jax {jax.__version__}, "
        f"{config.batch_size} seeds at once in a vmap, medians of {config.repeats} turns.",
        "",
        *records.markdown_table(
            "net | way | median ms | fastest ms | times PyTorch's best",
            (
                f"{r['net']} | {r['way']} | {r['median_ms']:.1f} | {r['fastest_ms']:.1f} "
                f"| {r['to_pytorch']:.2f}"
                for r in rows
            ),
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(cli.parse(PRESETS, "full", description=__doc__, args=None))
