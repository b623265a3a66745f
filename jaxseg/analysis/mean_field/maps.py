"""Layers of an infinitely wide random net: variances, correlations, gradients."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxseg.analysis.mean_field.activations import Activation


@dataclass(frozen=True)
class Layer:
    """x -> W φ(x) + b, or x + branch_scale (W φ(x) + b), drawn anew in every layer.

    x are pre-activations. W has independent entries of variance weight_variance / width, b of
    variance bias_variance (Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017,
    arXiv:1611.01232; with the branch, in the manner of Yang & Schoenholz 2017, arXiv:1712.08969).
    A convolution whose input is the same at all pixels is such a layer, with its fan-in for the
    width (Xiao et al. 2018, arXiv:1806.05393).

    Attributes:
        activation: φ.
        weight_variance: σ_w², positive.
        bias_variance: σ_b², not negative.
        branch_scale: α, the scale of a residual net's branch; None for a plain net.

    Raises:
        ValueError: A variance is out of range.
    """

    activation: Activation
    weight_variance: float
    bias_variance: float = 0.0
    branch_scale: float | None = None

    def __post_init__(self):
        if not self.weight_variance > 0:
            raise ValueError(
                f"weight_variance={self.weight_variance}: expected a positive number, "
                "such as 2 for ReLU as He et al. initialize it."
            )
        if not self.bias_variance >= 0:
            raise ValueError(f"bias_variance={self.bias_variance}: expected 0 or more.")


class Trajectory(NamedTuple):
    """Variances, correlations and gradients through the layers of a net.

    Attributes:
        variances: (depth + 1,) q of the input and behind every layer.
        correlations: (depth + 1,) c of two inputs' features, likewise.
        gradient_gains: (depth,) factor of a squared gradient from a layer's output to its input.
    """

    variances: np.ndarray
    correlations: np.ndarray
    gradient_gains: np.ndarray


def variance_map(layer: Layer, variance: float) -> float:
    """The variance one layer on, q' = σ_w² E[φ(√q z)²] + σ_b².

    With a branch it is q plus α² times that.

    Args:
        layer: Layer of the net.
        variance: q >= 0.

    Example:
        >>> from jaxseg.analysis import mean_field
        >>> mean_field.variance_map(mean_field.Layer(mean_field.RELU, 2.0, 0.5), 3.0)
        3.5

    Source:
        Poole et al. 2016, arXiv:1606.05340, section 2; Schoenholz et al. 2017, arXiv:1611.01232.
    """
    return _add_shortcut(layer, variance, _branch_covariance(layer, variance, 1.0))


def correlation_map(layer: Layer, correlation: float, *, variance: float) -> float:
    """The correlation one layer on, of two inputs of equal variance q.

    It is the covariance over q', c' = (σ_w² E[φ(u) φ(v)] + σ_b²) / q', with u and v
    of variance q and correlation c; with a branch, (q c + α² times that numerator) / q'.

    Args:
        layer: Layer of the net.
        correlation: c in [-1, 1].
        variance: q > 0.

    Raises:
        ValueError: `correlation` is out of range, or a variance is 0 or beyond float64, so that c'
            is not defined.

    Example:
        >>> from jaxseg.analysis import mean_field
        >>> layer = mean_field.Layer(mean_field.RELU, 2.0)
        >>> round(mean_field.correlation_map(layer, 0.0, variance=1.0), 4)  # 1 / pi
        0.3183

    Source:
        Poole et al. 2016, arXiv:1606.05340, section 2; Schoenholz et al. 2017, arXiv:1611.01232.
    """
    if not -1 <= correlation <= 1:
        raise ValueError(f"correlation={correlation}: expected a number in [-1, 1].")
    after = variance_map(layer, variance)
    if not (variance > 0 and after > 0 and np.isfinite(after)):
        raise ValueError(
            f"variance={variance} becomes {after}: a correlation needs finite variances above 0; "
            "give bias_variance > 0 or a larger weight_variance where it vanishes, a smaller "
            "branch_scale or fewer layers where it overflows."
        )
    branch = _branch_covariance(layer, variance, correlation)
    ratio = _add_shortcut(layer, variance * correlation, branch) / after
    return min(1.0, max(-1.0, ratio))


def gradient_gain(layer: Layer, *, variance: float, correlation: float = 1.0) -> float:
    """The gain of a squared gradient through one layer, σ_w² E[φ'(u) φ'(v)].

    With a branch it is 1 + α² times the gain of the branch. At c = 1 it is the factor by
    which the squared norm of a gradient grows from a layer's output to its input, χ₁ at the
    fixed point. At other correlations it is the factor of the inner product of two inputs'
    gradients. At the fixed variance of a plain net it is also the slope of the correlation map.

    Args:
        layer: Layer of the net.
        variance: q, the variance of the layer's input.
        correlation: c, the correlation of the two inputs.

    Source:
        Schoenholz et al. 2017, arXiv:1611.01232.
    """
    gain = layer.weight_variance * layer.activation.slopes(variance, correlation)
    return gain if layer.branch_scale is None else 1 + layer.branch_scale**2 * gain


def iterate(
    layer: Layer, depth: int, *, variance: float = 1.0, correlation: float = 0.0
) -> Trajectory:
    """Go through `depth` layers.

    Args:
        layer: Layer of the net.
        depth: Number of layers.
        variance: q of both inputs.
        correlation: c of the two inputs.

    Raises:
        ValueError: `correlation` is out of [-1, 1], or a variance becomes 0 or overflows float64.

    Example:
        >>> from jaxseg.analysis import mean_field
        >>> layer = mean_field.Layer(mean_field.RELU, 2.0)
        >>> mean_field.iterate(layer, 3).correlations.round(4)  # 0, 1 / pi, ...
        array([0.    , 0.3183, 0.4937, 0.6048])
    """
    variances, correlations, gains = [variance], [correlation], []
    for _ in range(depth):
        gains.append(gradient_gain(layer, variance=variances[-1]))
        correlations.append(correlation_map(layer, correlations[-1], variance=variances[-1]))
        variances.append(variance_map(layer, variances[-1]))
    return Trajectory(np.array(variances), np.array(correlations), np.array(gains))


def _branch_covariance(layer: Layer, variance: float, correlation: float) -> float:
    """Covariance of W φ(x) + b over two inputs."""
    return (
        layer.weight_variance * layer.activation.product(variance, correlation)
        + layer.bias_variance
    )


def _add_shortcut(layer: Layer, before: float, branch: float) -> float:
    return branch if layer.branch_scale is None else before + layer.branch_scale**2 * branch
