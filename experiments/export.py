"""A trained net as files that run without it: StableHLO and ONNX, and how far they are from it.

    python experiments/export.py --run runs/NAME [--out DIR] [--no-onnx] [--size H W]

Writes net.stablehlo and net.onnx, which take any batch, height and width (or the height and width
of `--size` alone), runs both beside the net on normal noise of several sizes, prints the largest
differences, and leaves results.csv and parity.png. Needs `pip install 'jaxseg[export]'`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from segmentation import load_run

from jaxseg import interop, plots
from jaxseg.training import records

COLUMNS = ("way", "batch", "height", "width", "largest", "max_difference", "rms_difference",
           "same_class")  # fmt: skip


@dataclass(frozen=True)
class Config:
    """What is exported, and to where.

    Attributes:
        run: folder of the training run.
        out: folder of the files; None: that of the run.
        onnx: write ONNX besides StableHLO.
        size: height and width of the images, if they are to be fixed.
        channels: of the images.
        seed: of the noise.
    """

    run: Path
    out: Path | None = None
    onnx: bool = True
    size: tuple[int, int] | None = None
    channels: int = 3
    seed: int = 0


def write(net: Callable, config: Config, out: Path) -> dict[str, Callable[[Any], Any]]:
    """Export the net; each export read back, by its name."""
    shape = ("batch", *(config.size or ("height", "width")), config.channels)
    interop.export_stablehlo(net, out / "net.stablehlo", shape=shape)
    exported: dict[str, Callable] = {"StableHLO": interop.load_stablehlo(out / "net.stablehlo")}
    if config.onnx:
        interop.export_onnx(net, out / "net.onnx", shape=shape)
        exported["onnxruntime"] = interop.load_onnx(out / "net.onnx")
    return exported


def noise(config: Config) -> list[np.ndarray]:
    """Batches of one to three images, of several sizes unless one is given."""
    rng = np.random.default_rng(config.seed)
    sizes = [config.size] * 2 if config.size else [(96, 128), (61, 47), (1, 1)]
    return [
        rng.normal(size=(1 + i % 3, *size, config.channels)).astype(np.float32)
        for i, size in enumerate(sizes)
    ]


def main(config: Config) -> None:
    """Export, compare, and write what came out."""
    out = config.out or config.run
    out.mkdir(parents=True, exist_ok=True)
    net = jax.jit(load_run(config.run).apply)
    exported = write(net, config, out)
    batches = noise(config)
    rows = interop.compare(net, exported, batches)
    records.write_csv(out / "results.csv", COLUMNS, rows)
    head = "export | images | largest logit | largest difference | same class"
    lines = [
        f"{r['way']} | {r['batch']} x {r['height']} x {r['width']} | {r['largest']:.3g} | "
        f"{r['max_difference']:.1e} | {r['same_class']:.2%}"
        for r in rows
    ]
    print("\n".join(records.markdown_table(head, lines)))
    first = batches[0]
    others = {way: np.asarray(run(first)) for way, run in exported.items()}
    plots.export_parity(np.asarray(net(first)), others).savefig(out / "parity.png", dpi=150)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
