"""One layer of an infinitely wide random net, and many: variances, correlations, gradients."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxseg.analysis.mean_field.activations import Activation


@dataclass(frozen=True)
class Layer:
    """x -> W phi(x) + b, or x + branch_scale (W phi(x) + b), with a fresh draw in every layer.

    x are pre-activations. W has independent entries of variance weight_variance / width, b of
    bias_variance (Poole et al. 2016, arXiv 1606.05340; Schoenholz et al. 2017, 1611.01232; with the
    branch, in the manner of Yang & Schoenholz 2017, 1712.08969). A convolution whose input is alike
    at all pixels is the same layer, its fan-in for the width (Xiao et al. 2018, 1806.05393).

    Attributes:
        activation: phi.
        weight_variance: sigma_w**2, > 0.
        bias_variance: sigma_b**2, >= 0.
        branch_scale: alpha of a residual net; None for a plain one.

    Raises:
        ValueError: for a variance that is none.
    """

    activation: Activation
    weight_variance: float
    bias_variance: float = 0.0
    branch_scale: float | None = None

    def __post_init__(self):
        if not self.weight_variance > 0:
            raise ValueError(
                f"weight_variance={self.weight_variance}: expected a positive number, "
                "as 2 for He's initialisation of ReLU."
            )
        if not self.bias_variance >= 0:
            raise ValueError(f"bias_variance={self.bias_variance}: expected 0 or more.")


class Trajectory(NamedTuple):
    """What goes through the layers of a net.

    Attributes:
        variances: (depth + 1,) q, of the input and behind every layer.
        correlations: (depth + 1,) c of two inputs' features, likewise.
        gradient_gains: (depth,) factor of the squared gradient from a layer's output to its input.
    """

    variances: np.ndarray
    correlations: np.ndarray
    gradient_gains: np.ndarray


def variance_map(layer: Layer, variance: float) -> float:
    """The variance q' one layer on: sigma_w**2 E[phi(sqrt(q) z)**2] + sigma_b**2.

    With a branch, q + alpha**2 times that (Poole et al. 2016; Schoenholz et al. 2017).

    Args:
        layer: the net's.
        variance: q >= 0.
    """
    return _shortcut(layer, variance, _branch(layer, variance, 1.0))


def correlation_map(layer: Layer, correlation: float, *, variance: float) -> float:
    """The correlation c' one layer on, of two inputs of equal variance q.

    Their covariance over q', (sigma_w**2 E[phi(u) phi(v)] + sigma_b**2) / q', u and v of variance q
    and correlation c; with a branch, (q c + alpha**2 times that numerator) / q'.

    Args:
        layer: the net's.
        correlation: c in [-1, 1].
        variance: q > 0.

    Raises:
        ValueError: for c outside [-1, 1], or where a variance is 0 or beyond float64 and c' so
            undefined.
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
    branch = _branch(layer, variance, correlation)
    found = _shortcut(layer, variance * correlation, branch) / after
    return min(1.0, max(-1.0, found))


def gradient_gain(layer: Layer, *, variance: float, correlation: float = 1.0) -> float:
    """sigma_w**2 E[phi'(u) phi'(v)]; with a branch, 1 + alpha**2 times that.

    At c = 1 the factor by which the squared norm of a gradient grows from a layer's output to its
    input, chi_1 at the fixed point; elsewhere the factor of two inputs' gradients' inner product.
    At a plain net's q* it is the slope of the correlation map (Schoenholz et al. 2017).

    Args:
        layer: the net's.
        variance: q of the layer's input.
        correlation: c of the two inputs.
    """
    gain = layer.weight_variance * layer.activation.slopes(variance, correlation)
    return gain if layer.branch_scale is None else 1 + layer.branch_scale**2 * gain


def iterate(
    layer: Layer, depth: int, *, variance: float = 1.0, correlation: float = 0.0
) -> Trajectory:
    """Go through `depth` layers.

    Example:
        >>> from jaxseg.analysis.mean_field import RELU, Layer, iterate
        >>> iterate(Layer(RELU, 2.0), 3).correlations.round(4)  # 0, 1 / pi, ...
        array([0.    , 0.3183, 0.4937, 0.6048])

    Args:
        layer: the net's.
        depth: how many.
        variance: q of both inputs.
        correlation: c of the two.

    Raises:
        ValueError: as `correlation_map`.
    """
    variances, correlations, gains = [variance], [correlation], []
    for _ in range(depth):
        gains.append(gradient_gain(layer, variance=variances[-1]))
        correlations.append(correlation_map(layer, correlations[-1], variance=variances[-1]))
        variances.append(variance_map(layer, variances[-1]))
    return Trajectory(np.array(variances), np.array(correlations), np.array(gains))


def _branch(layer: Layer, variance: float, correlation: float) -> float:
    """Covariance of W phi(x) + b over two inputs."""
    return (
        layer.weight_variance * layer.activation.product(variance, correlation)
        + layer.bias_variance
    )


def _shortcut(layer: Layer, before: float, branch: float) -> float:
    return branch if layer.branch_scale is None else before + layer.branch_scale**2 * branch
