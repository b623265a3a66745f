"""List a net's layers: output shape, receptive field, parameters and multiply-adds of an image.

    jaxseg summary --model.name deeplabv3plus
    jaxseg summary --model.name fcn --model.backbone resnet50 --size 512 1024 --depth 1
    jaxseg summary --run runs/mine

Nothing is computed but shapes, so that the largest net takes seconds. The last line is the whole
net. Receptive fields are exact, holes and the phases of upconvolutions included.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import tyro
from flax import nnx

from jaxseg import analysis, cli, files
from jaxseg.commands.model import ModelConfig, build
from jaxseg.commands.run import read_records

COMMON = ("model.name", "model.backbone", "model.output_stride", "run", "size", "classes", "depth")
"""Fields on the first page of help."""


@dataclass(frozen=True)
class Config:
    """A summary.

    Attributes:
        model: The net.
        run: Folder of a training run, whose net and image size are taken instead.
        size: Height and width of the image in pixels.
        classes: Channels of the logits.
        channels: Channels of the image.
        depth: Levels of the layers' names that are listed; None lists all.
        csv: A file that the table is written to as well.
        preset: Not used: there is one preset.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    run: Path | None = None
    size: tuple[int, int] = (256, 256)
    classes: int = 21
    channels: int = 3
    depth: int | None = None
    csv: Path | None = None
    preset: tyro.conf.Suppress[str] = ""

    def __post_init__(self):
        """Refuse numbers that are out of range."""
        for name in ("classes", "channels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        if min(self.size) < 1:
            raise ValueError(f"size={self.size} must be at least 1 pixel in height and width.")


def main(config: Config) -> analysis.Summary:
    """Print the table, and return it."""
    model, classes, channels, size = config.model, config.classes, config.channels, config.size
    if config.run is not None:
        _, model, info = read_records(config.run)
        classes, channels, size = info.classes, info.channels, info.size
    net = nnx.eval_shape(lambda: build(model, classes, channels, nnx.Rngs(0)))
    image = jax.ShapeDtypeStruct((1, *size, channels), jnp.float32)
    table = analysis.summary(net, image, depth=config.depth)
    print(f"{model.name}, {classes} classes, an image of {size[0]}x{size[1]}x{channels}\n{table}")
    if config.csv is not None:
        files.write_text(config.csv, table.csv())
    return table


def command(args: Sequence[str]) -> None:
    """Read the command line and print the table."""
    presets = {"default": Config()}
    main(
        cli.parse(
            presets,
            "default",
            description=__doc__,
            args=args,
            program="jaxseg summary",
            common=COMMON,
        )
    )
