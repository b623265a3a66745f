"""Checkerboards: how much of an image is a pattern that repeats at every stride."""

import itertools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.numerics import normalize_by_max


def checkerboard_energy(
    images: Float[Array, "batch *space channels"], stride: int
) -> Float[Array, ""]:
    r"""Power at the frequencies of a stride, in proportion to that of white noise.

    With :math:`P(f)` the power spectrum, summed over images and channels, n the pixels of an image
    and :math:`F` the frequencies :math:`(j/s, k/s) \neq 0` in cycles a pixel (in two dimensions),

    .. math:: E = \frac{\sum_{f \in F} P(f)}{\sum_{f \neq 0} P(f)} \cdot \frac{n - 1}{|F|}

    A phase holds the pixels at one place of their cell of s x s pixels. E is 0 if the mean over all
    pixels of a phase is the same for every phase, as in images whose pixels were repeated; it is 1
    for white noise, about 1 for an image that only slopes, and (n - 1) / |F| for a pattern of
    period s and nothing else.

    Args:
        images: (batch, *space, channels), such as logits or gradients, whose sizes `stride`
            divides.
        stride: s, in pixels, along every axis.

    Returns:
        E, without unit; 0 for constant images.

    Raises:
        ValueError: There is no pixel, `stride` is below 2, or it does not divide the sizes.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> from jaxseg.analysis import checkerboard_energy
        >>> ramp = jnp.arange(64.0).reshape(1, 8, 8, 1)
        >>> round(float(checkerboard_energy(ops.resize(ramp, 16, method="nearest"), 2)), 6)
        0.0
        >>> ones = jnp.ones((1, 8, 8, 1))  # behind the upconvolution 1, 2 or 4 taps meet
        >>> y = ops.upconv(ones, jnp.ones((3, 3, 1, 1)), stride=2)[:, 2:-2, 2:-2]
        >>> round(float(checkerboard_energy(y, 2)), 2)  # (12**2 - 1) / 3
        47.67

    Source:
        Odena, Dumoulin & Olah 2016, "Deconvolution and Checkerboard Artifacts",
        doi:10.23915/distill.00003, which shows such patterns behind upconvolutions and in
        gradients of strided convolutions. The measure is ours.
    """
    if images.size == 0:
        raise ValueError(f"checkerboard_energy: images of shape {images.shape} have no pixel.")
    phases = _phases(normalize_by_max(images), stride)
    # A mean is rounded: what it leaves of a constant image would repeat at every stride.
    phases = phases - phases[:, :1, :1]
    centered = phases - jnp.mean(phases, axis=(1, 2), keepdims=True)
    pixels, frequencies = math.prod(centered.shape[1:3]), centered.shape[2] - 1
    # By Parseval's theorem, the power at these frequencies is that of the means over the cells.
    periodic = jnp.sum(jnp.square(jnp.mean(centered, axis=1))) * centered.shape[1]
    total = jnp.sum(jnp.square(centered))
    share = periodic / jnp.where(total == 0, 1, total)
    return share * ((pixels - 1) / frequencies)


def phase_power(
    images: Float[Array, "batch *space channels"], stride: int
) -> Float[Array, "*phases"]:
    """Mean square of the pixels at each place of a cell of s x s pixels.

    Behind an upconvolution of stride s with independent weights of one variance, applied to white
    noise, it is proportional to the number of taps that meet there: the uneven overlap of Odena et
    al. 2016.

    Args:
        images: (batch, *space, channels), such as logits or gradients, whose sizes `stride`
            divides.
        stride: s, in pixels, along every axis.

    Returns:
        (s, ..., s) powers, one axis for each spatial axis.

    Raises:
        ValueError: `stride` is below 2, or it does not divide the sizes.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> from jaxseg.analysis import phase_power
        >>> y = ops.upconv(jnp.ones((1, 8, 1)), jnp.ones((3, 1, 1)), stride=2)[:, 2:-2]
        >>> phase_power(y, 2).tolist()  # two taps, or one
        [4.0, 1.0]
    """
    power = jnp.mean(jnp.square(_phases(images, stride)), axis=(0, 1, 3))
    return power.reshape((stride,) * (images.ndim - 2))


def _phases(images: jax.Array, stride: int) -> jax.Array:
    """The images as (batch, cells, phases, channels)."""
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
