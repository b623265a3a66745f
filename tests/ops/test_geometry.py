"""Sizes and paddings against brute force, and against what the operations return."""

import functools
import itertools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from hypothesis import assume, example, given
from hypothesis import strategies as st

from jaxseg import ops

sizes = st.integers(1, 24)
windows = st.integers(1, 5)
strides = st.integers(1, 4)
dilations = st.integers(1, 3)
pads = st.integers(0, 5)


def fitting_windows(size, window, stride, dilation, before, after):
    """How many windows fit into the padded input, counted one by one."""
    last = before + size + after - 1
    starts = itertools.takewhile(
        lambda start: start + (window - 1) * dilation <= last, itertools.count(0, stride)
    )
    return len(list(starts))


def painted_pixels(size, window, stride, dilation, before, after):
    """The pixels between the first and the last that an upconvolution paints, less the crop."""
    painted = {i * stride + t * dilation for i in range(size) for t in range(window)}
    return len(range(max(painted) + 1)[before : max(max(painted) + 1 - after, 0)])


# --- against brute force -------------------------------------------------------------------------


@given(sizes, windows, strides, dilations, pads, pads)
def test_conv_size_counts_the_windows_that_fit(size, window, stride, dilation, before, after):
    count = fitting_windows(size, window, stride, dilation, before, after)
    assume(count > 0)
    options = {"stride": stride, "dilation": dilation}
    sizes_of = ops.conv_output_size
    assert sizes_of((size,), (window,), padding=((before, after),), **options) == (count,)
    if before == after:
        assert sizes_of(size, window, padding=before, **options) == count
        assert sizes_of((size,), window, padding=(before,), **options) == (count,)
    if before == after == 0:
        assert sizes_of(size, window, padding="valid", **options) == count


@given(sizes, windows, strides, dilations, pads, pads, st.integers(0, 3))
def test_upconv_size_counts_the_pixels_painted(
    size, window, stride, dilation, before, after, extra
):
    assume(extra < max(stride, dilation))
    count = painted_pixels(size, window, stride, dilation, before, after)
    assume(count > 0)
    options = {"stride": stride, "dilation": dilation, "output_padding": extra}
    sizes_of = ops.upconv_output_size
    assert sizes_of((size,), (window,), padding=((before, after),), **options) == (count + extra,)
    if before == after:
        assert sizes_of(size, window, padding=before, **options) == count + extra
        assert sizes_of((size,), window, padding=(before,), **options) == (count + extra,)
    if before == after == 0:
        assert sizes_of(size, window, padding="valid", **options) == count + extra


@given(sizes, windows, strides, dilations)
def test_same_is_ceil_for_conv_and_times_stride_for_upconv(size, window, stride, dilation):
    # k < s is among the draws: the upconvolution then leaves gaps, but keeps the size.
    options = {"stride": stride, "dilation": dilation, "padding": "same"}
    assert ops.conv_output_size(size, window, **options) == math.ceil(size / stride)
    assert ops.upconv_output_size(size, window, **options) == size * stride


@given(sizes, windows, strides, dilations, pads)
def test_the_relations_of_dumoulin_and_visin(size, window, stride, dilation, p):
    span = dilation * (window - 1) + 1
    assume(size + 2 * p >= span)
    options = {"stride": stride, "dilation": dilation, "padding": p}
    out = ops.conv_output_size(size, window, **options)
    assert out == math.floor((size + 2 * p - span) / stride) + 1
    # Relationship 14: i = s (i' - 1) + a + k - 2 p with a = (i + 2 p - k) mod s.
    a = (size + 2 * p - span) % stride
    assert stride * (out - 1) + a + span - 2 * p == size
    assert ops.upconv_output_size(out, window, output_padding=a, **options) == size


# --- against the operations ----------------------------------------------------------------------


@st.composite
def several_axes(draw):
    axes = draw(st.integers(1, 3))

    def entries(values):
        return tuple(draw(values) for _ in range(axes))

    padding = draw(
        st.one_of(
            st.sampled_from(["same", "valid"]),
            pads,
            st.just(entries(pads)),
            st.just(tuple((draw(pads), draw(pads)) for _ in range(axes))),
        )
    )
    return (
        entries(sizes),
        entries(windows),
        {"stride": entries(strides), "dilation": entries(dilations), "padding": padding},
    )


def shape_of(op, size, window, form, **options):
    x = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    kernel = jax.ShapeDtypeStruct((*window, 3, 5), jnp.float32)
    with ops.lowering(form):
        return jax.eval_shape(lambda x, kernel: op(x, kernel, **options), x, kernel).shape


@pytest.mark.parametrize("form", ["auto", "direct"])  # direct: the shape that lax itself finds
@given(case=several_axes())
@example(case=((5, 1), (2, 3), {"stride": (3, 2), "dilation": (1, 1), "padding": "same"}))
def test_conv_size_is_the_size_that_conv_returns(form, case):
    size, window, options = case
    try:
        expected = ops.conv_output_size(size, window, **options)
    except ValueError:
        with pytest.raises(ValueError, match="pad more, dilate less"):
            shape_of(ops.conv, size, window, form, **options)
        return
    assert shape_of(ops.conv, size, window, form, **options) == (2, *expected, 5)


@pytest.mark.parametrize("form", ["auto", "direct"])
@given(case=several_axes(), data=st.data())
def test_upconv_size_is_the_size_that_upconv_returns(form, case, data):
    size, window, options = case
    options["output_padding"] = tuple(
        data.draw(st.integers(0, max(s, d) - 1))
        for s, d in zip(options["stride"], options["dilation"], strict=True)
    )
    try:
        expected = ops.upconv_output_size(size, window, **options)
    except ValueError:
        with pytest.raises(ValueError, match="pad less"):
            shape_of(ops.upconv, size, window, form, **options)
        return
    assert shape_of(ops.upconv, size, window, form, **options) == (2, *expected, 5)


# --- the definitions, by loops -------------------------------------------------------------------


def conv_by_loops(x, k, stride, dilation, before, size):
    y = np.zeros(size)
    for o, t in itertools.product(range(size), range(len(k))):
        i = o * stride + t * dilation - before
        y[o] += x[i] * k[t] if 0 <= i < len(x) else 0
    return y


def upconv_by_loops(x, k, stride, dilation, before, size):
    """The full result is a convolution of the dilated input with the unflipped kernel."""
    reach = (len(k) - 1) * dilation
    dilated = np.zeros((len(x) - 1) * stride + 1)
    dilated[::stride] = x
    return conv_by_loops(dilated, k, 1, dilation, reach - before, size)


GRID = [
    (size, window, stride, dilation)
    for size in (1, 4, 7)
    for window in (1, 2, 3, 4)
    for stride, dilation in [(1, 1), (2, 1), (3, 1), (1, 2), (2, 3)]
]


def images(*values):
    """Several one-dimensional signals as one batch of one channel."""
    return np.stack(values)[..., None]


def direct(op, cases):
    """The plain form of many signals and kernels, which are compiled at once.

    test_transforms holds the other forms to this one.
    """

    @quick_jit
    def everything(operands):
        with ops.lowering("direct"):
            return [
                op(x, kernel, **options)[0, :, 0]
                for (x, kernel), (*_, options) in zip(operands, cases, strict=True)
            ]

    return everything([(images(x), kernel[:, None, None]) for x, kernel, _ in cases])


@pytest.mark.parametrize("padding", ["same", "valid", 2, ((1, 3),)])
def test_conv_is_its_definition(x64, padding):
    rng = np.random.default_rng(0)
    cases, wanted = [], []
    for size, window, stride, dilation in GRID:
        x, k = rng.normal(size=size), rng.normal(size=window)
        span = (window - 1) * dilation + 1
        out = math.ceil(size / stride)
        total = max((out - 1) * stride + span - size, 0)
        before, after = {"same": (total // 2, total - total // 2), "valid": (0, 0), 2: (2, 2)}.get(
            padding, (1, 3)
        )
        if size + before + after < span:
            continue
        cases.append((x, k, {"stride": stride, "dilation": dilation, "padding": padding}))
        count = fitting_windows(size, window, stride, dilation, before, after)
        wanted.append(conv_by_loops(x, k, stride, dilation, before, count))
    for got, by_loops in zip(direct(ops.conv, cases), wanted, strict=True):
        np.testing.assert_allclose(got, by_loops, rtol=0, atol=1e-13)


@pytest.mark.parametrize("padding", ["same", "valid", 1, ((2, 0),)])
@pytest.mark.parametrize("extra", [0, 1])
def test_upconv_is_its_definition(x64, padding, extra):
    rng = np.random.default_rng(0)
    cases, wanted = [], []
    for size, window, stride, dilation in GRID:
        x, k = rng.normal(size=size), rng.normal(size=window)
        span = (window - 1) * dilation + 1
        full = (size - 1) * stride + span
        total = full - size * stride
        before = max(span - stride, 0) // 2
        before, after = {"same": (before, total - before), "valid": (0, 0), 1: (1, 1)}.get(
            padding, (2, 0)
        )
        if full - before - after + extra < 1 or extra >= max(stride, dilation):
            continue
        options = {"stride": stride, "dilation": dilation, "padding": padding}
        cases.append((x, k, {**options, "output_padding": extra}))
        size_of_result = full - before - after + extra
        wanted.append(upconv_by_loops(x, k, stride, dilation, before, size_of_result))
    for got, by_loops in zip(direct(ops.upconv, cases), wanted, strict=True):
        np.testing.assert_allclose(got, by_loops, rtol=0, atol=1e-13)


# --- forms of the arguments ----------------------------------------------------------------------


@pytest.mark.parametrize("two", [2, (2, 2), [2, 2], np.int64(2), (np.int32(2), 2)])
def test_integers_and_sequences_of_them_mean_the_same(two):
    assert ops.conv_output_size((9, 9), 3, stride=two) == (5, 5)
    assert ops.conv_output_size((9, 9), 3, dilation=two, padding="valid") == (5, 5)
    assert ops.conv_output_size((9, 9), 3, padding=two) == (11, 11)
    assert ops.conv_output_size((9, 9), two, padding="valid") == (8, 8)
    assert ops.upconv_output_size((9, 9), 3, stride=two) == (18, 18)
    assert ops.upconv_output_size((9, 9), 3, stride=3, output_padding=two) == (29, 29)


@pytest.mark.parametrize(
    "padding", [1, (1, 1), [1, 1], ((1, 1), (1, 1)), [[1, 1], [1, 1]], (1, (1, 1)), np.int64(1)]
)
def test_every_form_of_padding_means_the_same(padding):
    assert ops.conv_output_size((9, 7), 4, stride=2, padding=padding) == (4, 3)
    assert ops.upconv_output_size((4, 3), 4, stride=2, padding=padding) == (8, 6)


@pytest.mark.parametrize("word", ["same", "valid"])
def test_words_of_padding_are_taken_in_any_case(word):
    x, kernel = jnp.ones((1, 6, 5, 2)), jnp.ones((3, 3, 2, 4))
    for padding in (word.upper(), word.capitalize()):
        for function in (ops.conv_output_size, ops.upconv_output_size):
            wanted = function((9, 7), 4, stride=2, padding=word)
            assert function((9, 7), 4, stride=2, padding=padding) == wanted
        for f in (
            lambda p: ops.conv(x, kernel, padding=p),
            lambda p: ops.upconv(x, kernel, padding=p),
            lambda p: ops.max_pool(x, 2, padding=p),
            lambda p: ops.avg_pool(x, 2, padding=p),
        ):
            shapes = [jax.eval_shape(functools.partial(f, p)) for p in (padding, word)]
            assert shapes[0] == shapes[1]


def test_axes_have_entries_of_their_own():
    found = ops.conv_output_size(
        (9, 8, 7), (1, 2, 3), stride=(1, 2, 3), dilation=(3, 2, 1), padding=(0, (1, 0), 1)
    )
    assert found == (9, 4, 3)
    found = ops.upconv_output_size(
        (9, 8, 7),
        (1, 2, 3),
        stride=(1, 2, 3),
        dilation=(3, 2, 1),
        padding=(0, (1, 0), 1),
        output_padding=(2, 0, 1),
    )
    assert found == (11, 16, 20)


def test_an_integer_gives_an_integer_and_a_tuple_a_tuple():
    assert ops.conv_output_size(224, 7, stride=2, padding=3) == 112
    assert ops.conv_output_size((224,), 7, stride=2, padding=3) == (112,)
    assert ops.upconv_output_size((16, 16), 4, stride=2, padding=1) == (32, 32)
    assert ops.upconv_output_size(16, 16, stride=8, padding=4) == 128


def test_the_odd_pixel_of_same_lies_behind():
    # k = 4 at stride 1 pads three pixels: one before, two behind, as TensorFlow does.
    x = jnp.zeros((1, 5, 1)).at[0, 2].set(1)
    y = ops.conv(x, jnp.arange(4.0)[:, None, None])
    assert y[0, :, 0].tolist() == [3, 2, 1, 0, 0]


# --- errors --------------------------------------------------------------------------------------

CONV, UPCONV = ops.conv_output_size, ops.upconv_output_size


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (CONV, {"size": 0}, r"size=0 .* give integers >= 1"),
        (CONV, {"size": (8, -1)}, r"size=\(8, -1\) .* give integers >= 1"),
        (CONV, {"window": (3, 0)}, r"window=\(3, 0\) .* give integers >= 1"),
        (CONV, {"window": (3, 3, 3)}, r"window=\(3, 3, 3\) does not fit 2 .* or 2 of them"),
        (CONV, {"stride": 0}, r"stride=0 has an entry below 1: give integers >= 1"),
        (CONV, {"stride": (2, -1)}, r"stride=\(2, -1\) has an entry below 1"),
        (CONV, {"stride": (2,)}, r"stride=\(2,\) does not fit 2 spatial axes: give one integer"),
        (CONV, {"stride": (2, 1.5)}, r"stride=\(2, 1.5\) does not fit 2 spatial axes"),
        (CONV, {"stride": (2, True)}, r"stride=\(2, True\) does not fit 2 spatial axes"),
        (CONV, {"dilation": 0}, r"dilation=0 has an entry below 1"),
        (CONV, {"dilation": (1, 2, 3)}, r"dilation=\(1, 2, 3\) does not fit 2 .* or 2 of them"),
        (CONV, {"padding": -1}, r"padding=-1 has an entry below 0: give integers >= 0"),
        (CONV, {"padding": (1, -1)}, r"padding=\(1, -1\) is not understood .* give \"same\""),
        (CONV, {"padding": ((1, 1), (0, -2))}, r"padding=\(\(1, 1\), \(0, -2\)\) is not"),
        (CONV, {"padding": (1, 1, 1)}, r"padding=\(1, 1, 1\) is not .* 2 spatial axes: give"),
        (CONV, {"padding": ((1, 1, 1), 1)}, r"padding=\(\(1, 1, 1\), 1\) is not .* 2 pairs"),
        (CONV, {"padding": "full"}, r"padding='full' is not understood .* give \"same\", \"valid"),
        (CONV, {"padding": "ab"}, r"padding='ab' is not understood"),
        (CONV, {"padding": None}, r"padding=None is not understood"),
        (CONV, {"padding": 1.0}, r"padding=1.0 is not understood .* an integer >= 0"),
        (CONV, {"padding": True}, r"padding=True is not understood"),
        (
            CONV,
            {"window": 5, "dilation": 2, "padding": "valid"},
            r"window \(5, 5\) at dilation \(2, 2\) spans \(9, 9\) .* input \(8, 8\) .* pad more",
        ),
        (CONV, {"window": 11, "padding": 1}, r"spans \(11, 11\) .* with padding 1: pad more"),
        (UPCONV, {"size": 0}, r"size=0 .* give integers >= 1"),
        (UPCONV, {"window": 0}, r"window=0 .* give integers >= 1"),
        (UPCONV, {"stride": 0}, r"stride=0 has an entry below 1: give integers >= 1"),
        (UPCONV, {"dilation": -2}, r"dilation=-2 has an entry below 1"),
        (UPCONV, {"padding": -1}, r"padding=-1 has an entry below 0: give integers >= 0"),
        (UPCONV, {"padding": "full"}, r"padding='full' is not understood .* give \"same\""),
        (UPCONV, {"padding": (1,)}, r"padding=\(1,\) is not understood for 2 spatial axes"),
        (UPCONV, {"output_padding": -1}, r"output_padding=-1 has an entry below 0"),
        (UPCONV, {"output_padding": (1, 1, 1)}, r"output_padding=\(1, 1, 1\) does not fit 2"),
        (
            UPCONV,
            {"stride": 2, "output_padding": 2},
            r"output_padding=2 must be smaller than the stride \(2, 2\) or the dilation \(1, 1\)",
        ),
        (
            UPCONV,
            {"stride": (3, 1), "output_padding": 1},
            r"output_padding=1 must be smaller than the stride \(3, 1\)",
        ),
        (UPCONV, {"padding": 9}, r"\(8, 8\) .* padding 9 would have the size \(-1, -1\): pad less"),
        (
            UPCONV,
            {"padding": ((17, 0), (0, 0)), "window": 3},
            r"padding \(\(17, 0\), \(0, 0\)\) would have the size \(0, 17\): pad less",
        ),
    ],
)
def test_errors_name_the_value_and_the_remedy(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(**{"size": (8, 8), "window": 3, **arguments})


@pytest.mark.parametrize("name", ["stride", "dilation"])
@pytest.mark.parametrize("value", [1.5, 2.0, None, True])
def test_a_lone_value_that_is_no_integer_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}={value}"):
        ops.conv_output_size((8, 8), 3, **{name: value})


@pytest.mark.parametrize("function", [CONV, UPCONV])
@pytest.mark.parametrize("size", [2.5, (), None, True, "8"])
def test_what_is_no_size_is_refused(function, size):
    with pytest.raises(
        ValueError, match=re.escape(f"size={size!r} is not a size: give one integer")
    ):
        function(size, size if size == () else 3)


@pytest.mark.parametrize("padding", [(1.0, 1.0), (None, 1), ((1, 1), 1.5)])
def test_padding_entries_that_are_no_integers_are_refused(padding):
    with pytest.raises(ValueError, match="is not understood"):
        ops.conv_output_size((8, 8), 3, padding=padding)


def test_an_array_of_integers_is_a_sequence_of_them():
    assert ops.conv_output_size((8, 8), 3, stride=np.array([2, 2])) == (4, 4)
