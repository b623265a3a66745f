"""Output sizes and paddings of convolutions, in plain integers.

The relations are those of Dumoulin & Visin, "A guide to convolution arithmetic for deep
learning" (arXiv:1603.07285), for a window of k taps at dilation d, a stride s and a padding of p
pixels on each side:

    convolution      o = floor((i + 2p - d(k-1) - 1) / s) + 1
    upconvolution    o = s(i-1) + d(k-1) + 1 - 2p + a        (a: output padding)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxseg.ops.options import (
    Edges,
    Padding,
    Sizes,
    entries,
    is_integer,
    is_same,
    padding_pairs,
    per_axis,
)


@dataclass(frozen=True)
class Geometry:
    """Index arithmetic of a convolution: which input pixels, taps and output pixels meet.

    Input position i, tap t and output position o meet where ``i = o * stride + t * dilation -
    low``. The padding behind the input is whatever makes all output positions fit.

    Attributes:
        input: size of the convolution's input, one entry per spatial axis, as in all the tuples.
        window: number of taps.
        output: size of the convolution's output.
        stride: step between output pixels, in input pixels.
        dilation: distance between taps, in input pixels.
        low: padding in front of the input, in pixels.
        groups: number of channel groups.
    """

    input: tuple[int, ...]
    window: tuple[int, ...]
    output: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    low: tuple[int, ...]
    groups: int

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        """Padding (before, after) per axis; a negative `after` means a crop."""
        return tuple(
            (low, (o - 1) * s + (k - 1) * d + 1 - i - low)
            for i, k, o, s, d, low in zip(
                self.input,
                self.window,
                self.output,
                self.stride,
                self.dilation,
                self.low,
                strict=True,
            )
        )


def conv_geometry(
    size: Sequence[int],
    window: Sequence[int],
    *,
    stride: Sizes = 1,
    dilation: Sizes = 1,
    padding: Padding = "same",
    groups: int = 1,
) -> Geometry:
    """Work out the geometry of a convolution.

    Args:
        size: size of the input, one entry per spatial axis.
        window: number of taps per axis.
        stride: step between output pixels, in input pixels; one integer or one per axis.
        dilation: distance between taps, in input pixels; one integer or one per axis.
        padding: "same", "valid" (in any case), an integer, or one integer or pair (before, after)
            per axis.
        groups: number of channel groups.

    Raises:
        ValueError: an option is malformed, or the dilated window exceeds the padded input.
    """
    axes = len(size)
    strides = per_axis("stride", stride, axes)
    dilations = per_axis("dilation", dilation, axes)
    spans = [d * (k - 1) + 1 for k, d in zip(window, dilations, strict=True)]
    if is_same(padding):
        outputs = tuple(-(-i // s) for i, s in zip(size, strides, strict=True))
        low = tuple(
            max((o - 1) * s + span - i, 0) // 2
            for i, o, s, span in zip(size, outputs, strides, spans, strict=True)
        )
    else:
        pairs = padding_pairs(padding, axes)
        # How far the first window can move before it leaves the padded input.
        travel = [
            i + before + after - span
            for i, (before, after), span in zip(size, pairs, spans, strict=True)
        ]
        if min(travel) < 0:
            raise ValueError(
                f"the window {tuple(window)} at dilation {dilations} spans {tuple(spans)} pixels, "
                f"more than the input {tuple(size)} with padding {padding!r}: "
                "pad more, dilate less, or give a larger input."
            )
        outputs = tuple(t // s + 1 for t, s in zip(travel, strides, strict=True))
        low = tuple(before for before, _ in pairs)
    return Geometry(tuple(size), tuple(window), outputs, strides, dilations, low, groups)


def upconv_geometry(
    size: Sequence[int],
    window: Sequence[int],
    *,
    stride: Sizes = 2,
    dilation: Sizes = 1,
    padding: Padding = "same",
    output_padding: Sizes = 0,
    groups: int = 1,
) -> Geometry:
    """Work out the geometry of the *convolution* whose input gradient is an upconvolution.

    The `output` of the result is therefore the upconvolution's input, and its `input` the
    upconvolution's output.

    Args:
        size: size of the upconvolution's input, one entry per spatial axis.
        window: number of taps per axis.
        stride: factor of upsampling; one integer or one per axis.
        dilation: distance between taps, in output pixels; one integer or one per axis.
        padding: what is cropped from the full output: "same", "valid" (in any case), an integer,
            or one integer or pair (before, after) per axis.
        output_padding: extra pixels at the end of the output; one integer or one per axis.
        groups: number of channel groups.

    Raises:
        ValueError: an option is malformed, `output_padding` is not below the larger of stride and
            dilation, or the output would be empty.
    """
    axes = len(size)
    strides = per_axis("stride", stride, axes)
    dilations = per_axis("dilation", dilation, axes)
    extra = per_axis("output_padding", output_padding, axes, least=0)
    if any(a >= max(s, d) for a, s, d in zip(extra, strides, dilations, strict=True)):
        raise ValueError(
            f"output_padding={output_padding!r} must be smaller than the stride {strides} "
            f"or the dilation {dilations} on each axis."
        )
    spans = [d * (k - 1) + 1 for k, d in zip(window, dilations, strict=True)]
    if is_same(padding):
        cropped = [i * s for i, s in zip(size, strides, strict=True)]
        low = tuple(max(span - s, 0) // 2 for span, s in zip(spans, strides, strict=True))
    else:
        pairs = padding_pairs(padding, axes)
        cropped = [
            (i - 1) * s + span - before - after
            for i, s, span, (before, after) in zip(size, strides, spans, pairs, strict=True)
        ]
        low = tuple(before for before, _ in pairs)
    outputs = tuple(n + a for n, a in zip(cropped, extra, strict=True))
    if any(n < 1 for n in outputs):
        raise ValueError(
            f"upconv of an input of {tuple(size)} with window {tuple(window)}, stride {strides} "
            f"and padding {padding!r} would have the size {outputs}: pad less."
        )
    return Geometry(outputs, tuple(window), tuple(size), strides, dilations, low, groups)


def without_excess(geometry: Geometry) -> tuple[Geometry, Edges, Edges]:
    """Remove the padding beyond the window's reach, and the pixels that only it explains.

    Output pixels that see nothing but padding are zero whatever the operands are. They are taken
    out, and so are the input pixels in front that no remaining window sees. The geometry that
    remains needs no negative padding in front in any mode, with which XLA for CPU reads outside
    its operand (openxla/xla#48713).

    Returns:
        The remaining geometry; the pixels (before, after) that it leaves out of the input, per
        axis (`input_crop`); and those that it leaves out of the output (`output_crop`). Its
        output is empty where no window sees the input.
    """
    remaining, input_crop, output_crop = [], [], []
    for i, k, o, s, d, low in zip(
        geometry.input,
        geometry.window,
        geometry.output,
        geometry.stride,
        geometry.dilation,
        geometry.low,
        strict=True,
    ):
        first = min(max(0, -(((k - 1) * d - low) // s)), o)  # whose last tap is on the input
        last = min(o - 1, (i - 1 + low) // s)  # whose first tap is
        count, skipped = max(last + 1 - first, 0), min(max(0, first * s - low), i)
        remaining.append((i - skipped, count, max(low - first * s, 0)))
        input_crop.append((skipped, 0))
        output_crop.append((first, o - first - count))
    size, output, low = zip(*remaining, strict=True)
    return replace(geometry, input=size, output=output, low=low), input_crop, output_crop


def conv_output_size(
    size: Sizes, window: Sizes, *, stride: Sizes = 1, dilation: Sizes = 1, padding: Padding = "same"
) -> int | tuple[int, ...]:
    """Compute the size that `ops.conv` returns.

    Args:
        size: size of the input; an integer for one axis, or one per axis.
        window: number of taps; one integer or one per axis.
        stride: step between output pixels, in input pixels; one integer or one per axis.
        dilation: distance between taps, in input pixels; one integer or one per axis.
        padding: "same", "valid", an integer, or one integer or pair (before, after) per axis.

    Returns:
        The size of the output: an integer if `size` is one, else a tuple.

    Raises:
        ValueError: an option is malformed, or the dilated window exceeds the padded input.

    Example:
        >>> from jaxseg import ops
        >>> ops.conv_output_size(224, 7, stride=2, padding=3)
        112
        >>> ops.conv_output_size((33, 65), 3, dilation=2, padding="valid")
        (29, 61)
    """
    sizes, windows = _size_and_window(size, window)
    geometry = conv_geometry(sizes, windows, stride=stride, dilation=dilation, padding=padding)
    return geometry.output[0] if is_integer(size) else geometry.output


def upconv_output_size(
    size: Sizes,
    window: Sizes,
    *,
    stride: Sizes = 2,
    dilation: Sizes = 1,
    padding: Padding = "same",
    output_padding: Sizes = 0,
) -> int | tuple[int, ...]:
    """Compute the size that `ops.upconv` returns.

    Args:
        size: size of the input; an integer for one axis, or one per axis.
        window: number of taps; one integer or one per axis.
        stride: factor of upsampling; one integer or one per axis.
        dilation: distance between taps, in output pixels; one integer or one per axis.
        padding: what is cropped from the full output: "same", "valid", an integer, or one integer
            or pair (before, after) per axis.
        output_padding: extra pixels at the end of the output; one integer or one per axis.

    Returns:
        The size of the output: an integer if `size` is one, else a tuple.

    Raises:
        ValueError: an option is malformed, `output_padding` is not below the larger of stride and
            dilation, or the output would be empty.

    Example:
        >>> from jaxseg import ops
        >>> ops.upconv_output_size((16, 16), 4, stride=2, padding=1)
        (32, 32)
    """
    sizes, windows = _size_and_window(size, window)
    geometry = upconv_geometry(
        sizes,
        windows,
        stride=stride,
        dilation=dilation,
        padding=padding,
        output_padding=output_padding,
    )
    return geometry.input[0] if is_integer(size) else geometry.input


def _size_and_window(size: Sizes, window: Sizes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    axes = 1 if is_integer(size) else len(entries(size))
    if not axes:
        raise ValueError(f"size={size!r} is not a size: give one integer, or one per spatial axis.")
    return per_axis("size", size, axes), per_axis("window", window, axes)
