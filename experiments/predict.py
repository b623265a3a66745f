"""Segment images with a net that `train.py` trained.

    python experiments/predict.py --run runs/deeplab --images photo.jpg
    python experiments/predict.py --run runs/deeplab --images photos/ more/*.png --out masks

Images may have any size: each is brought to the height that the net was trained at, and what is
found back to its own size. For NAME.jpg it leaves NAME_mask.png (8 bits, the class of each pixel,
with the classes' palette), NAME_overlay.jpg and, with --uncertainty, NAME_uncertainty.png
(0 sure, 255 no idea). A file that is no whole image is named and passed over; the exit code is
then 1.
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
from segmentation import Run, load_run
from tqdm import tqdm

from jaxseg import cli, ops
from jaxseg.data.image_files import read_image
from jaxseg.training.inference import InferenceConfig, entropy, probabilities

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Config:
    """A prediction.

    Attributes:
        run: the folder that was `--out` of train.py.
        images: files, folders of images, or patterns such as "photos/*.jpg".
        out: where the masks go; None: RUN/predictions.
        height: height in pixels that images are seen at; None: that of training.
        inference: how each image is looked at.
        opacity: of the colours over the image.
        uncertainty: write the entropy of each pixel too.
        step: the checkpoint; None: the newest.
    """

    run: Path = Path("runs/quick")
    images: tuple[str, ...] = ()
    out: Path | None = None
    height: int | None = None
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    opacity: float = 0.5
    uncertainty: bool = False
    step: int | None = None
    preset: str = ""

    def __post_init__(self):
        """Refuse what cannot be drawn."""
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity={self.opacity} must be from 0 to 1.")
        if self.height is not None and self.height < 1:
            raise ValueError(f"height={self.height} must be at least 1.")


def main(config: Config) -> int:
    """Predict every image; returns how many could not be read."""
    paths = find(config.images)
    run = load_run(config.run, step=config.step)
    out = config.out or config.run / "predictions"
    out.mkdir(parents=True, exist_ok=True)
    look = make_look(run, config)
    names, bad = output_names(paths), 0
    for path, name in zip(tqdm(paths, desc="predicting", leave=False), names, strict=True):
        try:
            image = read(path, run.info.channels)
        except ValueError as error:
            bad += 1
            tqdm.write(f"Passed over: {error}", file=sys.stderr)
            continue
        write(run, config, out / name, image, *look(image))
    print(f"{len(paths) - bad} of {len(paths)} images segmented, in {out}")
    return bad


def find(patterns: Sequence[str]) -> list[Path]:
    """The files that are meant, in the order given, each once.

    Raises:
        ValueError: nothing is given, or something names no file.
    """
    if not patterns:
        raise ValueError("no images are given: pass --images with files, folders or patterns.")
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern).expanduser()
        if path.is_dir():
            here = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        else:
            here = [path] if path.is_file() else sorted(map(Path, glob.glob(os.fspath(path))))
        here = [p for p in here if p.is_file()]
        if not here:
            raise ValueError(
                f"images={pattern!r} names no image: give files, a folder that holds some "
                f"({', '.join(SUFFIXES)}), or a pattern in quotes."
            )
        found |= dict.fromkeys(here)
    return list(found)


def output_names(paths: Sequence[Path]) -> list[str]:
    """A name for each file's results: its stem, with its suffix where stems repeat."""
    stems = [path.stem for path in paths]
    names = [s if stems.count(s) == 1 else p.name for s, p in zip(stems, paths, strict=True)]
    return [n if names.count(n) == 1 else f"{i:04}_{n}" for i, n in enumerate(names)]


def read(path: Path, channels: int) -> np.ndarray:
    """(height, width, channels), 8 bits, prepared as the images that were trained on.

    Raises:
        ValueError: it is no image, not a whole one, or of more than 8 bits a channel.
    """
    image = read_image(path)
    pixels = np.asarray(image if channels == 3 else image.convert("L"))
    return pixels.reshape(*pixels.shape[:2], channels)


def make_look(run: Run, config: Config):
    """`image -> (predictions, uncertainty)`, both at the image's size, as NumPy arrays."""
    # Two programs: the net's compiles once for all images that are seen at one size.
    look = jax.jit(lambda seen: probabilities(run.logits, seen[None], config.inference))

    @functools.partial(jax.jit, static_argnums=1)
    def enlarge(found, size):
        found = ops.resize(found, size)
        return found.argmax(-1)[0].astype(np.uint8), entropy(found)[0]

    height = config.height or run.info.size[0]

    def apply(image):
        size = image.shape[:2]
        width = max(1, round(size[1] * height / size[0]))
        picture = Image.fromarray(image if image.shape[-1] == 3 else image[..., 0])
        seen = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
        return jax.device_get(enlarge(look(seen.reshape(height, width, -1)), size))

    return apply


def write(run, config, path: Path, image, predictions, uncertainty) -> None:
    """The mask with its palette, the image under the mask's colours, and the uncertainty."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: run.info.classes] = run.info.palette
    mask = Image.fromarray(predictions)
    mask.putpalette(palette.tobytes())
    mask.save(path.with_name(f"{path.name}_mask.png"))
    colours = palette[predictions].astype(np.float32)
    mixed = (1 - config.opacity) * image + config.opacity * colours
    overlay = Image.fromarray(mixed.round().astype(np.uint8))
    overlay.save(path.with_name(f"{path.name}_overlay.jpg"), quality=92)
    if config.uncertainty:
        grey = Image.fromarray((255 * np.clip(uncertainty, 0, 1)).round().astype(np.uint8))
        grey.save(path.with_name(f"{path.name}_uncertainty.png"))


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line, run, and say what is wrong in one line where something is."""
    try:
        bad = main(cli.parse({"default": Config()}, "default", description=__doc__, args=args))
    except (ValueError, OSError) as error:
        raise SystemExit(f"predict: {error}") from error
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    command()
