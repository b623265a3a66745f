"""Channels to pixels and back: rearrangements, so each gradient is the other direction."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Shaped

from jaxseg.ops.check import images
from jaxseg.ops.geometry import Sizes, per_axis


def pixel_shuffle(
    x: Shaped[Array, "batch *space channels"], factor: Sizes
) -> Shaped[Array, "batch *size features"]:
    r"""Spread groups of channels over blocks of pixels ("sub-pixel" upsampling).

    .. math:: y_{b, h r + i, w r + j, c} = x_{b, h, w, c r^2 + i r + j}

    in two dimensions, the channel order of PyTorch's `PixelShuffle`; in one and three likewise.

    Args:
        x: images, (batch, *space, channels), with 1, 2 or 3 spatial axes, of any dtype.
        factor: r, of upsampling; one integer or one per axis.

    Returns:
        (batch, *(space * factor), channels / product of factors).

    Raises:
        ValueError: a wrong rank, or channels that the factors do not divide.

    Source:
        Shi et al., "Real-time single image and video super-resolution using an efficient
        sub-pixel convolutional neural network", 2016, eq. 4 (arXiv:1609.05158).
    """
    x = images("pixel_shuffle", x)
    batch, *space, channels = x.shape
    factors = per_axis("factor", factor, len(space))
    block = math.prod(factors)
    if channels % block:
        raise ValueError(
            f"pixel_shuffle: {channels} channels do not divide into blocks of factor={factor!r}: "
            f"give a multiple of {block}."
        )
    split = x.reshape(batch, *space, channels // block, *factors)
    axes = len(space)
    pairs = [a for n in range(axes) for a in (1 + n, 2 + axes + n)]
    sizes = [n * r for n, r in zip(space, factors, strict=True)]
    return jnp.transpose(split, (0, *pairs, 1 + axes)).reshape(batch, *sizes, channels // block)


def pixel_unshuffle(
    x: Shaped[Array, "batch *space channels"], factor: Sizes
) -> Shaped[Array, "batch *size features"]:
    """Gather blocks of pixels into channels; the inverse of `pixel_shuffle`, its options too.

    Args:
        x: images, (batch, *space, channels), with 1, 2 or 3 spatial axes, of any dtype.
        factor: of downsampling; one integer or one per axis.

    Returns:
        (batch, *(space / factor), channels * product of factors).

    Raises:
        ValueError: a wrong rank, or a size that the factors do not divide.
    """
    x = images("pixel_unshuffle", x)
    batch, *space, channels = x.shape
    factors = per_axis("factor", factor, len(space))
    if any(n % r for n, r in zip(space, factors, strict=True)):
        raise ValueError(
            f"pixel_unshuffle: images of {tuple(space)} do not divide into blocks of "
            f"factor={factor!r}: give sizes that are multiples of it, or pad the images."
        )
    sizes = [n // r for n, r in zip(space, factors, strict=True)]
    pairs = [n for pair in zip(sizes, factors, strict=True) for n in pair]
    split = x.reshape(batch, *pairs, channels)
    axes = len(space)
    order = (0, *range(1, 2 * axes, 2), 1 + 2 * axes, *range(2, 2 * axes + 1, 2))
    return jnp.transpose(split, order).reshape(batch, *sizes, channels * math.prod(factors))
