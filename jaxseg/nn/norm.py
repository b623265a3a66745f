"""Normalizations of the channels of the last axis, all called as `norm(x, train=...)`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from jaxseg.nn.conv import add_bias
from jaxseg.ops import standardize
from jaxseg.ops.check import to_float32

NormFactory = Callable[[int], nnx.Module]
"""Makes a normalization for a number of features, which is called as `norm(x, train=...)`."""


class BatchNorm(nnx.Module):
    """Normalize each channel over batch and space.

    In training the statistics of the batch are used, and the running ones move a tenth of the way
    toward them by default (PyTorch's momentum of 0.1); in evaluation the running ones are used.
    The running variance is that of the n values themselves, where PyTorch's is n / (n - 1) times
    it. Where a channel has no more than one value, an empty batch or one pixel of one example,
    there is no spread: there the running statistics are used and kept, in training too (PyTorch
    raises). 16-bit inputs are normalized in float32 and returned in their own dtype. Values far
    from zero keep their precision, since the mean is subtracted twice.

    Args:
        features: number of channels.
        scale: learn a factor per channel. A ReLU and convolution behind can express it as well.
        momentum: what the running statistics keep of themselves (1 minus PyTorch's momentum).
        epsilon: added to the variance.

    Attributes:
        mean: running mean, (features,).
        var: running variance, (features,).
        scale: learned factor, (features,), or None.
        bias: learned shift, (features,).

    Source:
        Ioffe & Szegedy, "Batch normalization", 2015, algorithm 1 (arXiv:1502.03167).

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import nn
        >>> norm = nn.BatchNorm(1, epsilon=0.0)
        >>> norm(jnp.array([[1.0], [3.0]]), train=True).ravel().tolist()
        [-1.0, 1.0]
        >>> print(f"{norm.mean[...].item():.1f}")
        0.2
    """

    def __init__(
        self, features: int, *, scale: bool = True, momentum: float = 0.9, epsilon: float = 1e-5
    ):
        self.mean = nnx.BatchStat(jnp.zeros(features, jnp.float32))
        self.var = nnx.BatchStat(jnp.ones(features, jnp.float32))
        self.scale = nnx.Param(jnp.ones(features, jnp.float32)) if scale else None
        self.bias = nnx.Param(jnp.zeros(features, jnp.float32))
        self.momentum, self.epsilon = momentum, epsilon

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map (batch, *space, features) to the same shape; with `train`, update the statistics."""
        wide, features = to_float32(x), x.shape[-1]
        scale, bias = _affine(self, wide.dtype)
        if train and x.size not in (0, features):
            axes = range(x.ndim - 1)
            y, mean, variance = standardize(wide, scale, bias, axes=axes, epsilon=self.epsilon)
            self._update(self.mean, mean.reshape(features))
            self._update(self.var, variance.reshape(features))
        else:
            mean, variance = (s[...].astype(wide.dtype) for s in (self.mean, self.var))
            factor = lax.rsqrt(variance + self.epsilon) * scale
            y = add_bias(add_bias(wide, -mean) * factor.reshape((1,) * (x.ndim - 1) + (-1,)), bias)
        return y.astype(x.dtype)

    def _update(self, running: nnx.BatchStat, current: jax.Array) -> None:
        current = lax.stop_gradient(current).astype(running[...].dtype)
        running[...] = self.momentum * running[...] + (1 - self.momentum) * current


class GroupNorm(nnx.Module):
    """Normalize each example over space and groups of channels.

    Examples stay independent, so per-example gradients are well defined, and nothing differs
    between training and evaluation. 16-bit inputs are normalized in float32 and returned in their
    own dtype. Values far from zero keep their precision, since the mean is subtracted twice.

    Args:
        features: number of channels.
        groups: number of groups; it divides `features`.
        scale: learn a factor per channel.

    Attributes:
        scale: learned factor, (features,), or None.
        bias: learned shift, (features,).

    Raises:
        ValueError: `groups` does not divide `features`.

    Source:
        Wu & He, "Group normalization", 2018, eqs. 1 to 7 (arXiv:1803.08494).

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import nn
        >>> norm = nn.GroupNorm(2, groups=1)
        >>> [round(v, 3) for v in norm(jnp.array([[[1.0, 3.0]]])).ravel().tolist()]
        [-1.0, 1.0]
    """

    def __init__(self, features: int, *, groups: int = 8, scale: bool = True):
        if groups < 1 or features % groups:
            raise ValueError(
                f"GroupNorm: features={features} do not divide into groups={groups}: "
                "choose a divisor."
            )
        self.scale = nnx.Param(jnp.ones(features, jnp.float32)) if scale else None
        self.bias = nnx.Param(jnp.zeros(features, jnp.float32))
        self.groups, self.epsilon = groups, 1e-5

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map (batch, *space, features) to the same shape; `train` makes no difference."""
        del train
        wide = to_float32(x)
        y, _, _ = standardize(
            wide,
            *_affine(self, wide.dtype),
            axes=range(1, x.ndim - 1),
            groups=self.groups,
            epsilon=self.epsilon,
        )
        return y.astype(x.dtype)


class Bias(nnx.Module):
    """Add the learned shift that the other normalizations carry too, and normalize nothing.

    Args:
        features: number of channels.

    Attributes:
        bias: learned shift, (features,).
    """

    def __init__(self, features: int):
        self.bias = nnx.Param(jnp.zeros(features, jnp.float32))

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map (batch, *space, features) to the same shape; `train` makes no difference."""
        del train
        return add_bias(x, self.bias[...].astype(x.dtype))


def _affine(norm: BatchNorm | GroupNorm, dtype: Any) -> tuple[jax.Array, jax.Array]:
    """Return the factor and the shift of each channel in a dtype."""
    bias = norm.bias[...].astype(dtype)
    return jnp.ones_like(bias) if norm.scale is None else norm.scale[...].astype(dtype), bias
