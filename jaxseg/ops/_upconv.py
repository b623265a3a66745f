"""Upconvolution: dilate the input, then convolve."""

from jaxtyping import Array, Float

from jaxseg.ops import canonical, symbolic, trilinear
from jaxseg.ops._lowering import is_direct
from jaxseg.ops.check import check_operands
from jaxseg.ops.geometry import upconv_geometry, without_excess
from jaxseg.ops.options import Padding, Sizes


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
    """Upsample with a learned kernel: put stride - 1 zeros between pixels, then convolve.

    This is also known as transposed convolution, "deconvolution" or fractionally strided
    convolution: it is the input gradient of the convolution that has the same options and the
    transposed kernel. The kernel here is *not* flipped, y = conv(dilate(x, stride), kernel): a
    PyTorch weight (in, out / groups, *window) describes the same map after reversing its window
    and moving its axes.

    Args:
        x: images, (batch, *space, in), with 1, 2 or 3 spatial axes.
        kernel: (*window, in / groups, out), of the dtype of `x`.
        stride: factor of upsampling (`lhs_dilation`); one integer or one per axis.
        dilation: distance between the taps of the window, in output pixels; one integer or one per
            axis.
        padding: what is cropped from the full result of (in - 1) * stride + (k - 1) * dilation + 1
            pixels: "same" leaves in * stride; "valid" crops nothing (both in any case); an integer
            is PyTorch's `padding`; or one integer or pair (before, after) per axis.
        output_padding: extra pixels at the end of each axis, fewer than the larger of stride and
            dilation; one integer or one per axis. A strided convolution maps several sizes to one;
            this chooses which of them is restored.
        groups: number of groups into which channels and features are split; a feature sees the
            channels of its own group only.

    Returns:
        (batch, *size, out), of the dtype of `x`, where `size` is what `upconv_output_size` returns.

    Raises:
        ValueError: ranks, channels, dtypes or options do not fit together.

    Source:
        Dumoulin & Visin, 2016, section 4 (arXiv:1603.07285).

    Example:
        A window of two taps at stride 2 repeats every pixel:

        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> x = jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)
        >>> ops.upconv(x, jnp.ones((2, 1, 1))).ravel().tolist()
        [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
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
    if symbolic.is_symbolic(x.shape[1:-1]):
        return symbolic.upconvolution(x, kernel, geometry=whole)
    # In the terms of the convolution whose input gradient this is: its output comes in.
    geometry, input_crop, output_crop = without_excess(whole)
    form = canonical if is_direct(x, kernel) else trilinear
    y = form.upconvolution(canonical.crop(x, output_crop), kernel, geometry=geometry)
    return canonical.pad(y, input_crop)
