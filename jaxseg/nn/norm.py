"""Normalizations of the channels of the last axis, all called as `norm(x, train=...)`."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from jaxseg.nn.conv import add_bias
from jaxseg.ops.check import to_float32

NormFactory = Callable[[int], nnx.Module]
"""Makes a normalization for a number of features, which is called as `norm(x, train=...)`."""


class BatchNorm(nnx.Module):
    """Normalize each channel over batch and space.

    In training the statistics of the batch are used, and the running ones move a tenth of the way
    towards them by default (PyTorch's momentum of 0.1); in evaluation the running ones are used.
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
        y, features = to_float32(x), x.shape[-1]
        if train and x.size not in (0, features):
            y, mean, variance = _standardize(y, tuple(range(x.ndim - 1)))
            self._update(self.mean, mean.reshape(features))
            self._update(self.var, variance.reshape(features))
        else:
            mean, variance = (s[...].astype(y.dtype) for s in (self.mean, self.var))
            y, variance = add_bias(y, -mean), variance.reshape((1,) * (x.ndim - 1) + (features,))
        return _scale_and_shift(y, variance + self.epsilon, self.scale, self.bias).astype(x.dtype)

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
        split = (*x.shape[:-1], self.groups, x.shape[-1] // self.groups)
        axes = (*range(1, x.ndim - 1), x.ndim)
        y, _, variance = _standardize(to_float32(x).reshape(split), axes)
        variance = jnp.broadcast_to(variance, (*variance.shape[:-1], split[-1]))
        variance = variance.reshape(*variance.shape[:-2], x.shape[-1])
        y = _scale_and_shift(y.reshape(x.shape), variance + self.epsilon, self.scale, self.bias)
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


def _standardize(x: jax.Array, axes: Sequence[int]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Subtract the mean over some axes, and compute the mean and the variance, keeping the axes.

    A float32 mean of many values far from zero is off by more than their spread. Its error is the
    mean of what is left after subtracting it, which is small and therefore exact enough.
    """
    # Axis by axis, which adds up fewer terms at a time. A constant to autodiff: the difference that
    # it makes is subtracted again.
    shift = lax.stop_gradient(x)
    for axis in sorted(axes, reverse=True):
        shift = jnp.mean(shift, axis, keepdims=True)
    x = x - shift
    rest = jnp.mean(x, axes, keepdims=True)
    x = x - rest
    return x, shift + rest, jnp.mean(jnp.square(x), axes, keepdims=True)


def _scale_and_shift(
    x: jax.Array, variance: jax.Array, scale: nnx.Param | None, bias: nnx.Param
) -> jax.Array:
    factor = lax.rsqrt(variance)
    if scale is not None:
        factor = factor * scale[...].astype(x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))
    return add_bias(x * factor, bias[...].astype(x.dtype))
