"""Convolution with stride and dilation over any number of spatial axes."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.ops import canonical, symbolic
from jaxseg.ops._lowering import current_form, explicit
from jaxseg.ops.check import check_operands
from jaxseg.ops.geometry import Padding, Sizes, conv_geometry, without_excess
from jaxseg.ops.trilinear import trilinear


def conv(
    x: Float[Array, "batch *space channels"],
    kernel: Float[Array, "*window channels_per_group features"],
    *,
    stride: Sizes = 1,
    dilation: Sizes = 1,
    padding: Padding = "same",
    groups: int = 1,
) -> Float[Array, "batch *size features"]:
    r"""Convolve channels-last images; a cross-correlation, as everywhere in deep learning.

    .. math:: y_{o} = \sum_{t} x_{o s + t d - p} \, k_{t}

    with stride s, dilation d (atrous convolution, `rhs_dilation`) and p pixels of padding before.

    Args:
        x: images, (batch, *space, in), with 1, 2 or 3 spatial axes.
        kernel: (*window, in / groups, out), of the dtype of `x`.
        stride: step between output pixels, in input pixels; one integer or one per axis.
        dilation: distance between the taps of the window, in input pixels, likewise.
        padding: "same" pads so that out = ceil(in / stride), the odd pixel behind; "valid" pads
            nothing; an integer p pads p zeros on both sides, as in PyTorch; or one integer or
            pair (before, after) per axis.
        groups: channels and features fall into this many groups that do not see each other;
            `groups == in` is a depthwise convolution.

    Returns:
        (batch, *size, out), of the dtype of `x`, with `size` as `conv_output_size` says.

    Raises:
        ValueError: ranks, channels, dtypes or options that do not fit together.

    Sources:
        Yu & Koltun, "Multi-scale context aggregation by dilated convolutions", 2016, eq. 2
        (arXiv:1511.07122); Dumoulin & Visin, 2016 (arXiv:1603.07285).
    """
    check_operands("conv", x, kernel, groups)
    if symbolic.symbolic(x.shape[1:-1]):
        return symbolic.conv(
            x, kernel, stride=stride, dilation=dilation, padding=padding, groups=groups
        )
    whole = conv_geometry(
        x.shape[1:-1],
        kernel.shape[:-2],
        stride=stride,
        dilation=dilation,
        padding=padding,
        groups=groups,
    )
    geometry, unseen, blind = without_excess(whole)
    form = current_form()
    if 0 in geometry.output:
        return jnp.zeros((x.shape[0], *whole.output, kernel.shape[-1]), x.dtype)
    x = canonical.cropped(x, unseen)
    if form == "direct" or explicit(x, kernel):
        y = canonical.convolution(x, kernel, geometry=geometry)
    else:
        y = trilinear("y", x, kernel, geometry, form)
    return canonical.padded(y, blind)
