"""Corrections of a finite width to the theory of wide nets: a spread from seed to seed."""

import math
from typing import NamedTuple

import numpy as np


class LogMoments(NamedTuple):
    """Moments of ln q_L over the random weights, with q_L = |x_L|^2 / |x_0|^2.

    Attributes:
        mean: Mean of ln q_L.
        variance: Variance of ln q_L.
    """

    mean: float
    variance: float


def he_log_moments(width: int, layers: int) -> LogMoments:
    r"""Leading moments of ln q in a He-initialized ReLU net: mean -5 L / 2 n, variance 5 L / n.

    The distribution is close to normal. So the typical net shrinks what it carries although the
    mean of q is 1: a few large values make up for it. A gradient's squared norm has the same
    moments.

    Args:
        width: n, the width of all layers.
        layers: L, the number of layers.

    Raises:
        ValueError: `width` is below 1 or `layers` negative.

    Example:
        >>> from jaxseg.analysis import finite_width
        >>> finite_width.he_log_moments(100, 20)
        LogMoments(mean=-0.5, variance=1.0)

    Source:
        Hanin 2018, "Which Neural Net Architectures Give Rise to Exploding and Vanishing
        Gradients?", arXiv:1801.03744.
    """
    _check(width, layers)
    return LogMoments(-2.5 * layers / width, 5.0 * layers / width)


def he_log_moments_exact(width: int, layers: int) -> LogMoments:
    r"""Moments of ln q at any width, for q between rectified features relu(x_0) and relu(x_L).

    .. math:: q_{l+1} / q_l = \tfrac2n \chi^2_k, \quad k \sim \mathrm{Bin}(n, \tfrac12)

    independently from layer to layer, as W relu(x) is Gaussian for any x. So the logarithm of one
    layer has the mean E[psi(k/2)] + ln(4/n) and the variance E[psi'(k/2)] + Var[psi(k/2)], with k
    above 0: where a layer is dead, ln q is minus infinity.

    Args:
        width: n, the width of all layers.
        layers: L, the number of layers.

    Raises:
        ValueError: `width` is below 1 or `layers` negative.
    """
    _check(width, layers)
    k = np.arange(1, width + 1)
    choose = [math.lgamma(width + 1) - math.lgamma(j + 1) - math.lgamma(width - j + 1) for j in k]
    weights = np.exp(np.array(choose) - width * math.log(2))
    weights /= weights.sum()
    psi, trigamma = _polygamma_of_halves(width)
    mean = weights @ psi
    variance = weights @ trigamma + weights @ (psi - mean) ** 2
    return LogMoments(layers * float(mean + math.log(4 / width)), layers * float(variance))


def _polygamma_of_halves(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Digamma and trigamma at 1/2, 1, 3/2 ... count/2, each from the one at 1 below."""
    psi, trigamma = np.empty(count), np.empty(count)
    for j in range(count):
        if j < 2:
            psi[j] = -np.euler_gamma - (2 * math.log(2) if j == 0 else 0.0)
            trigamma[j] = math.pi**2 / (2 if j == 0 else 6)
        else:
            below = (j - 1) / 2
            psi[j] = psi[j - 2] + 1 / below
            trigamma[j] = trigamma[j - 2] - 1 / below**2
    return psi, trigamma


def _check(width: int, layers: int) -> None:
    if width < 1 or layers < 0:
        raise ValueError(
            f"width={width} must be at least 1, and layers={layers} must not be negative."
        )
