"""One affine map for an image and its labels: bilinear for the one, nearest for the other."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Float32, Integer


class Affine(NamedTuple):
    """Map from pixels of the output to positions in the input: matrix @ (output - center) + origin.

    Positions are (row, column) of pixel centers, so that (0, 0) is the first pixel.

    Attributes:
        matrix: Matrix of the map. Where it moves pixels onto pixels, its entries are exact, and so
            are the positions, all of them halves of integers.
        origin: Position in the input of the output's center.
    """

    matrix: Float32[Array, "2 2"]
    origin: Float32[Array, "2"]


def positions(
    affine: Affine, size: tuple[int, int]
) -> tuple[Float32[Array, "height width"], Float32[Array, "height width"]]:
    """The row and the column in the input of each pixel of the output.

    Args:
        affine: The map.
        size: Height and width of the output in pixels.
    """
    rows, columns = (jnp.arange(n, dtype=jnp.float32) - (n - 1) / 2 for n in size)
    row, column = (
        (weights[0] * rows)[:, None] + (weights[1] * columns)[None, :] + start
        for weights, start in zip(affine.matrix, affine.origin, strict=True)
    )
    return row, column


def nearest(
    labels: Integer[Array, "h w"],
    row: Float32[Array, "height width"],
    column: Float32[Array, "height width"],
) -> tuple[Integer[Array, "height width"], Bool[Array, "height width"]]:
    """The label of the pixel that each position lies in, and whether there is one.

    A pixel is the square of side 1 around its center; outside, the nearest of the border is taken.

    Args:
        labels: Labels of the input.
        row: Row of each position, in the input.
        column: Column of each position, likewise.
    """
    height, width = labels.shape
    i, j = (jnp.floor(p + 0.5).astype(jnp.int32) for p in (row, column))
    inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
    return _gather(labels, i, j), inside


def bilinear(
    image: Float[Array, "h w channels"],
    row: Float32[Array, "height width"],
    column: Float32[Array, "height width"],
) -> Float[Array, "height width channels"]:
    """Interpolates between the four pixels around each position.

    Beyond its border the image is continued by the border's pixels. At the center of a pixel the
    result is that pixel, and where the four are equal it is their value, both exactly. Nothing is
    averaged over more than these four, so that shrinking aliases.

    Args:
        image: The input.
        row: Row of each position, in the input.
        column: Column of each position, likewise.
    """
    top, left = jnp.floor(row), jnp.floor(column)
    down = (row - top).astype(image.dtype)[..., None]
    right = (column - left).astype(image.dtype)[..., None]
    i, j = top.astype(jnp.int32), left.astype(jnp.int32)
    upper = _mix(_gather(image, i, j), _gather(image, i, j + 1), right)
    lower = _mix(_gather(image, i + 1, j), _gather(image, i + 1, j + 1), right)
    return _mix(upper, lower, down)


def _mix(a, b, share):
    return a + share * (b - a)


def _gather(array: Array, i: Array, j: Array) -> Array:
    """array[i, j] where there is such a pixel, else the nearest of the border."""
    height, width = array.shape[:2]
    flat = array.reshape(height * width, *array.shape[2:])
    index = jnp.clip(i, 0, height - 1) * width + jnp.clip(j, 0, width - 1)
    return flat.at[index].get(mode="promise_in_bounds")


def rotation(radians: Float32[Array, ""]) -> Float32[Array, "2 2"]:
    """The matrix that rotates (row, column) positions counterclockwise, as the image is shown."""
    cos, sin = jnp.cos(radians), jnp.sin(radians)
    return jnp.stack([jnp.stack([cos, -sin]), jnp.stack([sin, cos])])
