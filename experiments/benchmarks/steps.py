"""What does a whole train step cost in jaxseg, in plain XLA and in PyTorch?

Forward, backward and an SGD update of a U-Net (32 to 256 channels) and of an FCN on a ResNet-18 at
output stride 8; and forward and backward of a stack of residual blocks. Every way is timed in
turns, each after a warm-up of its own; numbers are medians. Both libraries' nets have equally many
parameters. Where oneDNN is in use, "pure" and "native" are the nets' steps without it and with it
for every convolution.

    make parity && python -m experiments.benchmarks.steps       about 4 minutes on two cores

`--compiled` adds `torch.compile`, which needs a C++ compiler. It leaves results.csv, summary.md and
times.png in --out.
"""

from experiments.launch import launch_benchmark

if __name__ == "__main__":  # before JAX is imported: the first words come at once
    launch_benchmark("experiments.benchmarks.steps")

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from experiments.benchmarks.folder import BenchmarkConfig, run_folder, write_results
from experiments.benchmarks.stack import StackConfig, jax_stack, torch_stack
from experiments.benchmarks.timing import (
    TIMES,
    Rows,
    Ways,
    batch_shardings,
    compares_with_torch,
    ratio_figure,
    sharing_devices,
    single_forms,
    time_ways,
    torch_on_all_cores,
    with_ratios,
)
from jaxseg import models, nn, ops
from jaxseg.progress import busy
from jaxseg.training import init_state, make_train_step, tables

COLUMNS = ("case", *TIMES, "ratio")
RATE, MOMENTUM = 0.01, 0.9
U_NET, FCN = "U-Net", "FCN-ResNet-18, stride 8"
NETS = (U_NET, FCN)


@dataclass(frozen=True, kw_only=True)
class Config(BenchmarkConfig):
    """Configuration of the benchmark.

    Attributes:
        nets: Some of "U-Net" and "FCN-ResNet-18, stride 8".
        widths: Channels of the U-Net's levels.
        size: Height and width of the images in pixels.
        batch_size: Images a step.
        classes: Classes to be told apart.
        blocks: Depths of the stacks; () leaves them out.
        repeats: Timed turns.
        compiled: Time `torch.compile` too.
    """

    out: Path = Path("runs/benchmarks/steps")
    nets: tuple[str, ...] = NETS
    widths: tuple[int, ...] = (32, 64, 128, 256)
    size: int = 128
    batch_size: int = 8
    classes: int = 11
    blocks: tuple[int, ...] = (32, 256)
    repeats: int = 7
    compiled: bool = False

    def __post_init__(self):
        """Refuse nets that are not known."""
        if unknown := sorted({*self.nets} - {*NETS}):
            raise ValueError(f"nets={self.nets} must be some of {NETS}; unknown: {unknown}.")


PRESETS = {
    "full": Config(),
    "tiny": Config(
        nets=(U_NET,), widths=(4, 8), size=8, batch_size=2, classes=3, blocks=(), repeats=1
    ),
}


def main(config: Config) -> None:
    """Time all nets, and write a table and a figure."""
    with run_folder(config) as machine:
        rows: Rows = []
        for name in config.nets:
            rows += compare(name, partial(net_ways, config, name), config.repeats)
        for blocks in config.blocks:
            title = f"stack of {blocks} blocks"
            repeats = min(config.repeats, max(3, 128 // blocks))  # 256 blocks take seconds
            rows += compare(title, partial(stack_ways, blocks), repeats)
        write_results(
            config.out, summarize(config, rows), COLUMNS, rows, machine, ratio_figure(rows)
        )


def compare(case: str, make_ways: Callable[[], Ways], repeats: int) -> Rows:
    """Time every way of one case: a row a way, with the columns of `COLUMNS`."""
    with busy(f"{case}: compiling"):
        ways = make_ways()
    rows = time_ways(case, ways, repeats, slow={"plain lax"}, slow_repeats=2)
    return [{"case": case, **row} for row in with_ratios(rows)]


def net_ways(config: Config, name: str) -> Ways:
    """Build every way to take one train step of one net.

    Raises:
        ValueError: PyTorch's net has another number of parameters.
    """
    devices = sharing_devices(config.batch_size)
    ways = {
        "jaxseg": jax_step(config, name, devices),
        "jaxseg, 1 device": jax_step(config, name, devices[:1]),
    }
    for way, form in single_forms().items():
        with ops.lowering(form):
            ways[way] = jax_step(config, name, devices[:1])
    with ops.lowering("direct"):
        ways["plain lax"] = jax_step(config, name, devices[:1])
    if compares_with_torch():
        net = torch_net(config, name)
        ours, theirs = parameters(config, name), sum(p.numel() for p in net.parameters())
        if ours != theirs:
            raise ValueError(f"{name}: {ours} parameters in jaxseg, {theirs} in PyTorch.")
        ways["PyTorch"] = torch_step(config, net, net)
        if config.compiled:
            ways["PyTorch, compiled"] = torch_step(config, net, torch_on_all_cores().compile(net))
    return ways


def make_net(config: Config, name: str, rngs: nnx.Rngs) -> nnx.Module:
    """Build one of `NETS`."""
    if name == U_NET:
        return models.UNet(classes=config.classes, widths=config.widths, rngs=rngs)
    return models.FCN(classes=config.classes, backbone="resnet18", output_stride=8, rngs=rngs)


def parameters(config: Config, name: str) -> int:
    """Count the parameters of jaxseg's net, which is not built for that."""
    net = nnx.eval_shape(lambda: make_net(config, name, nnx.Rngs(0)))
    return sum(a.size for a in jax.tree.leaves(nnx.state(net, nnx.Param)))


def torch_net(config: Config, name: str) -> Any:
    """Build PyTorch's twin of a net."""
    from experiments.benchmarks import torch_nets

    if name == U_NET:
        return torch_nets.channels_last(torch_nets.UNet(config.classes, config.widths))
    return torch_nets.channels_last(torch_nets.FCN(config.classes))


def random_batch(config: Config) -> dict[str, np.ndarray]:
    """Draw images and labels."""
    draw = np.random.default_rng(0)
    shape = (config.batch_size, config.size, config.size)
    return {
        "image": draw.normal(size=(*shape, 3)).astype(np.float32),
        "label": draw.integers(0, config.classes, shape).astype(np.int32),
    }


def jax_step(config: Config, name: str, devices: Sequence[Any]) -> Callable[[], Any]:
    """Compile the step, the batch shared out over `devices`, the state donated."""
    split, whole = batch_shardings(devices)
    init, apply = nn.functional(lambda rngs: make_net(config, name, rngs))
    optimizer = optax.sgd(RATE, momentum=MOMENTUM)
    params, stats = jax.jit(init)(jax.random.key(0))
    state = jax.device_put(init_state(params, stats, optimizer), whole)
    batch = jax.device_put(random_batch(config), split)
    step = jax.jit(make_train_step(apply, optimizer), donate_argnums=0)
    compiled = step.lower(state, batch).compile()
    states = [jax.tree.map(jnp.copy, state)]

    def run():
        state, metrics = compiled(states.pop(), batch)
        states.append(state)
        return jax.block_until_ready((state, metrics))

    return run


def torch_step(config: Config, net: Any, forward: Callable[..., Any]) -> Callable[[], Any]:
    """Build the same step in PyTorch.

    Args:
        config: The benchmark's configuration.
        net: Holds the parameters.
        forward: What is called: the net, or the compiled net.
    """
    torch = torch_on_all_cores()
    batch = random_batch(config)
    images = torch.tensor(np.moveaxis(batch["image"], -1, 1))
    images = images.to(memory_format=torch.channels_last)
    labels = torch.tensor(batch["label"].astype(np.int64))
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)

    def run():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(forward(images), labels).backward()
        optimizer.step()

    return run


def stack_ways(blocks: int) -> Ways:
    """Build every way to run a stack forward and backward, as in `benchmarks.depth`."""
    config = StackConfig()
    devices = sharing_devices(config.batch_size)
    ways = {
        "jaxseg": jax_stack(config, blocks, devices),
        "jaxseg, 1 device": jax_stack(config, blocks, devices[:1]),
    }
    if compares_with_torch():
        ways["PyTorch"] = torch_stack(config, blocks)
    return ways


def summarize(config: Config, rows: Rows) -> str:
    """Tabulate the steps in Markdown."""
    stack = StackConfig()
    lines = [
        f"# Train steps: batch {config.batch_size}, {config.size}x{config.size}, float32",
        "",
        f"The stack: {stack.features} channels, "
        f"{stack.size}x{stack.size}, batch {stack.batch_size}, without an update.",
        "",
        *tables.markdown_table(
            "case | way | median ms | fastest ms | times PyTorch (or jaxseg)",
            (
                f"{r['case']} | {r['way']} | {r['median_ms']:.0f} | {r['fastest_ms']:.0f} "
                f"| {r['ratio']:.2f}"
                for r in rows
            ),
        ),
    ]
    return "\n".join(lines) + "\n"
