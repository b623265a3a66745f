"""Write a trained net as StableHLO and ONNX, and measure how far these are from it.

    jaxseg export --run runs/NAME [--out DIR] [--no-onnx] [--size H W]

It writes net.stablehlo, net.onnx and net.json. The first two take float32 images (batch, height,
width, channels) from 0 to 1 and return logits (batch, height, width, classes): the normalization is
in the file. They take any batch, height and width, or only the height and width of `--size`. Both
are run beside the net on noise of several sizes; the largest differences are printed, and go into
export.csv and parity.png. Needs `pip install 'jaxseg[export]'`.

net.json names the classes and says what else is known of the data set and the net: class_names,
palette, mean, std, size (of the images that the net was trained on), crops, model, step and more.
net.onnx carries the same in its metadata, each value as JSON.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

from jaxseg import cli, interop, plots
from jaxseg.commands.outputs import Outputs
from jaxseg.commands.run import Run, load_run
from jaxseg.training import records, tables

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
        preset: Not used: there is one preset.
    """

    run: Path = Path("runs/quick")
    out: Path | None = None
    onnx: bool = True
    size: tuple[int, int] | None = None
    checkpoint: str = "best"
    seed: int = 0
    preset: tyro.conf.Suppress[str] = ""


def describe(run: Run) -> dict[str, Any]:
    """Describe a net to those who have its exported file alone, as JSON values.

    Args:
        run: The trained net.

    Returns:
        All fields of `DatasetInfo` (class_names, palette, mean, std, size and more, mean and std in
        units of full brightness), "model", "step", and what "images" and "logits" are.
    """
    values = {
        "uint8": "8-bit numbers divided by 255",
        "uint16": "16-bit numbers divided by 65535",
        "float32": "as they are in the files",
    }[run.info.dtype]
    return {
        **records.config_record(run.info),
        "model": run.config["model"]["name"],
        "step": run.step,
        "images": f"float32 (batch, height, width, {run.info.channels}), {values}; normalized by "
        "the net itself",
        "logits": f"float32 (batch, height, width, {run.info.classes})",
    }


def write(
    net: Callable, run: Run, config: Config, outputs: Outputs
) -> dict[str, Callable[[Any], Any]]:
    """Export the net and its description, and read each export back: name -> function."""
    shape = ("batch", *(config.size or ("height", "width")), run.info.channels)
    about, out = describe(run), outputs.folder
    outputs.write("net.json", (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode())
    with outputs.path("net.stablehlo") as path:
        interop.export_stablehlo(net, path, shape=shape)
    exported: dict[str, Callable] = {"StableHLO": interop.load_stablehlo(out / "net.stablehlo")}
    if config.onnx:
        metadata = {name: json.dumps(value, ensure_ascii=False) for name, value in about.items()}
        with outputs.path("net.onnx") as path:
            interop.export_onnx(net, path, shape=shape, metadata=metadata)
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
    run = load_run(config.run, checkpoint=config.checkpoint)
    outputs = Outputs(config.out or config.run)
    names = [f"net.{kind}" for kind in ("json", *KINDS[: 1 + config.onnx])]
    outputs.check([*names, "export.csv", "parity.png"])
    net, channels = jax.jit(run.logits), run.info.channels
    exported = write(net, run, config, outputs)
    batches = noise(channels, config)
    rows = interop.compare(net, exported, batches)
    with outputs.path("export.csv") as path:
        tables.write_csv(path, COLUMNS, rows)
    head = "export | images | largest logit | largest difference | same class"
    lines = [
        f"{r['way']} | {r['batch']} x {r['height']} x {r['width']} | {r['largest']:.3g} | "
        f"{r['max_difference']:.1e} | {r['same_class']:.2%}"
        for r in rows
    ]
    print("\n".join(tables.markdown_table(head, lines)))
    first = batches[0]
    others = {way: np.asarray(call(first)) for way, call in exported.items()}
    with outputs.path("parity.png") as path:
        plots.export_parity(np.asarray(net(first)), others).savefig(path, dpi=150)
    print(f"Files: {', '.join(str(outputs.folder / name) for name in names)}")


def command(args: Sequence[str]) -> None:
    """Read the command line and export."""
    presets = {"default": Config()}
    main(cli.parse(presets, "default", description=__doc__, args=args, program="jaxseg export"))
