"""Convolution and upconvolution as modules: they hold the kernel and call `ops`."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import ops
from jaxseg.nn.initializers import Initializer, he_normal
from jaxseg.ops.geometry import Padding, Sizes


class Conv(nnx.Module):
    """`ops.conv` with a learned kernel (*window, in / groups, out) and, if asked for, a bias.

    Args:
        inputs: channels of the input.
        features: channels of the output.
        window: taps per axis; an integer means two spatial axes.
        stride: as in `ops.conv`, like `dilation`, `padding` and `groups`.
        dilation: see `stride`.
        padding: see `stride`.
        groups: see `stride`.
        bias: add a learned shift per feature, zero at first.
        kernel_init: initialiser of the kernel.
        dtype: the dtype that is computed in; parameters are float32. None: that of the input.
        rngs: the key of the kernel is drawn from its `params` stream.
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        window: Sizes = 3,
        *,
        stride: Sizes = 1,
        dilation: Sizes = 1,
        padding: Padding = "same",
        groups: int = 1,
        bias: bool = False,
        kernel_init: Initializer | None = None,
        dtype: Any = None,
        rngs: nnx.Rngs,
    ):
        self.kernel = _kernel(inputs, features, window, groups, kernel_init, rngs)
        self.bias = nnx.Param(jnp.zeros(features)) if bias else None
        self.stride, self.dilation = stride, dilation
        self.padding: Padding = padding
        self.groups, self.dtype = groups, dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, *space, inputs) -> (batch, *size, features)."""
        x, kernel, bias = _promote(self.dtype, x, self.kernel[...], self.bias)
        y = ops.conv(
            x,
            kernel,
            stride=self.stride,
            dilation=self.dilation,
            padding=self.padding,
            groups=self.groups,
        )
        return y if bias is None else shift(y, bias)


class UpConv(nnx.Module):
    """`ops.upconv` with a learned kernel (*window, in / groups, out); arguments as in `Conv`."""

    def __init__(
        self,
        inputs: int,
        features: int,
        window: Sizes = 4,
        *,
        stride: Sizes = 2,
        dilation: Sizes = 1,
        padding: Padding = "same",
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = False,
        kernel_init: Initializer | None = None,
        dtype: Any = None,
        rngs: nnx.Rngs,
    ):
        self.kernel = _kernel(inputs, features, window, groups, kernel_init, rngs)
        self.bias = nnx.Param(jnp.zeros(features)) if bias else None
        self.stride, self.dilation = stride, dilation
        self.padding: Padding = padding
        self.output_padding, self.groups, self.dtype = output_padding, groups, dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, *space, inputs) -> (batch, *size, features)."""
        x, kernel, bias = _promote(self.dtype, x, self.kernel[...], self.bias)
        y = ops.upconv(
            x,
            kernel,
            stride=self.stride,
            dilation=self.dilation,
            padding=self.padding,
            output_padding=self.output_padding,
            groups=self.groups,
        )
        return y if bias is None else shift(y, bias)


def shift(x: jax.Array, bias: jax.Array) -> jax.Array:
    """Add one number per channel: (..., channels) + (channels,)."""
    return x + bias.reshape((1,) * (x.ndim - 1) + bias.shape)


def _kernel(
    inputs: int, features: int, window: Sizes, groups: int, init: Initializer | None, rngs: nnx.Rngs
) -> nnx.Param:
    if inputs < 1 or features < 1 or groups < 1 or inputs % groups or features % groups:
        raise ValueError(
            f"inputs={inputs} and features={features} must be positive multiples of "
            f"groups={groups}."
        )
    taps = (window, window) if isinstance(window, int) else tuple(window)
    shape = (*taps, inputs // groups, features)
    return nnx.Param((init or he_normal())(rngs.params(), shape, jnp.float32))


def _promote(dtype: Any, x: jax.Array, kernel: jax.Array, bias: nnx.Param | None):
    """Cast to the computing dtype: the module's own, else the input's."""
    dtype = x.dtype if dtype is None else dtype
    return (
        x.astype(dtype),
        kernel.astype(dtype),
        None if bias is None else bias[...].astype(dtype),
    )
