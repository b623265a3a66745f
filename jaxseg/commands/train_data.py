"""The splits that a training run reads: whole images of one size, or crops at native resolution."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax

from jaxseg import data
from jaxseg.commands.train_config import Config

NO_COLORS = (
    "Images are not of red, green and blue: augmentation.saturation and augmentation.hue are left "
    "out."
)
CACHED = 1 << 30
"""Bytes up to which a split is decoded once and kept; a larger one is decoded as it is read."""


def leaves_colors_out(asked: data.Augmentation, made: data.Augmentation) -> bool:
    """Tell whether changes of colors were asked for that images without colors do not get.

    Args:
        asked: The changes that were asked for.
        made: Those that `crop_options` gives.
    """
    return (asked.saturation, asked.hue) != (made.saturation, made.hue)


def training_batches(
    config: Config, train: data.Source, crop: tuple[int, int] | None, put: Callable[[Any], Any]
) -> data.Prefetch[Any, Any]:
    """Make the endless batches of this process, on the device.

    Args:
        config: The run.
        train: The training split.
        crop: The size of the crops that are read, or None.
        put: Places a batch on the devices.
    """
    batches = data.batches(
        train,
        batch_size=config.batch_size,
        seed=config.seed,
        with_index=True,
        crop=crop,
        process=jax.process_index(),
        processes=jax.process_count(),
    )
    return data.prefetch(batches, put)


def open_splits(dataset: data.Dataset) -> tuple[data.Source, data.Source]:
    """Open the training split and what the net is evaluated on while it trains.

    Args:
        dataset: The data set.

    Returns:
        The training split, and the validation split. Of a data set of crops, the latter is cut into
        crops that stand side by side, so that every pixel counts once.
    """
    train, validation = (
        dataset.source(split, cache=dataset.decoded_bytes(split) <= CACHED)
        for split in ("train", "validation")
    )
    if isinstance(validation, data.NativeSource):
        validation = validation.grid(dataset.info.size)
    return train, validation


def crop_options(
    augmentation: data.Augmentation, info: data.DatasetInfo
) -> tuple[tuple[int, int] | None, data.Augmentation]:
    """Choose what is cropped while images are read, and what while they are augmented.

    Args:
        augmentation: The changes of each training image.
        info: The data set.

    Returns:
        The size of the crops that are read, None unless the data set is one of crops; and the
        changes of these, without those of saturation and hue where there are no colors. Where
        images may be shrunk, larger crops are read, so that what is cut out of them after the zoom
        is full of image.
    """
    augmentation = augmentation.for_images(info.channels, info.dtype)
    if not info.crops:
        return None, augmentation
    size = augmentation.crop or info.size
    return (data.crop_before_zoom(size, augmentation.scale[0]), replace(augmentation, crop=size))
