"""Segment images with a trained net.

    jaxseg predict --run runs/deeplab --images photo.jpg
    jaxseg predict --run runs/deeplab --images photos/ more/*.png --out masks

Images may have any size: each is resized to the height that the net was trained at, and its
predictions back to its own size. For NAME.jpg it leaves NAME_mask.png (8 bits, the class of each
pixel, with the classes' palette), NAME_overlay.jpg and, with --uncertainty, NAME_uncertainty.png (0
is certain, 255 undecided). A file that is not a whole image is named and skipped; the exit status
is then 1.
"""

import functools
import glob
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jax
import numpy as np
from PIL import Image
from tqdm import tqdm

from jaxseg import cli, ops
from jaxseg.commands.run import Run, load_run
from jaxseg.data.image_files import read_image
from jaxseg.training.inference import InferenceConfig, entropy, probabilities

COMMON = ("run", "images", "out", "uncertainty", "inference.flip", "inference.scales")
"""Fields on the first page of help."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Config:
    """A prediction.

    Attributes:
        run: Folder of the training run.
        images: Files, folders of images, or patterns such as "photos/*.jpg".
        out: Folder of the masks; None is RUN/predictions.
        height: Height in pixels that images are resized to; None is that of training.
        inference: How the net is applied to each image.
        opacity: Opacity of the colors over the image.
        uncertainty: Write the entropy of each pixel too.
        checkpoint: "best" for the best mean IoU on the validation split, "last" for the newest
            checkpoint, or the number of a step.
        preset: Not used.
    """

    run: Path = Path("runs/quick")
    images: tuple[str, ...] = ()
    out: Path | None = None
    height: int | None = None
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    opacity: float = 0.5
    uncertainty: bool = False
    checkpoint: str = "best"
    preset: str = ""

    def __post_init__(self):
        """Refuse numbers that are out of range."""
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity={self.opacity} must be from 0 to 1.")
        if self.height is not None and self.height < 1:
            raise ValueError(f"height={self.height} must be at least 1.")


def main(config: Config) -> int:
    """Predict every image; return how many could not be read."""
    paths = find(config.images)
    run = load_run(config.run, checkpoint=config.checkpoint)
    out = config.out or config.run / "predictions"
    out.mkdir(parents=True, exist_ok=True)
    predict = make_predict(run, config)
    names, bad = output_names(paths), 0
    for path, name in zip(tqdm(paths, desc="predicting", leave=False), names, strict=True):
        try:
            image = read(path, run.info.channels)
        except ValueError as error:
            bad += 1
            tqdm.write(f"Skipped: {error}", file=sys.stderr)
            continue
        write(run, config, out / name, image, *predict(image))
    print(f"{len(paths) - bad} of {len(paths)} images segmented, in {out}")
    return bad


def find(patterns: Sequence[str]) -> list[Path]:
    """Find the files that are meant, in the order given, each once.

    Args:
        patterns: Files, folders or patterns.

    Raises:
        ValueError: Nothing is given, or something names no file.
    """
    if not patterns:
        raise ValueError("no images are given: pass --images with files, folders or patterns.")
    files: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern).expanduser()
        if path.is_dir():
            matches = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        else:
            matches = [path] if path.is_file() else sorted(map(Path, glob.glob(os.fspath(path))))
        matches = [p for p in matches if p.is_file()]
        if not matches:
            raise ValueError(
                f"images={pattern!r} names no image: give files, a folder that holds some "
                f"({', '.join(SUFFIXES)}), or a pattern in quotes."
            )
        files |= dict.fromkeys(matches)
    return list(files)


def output_names(paths: Sequence[Path]) -> list[str]:
    """Name each file's results: by its stem, with its suffix where stems repeat."""
    stems = [path.stem for path in paths]
    names = [s if stems.count(s) == 1 else p.name for s, p in zip(stems, paths, strict=True)]
    return [n if names.count(n) == 1 else f"{i:04}_{n}" for i, n in enumerate(names)]


def read(path: Path, channels: int) -> np.ndarray:
    """Read an image, (height, width, channels) of 8 bits, as the training images were read.

    Args:
        path: The file.
        channels: Channels that the net takes.

    Raises:
        ValueError: The file is no image, is damaged, or has more than 8 bits a channel.
    """
    image = read_image(path)
    pixels = np.asarray(image if channels == 3 else image.convert("L"))
    return pixels.reshape(*pixels.shape[:2], channels)


def make_predict(run: Run, config: Config):
    """Build `image -> (labels, uncertainty)`, both at the image's size, as NumPy arrays."""
    # Two programs: the net's compiles once for all images that are resized to one size.
    predict = jax.jit(lambda image: probabilities(run.logits, image[None], config.inference))

    @functools.partial(jax.jit, static_argnums=1)
    def enlarge(shares, size):
        shares = ops.resize(shares, size)
        return shares.argmax(-1)[0].astype(np.uint8), entropy(shares)[0]

    height = config.height or run.info.size[0]

    def apply(image):
        size = image.shape[:2]
        width = max(1, round(size[1] * height / size[0]))
        picture = Image.fromarray(image if image.shape[-1] == 3 else image[..., 0])
        resized = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
        return jax.device_get(enlarge(predict(resized.reshape(height, width, -1)), size))

    return apply


def write(run, config, path: Path, image, predictions, uncertainty) -> None:
    """Write the mask with its palette, the image under the mask's colors, and the uncertainty."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: run.info.classes] = run.info.palette
    mask = Image.fromarray(predictions)
    mask.putpalette(palette.tobytes())
    mask.save(path.with_name(f"{path.name}_mask.png"))
    colors = palette[predictions].astype(np.float32)
    mixed = (1 - config.opacity) * image + config.opacity * colors
    overlay = Image.fromarray(mixed.round().astype(np.uint8))
    overlay.save(path.with_name(f"{path.name}_overlay.jpg"), quality=92)
    if config.uncertainty:
        gray = Image.fromarray((255 * np.clip(uncertainty, 0, 1)).round().astype(np.uint8))
        gray.save(path.with_name(f"{path.name}_uncertainty.png"))


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
