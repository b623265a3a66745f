"""The data set that a command reads: one configuration for all of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxseg import data


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
    """

    name: str = "mosaic"
    directory: Path | None = None
    size: tuple[int, int] | None = None
    data_dir: Path | None = None
    mask_orientation: Literal["upright", "stored"] | None = None
    crops: bool = False


def load(config: DataConfig) -> data.Dataset:
    """Open a data set; it is prepared on the first call.

    Raises:
        ValueError: The folder is missing or not as the reader expects it, or the data set cannot
            be had as asked for.
    """
    return data.load(
        config.name,
        size=config.size,
        directory=config.directory,
        data_dir=config.data_dir,
        mask_orientation=config.mask_orientation,
        crops=config.crops,
    )
