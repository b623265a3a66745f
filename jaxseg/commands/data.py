"""The data set that a command reads: one configuration for all of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from jaxseg import data
from jaxseg.data.images.image_files import FilePair


@dataclass(frozen=True)
class DataConfig:
    """A data set, where it lies and how large its images are.

    Attributes:
        name: The data set: "mosaic", which is embedded; "folder", any folder of images and masks;
            or one that you have downloaded, such as "camvid" (see `jaxseg.data.SETS`).
        directory: That folder; for a public data set the environment variable JAXSEG_<NAME> can
            name it instead.
        size: Height and width in pixels; None is the data set's own default.
        data_dir: Where prepared data is kept; None is the user's TFDS folder.
        mask_orientation: Pixels that the masks of "folder" without an orientation tag (EXIF) were
            drawn on, where their images bear one: "upright", as a viewer shows them, or "stored".
            None refuses the pairs where it makes a difference.
        crops: Train on random crops of `size` out of the images at their native resolution, instead
            of on images that are resized to `size`. Validation during training then counts every
            pixel once, in crops that stand side by side.
        held_out: Share of a "folder" that is held out for validation, and as much again for
            testing, where it is not split; None is 0.15.
        seed: Seed of that draw; None is 0.
    """

    name: str = "mosaic"
    directory: Path | None = None
    size: tuple[int, int] | None = None
    data_dir: Path | None = None
    mask_orientation: Literal["upright", "stored"] | None = None
    crops: bool = False
    held_out: float | None = None
    seed: int | None = None

    def __post_init__(self):
        """Refuse numbers that are out of range."""
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"size={self.size} must be at least 1 pixel: correct --data.size.")
        if self.held_out is not None and not 0 < self.held_out < 0.5:
            raise ValueError(
                f"held_out={self.held_out} must be a share above 0 and below 0.5, as much again is "
                "for testing: give for example --data.held-out 0.15."
            )
        if self.seed is not None and self.seed < 0:
            raise ValueError(f"seed={self.seed} must not be negative: correct --data.seed.")


def describe_size(info: data.DatasetInfo) -> str:
    """Say in words of what size the images are, or the crops that are taken of them.

    Args:
        info: The data set.

    Example:
        >>> info = data.DatasetInfo("x", (48, 64), (), (), (), (), crops=True)
        >>> describe_size(info)
        'crops of 48x64 pixels'
    """
    height, width = info.size
    return f"crops of {height}x{width} pixels" if info.crops else f"{height}x{width} pixels"


def load(
    config: DataConfig, *, pairs: Mapping[str, Sequence[FilePair]] | None = None
) -> data.Dataset:
    """Open a data set; it is prepared on the first call.

    Args:
        config: The data set.
        pairs: The files of every split, for a "folder" that is to be read as it once was.

    Raises:
        ValueError: The folder is missing or not as the reader expects it, or the data set cannot
            be had as asked for.
    """
    try:
        return data.load(
            config.name,
            size=config.size,
            directory=config.directory,
            data_dir=config.data_dir,
            held_out=None if pairs else config.held_out,
            seed=None if pairs else config.seed,
            pairs=pairs,
            mask_orientation=config.mask_orientation,
            crops=config.crops,
        )
    except ValueError as error:
        # The readers name their arguments, a command its flags.
        for field in fields(config):
            flag = f"--data.{field.name.replace('_', '-')}"
            if re.match(rf"{field.name}[= ]", str(error)) and flag not in str(error):
                raise ValueError(f"{error} ({flag})") from error
        raise
