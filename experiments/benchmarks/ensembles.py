"""What do many nets, and many gradients of one net, cost: `vmap` beside loops and PyTorch?

The net has five convolutions (3x3, strided, dilated, an upconvolution, 1x1) on small images. Every
way is timed in turns, each after a warm-up of its own; numbers are medians, and all ways must
agree.

    ensemble      the gradients of 8, 16, 32 parameter sets on the same images: `vmap`, a Python
                  loop over the compiled single net, plain lax under `vmap`, and PyTorch's loop
                  and `torch.func.vmap`
    per example   the norm of every example's own gradient, parameter by parameter
                  (`analysis.layer_gradient_norms`), beside one gradient of the batch's mean and
                  `torch.func.vmap(grad)`

    make parity && python -m experiments.benchmarks.ensembles   about 2 minutes on two cores

It leaves results.csv and summary.md in --out.
"""

from experiments.launch import launch_benchmark

if __name__ == "__main__":  # before JAX is imported: the first words come at once
    launch_benchmark("experiments.benchmarks.ensembles")

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
    time_ways,
    torch_on_all_cores,
)
from jaxseg import analysis, ops
from jaxseg.progress import busy
from jaxseg.training import member_mesh, over_members, tables, to_members

COLUMNS = ("kind", "count", *TIMES, "ratio", "to_pytorch")
TOLERANCE = 1e-3
ENSEMBLE, PER_EXAMPLE = "ensemble", "per example"
MEAN = "jaxseg, gradient of the mean"


@dataclass(frozen=True, kw_only=True)
class Config(BenchmarkConfig):
    """Configuration of the benchmark.

    Attributes:
        members: Sizes of the ensembles.
        batch_size: Images that an ensemble sees.
        examples: Images whose gradients are measured one by one.
        size: Height and width of the images in pixels.
        channels: Channels of the first convolution; the next ones have twice as many.
        repeats: Timed turns.
    """

    out: Path = Path("runs/benchmarks/ensembles")
    members: tuple[int, ...] = (8, 16, 32)
    batch_size: int = 8
    examples: int = 32
    size: int = 32
    channels: int = 16
    repeats: int = 9


PRESETS = {
    "full": Config(),
    "tiny": Config(members=(2,), batch_size=2, examples=4, size=8, channels=4, repeats=1),
}


def main(config: Config) -> None:
    """Time ensembles and per-example norms, and write a table."""
    with run_folder(config) as machine:
        rows = [row for count in config.members for row in compare(config, ENSEMBLE, count)]
        rows += compare(config, PER_EXAMPLE, config.examples)
        write_results(config.out, summarize(config, rows), COLUMNS, rows, machine)


def compare(config: Config, kind: str, count: int) -> Rows:
    """Time every way.

    Args:
        config: The benchmark's configuration.
        kind: "ensemble" or "per example".
        count: Members or examples.

    Returns:
        A row a way; "ratio" is to the first way, "to_pytorch" to the fastest of PyTorch's.

    Raises:
        ValueError: The ways do not agree.
    """
    title = f"{kind}, {count}"
    with busy(f"{title}: compiling"):
        ways = (ensemble_ways if kind == ENSEMBLE else example_ways)(config, count)
        # The gradient of the mean is another quantity.
        norms = {way: norms_of(run()) for way, run in ways.items() if way != MEAN}
    check_agreement(norms, TOLERANCE)
    rows = over_torch(time_ways(title, ways, config.repeats, slow={"plain lax vmap"}))
    first = rows[0]["median_ms"]
    return [
        {"kind": kind, "count": count, **row, "ratio": row["median_ms"] / first} for row in rows
    ]


def draw_kernels(count: int, channels: int) -> list[np.ndarray]:
    """Draw the kernels of `count` nets, (count, *window, in, out) each."""
    draw, c = np.random.default_rng(0), channels
    shapes = [(3, 3, 3, c), (3, 3, c, 2 * c), (3, 3, 2 * c, 2 * c), (4, 4, 2 * c, c), (1, 1, c, 5)]
    return [
        (draw.normal(size=(count, *s)) * np.sqrt(2 / np.prod(s[:-1]))).astype(np.float32)
        for s in shapes
    ]


def draw_images(count: int, size: int) -> np.ndarray:
    """Draw (count, size, size, 3)."""
    return np.random.default_rng(1).normal(size=(count, size, size, 3)).astype(np.float32)


def net(params, x):
    """Map (batch, size, size, 3) to (batch, size, size, 5)."""
    x = jax.nn.relu(ops.conv(x, params[0], padding=1))
    x = jax.nn.relu(ops.conv(x, params[1], stride=2, padding=1))
    x = jax.nn.relu(ops.conv(x, params[2], dilation=2, padding=2))
    x = jax.nn.relu(ops.upconv(x, params[3], stride=2, padding=1))
    return ops.conv(x, params[4])


def loss(params, x):
    """Compute a smooth function of the net's output."""
    return jnp.mean(jnp.sin(net(params, x)))


def ensemble_ways(config: Config, count: int) -> Ways:
    """Build every way to the gradients of `count` parameter sets."""
    params = draw_kernels(count, config.channels)
    x = jnp.asarray(draw_images(config.batch_size, config.size))
    mesh = member_mesh(count)
    gradient = jax.grad(loss)
    shared, stacked = to_members(params, mesh), jax.tree.map(jnp.asarray, params)
    single = [jax.tree.map(lambda a, i=i: a[i], stacked) for i in range(count)]
    one_device = jax.jit(jax.vmap(gradient, (0, None))).lower(stacked, x).compile()
    with ops.lowering("direct"):
        plain = jax.jit(jax.vmap(gradient, (0, None))).lower(stacked, x).compile()
    all_devices = over_members(gradient, mesh, in_axes=(0, None))
    one_net = jax.jit(gradient).lower(single[0], x).compile()
    ways: Ways = {
        "jaxseg loop": lambda: jax.block_until_ready([one_net(p, x) for p in single]),
        "jaxseg vmap": lambda: jax.block_until_ready(all_devices(shared, x)),
        "jaxseg vmap, 1 device": lambda: jax.block_until_ready(one_device(stacked, x)),
        "plain lax vmap": lambda: jax.block_until_ready(plain(stacked, x)),
    }
    if compares_with_torch():
        weights, pixels, gradients = torch_net(params, np.asarray(x))
        each = [[w[i] for w in weights] for i in range(count)]
        mapped = torch_on_all_cores().func.vmap(gradients, (0, None))
        ways["PyTorch loop"] = lambda: [gradients(w, pixels) for w in each]
        ways["PyTorch vmap"] = lambda: mapped(weights, pixels)
    return ways


def example_ways(config: Config, count: int) -> Ways:
    """Build every way to the norms of `count` examples' gradients, and the gradient of a mean."""
    params = [kernel[0] for kernel in draw_kernels(1, config.channels)]
    x = jnp.asarray(draw_images(count, config.size))
    mesh = member_mesh(count)

    def loss_of_one(params, image):
        return loss(params, image[None])

    def norms(mesh):
        return jax.jit(lambda p, x: analysis.layer_gradient_norms(loss_of_one, p, x, mesh=mesh))

    one_device, all_devices = norms(member_mesh(1)), norms(mesh)
    split = to_members(x, mesh)
    batch = jax.jit(jax.grad(loss)).lower(params, x).compile()
    ways: Ways = {
        MEAN: lambda: jax.block_until_ready(batch(params, x)),
        "jaxseg norms": lambda: jax.block_until_ready(all_devices(params, split)),
        "jaxseg norms, 1 device": lambda: jax.block_until_ready(one_device(params, x)),
    }
    if compares_with_torch():
        weights, pixels, gradients = torch_net([p[None] for p in params], np.asarray(x))
        first = [w[0] for w in weights]
        mapped = torch_on_all_cores().func.vmap(lambda w, p: gradients(w, p[None]), (None, 0))
        ways["PyTorch norms, vmap"] = lambda: [
            g.flatten(1).norm(dim=1) for g in mapped(first, pixels)
        ]
    return ways


def torch_net(params: list[np.ndarray], x: np.ndarray) -> tuple[Any, Any, Any]:
    """Bring kernels and images to PyTorch's layouts, and build the gradient of the same loss."""
    torch = torch_on_all_cores()
    functional = torch.nn.functional
    plain = [kernel.transpose(0, 4, 3, 1, 2) for kernel in params]
    # The upconvolution's is (in, out, *window), and flipped.
    plain[3] = params[3][:, ::-1, ::-1].transpose(0, 3, 4, 1, 2)
    weights = [torch.tensor(kernel.copy()) for kernel in plain]
    pixels = torch.tensor(np.moveaxis(x, -1, 1)).contiguous(memory_format=torch.channels_last)

    def loss(w, x):
        x = functional.relu(functional.conv2d(x, w[0], padding=1))
        x = functional.relu(functional.conv2d(x, w[1], stride=2, padding=1))
        x = functional.relu(functional.conv2d(x, w[2], dilation=2, padding=2))
        x = functional.relu(functional.conv_transpose2d(x, w[3], stride=2, padding=1))
        return functional.conv2d(x, w[4]).sin().mean()

    return weights, pixels, torch.func.grad(loss)


def norms_of(result: Any) -> np.ndarray:
    """Compute the norms of gradients, (members, kernels).

    Args:
        result: A list over members of lists over kernels; or a list over kernels of arrays with a
            leading axis of members.
    """
    if isinstance(result[0], list | tuple):
        return np.array([[np.linalg.norm(np.asarray(g)) for g in member] for member in result])
    flat = [np.asarray(g).reshape(len(g), -1) for g in result]
    return np.stack([np.linalg.norm(g, axis=1) for g in flat], axis=1)


def summarize(config: Config, rows: Rows) -> str:
    """Tabulate all ways in Markdown."""
    lines = [
        f"# Ensembles and per-example gradients, {config.size}x{config.size} pixels, "
        f"{config.channels} and {2 * config.channels} channels",
        "",
        f"An ensemble sees {config.batch_size} "
        "images. Ratios are to the first row of a kind and count, and to the fastest of PyTorch's "
        "ways.",
        "",
        *tables.markdown_table(
            "kind | count | way | median ms | fastest ms | times the first | times PyTorch",
            (
                f"{r['kind']} | {r['count']} | {r['way']} | {r['median_ms']:.2f} "
                f"| {r['fastest_ms']:.2f} | {r['ratio']:.2f} | {r['to_pytorch']:.2f}"
                for r in rows
            ),
        ),
    ]
    return "\n".join(lines) + "\n"
