"""Shattered gradients: the correlation of one random net's gradients at two inputs, in closed form.

The net is wide, and the gradient at its output is the same for both inputs. A layer keeps the part
of the gradients' inner product that the slopes of its activations have in common: half of the
units, 1 / 2 of the product, if the inputs are uncorrelated by then, and nearly all if they have
become similar. The statistics of batch norm are constants here, as `lax.stop_gradient` makes them.

Each profile has the shape (layers + 1,): the cosine between the two gradients dE/dx_l for l = 0 ...
L. Its first entry is that of the whole net, its last one is 1. NumPy in float64.

Source: Balduzzi et al. 2017, "The Shattered Gradients Problem", arXiv:1702.08591.
"""

import numpy as np

from jaxseg.analysis.mean_field import (
    BATCH_NORM_GAIN,
    RELU,
    Layer,
    arc_cosine_0,
    arc_cosine_1,
    correlation_map,
    gradient_gain,
)

_BRANCH_STEPS = 1000
"""Steps of the integration in `scaled_branch_limit`."""


def he_relu_correlations(
    layers: int, *, branch_scale: float | None = None, correlation: float = 0.0
) -> np.ndarray:
    """Gradient correlations in He-initialized ReLU nets without norm, plain or residual.

    A layer is x -> W relu(x), or x + branch_scale W relu(x). The profile is the product of
    κ₀(c_l), or of (1 + branch_scale² κ₀(c_l)) / (1 + branch_scale²) with a shortcut.
    Inputs that begin uncorrelated become similar, 1 - c_l ~ 9 π² / 2 l². So the correlation of
    a plain net's gradients falls as L⁻³ and not as 2^−L: .3016, .1416, .0500 for 2, 4 and 8
    layers.

    Args:
        layers: L, the number of layers.
        branch_scale: Scale of the residual branch; None for a plain net.
        correlation: Correlation of the two inputs, in [-1, 1].

    Returns:
        (layers + 1,) cosines.

    Raises:
        ValueError: `layers` is negative, or `correlation` out of range.

    Example:
        >>> from jaxseg.analysis import shattering
        >>> [round(shattering.he_relu_correlations(n)[0].item(), 4) for n in (2, 4, 8)]
        [0.3016, 0.1416, 0.05]
    """
    _check(layers, correlation)
    layer = Layer(RELU, 2.0, branch_scale=branch_scale)
    # ReLU is homogeneous, so that nothing depends on the variance. It is left at 1, as that of
    # unscaled branches would double at each layer and overflow float64 behind 1023 of them.
    gain_at_equal_inputs, factors = gradient_gain(layer, variance=1.0), []
    for _ in range(layers):
        gain = gradient_gain(layer, variance=1.0, correlation=correlation)
        factors.append(gain / gain_at_equal_inputs)
        correlation = correlation_map(layer, correlation, variance=1.0)
    return _products_to_the_end(factors)


def scaled_branch_limit(*, correlation: float = 0.0) -> float:
    """Gradient correlation of infinitely deep residual nets, branches scaled by 1 / √L.

    This is the limit of `he_relu_correlations(L, branch_scale=1 / sqrt(L))[0]` for L to
    infinity, .6336 for uncorrelated inputs. With t = l / L the correlation of the inputs follows
    dc/dt = κ₁(c) - c, and the logarithm of the gradients' correlation loses 1 - κ₀(c) per
    unit of t.

    Args:
        correlation: Correlation of the two inputs, in [-1, 1].

    Raises:
        ValueError: `correlation` is out of range.

    Example:
        >>> from jaxseg.analysis import shattering
        >>> round(shattering.scaled_branch_limit(), 4)
        0.6336
    """
    _check(0, correlation)
    step, c, log = 1 / _BRANCH_STEPS, correlation, 0.0
    for _ in range(_BRANCH_STEPS):
        middle = min(1.0, c + step / 2 * float(arc_cosine_1(c) - c))
        log += step * float(arc_cosine_0(middle) - 1)
        c = min(1.0, c + step * float(arc_cosine_1(middle) - middle))
    return float(np.exp(log))


def batch_norm_plain_correlations(layers: int, *, correlation: float = 0.0) -> np.ndarray:
    """Gradient correlations in layers W relu(norm(x)): 2^−L, as the norm decorrelates inputs.

    Centered over the batch, uncorrelated examples stay uncorrelated, and each layer keeps the half
    of the units that both have in common. Correlated ones come apart: c = 1 is unstable, with a
    slope of π / (π - 1).

    Args:
        layers: L, the number of layers.
        correlation: Correlation of the two inputs, centered, in [-1, 1]. The rest of a large batch
            is uncorrelated.

    Returns:
        (layers + 1,) cosines.

    Raises:
        ValueError: `layers` is negative, or `correlation` out of range.

    Example:
        >>> from jaxseg.analysis import shattering
        >>> shattering.batch_norm_plain_correlations(3)
        array([0.125, 0.25 , 0.5  , 1.   ])
    """
    _check(layers, correlation)
    factors = []
    for _ in range(layers):
        factors.append(float(arc_cosine_0(correlation)))
        correlation = min(1.0, _centered_branch(correlation) * BATCH_NORM_GAIN)
    return _products_to_the_end(factors)


def batch_norm_residual_correlations(
    layers: int, *, correlation: float = 0.0, centered: bool = True
) -> np.ndarray:
    """Gradient correlations in layers x + W relu(norm(x)) at He initialization: a power of L.

    Layer l keeps (V_l + 1/2) / (V_l + 1) of the correlation of uncorrelated examples, where V_l is
    the variance that the norm divides by. Over a batch it grows by (π - 1) / π a layer, as the
    mean of a rectified feature is common to all examples and subtracted. The profile then falls as
    L^(-π / 2 (π - 1)), that is L^−.733.

    Args:
        layers: L, the number of layers.
        correlation: Correlation of the two inputs, centered, in [-1, 1].
        centered: Whether the norm subtracts the mean. With False V_l grows by 1 a layer, like the
            second moment, as the literature assumes: the product of (l + 1/2) / (l + 1), which is
            ~ 2 / √(π L).

    Returns:
        (layers + 1,) cosines.

    Raises:
        ValueError: `layers` is negative, `correlation` out of range, or not 0 with
            `centered=False`, for which no closed form is known.
    """
    _check(layers, correlation)
    if not centered and correlation:
        raise ValueError(
            f"correlation={correlation} must be 0 with centered=False: without centering, inputs "
            "do not keep the correlation that the product of (l + 1/2) / (l + 1) assumes."
        )
    variance, covariance, factors = 1.0, correlation, []
    for _ in range(layers):
        c = min(1.0, covariance / variance)
        factors.append((variance + float(arc_cosine_0(c))) / (variance + 1))
        variance += 1 / BATCH_NORM_GAIN if centered else 1.0
        covariance += _centered_branch(c)
    return _products_to_the_end(factors)


def _centered_branch(c: float) -> float:
    """Covariance over the batch of two examples' W relu(norm(x)): κ₁(c) - κ₁(0)."""
    return float(arc_cosine_1(min(1.0, c))) - 1 / np.pi


def _products_to_the_end(factors: list[float]) -> np.ndarray:
    """The product of the factors from each layer on."""
    return np.append(np.cumprod(factors[::-1])[::-1], 1.0)


def _check(layers: int, correlation: float) -> None:
    if layers < 0:
        raise ValueError(f"layers={layers} must not be negative.")
    if not -1 <= correlation <= 1:
        raise ValueError(f"correlation={correlation} must be in [-1, 1].")
