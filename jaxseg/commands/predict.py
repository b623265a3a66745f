r"""Segment images with a trained net.

    jaxseg predict --run runs/deeplab --images photo.jpg
    jaxseg predict --run runs/deeplab --images photos/ "more/*.png" --out masks

Images may have any size: each is brought to the size of training as the training images were, and
its predictions back to its own size, exactly as `jaxseg evaluate` does it. For NAME.jpg it leaves
NAME_mask.png, with the values of the training masks (numbers with the classes' palette, 0 and 255,
or colors), NAME_overlay.jpg, and on request NAME_uncertainty.png (0 is certain, 255 undecided) and
NAME_probabilities.npy (height, width, classes; float32).

A file that cannot be read is named and the rest goes on; the exit status is then 1. Nothing in the
folder is replaced that jaxseg did not write: .jaxseg.jsonl there lists what it wrote.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro
from tqdm import tqdm

from jaxseg import cli, data
from jaxseg.commands.image_list import find_images, output_names
from jaxseg.commands.outputs import Outputs
from jaxseg.commands.predict_files import Writer
from jaxseg.commands.run import load_run
from jaxseg.commands.segmentation import Segmenter
from jaxseg.data.images.image_files import read_image
from jaxseg.progress import busy, counting
from jaxseg.training.inference import InferenceConfig

COMMON = (
    "run",
    "images",
    "out",
    "checkpoint",
    "overlay",
    "uncertainty",
    "probabilities",
    "inference.flip",
    "inference.scales",
)
"""Fields on the first page of help."""


@dataclass(frozen=True)
class Config:
    """A prediction.

    Attributes:
        run: Folder of the training run.
        images: Files, folders of images, or patterns such as "photos/*.jpg".
        out: Folder of the masks; None is RUN/predictions.
        inference: How the net is applied to each image.
        overlay: Write each image under the colors of its mask.
        opacity: Opacity of the colors over the image.
        uncertainty: Write the entropy of each pixel too.
        probabilities: Write the probability of each class at each pixel too.
        checkpoint: "best" for the best mean IoU on the validation split, "last" for the newest
            checkpoint, or the number of a step.
        preset: Not used: there is one preset.
    """

    run: Path = Path("runs/quick")
    images: tuple[str, ...] = ()
    out: Path | None = None
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    overlay: bool = True
    opacity: float = 0.5
    uncertainty: bool = False
    probabilities: bool = False
    checkpoint: str = "best"
    preset: tyro.conf.Suppress[str] = ""

    def __post_init__(self):
        """Refuse numbers that are out of range."""
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity={self.opacity} must be from 0 to 1.")


def main(config: Config) -> int:
    """Predict every image; return how many could not be."""
    paths, remarks = find_images(config.images)
    for remark in remarks:
        print(remark)
    run = load_run(config.run, checkpoint=config.checkpoint)
    outputs = Outputs(config.out or config.run / "predictions")
    writer = Writer(
        outputs,
        run.info,
        opacity=config.opacity if config.overlay else None,
        uncertainty=config.uncertainty,
        probabilities=config.probabilities,
    )
    names, failed, start = output_names(paths), 0, time.monotonic()
    outputs.check([file for name in names for file in writer.files(name)])
    segmenter = Segmenter(run, config.inference)
    with busy("compiling"):
        segmenter.compile()
    with counting(len(paths), "predicting", "images") as bar:
        for path, name in zip(paths, names, strict=True):
            try:
                image = read(path, run.info)
            except (ValueError, OSError) as error:
                failed += 1
                tqdm.write(f"Failed: {error}", file=sys.stderr)
            else:
                writer.write(name, image, segmenter)
            bar.update()
    seconds = time.monotonic() - start
    done = len(paths) - failed
    print(
        f"{done} of {len(paths)} images segmented in {seconds:.1f} s "
        f"({done / seconds:.2g} images a second), in {outputs.folder}"
        + (f"; {failed} failed, which are named above" if failed else "")
    )
    return failed


def read(path: Path, info: data.DatasetInfo) -> np.ndarray:
    """Read an image, (height, width, channels), as the training images were read.

    Args:
        path: The file.
        info: What the net was trained on.

    Raises:
        ValueError: The file is no image, is damaged, or has other channels or bits.
        OSError: The file cannot be opened.
    """
    return read_image(path, channels=info.channels, dtype=info.dtype)


def command(args: Sequence[str]) -> int:
    """Read the command line and predict; return the exit status."""
    config = cli.parse(
        {"default": Config()},
        "default",
        description=__doc__,
        args=args,
        program="jaxseg predict",
        common=COMMON,
    )
    return 1 if main(config) else 0
