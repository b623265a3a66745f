"""The context module of Yu & Koltun: dilations that double, at the resolution of the scores."""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.nn.conv import Conv
from jaxseg.nn.initializers import Initializer

_DILATIONS = (1, 1, 2, 4, 8, 16, 1)
_WIDTHS = {"basic": (1, 1, 1, 1, 1, 1, 1, 1), "large": (2, 2, 4, 8, 16, 32, 32, 1)}


class ContextModule(nnx.Module):
    """Seven 3x3 convolutions of dilations 1, 1, 2, 4, 8, 16, 1 with ReLU, then a 1x1 convolution.

    Their outputs see 3, 5, 9, 17, 33, 65, 67 and 67 pixels per side. Maps keep their size. The
    kernels start as the identity, so that a module put behind a trained net begins by passing on
    its (non-negative) scores.

    Args:
        classes: channels of the input and of the output.
        width: "basic" keeps that number throughout; "large" has 2, 2, 4, 8, 16, 32, 32 times as
            many in between.
        noise: standard deviation of the noise that is added to the identity, by which channels
            that start equal can become different.
        rngs: its `params` stream gives the keys of the noise.

    Raises:
        ValueError: an unknown width.

    Source:
        Yu & Koltun, "Multi-scale context aggregation by dilated convolutions", 2016, table 1
        (arXiv:1511.07122).

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import nn
        >>> module = nn.ContextModule(2, noise=0.0, rngs=nnx.Rngs(0))
        >>> scores = jnp.ones((1, 6, 6, 2))
        >>> bool((module(scores) == scores).all())
        True
    """

    def __init__(
        self,
        classes: int,
        *,
        width: Literal["basic", "large"] = "basic",
        noise: float = 1e-3,
        rngs: nnx.Rngs,
    ):
        if width not in _WIDTHS:
            raise ValueError(f'ContextModule: width={width!r} is unknown: give "basic" or "large".')
        features = [classes * factor for factor in _WIDTHS[width]]
        pairs = zip([classes, *features[:-2]], features[:-1], _DILATIONS, strict=True)
        init = identity(noise)
        self.layers = nnx.List(
            [Conv(i, o, dilation=d, bias=True, kernel_init=init, rngs=rngs) for i, o, d in pairs]
        )
        self.last = Conv(features[-2], classes, 1, bias=True, kernel_init=init, rngs=rngs)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map (batch, height, width, classes) to the same shape; `train` makes no difference."""
        del train
        for layer in self.layers:
            x = jax.nn.relu(layer(x))
        return self.last(x)


def identity(noise: float = 0.0) -> Initializer:
    r"""Make kernels that pass channels on, repeated into more or averaged into fewer.

    .. math:: k_b(t, a) = \frac{[t = 0] [g(a) = g(b)]}{n_b} + \epsilon

    where g sorts the input channels a and the output channels b into as many groups as there are
    channels on the smaller side, n_b is the number of input channels that output b averages, and
    the noise is Gaussian. Equal widths give the identity.

    Args:
        noise: standard deviation of the noise.

    Source:
        Yu & Koltun, 2016, eqs. 4 and 5 (arXiv:1511.07122). Where channels become more, their eq. 5
        divides by the ratio, which shrinks what is passed on; this does not.
    """

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        *window, inputs, features = shape
        common = min(inputs, features)
        of_input = jnp.arange(inputs) * common // inputs
        of_feature = jnp.arange(features) * common // features
        matrix = (of_input[:, None] == of_feature[None, :]).astype(dtype)
        matrix = matrix / jnp.sum(matrix, axis=0, keepdims=True)
        kernel = noise * jax.random.normal(key, shape, dtype)
        return kernel.at[tuple((k - 1) // 2 for k in window)].add(matrix)

    return init
