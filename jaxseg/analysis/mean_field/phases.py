"""Fixed points of plain random nets, order and chaos, and the depth that signals reach."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from jaxseg.analysis.mean_field.activations import SMALLEST_VARIANCE, TANH, Activation
from jaxseg.analysis.mean_field.maps import Layer, correlation_map, gradient_gain, variance_map

_LARGEST_VARIANCE = 1e6
"""Variance beyond which no fixed point is looked for."""
_CRITICAL = 1e-9
"""Distance of chi_1 from 1 up to which a net counts as critical."""


class DepthScales(NamedTuple):
    """Numbers of layers over which a deviation falls by a factor e; infinite where it does not.

    Attributes:
        variance: ξ_q, of the variance from its fixed point.
        correlation: ξ_c, of the correlation from its fixed point. Signals reach about 6 ξ_c
            layers deep (Schoenholz et al. 2017).
        gradient: 1 / |log χ₁|, over which a squared gradient grows (chaos) or falls (order).
    """

    variance: float
    correlation: float
    gradient: float


def fixed_variance(layer: Layer) -> float:
    """The stable fixed point q∗ of the variance map; 0 if the variance decays to nothing.

    Args:
        layer: Layer of a plain net.

    Raises:
        ValueError: The net has shortcuts, so that its variance only grows; the variance grows
            without bound; or every variance is fixed, as for ReLU at σ_w² = 2 without bias.

    Example:
        >>> from jaxseg.analysis import mean_field
        >>> layer = mean_field.Layer(mean_field.RELU, weight_variance=1.5, bias_variance=0.25)
        >>> round(mean_field.fixed_variance(layer), 6)  # .25 / (1 - .75)
        1.0
    """
    _check_plain(layer)

    def excess(q):
        return variance_map(layer, q) - q

    if max(abs(excess(1.0)), abs(excess(2.0))) < _CRITICAL:
        raise ValueError(
            f"weight_variance={layer.weight_variance}: every variance of {layer.activation.name} "
            "is fixed: give the one that you mean as variance=."
        )
    if excess(SMALLEST_VARIANCE) <= 0:
        return 0.0
    upper = 1.0
    while excess(upper) > 0:
        upper *= 2
        if upper > _LARGEST_VARIANCE:
            raise ValueError(
                f"weight_variance={layer.weight_variance}: the variance of {layer.activation.name} "
                "grows without bound and has no fixed point; give a smaller weight_variance."
            )
    return _root(excess, SMALLEST_VARIANCE, upper)


def fixed_correlation(layer: Layer, *, variance: float | None = None) -> float:
    """The stable fixed point c∗ of the correlation map: 1 in the ordered phase, less in chaos.

    The power series of the map has no negative coefficient. So on [0, 1] the map is convex, and it
    crosses the diagonal once below 1 if its slope at 1, χ₁, exceeds 1.

    Args:
        layer: Layer of a plain net.
        variance: q; None for its fixed point.

    Raises:
        ValueError: The net has shortcuts, its variance has no fixed point, or that is 0.

    Example:
        >>> from jaxseg.analysis import mean_field
        >>> chaotic = mean_field.Layer(mean_field.TANH, weight_variance=2.5, bias_variance=0.05)
        >>> round(mean_field.fixed_correlation(chaotic), 4)
        0.4468
    """
    q = _variance_or_fixed(layer, variance)
    if gradient_gain(layer, variance=q) <= 1 + _CRITICAL:
        return 1.0

    def excess(c):
        return correlation_map(layer, c, variance=q) - c

    # Behind an odd activation without bias, uncorrelated inputs stay uncorrelated.
    if excess(0.0) <= _CRITICAL**2:
        return 0.0
    # Just below 1 the map lies below the diagonal by (chi_1 - 1)(1 - c), if c is near enough.
    gap = 0.5
    while excess(1 - gap) >= 0:
        gap /= 2
        if gap < _CRITICAL:
            return 1.0
    return _root(excess, 0.0, 1 - gap)


def depth_scales(layer: Layer, *, variance: float | None = None) -> DepthScales:
    """The depth scales ξ_q and ξ_c of a plain net, and that of its gradient.

    A scale is -1 / log of a map's slope at its fixed point. That slope is σ_w² d/dq E[φ²]
    for q and σ_w² E[φ'(u) φ'(v)] at c∗ for c, which is χ₁ in the ordered phase.

    Args:
        layer: Layer of a plain net.
        variance: q; None for its fixed point.

    Raises:
        ValueError: The net has shortcuts, or its variance has no fixed point.

    Example:
        >>> from jaxseg.analysis import mean_field
        >>> ordered = mean_field.Layer(mean_field.TANH, weight_variance=1.3, bias_variance=0.05)
        >>> [round(scale, 3) for scale in mean_field.depth_scales(ordered)]
        [1.785, 7.834, 7.834]

    Source:
        Schoenholz et al. 2017, "Deep Information Propagation", arXiv:1611.01232.
    """
    q = _variance_or_fixed(layer, variance)
    chi = gradient_gain(layer, variance=q)
    c = 1.0 if chi <= 1 + _CRITICAL else fixed_correlation(layer, variance=q)
    return DepthScales(
        variance=_scale(layer.weight_variance * layer.activation.growth(q)),
        correlation=_scale(gradient_gain(layer, variance=q, correlation=c)),
        gradient=_scale(min(chi, 1 / chi)),
    )


def critical_weight_variance(bias_variance: float, activation: Activation = TANH) -> float:
    """The weight variance at the edge between order and chaos, where χ₁ = 1.

    Along the critical line both variances are functions of q∗: σ_w² = 1 / E[φ'²] and
    σ_b² = q∗ - σ_w² E[φ²].

    Args:
        bias_variance: σ_b² >= 0.
        activation: Activation whose critical line is a function of σ_b², as that of tanh is.

    Returns:
        σ_w².

    Raises:
        ValueError: There is no such point; ReLU is critical at σ_b² = 0 only.

    Example:
        >>> from jaxseg.analysis import mean_field
        >>> [round(mean_field.critical_weight_variance(b), 6) for b in (0.0, 0.05, 0.1)]
        [1.0, 1.760955, 1.986073]

    Source:
        Poole et al. 2016, arXiv:1606.05340, section 2; Schoenholz et al. 2017, arXiv:1611.01232.
    """

    def weight_variance(q):
        return 1 / activation.slopes(q, 1.0)

    def excess(q):
        return q - weight_variance(q) * activation.product(q, 1.0) - bias_variance

    if bias_variance == 0:
        return weight_variance(0.0)
    upper = 1.0
    while excess(upper) < 0 and upper < _LARGEST_VARIANCE:
        upper *= 2
    if not (bias_variance > 0 and excess(upper) >= 0):
        raise ValueError(
            f"bias_variance={bias_variance}: {activation.name} has no critical point there; "
            "expected one >= 0 that its critical line reaches (0 alone for ReLU)."
        )
    return weight_variance(_root(excess, 0.0, upper))


def _variance_or_fixed(layer: Layer, variance: float | None) -> float:
    _check_plain(layer)
    return fixed_variance(layer) if variance is None else variance


def _check_plain(layer: Layer) -> None:
    if layer.branch_scale is not None:
        raise ValueError(
            f"branch_scale={layer.branch_scale}: a net with shortcuts has no fixed point: use "
            f"iterate, or {replace(layer, branch_scale=None)} for its branch alone."
        )


def _scale(slope: float) -> float:
    return float("inf") if slope >= 1 - _CRITICAL else float(-1 / np.log(slope))


def _root(function: Callable[[float], float], lower: float, upper: float) -> float:
    """A place where a function changes sign, by bisection to the last digits."""
    upper_sign = function(upper) > 0
    for _ in range(60):
        middle = (lower + upper) / 2
        if (function(middle) > 0) == upper_sign:
            upper = middle
        else:
            lower = middle
    return (lower + upper) / 2
