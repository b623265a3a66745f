"""How much of a feature map repeats at the period of a dilation."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxseg.numerics import normalize_by_max

PEAK, BESIDE = 1, (3, 5)
"""Bins that belong to the period's frequency on either side of it, and those it is compared to."""


def axis_spectrum(
    maps: Float[Array, "batch *space channels"], size: int | None = None
) -> Float[Array, "frequencies"]:
    r"""Power of a map's lines at 0, 1/n, 2/n, ... 1/2 cycles a pixel.

    .. math:: P(j / n) = \Big\langle \Big| \sum_{t=0}^{n-1} w_t (x_t - \bar x) e^{-2 \pi i j t / n}
        \Big|^2 \Big\rangle, \qquad w_t = \sin^2\big(\pi (t + 1/2) / n\big)

    where x runs along an axis, its mean is taken off, and the mean is over lines, axes, images and
    channels. The window (Hann's) keeps what an image's borders differ by out of the other
    frequencies; white noise of variance v has 3/8 n v in all bins but the lowest two.

    Args:
        maps: (batch, *space, channels), such as logits.
        size: n, of the middle that is looked at, in pixels; None: the smallest axis.

    Returns:
        n // 2 + 1 values.

    Raises:
        ValueError: no spatial axis, or a size above the smallest of them or below 1.
    """
    space = maps.shape[1:-1]
    n = min(space, default=0) if size is None else size
    if not space or not 1 <= n <= min(space):
        raise ValueError(
            f"size={size} must be from 1 to the smallest of the axes {tuple(space)} of maps of "
            f"shape {maps.shape}, (batch, *space, channels)."
        )
    cut = [slice((m - n) // 2, (m - n) // 2 + n) for m in space]
    middle = maps[:, *cut]
    window = jnp.asarray(np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2, maps.dtype)
    powers = []
    for axis in range(1, middle.ndim - 1):
        lines = jnp.moveaxis(middle, axis, -1).reshape(-1, n)
        # A mean is rounded, and would leave something of a constant line.
        lines = lines - lines[:, :1]
        lines = (lines - lines.mean(axis=1, keepdims=True)) * window[None]
        powers.append(jnp.mean(jnp.abs(jnp.fft.rfft(lines, axis=1)) ** 2, axis=0))
    return jnp.mean(jnp.stack(powers), axis=0)


def gridding_energy(maps: Float[Array, "batch *space channels"], period: int) -> Float[Array, ""]:
    r"""Power at the frequency 1/r over that of its neighbours: 1 for white noise.

    The mean of `axis_spectrum` over the bins at most one from 1/r, over the geometric mean of the
    neighbours' three to five away, on both sides where both exist (above 1/2 there are none):
    regions of one score each have about .9. A convolution dilated by r cannot tell the
    frequency 1/r from 0, and so what is behind a chain of equal rates, or behind larger ones than
    the last layers', may repeat at r: gridding. A last layer that
    damps 1/r damps its neighbours too, and then the ratio can be large where next to no power is
    left: look at `axis_spectrum` as well (Yu et al. 2017, arXiv:1705.09914).

    Args:
        maps: (batch, *space, channels), such as logits; their smallest axis, cut to a multiple of
            the period, must be long enough for the neighbours.
        period: r, in pixels, at least 2.

    Returns:
        the ratio, without unit; NaN for maps that are constant.

    Raises:
        ValueError: a period below 2, or maps that are too small for it.
    """
    shortest = min(maps.shape[1:-1], default=0)
    n = shortest // period * period if period > 1 else 0
    middle = n // period if period > 1 else 0
    # The two lowest bins lack what the lines' means held.
    if middle < BESIDE[1] + 2:
        raise ValueError(
            f"period={period} must be at least 2, and maps of shape {maps.shape} at least "
            f"{(BESIDE[1] + 2) * max(period, 2)} pixels wide and high for it."
        )
    power = axis_spectrum(normalize_by_max(maps), n)
    away = np.abs(np.arange(len(power)) - middle)
    peak = jnp.mean(power[away <= PEAK])
    beside = [
        jnp.mean(jnp.log(power[side & (BESIDE[0] <= away) & (away <= BESIDE[1])]))
        for side in (np.arange(len(power)) < middle, np.arange(len(power)) > middle)
        if np.any(side & (away == BESIDE[1]))
    ]
    return peak / jnp.exp(jnp.mean(jnp.stack(beside)))
