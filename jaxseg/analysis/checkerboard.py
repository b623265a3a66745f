"""How much of an image is a pattern that repeats at every stride."""

import itertools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.numerics import normalize_by_max


def checkerboard_energy(
    images: Float[Array, "batch *space channels"], stride: int
) -> Float[Array, ""]:
    r"""Power at the stride's frequencies, over what white noise has there.

    With :math:`P(f)` the power spectrum, summed over images and channels, n pixels an image and
    :math:`F` the frequencies :math:`(j/s, k/s) \neq 0` cycles a pixel (in two dimensions),

    .. math:: E = \frac{\sum_{f \in F} P(f)}{\sum_{f \neq 0} P(f)} \cdot \frac{n - 1}{|F|}

    It is 0 where the mean over all pixels of one phase (those at the same place in their s x s
    cell) is the same for each phase, as in images that were repeated or bilinearly interpolated
    in a ring; 1 for white noise; and (n - 1) / |F| for a pattern of period s and no more. An image
    whose grey value only slopes has about 1. Odena et al. 2016 (doi:10.23915/distill.00003) show
    such patterns behind upconvolutions and in gradients of strided convolutions.

    Args:
        images: (batch, *space, channels), logits or gradients, whose sizes `stride` divides.
        stride: s, in pixels, of every axis.

    Returns:
        E, without unit; 0 for images of one grey value.

    Raises:
        ValueError: no pixel; a stride below 2, or one that does not divide the sizes.
    """
    if images.size == 0:
        raise ValueError(f"checkerboard_energy: images of shape {images.shape} have no pixel.")
    phases = _phases(normalize_by_max(images), stride)  # (cells, phases, channels) a picture
    # A mean is rounded: what it leaves of one grey value would repeat at every stride.
    phases = phases - phases[:, :1, :1]
    centred = phases - jnp.mean(phases, axis=(1, 2), keepdims=True)
    pixels, frequencies = math.prod(centred.shape[1:3]), centred.shape[2] - 1
    # By Parseval, the power at these frequencies is that of the means over the cells.
    regular = jnp.sum(jnp.square(jnp.mean(centred, axis=1))) * centred.shape[1]
    everything = jnp.sum(jnp.square(centred))
    share = regular / jnp.where(everything == 0, 1, everything)
    return share * ((pixels - 1) / frequencies)


def phase_power(
    images: Float[Array, "batch *space channels"], stride: int
) -> Float[Array, "*phases"]:
    """Mean square of the pixels at each place of an s x s cell.

    Behind an upconvolution of stride s with independent weights of one variance, of white noise,
    it is proportional to the taps that meet in that place: the overlap of Odena et al. 2016.

    Args:
        images: as in `checkerboard_energy`.
        stride: s, likewise.

    Returns:
        (s, ..., s), one axis a spatial axis.

    Raises:
        ValueError: as `checkerboard_energy`.
    """
    power = jnp.mean(jnp.square(_phases(images, stride)), axis=(0, 1, 3))
    return power.reshape((stride,) * (images.ndim - 2))


def _phases(images: jax.Array, stride: int) -> jax.Array:
    """(batch, *space, channels) -> (batch, cells, phases, channels)."""
    space = images.shape[1:-1]
    if stride < 2 or not space or any(n % stride for n in space):
        raise ValueError(
            f"stride={stride} must be at least 2 and divide images of {space} pixels, (batch, "
            f"*space, channels) being {images.shape}: crop them to a multiple."
        )
    batch, *_, channels = images.shape
    split = images.reshape(
        batch, *itertools.chain.from_iterable((n // stride, stride) for n in space), channels
    )
    cells, places = range(1, split.ndim - 1, 2), range(2, split.ndim - 1, 2)
    moved = split.transpose(0, *cells, *places, split.ndim - 1)
    return moved.reshape(batch, -1, stride ** len(space), channels)
