"""Changes of an image's colors and of its sharpness; the factors may be traced.

Images are (height, width, channels) with numbers in [0, 1]; so are the results.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Image = Float[Array, "height width channels"]

# Luma of red, green and blue: ITU-R BT.601-7, section 2.5.1.
_LUMA = (0.299, 0.587, 0.114)


def adjust_brightness(image: Image, factor: Float[Array, ""]) -> Image:
    """Multiplies the image by a factor, and clips it to [0, 1].

    Args:
        image: An image of any number of channels.
        factor: 0 gives black, 1 the image.
    """
    return jnp.clip(image * factor, 0, 1)


def adjust_contrast(
    image: Image, factor: Float[Array, ""], valid: Bool[Array, "height width"] | None = None
) -> Image:
    """Multiplies the differences from the mean of the gray image, and clips to [0, 1].

    Args:
        image: An image of any number of channels.
        factor: 0 gives nothing but the mean m, 1 the image: m + factor × (image - m).
        valid: The pixels that count in the mean; all of them by default.
    """
    shades = gray(image)
    if valid is None:
        mean = jnp.mean(shades)
    else:
        count = jnp.sum(valid, dtype=image.dtype)
        mean = jnp.sum(jnp.where(valid[..., None], shades, 0)) / jnp.maximum(count, 1)
    return jnp.clip(mean + factor * (image - mean), 0, 1)


def adjust_saturation(image: Image, factor: Float[Array, ""]) -> Image:
    """Multiplies the differences from the gray image, and clips to [0, 1].

    Args:
        image: Red, green and blue.
        factor: 0 gives the gray image g, 1 the image: g + factor × (image - g).
    """
    shades = gray(image)
    return jnp.clip(shades + factor * (image - shades), 0, 1)


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


def blur(image: Image, sigma: Float[Array, ""], *, largest: float) -> Image:
    """Gaussian blur; beyond its border the image is continued by the border's pixels.

    Args:
        image: An image of any number of channels.
        sigma: Standard deviation in pixels, 0 (nothing changes) to `largest`.
        largest: Largest standard deviation; the window has 3 × `largest` pixels to each side.
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
    return jnp.clip(image, 0, 1)


def gray(image: Image) -> Float[Array, "height width 1"]:
    """The luma of red, green and blue; for other numbers of channels, their mean."""
    if image.shape[-1] != 3:
        return jnp.mean(image, axis=-1, keepdims=True)
    weights = jnp.asarray(_LUMA, image.dtype).reshape(1, 1, 3)
    return jnp.sum(image * weights, axis=-1, keepdims=True)


def _cut(array, start, size, axis):
    return array[start : start + size] if axis == 0 else array[:, start : start + size]
