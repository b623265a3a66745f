"""Output sizes and paddings of convolutions: plain integers, no arrays.

The relations are those of Dumoulin & Visin, "A guide to convolution arithmetic for deep
learning" (arXiv:1603.07285), with a window of k taps at dilation d, a stride s and a padding
p on each side:

    convolution      o = floor((i + 2p - d(k-1) - 1) / s) + 1
    upconvolution    o = s(i-1) + d(k-1) + 1 - 2p + a        (a: output padding)
"""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Sizes = int | Sequence[int]
Padding = Literal["same", "valid"] | int | Sequence[tuple[int, int]]
Edges = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Geometry:
    """How the pixels of x, the taps of k and the pixels of y meet; one entry per spatial axis.

    Input position i, tap t and output position o meet where ``i = o * stride + t * dilation -
    low``. The padding behind the input is whatever makes ``output`` positions fit.
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
        """(before, after) per axis for the convolution x -> y; `after` may be negative (a crop)."""
        return tuple(
            (lo, (o - 1) * s + (k - 1) * d + 1 - i - lo)
            for i, k, o, s, d, lo in zip(
                self.input,
                self.window,
                self.output,
                self.stride,
                self.dilation,
                self.low,
                strict=True,
            )
        )


def per_axis(name: str, value: Sizes, axes: int, *, least: int = 1) -> tuple[int, ...]:
    """Spread an integer over `axes` spatial axes, or check a sequence of one integer each.

    Raises:
        ValueError: `value` has another length, holds no integers, or holds one below `least`.
    """
    values: tuple[Any, ...] = (value,) * axes if _is_int(value) else _entries(value)
    if not values or len(values) != axes or not all(_is_int(v) for v in values):
        raise ValueError(
            f"{name}={value!r} does not fit {axes} spatial axes: "
            f"give one integer, or {axes} of them."
        )
    if min(values) < least:
        raise ValueError(f"{name}={value!r} has an entry below {least}: give integers >= {least}.")
    return tuple(int(v) for v in values)


def conv_geometry(
    size: Sequence[int],
    window: Sequence[int],
    *,
    stride: Sizes = 1,
    dilation: Sizes = 1,
    padding: Padding = "same",
    groups: int = 1,
) -> Geometry:
    """Geometry of a convolution over inputs of `size` with a kernel of `window` taps.

    Raises:
        ValueError: an option is malformed, or the dilated window exceeds the padded input.
    """
    axes = len(size)
    strides = per_axis("stride", stride, axes)
    dilations = per_axis("dilation", dilation, axes)
    spans = [d * (k - 1) + 1 for k, d in zip(window, dilations, strict=True)]
    if isinstance(padding, str) and padding == "same":
        outputs = tuple(-(-i // s) for i, s in zip(size, strides, strict=True))
        low = tuple(
            max((o - 1) * s + span - i, 0) // 2
            for i, o, s, span in zip(size, outputs, strides, spans, strict=True)
        )
    else:
        pairs = padding_pairs(padding, axes)
        room = [i + lo + hi - r for i, (lo, hi), r in zip(size, pairs, spans, strict=True)]
        if min(room) < 0:
            raise ValueError(
                f"the window {tuple(window)} at dilation {dilations} spans {tuple(spans)} pixels, "
                f"more than the input {tuple(size)} with padding {padding!r}: "
                "pad more, dilate less, or give a larger input."
            )
        outputs = tuple(r // s + 1 for r, s in zip(room, strides, strict=True))
        low = tuple(lo for lo, _ in pairs)
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
    """Geometry of the *convolution* whose input gradient is the upconvolution asked for.

    Its `output` is the upconvolution's input (`size`), its `input` the upconvolution's output.

    Raises:
        ValueError: an option is malformed, `output_padding` reaches the larger of stride and
            dilation, or nothing is left of the output.
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
    if isinstance(padding, str) and padding == "same":
        full = [i * s for i, s in zip(size, strides, strict=True)]
        low = tuple(max(r - s, 0) // 2 for r, s in zip(spans, strides, strict=True))
    else:
        pairs = padding_pairs(padding, axes)
        full = [
            (i - 1) * s + r - lo - hi
            for i, s, r, (lo, hi) in zip(size, strides, spans, pairs, strict=True)
        ]
        low = tuple(lo for lo, _ in pairs)
    outputs = tuple(n + a for n, a in zip(full, extra, strict=True))
    if any(n < 1 for n in outputs):
        raise ValueError(
            f"upconv of an input of {tuple(size)} with window {tuple(window)}, stride {strides} "
            f"and padding {padding!r} would have the size {outputs}: pad less."
        )
    return Geometry(outputs, tuple(window), tuple(size), strides, dilations, low, groups)


def without_excess(geometry: Geometry) -> tuple[Geometry, Edges, Edges]:
    """A geometry without the pixels that padding beyond the window's reach leaves idle.

    Outputs that see padding alone are zero, whatever the operands; with them goes what a stride
    then leaves unseen in front of the input. What stays needs no negative padding in front, in
    any mode, where XLA for CPU reads outside its operand (openxla/xla#48713).

    Returns:
        The geometry of the rest; how many pixels before and after it are left out of the input,
        per axis; and out of the output. An output of no pixel is left where none sees the input.
    """
    rest, of_input, of_output = [], [], []
    for i, k, o, s, d, lo in zip(
        geometry.input,
        geometry.window,
        geometry.output,
        geometry.stride,
        geometry.dilation,
        geometry.low,
        strict=True,
    ):
        first = min(max(0, -(((k - 1) * d - lo) // s)), o)  # whose last tap is on the input
        last = min(o - 1, (i - 1 + lo) // s)  # whose first tap is
        count, unseen = max(last + 1 - first, 0), max(0, first * s - lo)
        rest.append((i - unseen, count, max(lo - first * s, 0)))
        of_input.append((unseen, 0))
        of_output.append((first, o - first - count))
    size, output, low = zip(*rest, strict=True)
    return replace(geometry, input=size, output=output, low=low), of_input, of_output


def conv_output_size(
    size: Sizes, window: Sizes, *, stride: Sizes = 1, dilation: Sizes = 1, padding: Padding = "same"
) -> int | tuple[int, ...]:
    """Size after `ops.conv`: an integer for an integer `size`, else a tuple.

    >>> conv_output_size(224, 7, stride=2, padding=3)
    112

    Raises:
        ValueError: as `conv_geometry`.
    """
    sizes, windows = _size_and_window(size, window)
    found = conv_geometry(sizes, windows, stride=stride, dilation=dilation, padding=padding)
    return found.output[0] if _is_int(size) else found.output


def upconv_output_size(
    size: Sizes,
    window: Sizes,
    *,
    stride: Sizes = 2,
    dilation: Sizes = 1,
    padding: Padding = "same",
    output_padding: Sizes = 0,
) -> int | tuple[int, ...]:
    """Size after `ops.upconv`: an integer for an integer `size`, else a tuple.

    >>> upconv_output_size((16, 16), 4, stride=2, padding=1)
    (32, 32)

    Raises:
        ValueError: as `upconv_geometry`.
    """
    sizes, windows = _size_and_window(size, window)
    found = upconv_geometry(
        sizes,
        windows,
        stride=stride,
        dilation=dilation,
        padding=padding,
        output_padding=output_padding,
    )
    return found.input[0] if _is_int(size) else found.input


def _size_and_window(size: Sizes, window: Sizes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    axes = 1 if _is_int(size) else len(_entries(size))
    if not axes:
        raise ValueError(f"size={size!r} is no size: give one integer, or one per spatial axis.")
    return per_axis("size", size, axes), per_axis("window", window, axes)


def padding_pairs(padding: Padding, axes: int) -> tuple[tuple[int, int], ...]:
    """(before, after) per axis for "valid", an integer or explicit pairs."""
    if isinstance(padding, str) and padding == "valid":
        return ((0, 0),) * axes
    if _is_int(padding):
        (p,) = per_axis("padding", padding, 1, least=0)  # type: ignore[arg-type]
        return ((p, p),) * axes
    wanted = (
        f'padding={padding!r} is not understood for {axes} spatial axes: give "same", "valid", '
        f"an integer >= 0, {axes} integers, or {axes} pairs (before, after)."
    )
    pairs = tuple((p, p) if _is_int(p) else _entries(p) for p in _entries(padding))
    if len(pairs) != axes or not all(
        len(p) == 2 and all(_is_int(v) and v >= 0 for v in p) for p in pairs
    ):
        raise ValueError(wanted)
    return pairs  # type: ignore[return-value]


def _is_int(value: object) -> bool:
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return not isinstance(value, bool)


def _entries(value: object) -> tuple:
    """The entries of a sequence or array; none of anything else."""
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
