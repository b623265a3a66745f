"""Pixels on the device: from 8-bit numbers to standardised ones."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, UInt8

PerChannel = Float[Array, "channels"] | np.ndarray | Sequence[float]


def to_float(images: UInt8[Array | np.ndarray, "*shape"]) -> Float32[Array, "*shape"]:
    """Brightness of 8-bit images, in [0, 1]: their numbers divided by 255.

    Raises:
        ValueError: The images are not of 8 bits.
    """
    if images.dtype != np.uint8:
        raise ValueError(
            f"to_float: images have dtype {images.dtype}, expected uint8: pass them as they are "
            "stored, or leave out to_float where they are floats already"
        )
    return jnp.asarray(images).astype(jnp.float32) / 255


def standardise(
    images: Float[Array, "*shape channels"], mean: PerChannel, std: PerChannel
) -> Float32[Array, "*shape channels"]:
    """(images - mean) / std, channel by channel: what `Source` does, on the device.

    Args:
        images: Brightness in [0, 1].
        mean: The mean of every channel, in the same units: `Dataset.mean`.
        std: The standard deviation of every channel, likewise: `Dataset.std`.

    Raises:
        ValueError: The images are not of floats, or there is not one mean and one standard
            deviation for each channel.
    """
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"standardise: images have dtype {images.dtype}, expected floats in [0, 1]: pass "
            "to_float(images)"
        )
    shift = channel_values("standardise: mean", mean, images.shape[-1])
    scale = channel_values("standardise: std", std, images.shape[-1])
    ones = (1,) * (images.ndim - 1)
    return (images.astype(jnp.float32) - shift.reshape(*ones, -1)) / scale.reshape(*ones, -1)


def channel_values(name: str, values: PerChannel, channels: int) -> Float32[Array, "channels"]:
    """One number for each channel as an array, or a `ValueError` that says how many there are."""
    array = jnp.asarray(values, jnp.float32)
    if array.shape != (channels,):
        raise ValueError(
            f"{name} has shape {array.shape}, expected ({channels},): give one number for each of "
            f"the {channels} channels of the images"
        )
    return array
