"""Upconvolution: dilate the input, then convolve."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.ops import canonical, symbolic
from jaxseg.ops._lowering import current_form, explicit
from jaxseg.ops.check import check_operands
from jaxseg.ops.geometry import Padding, Sizes, upconv_geometry, without_excess
from jaxseg.ops.trilinear import trilinear


def upconv(
    x: Float[Array, "batch *space channels"],
    kernel: Float[Array, "*window channels_per_group features"],
    *,
    stride: Sizes = 2,
    dilation: Sizes = 1,
    padding: Padding = "same",
    output_padding: Sizes = 0,
    groups: int = 1,
) -> Float[Array, "batch *size features"]:
    """Upsample by a learned kernel: put stride - 1 zeros between pixels, then convolve.

    Known too as transposed convolution, "deconvolution" or fractionally strided convolution: it
    is the input gradient of the convolution with the same options and the turned kernel. The
    kernel here is *not* flipped, y = conv(dilate(x, stride), kernel): a PyTorch weight (in, out /
    groups, *window) is the same map after reversing its window and moving its axes.

    Args:
        x: images, (batch, *space, in), with 1, 2 or 3 spatial axes.
        kernel: (*window, in / groups, out), of the dtype of `x`.
        stride: factor of upsampling (`lhs_dilation`); one integer or one per axis.
        dilation: distance between the taps of the window, in output pixels, likewise.
        padding: what is cropped from the full result of (in - 1) * stride + (k - 1) * dilation + 1
            pixels: "same" leaves in * stride; "valid" crops nothing; an integer is PyTorch's
            `padding`; or one integer or pair (before, after) per axis.
        output_padding: pixels more at the end of each axis, below the larger of stride and
            dilation: which of the sizes that a strided convolution maps to one is restored.
        groups: as in `conv`.

    Returns:
        (batch, *size, out), of the dtype of `x`, with `size` as `upconv_output_size` says.

    Raises:
        ValueError: ranks, channels, dtypes or options that do not fit together.

    Source:
        Dumoulin & Visin, 2016, section 4 (arXiv:1603.07285).
    """
    check_operands("upconv", x, kernel, groups)
    whole = upconv_geometry(
        x.shape[1:-1],
        kernel.shape[:-2],
        stride=stride,
        dilation=dilation,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
    )
    if symbolic.symbolic(x.shape[1:-1]):
        return symbolic.upconv(x, kernel, whole)
    geometry, unseen, blind = without_excess(whole)
    form = current_form()
    if 0 in geometry.output:
        return jnp.zeros((x.shape[0], *whole.input, kernel.shape[-1]), x.dtype)
    x = canonical.cropped(x, blind)
    if form == "direct" or explicit(x, kernel):
        y = canonical.upconvolution(x, kernel, geometry=geometry)
    else:
        y = trilinear("x", x, canonical.turned(kernel, groups), geometry, form)
    return canonical.padded(y, unseen)
