"""Where plain random nets end up: fixed points, order and chaos, and how deep signals reach."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from jaxseg.analysis.mean_field.activations import SMALLEST, TANH, Activation
from jaxseg.analysis.mean_field.maps import Layer, correlation_map, gradient_gain, variance_map

LARGEST = 1e6
"""A variance beyond which no fixed point is looked for."""
CRITICAL = 1e-9
"""chi_1 within this of 1 is critical."""


class DepthScales(NamedTuple):
    """Layers over which a deviation falls by a factor e; inf where it does not.

    Attributes:
        variance: xi_q, of the variance from q*.
        correlation: xi_c, of the correlation from c*: signals reach some 6 xi_c (Schoenholz et al.
            2017).
        gradient: 1 / |log chi_1|, over which a squared gradient grows (chaos) or falls (order).
    """

    variance: float
    correlation: float
    gradient: float


def fixed_variance(layer: Layer) -> float:
    """q* of the variance map, the stable one; 0 where the variance decays to nothing.

    Args:
        layer: of a plain net.

    Raises:
        ValueError: for a net with shortcuts, whose variance only grows; where it grows without
            bound; where every variance is fixed (ReLU at sigma_w**2 = 2 without bias).
    """
    _plain(layer)

    def excess(q):
        return variance_map(layer, q) - q

    if max(abs(excess(1.0)), abs(excess(2.0))) < CRITICAL:
        raise ValueError(
            f"weight_variance={layer.weight_variance}: every variance of {layer.activation.name} "
            "is fixed; give the one that is meant as variance=."
        )
    if excess(SMALLEST) <= 0:
        return 0.0
    upper = 1.0
    while excess(upper) > 0:
        upper *= 2
        if upper > LARGEST:
            raise ValueError(
                f"weight_variance={layer.weight_variance}: the variance of {layer.activation.name} "
                "grows without bound and has no fixed point; give a smaller weight_variance."
            )
    return _root(excess, SMALLEST, upper)


def fixed_correlation(layer: Layer, *, variance: float | None = None) -> float:
    """c* of the correlation map, the stable one: 1 in the ordered phase, below in the chaotic one.

    The map's power series has no negative coefficient, so that on [0, 1] it is convex and crosses
    the diagonal once below 1 where its slope chi_1 at 1 exceeds 1.

    Args:
        layer: of a plain net.
        variance: q; None for q*.

    Raises:
        ValueError: as `fixed_variance`; where q* is 0.
    """
    q = _settled(layer, variance)
    if gradient_gain(layer, variance=q) <= 1 + CRITICAL:
        return 1.0

    def excess(c):
        return correlation_map(layer, c, variance=q) - c

    if excess(0.0) <= CRITICAL**2:  # An odd activation without bias: uncorrelated stays so.
        return 0.0
    # Just below 1 the map lies below the diagonal by (chi_1 - 1)(1 - c), if c is near enough.
    gap = 0.5
    while excess(1 - gap) >= 0:
        gap /= 2
        if gap < CRITICAL:
            return 1.0
    return _root(excess, 0.0, 1 - gap)


def depth_scales(layer: Layer, *, variance: float | None = None) -> DepthScales:
    """xi_q, xi_c and the gradient's (Schoenholz et al. 2017).

    xi = -1 / log of the map's slope at its fixed point: for q sigma_w**2 d/dq E[phi**2], for c
    sigma_w**2 E[phi'(u) phi'(v)] at c*, which is chi_1 in the ordered phase.

    Args:
        layer: of a plain net.
        variance: q; None for q*.

    Raises:
        ValueError: as `fixed_variance`.
    """
    q = _settled(layer, variance)
    chi = gradient_gain(layer, variance=q)
    c = 1.0 if chi <= 1 + CRITICAL else fixed_correlation(layer, variance=q)
    return DepthScales(
        variance=_scale(layer.weight_variance * layer.activation.growth(q)),
        correlation=_scale(gradient_gain(layer, variance=q, correlation=c)),
        gradient=_scale(min(chi, 1 / chi)),
    )


def critical_weight_variance(bias_variance: float, activation: Activation = TANH) -> float:
    """sigma_w**2 at which chi_1 = 1 for a given sigma_b**2: the edge between order and chaos.

    Along the line both are functions of q*: sigma_w**2 = 1 / E[phi'**2] and sigma_b**2 = q* -
    sigma_w**2 E[phi**2] (Poole et al. 2016).

    Args:
        bias_variance: sigma_b**2 >= 0.
        activation: one whose line is a function of sigma_b**2, as tanh.

    Raises:
        ValueError: where there is no such point (ReLU is critical at sigma_b**2 = 0 only).
    """

    def weight_variance(q):
        return 1 / activation.slopes(q, 1.0)

    def excess(q):
        return q - weight_variance(q) * activation.product(q, 1.0) - bias_variance

    if bias_variance == 0:
        return weight_variance(0.0)
    upper = 1.0
    while excess(upper) < 0 and upper < LARGEST:
        upper *= 2
    if not (bias_variance > 0 and excess(upper) >= 0):
        raise ValueError(
            f"bias_variance={bias_variance}: {activation.name} has no critical point there; "
            "expected one >= 0 that its critical line reaches (0 alone for ReLU)."
        )
    return weight_variance(_root(excess, 0.0, upper))


def _settled(layer: Layer, variance: float | None) -> float:
    _plain(layer)
    return fixed_variance(layer) if variance is None else variance


def _plain(layer: Layer) -> None:
    if layer.branch_scale is not None:
        raise ValueError(
            f"branch_scale={layer.branch_scale}: a net with shortcuts has no fixed point; use "
            f"`iterate`, or {replace(layer, branch_scale=None)} for its branch alone."
        )


def _scale(slope: float) -> float:
    return float("inf") if slope >= 1 - CRITICAL else float(-1 / np.log(slope))


def _root(function: Callable[[float], float], lower: float, upper: float) -> float:
    """Where a function changes sign, by halving to the last digits."""
    sign = function(upper) > 0
    for _ in range(60):
        middle = (lower + upper) / 2
        lower, upper = (lower, middle) if (function(middle) > 0) == sign else (middle, upper)
    return (lower + upper) / 2
