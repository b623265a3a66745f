"""Changes of an image's colours and of its sharpness: factors may be traced, one for each image.

Images are (height, width, channels) with numbers in [0, 1]; so are the results.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Image = Float[Array, "height width channels"]

# Luma of red, green and blue: ITU-R BT.601-7, section 2.5.1.
_LUMA = (0.299, 0.587, 0.114)


def adjust_brightness(image: Image, factor: Float[Array, ""]) -> Image:
    """Gives factor × image, cut to [0, 1]."""
    return jnp.clip(image * factor, 0, 1)


def adjust_contrast(
    image: Image, factor: Float[Array, ""], valid: Bool[Array, "height width"] | None = None
) -> Image:
    """Gives m + factor × (image - m), cut to [0, 1], where m is the mean of the grey image.

    Args:
        image: Of any number of channels.
        factor: 0 leaves nothing but m, 1 the image.
        valid: The pixels that count in m; all of them by default.
    """
    shades = grey(image)
    if valid is None:
        mean = jnp.mean(shades)
    else:
        count = jnp.sum(valid, dtype=image.dtype)
        mean = jnp.sum(jnp.where(valid[..., None], shades, 0)) / jnp.maximum(count, 1)
    return jnp.clip(mean + factor * (image - mean), 0, 1)


def adjust_saturation(image: Image, factor: Float[Array, ""]) -> Image:
    """Gives g + factor × (image - g), cut to [0, 1]; g is the grey image of red, green, blue."""
    shades = grey(image)
    return jnp.clip(shades + factor * (image - shades), 0, 1)


def adjust_hue(image: Image, turns: Float[Array, ""]) -> Image:
    """Turns the hue of HSV, of which 1 is the full circle; in red, green, blue."""
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
    # What a channel lacks to the value: its place on the hexagon of hues, as a trapezium.
    places = (jnp.mod(start + sixths, 6) for start in (5, 3, 1))
    lacks = (jnp.clip(jnp.minimum(place, 4 - place), 0, 1) for place in places)
    return jnp.stack([value - chroma * lack for lack in lacks], axis=-1)


def blur(image: Image, sigma: Float[Array, ""], *, largest: float) -> Image:
    """Gaussian blur, as if the image's border went on.

    Args:
        image: Of any number of channels.
        sigma: Standard deviation in pixels, 0 (nothing changes) to `largest`.
        largest: Sets the window: 3 × `largest` pixels to each side.
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


def grey(image: Image) -> Float[Array, "height width 1"]:
    """The luma of red, green and blue; of other numbers of channels, their mean."""
    if image.shape[-1] != 3:
        return jnp.mean(image, axis=-1, keepdims=True)
    weights = jnp.asarray(_LUMA, image.dtype).reshape(1, 1, 3)
    return jnp.sum(image * weights, axis=-1, keepdims=True)


def _cut(array, start, size, axis):
    return array[start : start + size] if axis == 0 else array[:, start : start + size]
