"""What many nets, and many gradients of one net, cost: `vmap` against loops and PyTorch.

The net: five convolutions (3x3, strided, dilated, an upconvolution, 1x1) on small images. One run
times every way in turns, each after a warm-up of its own, takes medians, and checks that all agree.

    ensemble      forward and gradients of 8, 16, 32 parameter sets on the same images: `vmap`, a
                  Python loop over the compiled single net, plain lax under `vmap`, and PyTorch's
                  loop and `torch.func.vmap`
    per example   the norm of every example's own gradient, parameter by parameter
                  (`analysis.layer_gradient_norms`), against one gradient of the batch's mean and
                  `torch.func.vmap(grad)`

    make parity && python experiments/benchmark_ensembles.py    about 2 minutes on two cores

It leaves results.csv and summary.md in --out.
"""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from timing import Ways, in_turns

from jaxseg import analysis, cli, files, ops
from jaxseg.training import member_mesh, over_members, records, to_members, use_all_cores

RESULTS = {
    "study": str,
    "count": int,
    "way": str,
    "median_ms": float,
    "fastest_ms": float,
    "ratio": float,
    "to_pytorch": float,
}
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Config:
    """What is timed.

    Attributes:
        preset: where the other values come from.
        out: folder of the results.
        members: sizes of the ensembles.
        batch_size: images that an ensemble sees.
        examples: images whose gradients are told apart.
        size: side of the images, in pixels.
        channels: of the first convolution; the next have twice as many.
        repeats: timed turns.
    """

    preset: str = "full"
    out: Path = Path("runs/benchmark_ensembles")
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
    """Measure, then write the tables."""
    use_all_cores()
    records.open_run(config.out, config, results="results.csv", resume=False, overwrite=True)
    rows = [row for n in config.members for row in compare(config, "ensemble", n)]
    rows += compare(config, "per example", config.examples)
    records.write_csv(config.out / "results.csv", list(RESULTS), rows)
    summary = summarise(config, rows)
    files.write_text(config.out / "summary.md", summary)
    print(summary)


def kernels(count: int, channels: int) -> list[np.ndarray]:
    """Kernels of `count` nets, (count, *window, in, out) each."""
    draw, c = np.random.default_rng(0), channels
    shapes = [(3, 3, 3, c), (3, 3, c, 2 * c), (3, 3, 2 * c, 2 * c), (4, 4, 2 * c, c), (1, 1, c, 5)]
    return [
        (draw.normal(size=(count, *s)) * np.sqrt(2 / np.prod(s[:-1]))).astype(np.float32)
        for s in shapes
    ]


def images(count: int, size: int) -> np.ndarray:
    """(count, size, size, 3)."""
    return np.random.default_rng(1).normal(size=(count, size, size, 3)).astype(np.float32)


def net(params, x):
    """(batch, size, size, 3) -> (batch, size, size, 5)."""
    x = jax.nn.relu(ops.conv(x, params[0], padding=1))
    x = jax.nn.relu(ops.conv(x, params[1], stride=2, padding=1))
    x = jax.nn.relu(ops.conv(x, params[2], dilation=2, padding=2))
    x = jax.nn.relu(ops.upconv(x, params[3], stride=2, padding=1))
    return ops.conv(x, params[4])


def loss(params, x):
    """Some smooth scalar."""
    return jnp.mean(jnp.sin(net(params, x)))


def ensemble_ways(config: Config, count: int) -> Ways:
    """Gradients of `count` parameter sets, stacked, by every way."""
    params, x = kernels(count, config.channels), jnp.asarray(images(config.batch_size, config.size))
    mesh = member_mesh(count)
    gradient = jax.grad(loss)
    shared, stacked = to_members(params, mesh), jax.tree.map(jnp.asarray, params)
    each = [jax.tree.map(lambda a, i=i: a[i], stacked) for i in range(count)]
    mapped = jax.jit(jax.vmap(gradient, (0, None)))
    fast = mapped.lower(stacked, x).compile()
    with ops.lowering("direct"):
        plain = jax.jit(jax.vmap(gradient, (0, None))).lower(stacked, x).compile()
    everywhere = over_members(gradient, mesh, in_axes=(0, None))
    one = jax.jit(gradient).lower(each[0], x).compile()
    ways: Ways = {
        "jaxseg loop": lambda: jax.block_until_ready([one(p, x) for p in each]),
        "jaxseg vmap": lambda: jax.block_until_ready(everywhere(shared, x)),
        "jaxseg vmap, 1 device": lambda: jax.block_until_ready(fast(stacked, x)),
        "plain lax vmap": lambda: jax.block_until_ready(plain(stacked, x)),
    }
    if torch_is_here():
        import torch

        weights, pixels, gradients = torch_net(params, np.asarray(x))
        single = [[w[i] for w in weights] for i in range(count)]
        together = torch.func.vmap(gradients, (0, None))
        ways["PyTorch loop"] = lambda: [gradients(w, pixels) for w in single]
        ways["PyTorch vmap"] = lambda: together(weights, pixels)
    return ways


def example_ways(config: Config, count: int) -> Ways:
    """Norms of `count` examples' gradients by every way, and one gradient of their mean."""
    params = [k[0] for k in kernels(1, config.channels)]
    x = jnp.asarray(images(count, config.size))
    mesh = member_mesh(count)

    def own(params, image):
        return loss(params, image[None])

    def norms(mesh):
        return jax.jit(lambda p, x: analysis.layer_gradient_norms(own, p, x, mesh=mesh))

    one_device, all_devices = norms(member_mesh(1)), norms(mesh)
    split = to_members(x, mesh)
    batch = jax.jit(jax.grad(loss)).lower(params, x).compile()
    ways: Ways = {
        "jaxseg, gradient of the mean": lambda: jax.block_until_ready(batch(params, x)),
        "jaxseg norms": lambda: jax.block_until_ready(all_devices(params, split)),
        "jaxseg norms, 1 device": lambda: jax.block_until_ready(one_device(params, x)),
    }
    if torch_is_here():
        import torch

        weights, pixels, gradients = torch_net([p[None] for p in params], np.asarray(x))
        own_weights = [w[0] for w in weights]
        mapped = torch.func.vmap(lambda w, p: gradients(w, p[None]), (None, 0))
        ways["PyTorch norms, vmap"] = lambda: [
            g.flatten(1).norm(dim=1) for g in mapped(own_weights, pixels)
        ]
    return ways


def torch_is_here() -> bool:
    """Whether PyTorch is installed and JAX is on the CPU, where its comparison is fair."""
    return bool(importlib.util.find_spec("torch")) and jax.default_backend() == "cpu"


def torch_net(params, x):
    """Weights and pixels in PyTorch's layouts, and the gradient of the same loss there."""
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(os.cpu_count() or 1)

    def turned(k, number):
        if number == 3:  # the upconvolution's: (in, out, *window), flipped
            return k[:, ::-1, ::-1].transpose(0, 3, 4, 1, 2).copy()
        return k.transpose(0, 4, 3, 1, 2).copy()

    weights = [torch.tensor(turned(k, number)) for number, k in enumerate(params)]
    pixels = torch.tensor(np.moveaxis(x, -1, 1)).contiguous(memory_format=torch.channels_last)

    def loss(w, x):
        x = F.relu(F.conv2d(x, w[0], padding=1))
        x = F.relu(F.conv2d(x, w[1], stride=2, padding=1))
        x = F.relu(F.conv2d(x, w[2], dilation=2, padding=2))
        x = F.relu(F.conv_transpose2d(x, w[3], stride=2, padding=1))
        return F.conv2d(x, w[4]).sin().mean()

    return weights, pixels, torch.func.grad(loss)


def compare(config: Config, study: str, count: int) -> list[dict[str, Any]]:
    """Time every way in turns; `ratio` is to the first, `to_pytorch` to the best of PyTorch's."""
    ways = (ensemble_ways if study == "ensemble" else example_ways)(config, count)
    check({w: run() for w, run in ways.items() if "mean" not in w})
    times = in_turns(ways, config.repeats, slow={"plain lax vmap"})
    median = {way: float(np.median(t)) for way, t in times.items()}
    theirs = min((m for way, m in median.items() if "PyTorch" in way), default=float("nan"))
    first = next(iter(median.values()))
    print(f"{study}, {count}: " + ", ".join(f"{w} {m:.2f} ms" for w, m in median.items()))
    return [
        {
            "study": study,
            "count": count,
            "way": way.replace(",", ""),
            "median_ms": m,
            "fastest_ms": min(times[way]),
            "ratio": m / first,
            "to_pytorch": m / theirs,
        }
        for way, m in median.items()
    ]


def check(results: dict[str, Any]) -> None:
    """All ways give the same norms, member by member and kernel by kernel."""
    found = {way: norms_of(result) for way, result in results.items()}
    wanted = next(iter(found.values()))
    for way, norms in found.items():
        if not np.allclose(norms, wanted, rtol=TOLERANCE):
            raise AssertionError(f"{way} disagrees with {next(iter(found))}.")


def norms_of(result: Any) -> np.ndarray:
    """(members, kernels) from a list over members, or a list over kernels of stacked arrays."""
    if isinstance(result[0], list | tuple):
        return np.array([[np.linalg.norm(np.asarray(g)) for g in member] for member in result])
    flat = [np.asarray(g).reshape(len(g), -1) for g in result]
    return np.stack([np.linalg.norm(g, axis=1) for g in flat], axis=1)


def summarise(config: Config, rows: list[dict[str, Any]]) -> str:
    """One table, as Markdown."""
    lines = [
        f"# Ensembles and per-example gradients, {config.size}x{config.size} pixels, "
        f"{config.channels} and {2 * config.channels} channels",
        "",
        f"{os.cpu_count()} cores, jax {jax.__version__}; an ensemble sees {config.batch_size} "
        "images. Times the first row of its study, and the best of PyTorch's ways.",
        "",
        *records.markdown_table(
            "study | count | way | median ms | fastest ms | times the first | times PyTorch",
            (
                f"{r['study']} | {r['count']} | {r['way']} | {r['median_ms']:.2f} "
                f"| {r['fastest_ms']:.2f} | {r['ratio']:.2f} | {r['to_pytorch']:.2f}"
                for r in rows
            ),
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(cli.parse(PRESETS, "full", description=__doc__, args=None))
