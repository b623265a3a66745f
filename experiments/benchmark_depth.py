"""What depth costs: time of the stack against PyTorch and plain lax, compile time, memory.

One run measures everything side by side: a stack of residual blocks (two 3x3 convolutions each),
forward and backward, in turns, medians of the repeats.

    jaxseg            `nn.Stack`, the batch shared out over one XLA device a core
    jaxseg, 1 device  the same on one device
    PyTorch           the same blocks in a Python loop, channels last, eager (if installed)
    plain lax         `ops.lowering("direct")` in the same scan, on a few blocks: it is that slow

Then `models.DeepNet` from 16 to 1,024 blocks: seconds to compile one train step, milliseconds to
run it, and the memory that XLA reserves for it, with and without checkpoints every sqrt(L) blocks.

    make parity && python experiments/benchmark_depth.py        about 6 minutes on two cores

It leaves results.csv, depth.csv, summary.md and benchmark_depth.png in --out.
"""

import importlib.util
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxseg import cli, files, models, nn, ops, plots
from jaxseg.losses import mean_cross_entropy
from jaxseg.training import member_mesh, over_batch, records, to_members, use_all_cores

STACK = {"blocks": int, "way": str, "median_ms": float, "fastest_ms": float, "ratio": float}
DEPTH = {
    "blocks": int,
    "checkpoint_every": int,
    "compile_seconds": float,
    "step_ms": float,
    "memory_mb": float,
}


@dataclass(frozen=True)
class Config:
    """What is timed.

    Attributes:
        preset: where the other values come from.
        out: folder of the results.
        blocks: depths of the stack that is compared.
        lax_blocks: depth at which plain lax is timed.
        features: channels.
        size: side of the images, in pixels.
        batch_size: images.
        repeats: timed turns.
        net_blocks: depths of the DeepNet.
        net_features: its channels.
        net_batch_size: its images.
    """

    preset: str = "full"
    out: Path = Path("runs/benchmark_depth")
    blocks: tuple[int, ...] = (64, 256)
    lax_blocks: int = 2
    features: int = 32
    size: int = 32
    batch_size: int = 32
    repeats: int = 5
    net_blocks: tuple[int, ...] = (16, 64, 256, 1024)
    net_features: int = 16
    net_batch_size: int = 8


PRESETS = {
    "full": Config(),
    "tiny": Config(
        blocks=(2,),
        lax_blocks=1,
        features=4,
        size=8,
        batch_size=2,
        repeats=1,
        net_blocks=(1, 4),
        net_features=4,
        net_batch_size=2,
    ),
}


def main(config: Config) -> None:
    """Measure, then write tables and the figure."""
    use_all_cores()
    records.open_run(config.out, config, results="results.csv", resume=False, overwrite=True)
    rows = [row for blocks in config.blocks for row in compare_stacks(config, blocks)]
    rows += compare_stacks(config, config.lax_blocks, plain_lax=True)
    records.write_csv(config.out / "results.csv", list(STACK), rows)
    nets = [
        measure_net(config, blocks, every)
        for blocks in config.net_blocks
        for every in (0, math.isqrt(blocks))
    ]
    records.write_csv(config.out / "depth.csv", list(DEPTH), nets)
    summary = summarise(config, rows, nets)
    files.write_text(config.out / "summary.md", summary)
    print(summary)
    plots.depth_cost(rows, nets).savefig(config.out / "benchmark_depth.png", dpi=150)


def compare_stacks(config: Config, blocks: int, *, plain_lax: bool = False) -> list[dict[str, Any]]:
    """Time every way of running one stack, in turns; ratios are to PyTorch, else to jaxseg."""
    share = math.gcd(config.batch_size, len(jax.local_devices()))
    ways = {"jaxseg": jax_stack(config, blocks, jax.local_devices()[:share])}
    ways["jaxseg, 1 device"] = jax_stack(config, blocks, jax.local_devices()[:1])
    # Both on the CPU or not at all: PyTorch's blocks stay there.
    if importlib.util.find_spec("torch") and jax.default_backend() == "cpu":
        ways["PyTorch"] = torch_stack(config, blocks)
    if plain_lax:
        with ops.lowering("direct"):
            ways["plain lax"] = jax_stack(config, blocks, jax.local_devices()[:1])
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(config.repeats + 1):
        for way, run in ways.items():
            began = time.perf_counter()
            run()
            if turn:  # the first turn compiles and warms up
                times[way].append((time.perf_counter() - began) * 1e3)
    for way, taken in times.items():
        print(f"{blocks:>5} blocks, {way}: {np.median(taken):.1f} ms", flush=True)
    base = np.median(times.get("PyTorch", times["jaxseg"]))
    return [
        {
            "blocks": blocks,
            "way": way.replace(",", ""),
            "median_ms": float(np.median(t)),
            "fastest_ms": min(t),
            "ratio": float(np.median(t) / base),
        }
        for way, t in times.items()
    ]


def jax_stack(config: Config, blocks: int, devices: Sequence[Any]) -> Callable[[], None]:
    """Forward and backward of `nn.Stack`, the batch shared out over `devices`."""
    scale = 1 / math.sqrt(blocks)

    def block(rngs):
        return nn.Residual(nn.PreActivation(config.features, rngs=rngs), scale=scale)

    init, apply = nn.functional(lambda rngs: nn.Stack(block, blocks, rngs=rngs))
    mesh = member_mesh(len(devices)) if len(devices) > 1 else None
    params, stats = init(jax.random.key(0))
    shape = (config.batch_size, config.size, config.size, config.features)
    x = jax.random.normal(jax.random.key(1), shape)

    def loss(params, x):
        return jnp.mean(apply(params, stats, x)[0] ** 2)

    if mesh is None:
        gradient = jax.value_and_grad(loss)
    else:
        gradient, x = over_batch(loss, mesh), to_members(x, mesh)
        params = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))
    compiled = jax.jit(gradient).lower(params, x).compile()
    return lambda: jax.block_until_ready(compiled(params, x))


def torch_stack(config: Config, blocks: int) -> Callable[[], None]:
    """The same blocks in PyTorch, eager, channels last."""
    import torch

    scale, channels = 1 / math.sqrt(blocks), config.features
    layers = torch.nn.ModuleList(
        torch.nn.Sequential(
            torch.nn.ReLU(),
            torch.nn.Conv2d(channels, channels, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(channels, channels, 3, padding=1),
        )
        for _ in range(blocks)
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(config.batch_size, channels, config.size, config.size)
    x = x.to(memory_format=torch.channels_last)

    def run():
        layers.zero_grad()
        y = x
        for layer in layers:
            y = y + scale * layer(y)
        (y**2).mean().backward()

    return run


def measure_net(config: Config, blocks: int, every: int) -> dict[str, Any]:
    """Compile and run one gradient of a DeepNet."""
    init, apply = nn.functional(
        lambda rngs: models.DeepNet(
            classes=3,
            inputs=1,
            features=config.net_features,
            blocks=blocks,
            checkpoint_every=every,
            rngs=rngs,
        )
    )
    params, stats = jax.jit(init)(jax.random.key(0))
    images = jax.random.normal(
        jax.random.key(1), (config.net_batch_size, config.size, config.size, 1)
    )
    labels = jnp.zeros(images.shape[:-1], jnp.int32)

    def loss(params):
        return mean_cross_entropy(apply(params, stats, images, train=True)[0], labels)

    began = time.perf_counter()
    compiled = jax.jit(jax.grad(loss)).lower(params).compile()
    seconds = time.perf_counter() - began
    jax.block_until_ready(compiled(params))
    times = []
    for _ in range(config.repeats):
        began = time.perf_counter()
        jax.block_until_ready(compiled(params))
        times.append((time.perf_counter() - began) * 1e3)
    print(
        f"{blocks:>5} blocks, DeepNet, checkpoint every {every or 'no'}: compiled in "
        f"{seconds:.2f} s, {np.median(times):.0f} ms",
        flush=True,
    )
    return {
        "blocks": blocks,
        "checkpoint_every": every,
        "compile_seconds": seconds,
        "step_ms": float(np.median(times)),
        "memory_mb": compiled.memory_analysis().temp_size_in_bytes / 1e6,  # type: ignore[union-attr]
    }


def summarise(config: Config, rows: list[dict[str, Any]], nets: list[dict[str, Any]]) -> str:
    """Both tables as Markdown."""
    lines = [
        f"# Stack of residual blocks, {config.features} channels, {config.size}x{config.size}, "
        f"batch {config.batch_size}: forward and backward",
        "",
        *records.markdown_table(
            "blocks | way | median ms | fastest ms | times PyTorch (or jaxseg)",
            (
                f"{r['blocks']} | {r['way']} | {r['median_ms']:.1f} | {r['fastest_ms']:.1f} "
                f"| {r['ratio']:.2f}"
                for r in rows
            ),
        ),
        "",
        f"# DeepNet, {config.net_features} channels, {config.size}x{config.size}, "
        f"batch {config.net_batch_size}: gradient on one device",
        "",
        *records.markdown_table(
            "blocks | convolutions | checkpoint every | compile s | ms | memory MB",
            (
                f"{n['blocks']} | {2 * n['blocks'] + 2} | {n['checkpoint_every'] or 'never'} "
                f"| {n['compile_seconds']:.2f} | {n['step_ms']:.0f} | {n['memory_mb']:.0f}"
                for n in nets
            ),
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(cli.parse(PRESETS, "full", description=__doc__, args=None))
