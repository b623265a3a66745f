"""Shattered gradients: how alike one random net's gradients at two inputs are, in closed form.

The net is wide, its cotangent the same for both inputs. A layer keeps of the gradients' inner
product what its activations' slopes have in common: half the units, 1 / 2 of the whole, where the
inputs are uncorrelated by then, and nearly all where they have become alike (Balduzzi et al. 2017,
arXiv:1702.08591). Batch norm's statistics are constants here, as `lax.stop_gradient` makes them.

Each profile is (layers + 1,): the cosine between the two gradients dE/dx_l, l = 0 ... L; its first
entry is the net's, its last is 1. NumPy in float64.
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

BRANCH_STEPS = 1000
"""Of the integration behind `scaled_branch_limit`."""


def he_relu(
    layers: int, *, branch_scale: float | None = None, correlation: float = 0.0
) -> np.ndarray:
    """He-initialised ReLU without norm, x -> W relu(x), or x + branch_scale W relu(x).

    The product of kappa_0(c_l), of (1 + branch_scale**2 kappa_0(c_l)) / (1 + branch_scale**2) with
    a shortcut. Inputs that begin uncorrelated become alike, 1 - c_l ~ 9 pi**2 / 2 l**2, so that
    their gradients' correlation falls as L**-3 and not as 2**-L: .3016, .1416, .0500 for 2, 4 and 8
    layers.

    Args:
        layers: L.
        branch_scale: of the residual branch; None for a plain net.
        correlation: of the two inputs.

    Raises:
        ValueError: for a correlation outside [-1, 1] or fewer than 0 layers.
    """
    _check(layers, correlation)
    layer = Layer(RELU, 2.0, branch_scale=branch_scale)
    # Nothing depends on the variance, for ReLU is homogeneous: it stays 1, where that of unscaled
    # branches would double at each layer and leave float64 behind 1023 of them.
    alike, factors = gradient_gain(layer, variance=1.0), []
    for _ in range(layers):
        factors.append(gradient_gain(layer, variance=1.0, correlation=correlation) / alike)
        correlation = correlation_map(layer, correlation, variance=1.0)
    return _profile(factors)


def scaled_branch_limit(*, correlation: float = 0.0) -> float:
    """The limit of `he_relu(L, branch_scale=1 / sqrt(L))[0]` for L to infinity: .6336 at c = 0.

    With t = l / L the correlation follows dc/dt = kappa_1(c) - c, and the logarithm of the
    gradients' loses 1 - kappa_0(c) a unit of t.

    Args:
        correlation: of the two inputs.

    Raises:
        ValueError: for one outside [-1, 1].
    """
    _check(0, correlation)
    step, c, log = 1 / BRANCH_STEPS, correlation, 0.0
    for _ in range(BRANCH_STEPS):
        middle = min(1.0, c + step / 2 * float(arc_cosine_1(c) - c))
        log += step * float(arc_cosine_0(middle) - 1)
        c = min(1.0, c + step * float(arc_cosine_1(middle) - middle))
    return float(np.exp(log))


def batch_norm_plain(layers: int, *, correlation: float = 0.0) -> np.ndarray:
    """Layers W relu(norm(x)): 2**-L, for the norm keeps the examples uncorrelated.

    Centred over the batch, uncorrelated examples stay so, and half of the units are shared at each
    layer (Balduzzi et al. 2017). Correlated ones come apart: c = 1 is unstable, with a slope of
    pi / (pi - 1).

    Args:
        layers: L.
        correlation: of the two inputs, centred; the rest of a large batch is uncorrelated.

    Raises:
        ValueError: as `he_relu`.
    """
    _check(layers, correlation)
    factors = []
    for _ in range(layers):
        factors.append(float(arc_cosine_0(correlation)))
        correlation = min(1.0, _centred_branch(correlation) * BATCH_NORM_GAIN)
    return _profile(factors)


def batch_norm_residual(
    layers: int, *, correlation: float = 0.0, centred: bool = True
) -> np.ndarray:
    """Layers x + W relu(norm(x)) at He initialisation: a power of L.

    Layer l keeps (V_l + 1/2) / (V_l + 1) of uncorrelated examples' correlation, where V_l is the
    variance that the norm divides by. Over a batch it grows by (pi - 1) / pi a layer, since the
    mean of a rectified feature is common to all examples and taken off: ~ L**(-pi / 2 (pi - 1)),
    that is L**-.733.

    Args:
        layers: L.
        correlation: of the two inputs, centred.
        centred: False lets V_l grow by 1 a layer, like the second moment, as the literature
            reckons: the product of (l + 1/2) / (l + 1), ~ 2 / sqrt(pi L) (Balduzzi et al. 2017).

    Raises:
        ValueError: as `he_relu`; correlated inputs with `centred=False`, for which none is known.
    """
    _check(layers, correlation)
    if not centred and correlation:
        raise ValueError(
            f"correlation={correlation} must be 0 with centred=False: without centring, inputs do "
            "not keep the correlation that the product of (l + 1/2) / (l + 1) supposes."
        )
    variance, covariance, factors = 1.0, correlation, []
    for _ in range(layers):
        c = min(1.0, covariance / variance)
        factors.append((variance + float(arc_cosine_0(c))) / (variance + 1))
        variance += 1 / BATCH_NORM_GAIN if centred else 1.0
        covariance += _centred_branch(c)
    return _profile(factors)


def _centred_branch(c: float) -> float:
    """Covariance over the batch of two examples' W relu(norm(x)): kappa_1(c) - kappa_1(0)."""
    return float(arc_cosine_1(min(1.0, c))) - 1 / np.pi


def _profile(factors: list[float]) -> np.ndarray:
    """What the layers from each one on keep between them."""
    return np.append(np.cumprod(factors[::-1])[::-1], 1.0)


def _check(layers: int, correlation: float) -> None:
    if layers < 0:
        raise ValueError(f"layers={layers} must not be negative.")
    if not -1 <= correlation <= 1:
        raise ValueError(f"correlation={correlation} must be in [-1, 1].")
