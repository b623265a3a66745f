"""Convolution with stride and dilation over one to three spatial axes."""

from jaxtyping import Array, Float

from jaxseg.ops import canonical, symbolic, trilinear
from jaxseg.ops._lowering import is_direct
from jaxseg.ops.check import check_operands
from jaxseg.ops.geometry import conv_geometry, without_excess
from jaxseg.ops.options import Padding, Sizes


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

    with stride s, dilation d (atrous convolution, `rhs_dilation`) and p pixels of padding in front.

    Args:
        x: images, (batch, *space, in), with 1, 2 or 3 spatial axes.
        kernel: (*window, in / groups, out), of the dtype of `x`.
        stride: step between output pixels, in input pixels; one integer or one per axis.
        dilation: distance between the taps of the window, in input pixels; one integer or one per
            axis.
        padding: "same" pads so that out = ceil(in / stride), an odd pixel behind; "valid" pads
            nothing (both in any case); an integer p pads p zeros on both sides, as in PyTorch; or
            one integer or pair (before, after) per axis.
        groups: number of groups into which channels and features are split; a feature sees the
            channels of its own group only. `groups == in` is a depthwise convolution.

    Returns:
        (batch, *size, out), of the dtype of `x`, where `size` is what `conv_output_size` returns.

    Raises:
        ValueError: ranks, channels, dtypes or options do not fit together.

    Source:
        Yu & Koltun, "Multi-scale context aggregation by dilated convolutions", 2016, eq. 2
        (arXiv:1511.07122); Dumoulin & Visin, 2016 (arXiv:1603.07285).

    Example:
        A difference of neighbors, at a distance of two pixels:

        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> x = jnp.array([0.0, 1.0, 4.0, 9.0, 16.0]).reshape(1, 5, 1)
        >>> kernel = jnp.array([-1.0, 1.0]).reshape(2, 1, 1)
        >>> ops.conv(x, kernel, dilation=2, padding="valid").ravel().tolist()
        [4.0, 8.0, 12.0]
        >>> ops.conv(jnp.ones((2, 65, 33, 3)), jnp.ones((3, 3, 3, 8)), stride=2).shape
        (2, 33, 17, 8)
    """
    check_operands("conv", x, kernel, groups)
    if symbolic.is_symbolic(x.shape[1:-1]):
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
    geometry, input_crop, output_crop = without_excess(whole)
    form = canonical if is_direct(x, kernel) else trilinear
    y = form.convolution(canonical.crop(x, input_crop), kernel, geometry=geometry)
    return canonical.pad(y, output_crop)
