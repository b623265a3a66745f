"""Normalisations with one interface, `norm(x, train=...)`, all over the last axis's channels."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.nn.conv import shift
from jaxseg.ops.check import widened

NormFactory = Callable[[int], nnx.Module]
"""features -> a module called as `norm(x, train=...)`."""

# The keys of learned constants are never used: flax asks for an Rngs all the same.
_NO_RNGS = 0


class BatchNorm(nnx.BatchNorm):
    """Normalise each channel over batch and space (Ioffe & Szegedy 2015, arXiv:1502.03167).

    In training the batch's own statistics are used, and the running ones move a tenth of the way
    towards them (PyTorch's momentum of 0.1) unless told otherwise; else the running ones are used.
    The running variance is that of the n values themselves, where PyTorch's is n / (n - 1) times
    it. One pixel of one example has no spread: there, in training too, the running ones are used
    and kept (PyTorch raises). `scale=False` leaves the learned scale away, which a following ReLU
    and convolution can express as well. 16-bit inputs are normalised in float32 and come back in
    their own dtype.

    Args:
        features: channels.
        scale: learn a scale a channel.
        momentum: what the running statistics keep of themselves (1 minus PyTorch's momentum).
        epsilon: added to the variance.
    """

    def __init__(
        self, features: int, *, scale: bool = True, momentum: float = 0.9, epsilon: float = 1e-5
    ):
        super().__init__(
            features,
            momentum=momentum,
            epsilon=epsilon,
            use_scale=scale,
            use_fast_variance=False,
            rngs=nnx.Rngs(_NO_RNGS),
        )

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:  # type: ignore[override]
        """(batch, *space, features) -> the same shape; updates the statistics if `train`."""
        alone = x.size == x.shape[-1]
        y = super().__call__(widened(x), use_running_average=alone or not train)
        return y.astype(x.dtype)


class GroupNorm(nnx.GroupNorm):
    """Normalise each example over space and groups of channels (Wu & He 2018, arXiv:1803.08494).

    Examples stay independent, so per-example gradients are well defined; nothing differs between
    training and evaluation. 16-bit inputs are treated as `BatchNorm` treats them.
    """

    def __init__(self, features: int, *, groups: int = 8, scale: bool = True):
        if features % groups:
            raise ValueError(
                f"GroupNorm: features={features} do not divide into groups={groups}: "
                "choose a divisor."
            )
        super().__init__(
            features,
            num_groups=groups,
            epsilon=1e-5,
            use_scale=scale,
            use_fast_variance=False,
            rngs=nnx.Rngs(_NO_RNGS),
        )

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:  # type: ignore[override]
        """(batch, *space, features) -> the same shape."""
        del train
        return super().__call__(widened(x)).astype(x.dtype)


class Bias(nnx.Module):
    """No normalisation: only the learned shift that the others carry too."""

    def __init__(self, features: int):
        self.bias = nnx.Param(jnp.zeros(features))

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, *space, features) -> the same shape."""
        del train
        return shift(x, self.bias[...].astype(x.dtype))
