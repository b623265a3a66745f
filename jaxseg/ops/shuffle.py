"""Rearrangement of channels into pixels and back: each is the gradient of the other."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from jaxseg.ops.check import as_images
from jaxseg.ops.options import Sizes, per_axis


def pixel_shuffle(
    x: Shaped[Array, "batch *space channels"], factor: Sizes
) -> Shaped[Array, "batch *size features"]:
    r"""Spread groups of channels over blocks of pixels ("sub-pixel" upsampling).

    .. math:: y_{b, h r + i, w r + j, c} = x_{b, h, w, c r^2 + i r + j}

    in two dimensions, which is the channel order of PyTorch's `PixelShuffle`; in one and three
    dimensions likewise.

    Args:
        x: images, (batch, *space, channels), with 1, 2 or 3 spatial axes, of any dtype.
        factor: factor of upsampling, r; one integer or one per axis.

    Returns:
        (batch, *(space * factor), channels / product of factors).

    Raises:
        ValueError: a wrong rank, an empty axis, or channels that the factors do not divide.

    Source:
        Shi et al., "Real-time single image and video super-resolution using an efficient
        sub-pixel convolutional neural network", 2016, eq. 4 (arXiv:1609.05158).

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> x = jnp.array([1, 2, 3, 4]).reshape(1, 1, 1, 4)
        >>> ops.pixel_shuffle(x, 2)[0, :, :, 0].tolist()
        [[1, 2], [3, 4]]
    """
    x = as_images("pixel_shuffle", x)
    batch, *space, channels = x.shape
    factors = per_axis("factor", factor, len(space))
    block = math.prod(factors)
    if channels % block:
        raise ValueError(
            f"pixel_shuffle: {channels} channels do not divide into blocks of factor={factor!r}: "
            f"give a multiple of {block}."
        )
    split = x.reshape(batch, *space, channels // block, *factors)
    return blocks_to_pixels(jnp.moveaxis(split, 1 + len(space), -1))


def pixel_unshuffle(
    x: Shaped[Array, "batch *space channels"], factor: Sizes
) -> Shaped[Array, "batch *size features"]:
    """Gather blocks of pixels into channels; the inverse of `pixel_shuffle`.

    Args:
        x: images, (batch, *space, channels), with 1, 2 or 3 spatial axes, of any dtype.
        factor: factor of downsampling; one integer or one per axis.

    Returns:
        (batch, *(space / factor), channels * product of factors).

    Raises:
        ValueError: a wrong rank, an empty axis, or a size that the factors do not divide.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> x = jnp.arange(8).reshape(1, 2, 4, 1)
        >>> ops.pixel_unshuffle(x, 2)[0, 0].tolist()
        [[0, 1, 4, 5], [2, 3, 6, 7]]
    """
    x = as_images("pixel_unshuffle", x)
    *space, channels = x.shape[1:]
    factors = per_axis("factor", factor, len(space))
    if any(n % r for n, r in zip(space, factors, strict=True)):
        raise ValueError(
            f"pixel_unshuffle: images of {tuple(space)} do not divide into blocks of "
            f"factor={factor!r}: give sizes that are multiples of it, or pad the images."
        )
    blocks = jnp.moveaxis(pixels_to_blocks(x, factors), -1, 1 + len(space))
    return blocks.reshape(*blocks.shape[: 1 + len(space)], channels * math.prod(factors))


def blocks_to_pixels(x: jax.Array) -> jax.Array:
    """Map (batch, *space, *factors, channels) to (batch, *(space * factors), channels)."""
    batch, *sizes, channels = x.shape
    axes = len(sizes) // 2
    space, factors = sizes[:axes], sizes[axes:]
    pairs = [1 + n + part for n in range(axes) for part in (0, axes)]
    interleaved = x.transpose(0, *pairs, x.ndim - 1)
    return interleaved.reshape(
        batch, *(n * r for n, r in zip(space, factors, strict=True)), channels
    )


def pixels_to_blocks(x: jax.Array, factors: Sequence[int]) -> jax.Array:
    """Map (batch, *(space * factors), channels) to (batch, *space, *factors, channels)."""
    batch, *sizes, channels = x.shape
    pairs = [n for size, r in zip(sizes, factors, strict=True) for n in (size // r, r)]
    split = x.reshape(batch, *pairs, channels)
    return split.transpose(0, *range(1, split.ndim - 1, 2), *range(2, split.ndim - 1, 2), -1)
