"""The convolutions of `ops` in plain `lax`, without what converters to ONNX get wrong.

jax2onnx refuses `lhs_dilation` and interior padding, or converts them wrongly. `upconvolution` is
the one place where an upconvolution is written without both.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops import canonical, rewrites
from jaxseg.ops.geometry import Geometry


def plain_trilinear(lhs: jax.Array, rhs: jax.Array, *, mode: str, geometry: Geometry) -> jax.Array:
    """Replace the primitive of `ops.trilinear`, in the modes that a net's forward pass has.

    Args:
        lhs: Images or upconvolution's input, with a leading axis of length 1.
        rhs: Kernel, likewise.
        mode: "y" for a convolution, "x" for an upconvolution.
        geometry: Sizes, stride, dilation and padding of the convolution.

    Raises:
        ValueError: The mode is that of a kernel's gradient.
    """
    if mode == "y":
        return canonical.convolution(lhs[0], rhs[0], geometry=geometry)[None]
    if mode == "x":
        return upconvolution(lhs[0], rhs[0], geometry)[None]
    raise ValueError("the net takes the gradient of a kernel, which cannot be exported.")


def upconvolution(y: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Transpose a convolution without `lhs_dilation` and without interior padding.

    Args:
        y: Output of the convolution, (batch, *output, features).
        kernel: Kernel (*window, in / groups, features).
        geometry: Sizes, stride, dilation and padding of the convolution.

    Returns:
        Array (batch, *input, in).
    """
    if geometry.groups == 1 and max(geometry.dilation) == 1:
        return rewrites.block_input_gradient(y, kernel, geometry=geometry)
    for axis, stride in enumerate(geometry.stride, start=1):
        y = _dilate(y, axis, stride)
    dense = dataclasses.replace(geometry, output=y.shape[1:-1], stride=(1,) * len(geometry.stride))
    return canonical.input_gradient(y, kernel, geometry=dense)


def _dilate(y: jax.Array, axis: int, stride: int) -> jax.Array:
    """Put stride - 1 zeros between the entries of an axis."""
    if stride == 1:
        return y
    length = y.shape[axis]
    columns = lax.expand_dims(y, [axis + 1])
    zeros = jnp.zeros((*y.shape[: axis + 1], stride - 1, *y.shape[axis + 1 :]), y.dtype)
    dilated = lax.concatenate([columns, zeros], axis + 1)
    flat = dilated.reshape(*y.shape[:axis], length * stride, *y.shape[axis + 1 :])
    return lax.slice_in_dim(flat, 0, (length - 1) * stride + 1, axis=axis)
