"""Write a trained net as StableHLO and ONNX, and measure how far these are from it.

    jaxseg export --run runs/NAME [--out DIR] [--no-onnx] [--size H W]

It writes net.stablehlo and net.onnx. Both take float32 images (batch, height, width, channels) from
0 to 1, red, green and blue, and return logits (batch, height, width, classes): the normalization is
in the file. They take any batch, height and width, or only the height and width of `--size`. Both
are run beside the net on noise of several sizes; the largest differences are printed, and go into
export.csv and parity.png. Needs `pip install 'jaxseg[export]'`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxseg import cli, interop, plots
from jaxseg.commands.run import load_run
from jaxseg.training import records

COLUMNS = (
    "way",
    "batch",
    "height",
    "width",
    "largest",
    "max_difference",
    "rms_difference",
    "same_class",
)
KINDS = ("stablehlo", "onnx")


@dataclass(frozen=True)
class Config:
    """An export.

    Attributes:
        run: Folder of the training run.
        out: Folder of the files; None is that of the run.
        onnx: Write ONNX besides StableHLO.
        size: Height and width of the images, if they are to be fixed.
        checkpoint: "best" for the best mean IoU on the validation split, "last" for the newest
            checkpoint, or the number of a step.
        seed: Seed of the noise that the exports are compared on.
        preset: Not used.
    """

    run: Path = Path("runs/quick")
    out: Path | None = None
    onnx: bool = True
    size: tuple[int, int] | None = None
    checkpoint: str = "best"
    seed: int = 0
    preset: str = ""


def write(
    net: Callable, channels: int, config: Config, out: Path
) -> dict[str, Callable[[Any], Any]]:
    """Export the net, and read each export back: name -> function."""
    shape = ("batch", *(config.size or ("height", "width")), channels)
    interop.export_stablehlo(net, out / "net.stablehlo", shape=shape)
    exported: dict[str, Callable] = {"StableHLO": interop.load_stablehlo(out / "net.stablehlo")}
    if config.onnx:
        interop.export_onnx(net, out / "net.onnx", shape=shape)
        exported["onnxruntime"] = interop.load_onnx(out / "net.onnx")
    return exported


def noise(channels: int, config: Config) -> list[np.ndarray]:
    """Draw batches of one to three images, of several sizes unless one is given."""
    rng = np.random.default_rng(config.seed)
    sizes = [config.size] * 2 if config.size else [(96, 128), (61, 47), (1, 1)]
    return [
        rng.uniform(size=(1 + i % 3, *size, channels)).astype(np.float32)
        for i, size in enumerate(sizes)
    ]


def main(config: Config) -> None:
    """Export, compare, and write the differences."""
    out = config.out or config.run
    out.mkdir(parents=True, exist_ok=True)
    run = load_run(config.run, checkpoint=config.checkpoint)
    net, channels = jax.jit(run.logits), run.info.channels
    exported = write(net, channels, config, out)
    batches = noise(channels, config)
    rows = interop.compare(net, exported, batches)
    records.write_csv(out / "export.csv", COLUMNS, rows)
    head = "export | images | largest logit | largest difference | same class"
    lines = [
        f"{r['way']} | {r['batch']} x {r['height']} x {r['width']} | {r['largest']:.3g} | "
        f"{r['max_difference']:.1e} | {r['same_class']:.2%}"
        for r in rows
    ]
    print("\n".join(records.markdown_table(head, lines)))
    first = batches[0]
    others = {way: np.asarray(call(first)) for way, call in exported.items()}
    plots.export_parity(np.asarray(net(first)), others).savefig(out / "parity.png", dpi=150)
    print(f"Files: {', '.join(str(out / f'net.{kind}') for kind in KINDS[: 1 + config.onnx])}")


def command(args: Sequence[str]) -> None:
    """Read the command line and export."""
    presets = {"default": Config()}
    main(cli.parse(presets, "default", description=__doc__, args=args, program="jaxseg export"))
