"""What a whole train step costs: jaxseg against plain lax and PyTorch, side by side.

Forward, backward and an SGD update of a U-Net (32 to 256 channels), a dilated ResNet-18 at output
stride 8, and a stack of residual blocks (forward and backward). One run times every way in turns,
each after a warm-up of its own, and takes medians; both libraries' nets have the same parameters.

    make parity && python experiments/benchmark_steps.py        about 4 minutes on two cores

`--compiled` adds `torch.compile`, which needs a C++ compiler. It leaves results.csv, summary.md and
benchmark_steps.png in --out.
"""

import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchmark_depth
import jax
import jax.numpy as jnp
import numpy as np
import optax
from benchmark_nets import NETS, torch_nets
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from timing import Ways, base_of, draw_ratios, in_turns

from jaxseg import cli, files, nn, ops
from jaxseg.training import init_state, make_train_step, records, use_all_cores

RESULTS = {"case": str, "way": str, "median_ms": float, "fastest_ms": float, "ratio": float}
RATE, MOMENTUM = 0.01, 0.9


@dataclass(frozen=True)
class Config:
    """What is timed.

    Attributes:
        preset: where the other values come from.
        out: folder of the results.
        nets: some of the nets of `benchmark_nets`.
        size: side of the images, in pixels.
        batch_size: images a step.
        classes: to tell apart.
        blocks: depth of the stack; 0 leaves it away.
        repeats: timed turns.
        compiled: time `torch.compile` too.
    """

    preset: str = "full"
    out: Path = Path("runs/benchmark_steps")
    nets: tuple[str, ...] = tuple(NETS)
    size: int = 128
    batch_size: int = 8
    classes: int = 11
    blocks: int = 32
    repeats: int = 7
    compiled: bool = False


PRESETS = {
    "full": Config(),
    "tiny": Config(nets=("U-Net",), size=16, batch_size=2, classes=3, blocks=0, repeats=1),
}


def main(config: Config) -> None:
    """Measure, then write the table and the figure."""
    use_all_cores()
    records.open_run(config.out, config, results="results.csv", resume=False, overwrite=True)
    cases = {name: net_ways(config, name) for name in config.nets}
    if config.blocks:
        cases[f"stack of {config.blocks} blocks"] = stack_ways(config)
    rows = [row for name, ways in cases.items() for row in compare(name, ways, config.repeats)]
    records.write_csv(config.out / "results.csv", list(RESULTS), rows)
    summary = summarise(config, rows)
    files.write_text(config.out / "summary.md", summary)
    print(summary)
    draw_ratios(config.out / "benchmark_steps.png", rows)


def compare(case: str, ways: Ways, repeats: int) -> list[dict[str, Any]]:
    """Time every way in turns; ratios are to PyTorch, else to jaxseg."""
    times = in_turns(ways, repeats, slow={"plain lax"}, slow_repeats=2)
    median = {way: float(np.median(t)) for way, t in times.items()}
    base = median[base_of(ways)]
    print(f"{case}: " + ", ".join(f"{w} {m:.0f} ms" for w, m in median.items()), flush=True)
    return [
        {
            "case": case.replace(",", ""),
            "way": way.replace(",", ""),
            "median_ms": m,
            "fastest_ms": min(times[way]),
            "ratio": m / base,
        }
        for way, m in median.items()
    ]


def net_ways(config: Config, name: str) -> Ways:
    """One train step of one net by every way."""
    share = np.gcd(config.batch_size, len(jax.local_devices()))
    ways = {
        "jaxseg": jax_step(config, name, jax.local_devices()[:share]),
        "jaxseg, 1 device": jax_step(config, name, jax.local_devices()[:1]),
    }
    with ops.lowering("direct"):
        ways["plain lax"] = jax_step(config, name, jax.local_devices()[:1])
    if importlib.util.find_spec("torch") and jax.default_backend() == "cpu":
        net = torch_nets(config.classes)[name]
        init, _ = nn.functional(lambda rngs: NETS[name](config.classes, rngs=rngs))
        ours = sum(a.size for a in jax.tree.leaves(jax.eval_shape(init, jax.random.key(0))[0]))
        theirs = sum(p.numel() for p in net.parameters())
        if ours != theirs:
            raise AssertionError(f"{name}: {ours} parameters here, {theirs} in PyTorch.")
        ways["PyTorch"] = torch_step(config, net)
        if config.compiled:
            import torch

            compiled: Any = torch.compile(net)
            ways["PyTorch, compiled"] = torch_step(config, net, compiled)
    return ways


def batch(config: Config) -> dict[str, np.ndarray]:
    """Random images and labels."""
    draw = np.random.default_rng(0)
    shape = (config.batch_size, config.size, config.size)
    return {
        "image": draw.normal(size=(*shape, 3)).astype(np.float32),
        "label": draw.integers(0, config.classes, shape).astype(np.int32),
    }


def jax_step(config: Config, name: str, devices: Sequence[Any]) -> Callable[[], Any]:
    """The step under `jit`, the batch shared out over `devices`, the state donated."""
    mesh = Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))
    split, whole = (NamedSharding(mesh, spec) for spec in (PartitionSpec("data"), PartitionSpec()))
    init, apply = nn.functional(lambda rngs: NETS[name](config.classes, rngs=rngs))
    optimizer = optax.sgd(RATE, momentum=MOMENTUM)
    params, stats = jax.jit(init)(jax.random.key(0))
    state = init_state(params, stats, optimizer)
    state, data = jax.device_put(state, whole), jax.device_put(batch(config), split)
    step = jax.jit(make_train_step(apply, optimizer), donate_argnums=0)
    compiled = step.lower(state, data).compile()
    held = [jax.tree.map(jnp.copy, state)]

    def run():
        held[0], metrics = compiled(held[0], data)
        return jax.block_until_ready((held[0], metrics))

    return run


def torch_step(config: Config, net, called=None) -> Callable[[], Any]:
    """The same step in PyTorch; `called` is what is run in the net's place."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    data = batch(config)
    images = torch.tensor(np.moveaxis(data["image"], -1, 1))
    images = images.to(memory_format=torch.channels_last)
    labels = torch.tensor(data["label"].astype(np.int64))
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)

    def run():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            (net if called is None else called)(images), labels
        )
        loss.backward()
        optimizer.step()

    return run


def stack_ways(config: Config) -> Ways:
    """Forward and backward of a residual stack, as in `benchmark_depth`."""
    depth, devices = benchmark_depth.Config(), jax.local_devices()
    ways = {
        "jaxseg": benchmark_depth.jax_stack(depth, config.blocks, devices),
        "jaxseg, 1 device": benchmark_depth.jax_stack(depth, config.blocks, devices[:1]),
    }
    if importlib.util.find_spec("torch") and jax.default_backend() == "cpu":
        ways["PyTorch"] = benchmark_depth.torch_stack(depth, config.blocks)
    return ways


def summarise(config: Config, rows: list[dict[str, Any]]) -> str:
    """One table, as Markdown."""
    lines = [
        f"# Train steps: batch {config.batch_size}, {config.size}x{config.size}, float32",
        "",
        f"{os.cpu_count()} cores, jax {jax.__version__}. The stack: 32 channels, 32x32, batch 32, "
        "without an update.",
        "",
        *records.markdown_table(
            "case | way | median ms | fastest ms | times PyTorch (or jaxseg)",
            (
                f"{r['case']} | {r['way']} | {r['median_ms']:.0f} | {r['fastest_ms']:.0f} "
                f"| {r['ratio']:.2f}"
                for r in rows
            ),
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(cli.parse(PRESETS, "full", description=__doc__, args=None))
