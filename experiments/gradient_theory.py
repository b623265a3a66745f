"""What wide-limit theory says of the arms of `gradient_norms`: closed forms, nothing fitted."""

import math

import numpy as np

from jaxseg.analysis import shattering
from jaxseg.analysis.finite_width import he_log_moments, he_log_moments_exact
from jaxseg.analysis.mean_field import (
    BATCH_NORM_GAIN,
    RELU,
    Layer,
    batch_norm_branch_fraction,
    batch_norm_moment,
    iterate,
)

__all__ = ["gradient_correlation", "he_log_moments", "he_log_moments_exact", "profile"]


def branch_scale(arm: str, layers: int) -> float | None:
    """Of an arm without norm; None where there is no shortcut."""
    return {"residual": 1.0, "residual_scaled": 1 / math.sqrt(layers), "residual_zero": 0.0}.get(
        arm
    )


def profile(arm: str, quantity: str, layers: int) -> np.ndarray:
    """(layers + 1,), or (layers,) for the branch fraction; NaN where theory has nothing to say.

    Args:
        arm: one of `gradient_arms.ARMS`.
        quantity: as in `gradient_arms.profiles`.
        layers: L.
    """
    if quantity == "gradient_correlation":
        return gradient_correlation(arm, layers)
    if arm.endswith("norm"):
        return _normalised(arm == "residual_norm", layers)[quantity]
    scale = branch_scale(arm, layers)
    path = iterate(Layer(RELU, 2.0, branch_scale=scale), layers)
    moments = np.log(path.variances)
    fraction = math.nan if scale is None else scale**2 / (1 + scale**2)
    return {
        "log_moment": moments,
        "correlation": path.correlations,
        "log_gradient": 0.5 * (moments[-1] - moments),
        "branch_fraction": np.full(layers, fraction),
    }[quantity]


def _normalised(residual: bool, layers: int) -> dict[str, np.ndarray]:
    """Of inputs that are uncorrelated and of variance 1."""
    at = np.arange(layers + 1)
    # Over the batch a branch varies by 1 / gain only: the rest is the same for all examples.
    variances = (
        1 + at / BATCH_NORM_GAIN
        if residual
        else np.append(1.0, np.full(layers, 1 / BATCH_NORM_GAIN))
    )
    factors = np.log(float(residual) + 1 / variances[:-1])
    moments = batch_norm_moment(layers)
    plain_correlations = np.where(at > 0, 1 / np.pi, 0.0)
    return {
        "log_moment": np.log(moments) if residual else np.zeros(layers + 1),
        "correlation": at / np.pi / moments if residual else plain_correlations,
        "log_gradient": 0.5 * np.append(np.cumsum(factors[::-1])[::-1], 0.0),
        "branch_fraction": batch_norm_branch_fraction(layers)
        if residual
        else np.full(layers, math.nan),
    }


def gradient_correlation(arm: str, layers: int, correlation: float = 0.0) -> np.ndarray:
    """(layers + 1,) cosine of dE/dx_l at two inputs of this correlation."""
    if arm == "plain_norm":
        return shattering.batch_norm_plain(layers, correlation=correlation)
    if arm == "residual_norm":
        return shattering.batch_norm_residual(layers, correlation=correlation)
    scale = branch_scale(arm, layers)
    return shattering.he_relu(layers, branch_scale=scale, correlation=correlation)
