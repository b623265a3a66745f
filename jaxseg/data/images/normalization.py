"""Normalization on the device: from stored images to what the nets take, and back."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, UInt8, UInt16

PerChannel = Float[Array, "channels"] | np.ndarray | Sequence[float]
Images = (
    UInt8[Array | np.ndarray, "*shape channels"]
    | UInt16[Array | np.ndarray, "*shape channels"]
    | Float[Array | np.ndarray, "*shape channels"]
)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of red, green and blue over ImageNet, in units of full brightness."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of red, green and blue over ImageNet, likewise."""

FULL_BRIGHTNESS = {"uint8": 255, "uint16": 65535, "float32": 1}
"""The number that stands for full brightness in images of each type."""

_BRIGHTNESS = np.arange(256, dtype=np.float32) / np.float32(255)


def normalize(
    images: Images, mean: PerChannel, std: PerChannel
) -> Float32[Array, "*shape channels"]:
    """(brightness - mean) / std, channel by channel.

    8-bit images give the same bits as NumPy's `(images / 255 - mean) / std` in float32, eagerly
    and under every transformation, wherever `mean` and `std` are numbers when the program is
    traced: NumPy divides then, and the device looks the results up. XLA divides less exactly.
    16-bit images are divided by 65535 on the device.

    Args:
        images: Images of 8 or 16 bits as they are stored, or floats: brightness in [0, 1], or
            measurements in the units of `mean` and `std`.
        mean: Mean of every channel, in units of full brightness: `DatasetInfo.mean`.
        std: Standard deviation of every channel, likewise: `DatasetInfo.std`.

    Returns:
        Normalized images of the same shape.

    Raises:
        ValueError: The images are neither of 8 or 16 bits nor floats, or there is not one mean and
            one standard deviation for each channel.

    Example:
        >>> images = np.array([0, 51, 255], np.uint8).reshape(1, 1, 3, 1)
        >>> normalize(images, mean=(0.5,), std=(0.25,)).ravel().tolist()
        [-2.0, -1.2000000476837158, 2.0]
        >>> float((np.float32(51) / 255 - np.float32(0.5)) / np.float32(0.25))
        -1.2000000476837158
    """
    shift = channel_values("normalize: mean", mean, images.shape[-1])
    scale = channel_values("normalize: std", std, images.shape[-1])
    if images.dtype == np.uint8:
        return _look_up(images, _table(shift, scale))
    if images.dtype == np.uint16:
        images = to_brightness(images)
    _check_floats(
        "normalize",
        images,
        "uint8, or floats in [0, 1], or uint16: pass the images as they are stored",
    )
    return (jnp.asarray(images, jnp.float32) - _last(shift, images)) / _last(scale, images)


def denormalize(
    images: Float[Array | np.ndarray, "*shape channels"],
    mean: PerChannel,
    std: PerChannel,
    *,
    clip: bool = True,
) -> Float32[Array, "*shape channels"]:
    """Brightness in [0, 1] of normalized images: the inverse of `normalize`.

    Args:
        images: Normalized images.
        mean: Mean of every channel that `normalize` was given.
        std: Standard deviation of every channel that it was given.
        clip: Clip the result to [0, 1], since rounding may lead beyond it. Images that were stored
            as floats may hold other numbers: pass False for these.

    Returns:
        images × std + mean.

    Raises:
        ValueError: The images are not floats, or there is not one mean and one standard deviation
            for each channel.
    """
    _check_floats("denormalize", images, "floats: pass what `normalize` returned")
    shift = channel_values("denormalize: mean", mean, images.shape[-1])
    scale = channel_values("denormalize: std", std, images.shape[-1])
    brightness = jnp.asarray(images, jnp.float32) * _last(scale, images) + _last(shift, images)
    return jnp.clip(brightness, 0, 1) if clip else brightness


def to_brightness(images: Images) -> Float[Array, "*shape channels"]:
    """Brightness in [0, 1] of images of 8 and 16 bits; floats stay as they are.

    8-bit images are rounded as NumPy does.
    """
    if images.dtype == np.uint16:
        return jnp.asarray(images).astype(jnp.float32) / 65535
    if images.dtype != np.uint8:
        return jnp.asarray(images)
    return _look_up(images, np.repeat(_BRIGHTNESS[:, None], images.shape[-1], axis=1))


def channel_values(
    name: str, values: PerChannel, channels: int
) -> Float32[Array | np.ndarray, "channels"]:
    """One number for each channel, as a NumPy array unless it is one of JAX's already.

    Args:
        name: What the numbers are, for the message.
        values: The numbers.
        channels: Number of channels.

    Raises:
        ValueError: There are more or fewer numbers than channels.
    """
    array = jnp.float32(values) if isinstance(values, jax.Array) else np.asarray(values, np.float32)
    if array.shape != (channels,):
        raise ValueError(
            f"{name} has shape {array.shape}, expected ({channels},): give one number for each of "
            f"the {channels} channels of the images"
        )
    return array


def _table(mean, std) -> Float32[Array | np.ndarray, "256 channels"]:
    """The normalized number of each of the 256 values, for each channel."""
    brightness = _BRIGHTNESS[:, None]
    if isinstance(mean, np.ndarray) and isinstance(std, np.ndarray):
        return (brightness - mean) / std
    # XLA replaces x / broadcast(y) by x * broadcast(1 / y), unless it cannot see the broadcast.
    divisor = jax.lax.optimization_barrier(jnp.broadcast_to(std, (256, len(std))))
    return (brightness - jnp.reshape(mean, (1, -1))) / divisor


def _look_up(images, table):
    """table[images[..., c], c] for every channel c."""
    channels = table.shape[1]
    index = jnp.asarray(images).astype(jnp.int32) * channels
    index += _last(jnp.arange(channels, dtype=jnp.int32), images)
    # Sharded as the images are, which an Explicit mesh wants to be told.
    return (
        jnp.asarray(table)
        .reshape(-1)
        .at[index]
        .get(mode="promise_in_bounds", out_sharding=jax.typeof(index).sharding)
    )


def _last(values, images):
    """Values of the last axis, with the images' number of axes."""
    return jnp.reshape(values, (1,) * (images.ndim - 1) + (-1,))


def _check_floats(name: str, images, expected: str) -> None:
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(f"{name}: images have dtype {images.dtype}, expected {expected}")
