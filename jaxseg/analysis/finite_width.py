"""What a finite width adds to the theory of wide nets: a spread from seed to seed."""

import math
from typing import NamedTuple

import numpy as np


class LogMoments(NamedTuple):
    """Of ln q_L, q_L = |x_L|^2 / |x_0|^2, over the random weights."""

    mean: float
    variance: float


def he_log_moments(width: int, layers: int) -> LogMoments:
    r"""Leading moments of ln q in a He-initialised ReLU net: mean -5 L / 2 n, variance 5 L / n.

    It is close to normal: the typical net shrinks what it carries although q is 1 in the mean,
    which few large ones make up (Hanin 2018, arXiv:1801.03744). A gradient's squared norm has the
    same moments.

    Args:
        width: n, of all layers.
        layers: L.

    Raises:
        ValueError: for a width below 1 or a negative number of layers.
    """
    _check(width, layers)
    return LogMoments(-2.5 * layers / width, 5.0 * layers / width)


def he_log_moments_exact(width: int, layers: int) -> LogMoments:
    r"""The same at any width, for q between rectified features, relu(x_0) and relu(x_L).

    .. math:: q_{l+1} / q_l = \tfrac2n \chi^2_k, \quad k \sim \mathrm{Bin}(n, \tfrac12)

    independently from layer to layer, for W relu(x) is Gaussian whatever x is. So the mean of a
    layer's logarithm is E[psi(k/2)] + ln(4/n), its variance E[psi'(k/2)] + Var[psi(k/2)], with k
    above 0: where a layer is dead, ln q is -inf.

    Args:
        width: n, of all layers.
        layers: L.

    Raises:
        ValueError: as `he_log_moments`.
    """
    _check(width, layers)
    k = np.arange(1, width + 1)
    choose = [math.lgamma(width + 1) - math.lgamma(j + 1) - math.lgamma(width - j + 1) for j in k]
    weights = np.exp(np.array(choose) - width * math.log(2))
    weights /= weights.sum()
    psi, trigamma = _of_halves(width)
    mean = weights @ psi
    variance = weights @ trigamma + weights @ (psi - mean) ** 2
    return LogMoments(layers * float(mean + math.log(4 / width)), layers * float(variance))


def _of_halves(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Digamma and trigamma at 1/2, 1, 3/2 ... count/2, each from the one a whole below it."""
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
