"""Gridding: how much of a feature map repeats at the period of a dilation."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxseg.numerics import normalize_by_max

_PEAK = 1
"""Bins on either side of the period's frequency that belong to it."""
_BACKGROUND = (3, 5)
"""Nearest and farthest bin, on either side, that the period's power is compared with."""


def axis_spectrum(
    maps: Float[Array, "batch *space channels"], size: int | None = None
) -> Float[Array, "frequencies"]:
    r"""Power of the lines of a map at the frequencies 0, 1/n, 2/n, ... 1/2, in cycles a pixel.

    .. math:: P(j / n) = \Big\langle \Big| \sum_{t=0}^{n-1} w_t (x_t - \bar x) e^{-2 \pi i j t / n}
        \Big|^2 \Big\rangle, \qquad w_t = \sin^2\big(\pi (t + 1/2) / n\big)

    where x runs along an axis, its mean is subtracted, and the average is over lines, axes, images
    and channels. The window w (Hann's) keeps the difference between an image's two borders out of
    the other frequencies. White noise of variance v has the power 3/8 n v in all bins but the
    lowest two.

    Args:
        maps: (batch, *space, channels), such as logits.
        size: n, the number of pixels in the middle of each axis that are used; None for the length
            of the shortest axis.

    Returns:
        n // 2 + 1 powers, in the squared units of the maps.

    Raises:
        ValueError: There is no spatial axis, or `size` is below 1 or above the shortest of them.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.analysis import axis_spectrum
        >>> wave = jnp.cos(jnp.pi / 2 * jnp.arange(16.0))  # a period of 4 pixels: bin 16 / 4
        >>> axis_spectrum(wave.reshape(1, 16, 1)).round(2).tolist()
        [0.0, 0.0, 0.0, 4.0, 16.0, 4.0, 0.0, 0.0, 0.0]
    """
    space = maps.shape[1:-1]
    n = min(space, default=0) if size is None else size
    if not space or not 1 <= n <= min(space):
        raise ValueError(
            f"size={size} must be from 1 to the smallest of the axes {tuple(space)} of maps of "
            f"shape {maps.shape}, (batch, *space, channels)."
        )
    crop = [slice((m - n) // 2, (m - n) // 2 + n) for m in space]
    middle = maps[:, *crop]
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
    r"""Power at the frequency 1/r in proportion to its neighbors: 1 for white noise.

    This is the mean of `axis_spectrum` over the bins at most one away from 1/r, divided by the
    geometric mean of the bins three to five away, on both sides where both exist (none lie above
    1/2). Regions of constant scores have about 0.9.

    A convolution of dilation r cannot tell the frequency 1/r from 0. So the output of a chain of
    equal rates, or of rates larger than those of the last layers, may repeat at r: gridding. A last
    layer that damps 1/r damps its neighbors too, and then the ratio may be large although hardly
    any power is left: look at `axis_spectrum` as well.

    Args:
        maps: (batch, *space, channels), such as logits. Their shortest axis, cropped to a multiple
            of the period, must be seven periods long or longer.
        period: r, in pixels, at least 2.

    Returns:
        The ratio, without unit; NaN for constant maps.

    Raises:
        ValueError: `period` is below 2, or the maps are too small for it.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxseg.analysis import gridding_energy
        >>> noise = jax.random.normal(jax.random.key(0), (64, 32, 32, 4))
        >>> stripes = noise + (-1.0) ** jnp.arange(32.0)[None, :, None, None]
        >>> [round(float(gridding_energy(maps, 2))) for maps in (noise, stripes)]
        [1, 8]

    Source:
        Yu, Koltun & Funkhouser 2017, "Dilated Residual Networks", arXiv:1705.09914, which
        shows such patterns. The measure is ours.
    """
    shortest = min(maps.shape[1:-1], default=0)
    n = shortest // period * period if period > 1 else 0
    center = n // period if period > 1 else 0
    # The two lowest bins lack what the means of the lines took with them.
    least = _BACKGROUND[1] + 2
    if center < least:
        raise ValueError(
            f"period={period} must be at least 2, and maps of shape {maps.shape} at least "
            f"{least * max(period, 2)} pixels wide and high for it."
        )
    power = axis_spectrum(normalize_by_max(maps), n)
    distance = np.abs(np.arange(len(power)) - center)
    in_background = (_BACKGROUND[0] <= distance) & (distance <= _BACKGROUND[1])
    log_background = [
        jnp.mean(jnp.log(power[side & in_background]))
        for side in (np.arange(len(power)) < center, np.arange(len(power)) > center)
        if np.any(side & (distance == _BACKGROUND[1]))
    ]
    peak = jnp.mean(power[distance <= _PEAK])
    return peak / jnp.exp(jnp.mean(jnp.stack(log_background)))
