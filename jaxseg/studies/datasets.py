"""Data for studies of what can be trained."""

import os

from jaxseg import data


def easy_mosaic(
    size: int,
    *,
    cells: int = 2,
    train: int = 512,
    validation: int = 64,
    test: int = 64,
    data_dir: str | os.PathLike[str] | None = None,
) -> data.Dataset:
    """Open mosaics of textures that are learned within a hundred steps.

    Large cells keep the photographs' own gray values, shrunk so that a stone or a blade of grass
    is a few pixels wide: a net that fails on them fails by its depth, not by the task.

    Args:
        size: Height and width in pixels.
        cells: Areas of one texture in an image.
        train: Training images.
        validation: Validation images.
        test: Test images.
        data_dir: Where prepared data is kept; None is the user's TFDS folder.
    """
    return data.mosaic(
        size=size,
        cells=cells,
        train=train,
        validation=validation,
        test=test,
        scale=4,
        equal=False,
        gain=0.0,
        offset=0.0,
        data_dir=data_dir,
    )
