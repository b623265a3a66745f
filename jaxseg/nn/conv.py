"""Convolution and upconvolution as modules: they hold the kernel and call `ops`."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import ops
from jaxseg.nn.initializers import Initializer, he_normal
from jaxseg.ops.options import Padding, Sizes


class Conv(nnx.Module):
    """`ops.conv` with a learned kernel and, if asked for, a bias.

    Args:
        inputs: channels of the input.
        features: channels of the output.
        window: number of taps; an integer means two spatial axes, a sequence has one per axis.
        stride: step between output pixels, in input pixels; one integer or one per axis.
        dilation: distance between the taps of the window, in input pixels; one integer or one per
            axis.
        padding: "same" pads so that out = ceil(in / stride); "valid" pads nothing; an integer pads
            both sides, as in PyTorch; or one integer or pair (before, after) per axis.
        groups: number of groups of channels that do not see each other; it divides `inputs` and
            `features`.
        bias: add a learned number per feature, initially zero.
        kernel_init: initializer of the kernel; None means `initializers.he_normal()`.
        dtype: dtype of the computation, to which inputs and parameters are cast; None means that
            of the input. Parameters are kept in float32.
        rngs: its `params` stream gives the key of the kernel.

    Attributes:
        kernel: (*window, inputs / groups, features).
        bias: (features,), or None.

    Raises:
        ValueError: channels that are not positive multiples of `groups`.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import nn
        >>> conv = nn.Conv(3, 8, stride=2, dilation=2, rngs=nnx.Rngs(0))
        >>> conv.kernel.shape
        (3, 3, 3, 8)
        >>> conv(jnp.ones((2, 33, 65, 3))).shape
        (2, 17, 33, 8)
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
        self.kernel = _make_kernel(inputs, features, window, groups, kernel_init, rngs)
        self.bias = nnx.Param(jnp.zeros(features, jnp.float32)) if bias else None
        self.stride, self.dilation = stride, dilation
        self.padding: Padding = padding
        self.groups, self.dtype = groups, dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (batch, *space, inputs) to (batch, *size, features)."""
        x, kernel, bias = _to_compute_dtype(self.dtype, x, self.kernel[...], self.bias)
        y = ops.conv(
            x,
            kernel,
            stride=self.stride,
            dilation=self.dilation,
            padding=self.padding,
            groups=self.groups,
        )
        return y if bias is None else add_bias(y, bias)


class UpConv(nnx.Module):
    """`ops.upconv` with a learned kernel and, if asked for, a bias.

    Args:
        inputs: channels of the input.
        features: channels of the output.
        window: number of taps; an integer means two spatial axes, a sequence has one per axis.
        stride: factor of upsampling; one integer or one per axis.
        dilation: distance between the taps of the window, in output pixels; one integer or one per
            axis.
        padding: what is cropped from the full output: "same" leaves in * stride pixels; "valid"
            crops nothing; an integer is PyTorch's `padding`; or one integer or pair (before,
            after) per axis.
        output_padding: extra pixels at the end of each axis; one integer or one per axis.
        groups: number of groups of channels that do not see each other; it divides `inputs` and
            `features`.
        bias: add a learned number per feature, initially zero.
        kernel_init: initializer of the kernel; None means `initializers.he_normal()`.
        dtype: dtype of the computation, to which inputs and parameters are cast; None means that
            of the input. Parameters are kept in float32.
        rngs: its `params` stream gives the key of the kernel.

    Attributes:
        kernel: (*window, inputs / groups, features), not flipped.
        bias: (features,), or None.

    Raises:
        ValueError: channels that are not positive multiples of `groups`.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import nn
        >>> up = nn.UpConv(8, 4, window=4, stride=2, rngs=nnx.Rngs(0))
        >>> up(jnp.ones((2, 16, 16, 8))).shape
        (2, 32, 32, 4)
    """

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
        self.kernel = _make_kernel(inputs, features, window, groups, kernel_init, rngs)
        self.bias = nnx.Param(jnp.zeros(features, jnp.float32)) if bias else None
        self.stride, self.dilation = stride, dilation
        self.padding: Padding = padding
        self.output_padding, self.groups, self.dtype = output_padding, groups, dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (batch, *space, inputs) to (batch, *size, features)."""
        x, kernel, bias = _to_compute_dtype(self.dtype, x, self.kernel[...], self.bias)
        y = ops.upconv(
            x,
            kernel,
            stride=self.stride,
            dilation=self.dilation,
            padding=self.padding,
            output_padding=self.output_padding,
            groups=self.groups,
        )
        return y if bias is None else add_bias(y, bias)


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """Add one number per channel: (..., channels) + (channels,)."""
    return x + bias.reshape((1,) * (x.ndim - 1) + bias.shape)


def _make_kernel(
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


def _to_compute_dtype(dtype: Any, x: jax.Array, kernel: jax.Array, bias: nnx.Param | None):
    """Cast to the dtype of the computation: the module's own, else that of the input."""
    dtype = x.dtype if dtype is None else dtype
    return (
        x.astype(dtype),
        kernel.astype(dtype),
        None if bias is None else bias[...].astype(dtype),
    )
