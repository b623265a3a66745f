"""Which data set an experiment reads: one configuration for all of them, and its reader."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxseg import data

DataName = Literal["mosaic", "camvid", "folder", "oxford_pet", "cityscapes", "voc", "ade20k"]


@dataclass(frozen=True)
class DataConfig:
    """A data set, where it lies and how large its images are.

    Attributes:
        name: "mosaic" is embedded; the others are read from a folder that you have.
        directory: that folder; but for "folder", which takes any of yours, the environment
            variable JAXSEG_<NAME> can name it instead.
        size: height and width in pixels; None is the data set's own default.
        data_dir: where prepared data is kept; None is the user's TFDS folder.
    """

    name: DataName = "mosaic"
    directory: Path | None = None
    size: tuple[int, int] | None = None
    data_dir: Path | None = None

    def __post_init__(self):
        if self.name == "mosaic":
            if self.directory is not None:
                raise ValueError(
                    f"directory={str(self.directory)!r} is given with name='mosaic', which is "
                    "embedded: name the data set that lies there, or leave the directory out"
                )
            if self.size is not None and self.size[0] != self.size[1]:
                raise ValueError(
                    f"size={self.size} is not square, expected equal height and width of the "
                    "mosaic: pass for example 32 32"
                )


def load(config: DataConfig) -> data.Dataset:
    """Prepares the data set if it is not yet, and opens it.

    Raises:
        ValueError: The folder is missing or not as the reader expects it.
    """
    return data.load(config.name, config.size, config.directory, config.data_dir)
