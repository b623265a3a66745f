"""The splits that a training run reads: whole images of one size, or crops at native resolution."""

from dataclasses import replace

from jaxseg import data

CACHED = 1 << 30
"""Bytes up to which a split is decoded once and kept; a larger one is decoded as it is read."""


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
