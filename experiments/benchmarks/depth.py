"""What does depth cost: time beside PyTorch and plain XLA, time to compile, and memory?

First a stack of residual blocks of two 3x3 convolutions, forward and backward, in turns:

    jaxseg            `nn.Stack`, the batch shared out over one XLA device a core
    jaxseg, 1 device  the same on one device
    PyTorch           the same blocks in a Python loop, channels last, eager (if it is installed)
    plain lax         `ops.lowering("direct")` in the same scan, on a few blocks: it is that slow

Then `models.DeepNet` from 16 to 1,024 blocks: the seconds to compile a gradient, the milliseconds
to run it, and the memory that XLA reserves for it, with and without checkpoints every sqrt(L)
blocks. Numbers are medians.

    make parity && python -m experiments.benchmarks.depth       about 6 minutes on two cores

It leaves results.csv, depth.csv, summary.md and times.png in --out.
"""

from experiments.launch import launch_benchmark

if __name__ == "__main__":  # before JAX is imported: the first words come at once
    launch_benchmark("experiments.benchmarks.depth")

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from matplotlib.figure import Figure

from experiments.benchmarks.folder import BenchmarkConfig, run_folder, write_results
from experiments.benchmarks.stack import StackConfig, jax_stack, torch_stack
from experiments.benchmarks.timing import (
    TIMES,
    Rows,
    compares_with_torch,
    sharing_devices,
    time_ways,
    with_ratios,
)
from jaxseg import models, nn, ops
from jaxseg.losses import mean_cross_entropy
from jaxseg.progress import busy
from jaxseg.training import tables

STACK = ("blocks", *TIMES, "ratio")
DEPTH = ("blocks", "checkpoint_every", "compile_seconds", "step_ms", "memory_mb")


@dataclass(frozen=True, kw_only=True)
class Config(BenchmarkConfig):
    """Configuration of the benchmark.

    Attributes:
        stack: The stack that is compared.
        blocks: Depths of the stack.
        lax_blocks: Depth at which plain lax is timed too.
        repeats: Timed turns.
        net_blocks: Depths of the DeepNet.
        net_features: Its channels.
        net_size: Height and width of its images in pixels.
        net_batch_size: Its images.
    """

    out: Path = Path("runs/benchmarks/depth")
    stack: StackConfig = field(default_factory=StackConfig)
    blocks: tuple[int, ...] = (64, 256)
    lax_blocks: int = 2
    repeats: int = 5
    net_blocks: tuple[int, ...] = (16, 64, 256, 1024)
    net_features: int = 16
    net_size: int = 32
    net_batch_size: int = 8


PRESETS = {
    "full": Config(),
    "tiny": Config(
        stack=StackConfig(features=4, size=8, batch_size=2),
        blocks=(2,),
        lax_blocks=1,
        repeats=1,
        net_blocks=(1, 4),
        net_features=4,
        net_size=8,
        net_batch_size=2,
    ),
}


def main(config: Config) -> None:
    """Time stacks and nets, and write tables and a figure."""
    with run_folder(config) as machine:
        rows = [row for blocks in config.blocks for row in compare_stacks(config, blocks)]
        rows += compare_stacks(config, config.lax_blocks, plain_lax=True)
        nets = [
            measure_net(config, blocks, every)
            for blocks in config.net_blocks
            for every in (0, math.isqrt(blocks))
        ]
        tables.write_csv(config.out / "depth.csv", DEPTH, nets)
        summary = summarize(config, rows, nets)
        write_results(config.out, summary, STACK, rows, machine, depth_figure(rows, nets))


def compare_stacks(config: Config, blocks: int, *, plain_lax: bool = False) -> Rows:
    """Time every way of running one stack.

    Args:
        config: The benchmark's configuration.
        blocks: Depth of the stack.
        plain_lax: Time plain lax too.
    """
    devices = sharing_devices(config.stack.batch_size)
    with busy(f"{blocks} blocks: compiling"):
        ways = {
            "jaxseg": jax_stack(config.stack, blocks, devices),
            "jaxseg, 1 device": jax_stack(config.stack, blocks, devices[:1]),
        }
        if compares_with_torch():
            ways["PyTorch"] = torch_stack(config.stack, blocks)
        if plain_lax:
            with ops.lowering("direct"):
                ways["plain lax"] = jax_stack(config.stack, blocks, devices[:1])
        for run in ways.values():
            run()
    # A deep stack takes seconds: it needs no further warm-up.
    rows = time_ways(f"{blocks} blocks", ways, config.repeats, warm_up=False)
    return [{"blocks": blocks, **row} for row in with_ratios(rows)]


def measure_net(config: Config, blocks: int, every: int) -> dict[str, Any]:
    """Compile and run the gradient of a DeepNet.

    Args:
        config: The benchmark's configuration.
        blocks: Depth of the net.
        every: Keep every so many blocks' input only; 0 keeps all.
    """
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
    title = f"DeepNet of {blocks} blocks, "
    title += f"checkpoints every {every}" if every else "no checkpoints"
    with busy(f"{title}: drawing"):
        params, stats = jax.jit(init)(jax.random.key(0))
    shape = (config.net_batch_size, config.net_size, config.net_size, 1)
    images = jax.random.normal(jax.random.key(1), shape)
    labels = jnp.zeros(images.shape[:-1], jnp.int32)

    def loss(params):
        return mean_cross_entropy(apply(params, stats, images, train=True)[0], labels)

    began = time.perf_counter()
    with busy(f"{title}: compiling"):
        compiled = jax.jit(jax.grad(loss)).lower(params).compile()
    seconds = time.perf_counter() - began
    jax.block_until_ready(compiled(params))
    ways = {"gradient": lambda: jax.block_until_ready(compiled(params))}
    (row,) = time_ways(f"{title}, compiled in {seconds:.2f} s", ways, config.repeats, warm_up=False)
    return {
        "blocks": blocks,
        "checkpoint_every": every,
        "compile_seconds": seconds,
        "step_ms": row["median_ms"],
        "memory_mb": compiled.memory_analysis().temp_size_in_bytes / 1e6,  # type: ignore[union-attr]
    }


def summarize(config: Config, rows: Rows, nets: Rows) -> str:
    """Tabulate stacks and nets in Markdown."""
    stack = config.stack
    lines = [
        f"# Stack of residual blocks, {stack.features} channels, {stack.size}x{stack.size}, "
        f"batch {stack.batch_size}: forward and backward",
        "",
        *tables.markdown_table(
            "blocks | way | median ms | fastest ms | times PyTorch (or jaxseg)",
            (
                f"{r['blocks']} | {r['way']} | {r['median_ms']:.1f} | {r['fastest_ms']:.1f} "
                f"| {r['ratio']:.2f}"
                for r in rows
            ),
        ),
        "",
        f"# DeepNet, {config.net_features} channels, {config.net_size}x{config.net_size}, "
        f"batch {config.net_batch_size}: gradient on one device",
        "",
        *tables.markdown_table(
            "blocks | convolutions | checkpoint every | compile s | ms | memory MB",
            (
                f"{n['blocks']} | {2 * n['blocks'] + 2} | {n['checkpoint_every'] or 'never'} "
                f"| {n['compile_seconds']:.2f} | {n['step_ms']:.0f} | {n['memory_mb']:.0f}"
                for n in nets
            ),
        ),
    ]
    return "\n".join(lines) + "\n"


def depth_figure(stacks: Rows, nets: Rows) -> Figure:
    """Draw the stack's time by way, and compile time, time and memory of the net, by depth.

    Args:
        stacks: Rows with blocks, way and median_ms.
        nets: Rows with blocks, checkpoint_every, compile_seconds, step_ms and memory_mb.
    """
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    first, *others = figure.subplots(1, 4)
    for way in dict.fromkeys(row["way"] for row in stacks):
        rows = sorted((r for r in stacks if r["way"] == way), key=lambda row: row["blocks"])
        first.plot([r["blocks"] for r in rows], [r["median_ms"] for r in rows], "o-", label=way)
    first.set(title="stack, forward + backward", ylabel="ms")
    panels = (
        ("compile_seconds", "DeepNet, compile", "s"),
        ("step_ms", "DeepNet, gradient", "ms"),
        ("memory_mb", "DeepNet, memory", "MB"),
    )
    for axes, (key, title, unit) in zip(others, panels, strict=True):
        for keeps_all, label in ((True, "all kept"), (False, "checkpoint every √L")):
            rows = [row for row in nets if (row["checkpoint_every"] == 0) == keeps_all]
            axes.plot([r["blocks"] for r in rows], [r[key] for r in rows], "o-", label=label)
        axes.set(title=title, ylabel=unit)
    others[0].set_ylim(bottom=0)
    for axes in (first, *others[1:]):
        axes.set_yscale("log")
    for axes in (first, *others):
        axes.legend(fontsize=7, frameon=False)
        axes.set_xscale("log", base=2)
        axes.set_xlabel("blocks")
    return figure
