"""Changes of an image's colors and of its sharpness; the factors may be traced.

Images are (height, width, channels). Their numbers are brightness in [0, 1], and the results are
clipped to that; or they are measurements, whose results have no bounds.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Image = Float[Array, "height width channels"]
Bounds = tuple[float | Float[Array, ""], float | Float[Array, ""]] | None

# Luma of red, green and blue: ITU-R BT.601-7, section 2.5.1.
_LUMA = (0.299, 0.587, 0.114)


def adjust_brightness(image: Image, factor: Float[Array, ""], bounds: Bounds = (0, 1)) -> Image:
    """Multiplies the image by a factor.

    Args:
        image: An image of any number of channels.
        factor: 0 gives black, 1 the image.
        bounds: Least and largest number of the result, to which it is clipped; None for no bounds.
    """
    return _clip(image * factor, bounds)


def adjust_contrast(
    image: Image,
    factor: Float[Array, ""],
    valid: Bool[Array, "height width"] | None = None,
    bounds: Bounds = (0, 1),
) -> Image:
    """Multiplies the differences from the mean of the gray image.

    The bands of an image that is neither gray nor of red, green and blue have a mean each, since
    they may differ in units.

    Args:
        image: An image of any number of channels.
        factor: 0 gives nothing but the mean m, 1 the image: m + factor × (image - m).
        valid: The pixels that count in the mean; all of them by default.
        bounds: Least and largest number of the result, to which it is clipped; None for no bounds.
    """
    bands = image.shape[-1] not in (1, 3)
    shades, axes = (image, (0, 1)) if bands else (gray(image), None)
    if valid is None:
        mean = jnp.mean(shades, axes)
    else:
        count = jnp.sum(valid, dtype=image.dtype)
        mean = jnp.sum(jnp.where(valid[..., None], shades, 0), axes) / jnp.maximum(count, 1)
    mean = jnp.reshape(mean, (1, 1, -1)) if bands else mean
    return _clip(mean + factor * (image - mean), bounds)


def adjust_saturation(image: Image, factor: Float[Array, ""], bounds: Bounds = (0, 1)) -> Image:
    """Multiplies the differences from the gray image.

    Args:
        image: Red, green and blue.
        factor: 0 gives the gray image g, 1 the image: g + factor × (image - g).
        bounds: Least and largest number of the result, to which it is clipped; None for no bounds.
    """
    shades = gray(image)
    return _clip(shades + factor * (image - shades), bounds)


def adjust_hue(image: Image, turns: Float[Array, ""]) -> Image:
    """Rotates the hue, as HSV defines it.

    Args:
        image: Red, green and blue.
        turns: Angle of the rotation; 1 is a full turn, which gives the image again.
    """
    red, green, blue = (image[..., c] for c in range(3))
    value = jnp.max(image, axis=-1)
    chroma = value - jnp.min(image, axis=-1)
    divisor = jnp.where(chroma > 0, chroma, 1)
    sixths = jnp.where(
        value == red,
        (green - blue) / divisor,
        jnp.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    sixths = sixths + 6 * turns
    # How far each channel is below the value, in units of the chroma: a trapezoid of the hue.
    positions = (jnp.mod(start + sixths, 6) for start in (5, 3, 1))
    below = (jnp.clip(jnp.minimum(position, 4 - position), 0, 1) for position in positions)
    return jnp.stack([value - chroma * share for share in below], axis=-1)


def blur(
    image: Image, sigma: Float[Array, ""], *, largest: float, bounds: Bounds = (0, 1)
) -> Image:
    """Gaussian blur; beyond its border the image is continued by the border's pixels.

    Args:
        image: An image of any number of channels.
        sigma: Standard deviation in pixels, 0 (nothing changes) to `largest`.
        largest: Largest standard deviation; the window has 3 × `largest` pixels to each side.
        bounds: Least and largest number of the result, to which it is clipped; None for no bounds.
    """
    radius = math.ceil(3 * largest)
    offsets = jnp.arange(-radius, radius + 1, dtype=image.dtype)
    # So small a sigma leaves the middle alone; nothing is divided by zero.
    weights = jnp.exp(-0.5 * (offsets / jnp.maximum(sigma, 0.01)) ** 2)
    weights = weights / jnp.sum(weights)
    for axis, size in enumerate(image.shape[:2]):
        widths = [(radius, radius) if a == axis else (0, 0) for a in range(3)]
        padded = jnp.pad(image, widths, mode="edge")
        starts = range(2 * radius + 1)
        image = sum(
            (weights[k] * _cut(padded, k, size, axis) for k in starts), jnp.zeros_like(image)
        )
    return _clip(image, bounds)


def gray(image: Image) -> Float[Array, "height width 1"]:
    """The luma of red, green and blue; for other numbers of channels, their mean."""
    if image.shape[-1] != 3:
        return jnp.mean(image, axis=-1, keepdims=True)
    weights = jnp.asarray(_LUMA, image.dtype).reshape(1, 1, 3)
    return jnp.sum(image * weights, axis=-1, keepdims=True)


def _clip(image, bounds: Bounds):
    return image if bounds is None else jnp.clip(image, *bounds)


def _cut(array, start, size, axis):
    return array[start : start + size] if axis == 0 else array[:, start : start + size]
