"""What does not fit together is refused by name, value and remedy, before XLA sees it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import ops

IMAGES = (2, 8, 8, 4)
KERNEL = (3, 3, 4, 6)
both = pytest.mark.parametrize("op", [ops.conv, ops.upconv], ids=["conv", "upconv"])
forms = pytest.mark.parametrize("form", ["auto", "direct"])


def ones(shape, dtype=jnp.float32):
    return jnp.ones(shape, dtype)


def refuses(op, message, x=IMAGES, kernel=KERNEL, dtypes=(jnp.float32, jnp.float32), **options):
    x, kernel = ones(x, dtypes[0]), ones(kernel, dtypes[1])
    for form in ("auto", "direct", "fast"):
        with ops.lowering(form), pytest.raises(ValueError, match=message):
            op(x, kernel, **options)
    # Traced as well: no shape may reach the tracer unchecked.
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda x, kernel: op(x, kernel, **options), x, kernel)


# --- operands ------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": (8, 8)}, r"x has shape \(8, 8\), .* add the missing axis, .* x\[None\]"),
        ({"x": (4,)}, r"x has shape \(4,\), but images are \(batch, \*space, channels\)"),
        ({"x": ()}, r"x has shape \(\), but images are"),
        ({"x": (1, 2, 3, 4, 5, 4)}, r"x has shape \(1, 2, 3, 4, 5, 4\), .* 1, 2 or 3 spatial axes"),
        (
            {"kernel": (3, 4, 6)},
            r"kernel has shape \(3, 4, 6\), .* x of shape \(2, 8, 8, 4\) .* with 2 window axes",
        ),
        ({"kernel": (3, 3, 3, 4, 6)}, r"kernel has shape \(3, 3, 3, 4, 6\), .* 2 window axes"),
        ({"x": (2, 8, 4)}, r"kernel has shape \(3, 3, 4, 6\), .* \(2, 8, 4\) .* 1 window axes"),
        (
            {"x": (2, 8, 8, 3)},
            r"x has 3 channels, .* \(3, 3, 4, 6\) with groups=1 takes 4: .* \(\*window, in / gr",
        ),
        ({"kernel": (3, 3, 6, 4)}, r"x has 4 channels, .* \(3, 3, 6, 4\) with groups=1 takes 6"),
        ({"groups": 2}, r"x has 4 channels, .* with groups=2 takes 8: kernels are .*in / groups"),
        ({"groups": 3}, r"x has 4 channels, .* with groups=3 takes 12"),
        ({"groups": 4, "kernel": (3, 3, 1, 6)}, r"6 features do not divide into groups=4"),
        ({"groups": 0}, r"groups=0 must be an integer >= 1"),
        ({"groups": -2}, r"groups=-2 must be an integer >= 1"),
        ({"groups": 2.0}, r"groups=2.0 must be an integer >= 1"),
        ({"groups": "2"}, r"groups='2' must be an integer >= 1"),
        ({"groups": None}, r"groups=None must be an integer >= 1"),
        ({"groups": True}, r"groups=True must be an integer >= 1"),
        (
            {"dtypes": (jnp.bfloat16, jnp.float32)},
            r"x is bfloat16 and kernel is float32: cast .* with \.astype",
        ),
        ({"dtypes": (jnp.float32, jnp.float16)}, r"x is float32 and kernel is float16: cast"),
        ({"dtypes": (jnp.uint8, jnp.float32)}, r"x is uint8 and kernel is float32: cast"),
        ({"dtypes": (jnp.int32, jnp.int32)}, r"x is int32: convert images to a floating dtype"),
        ({"dtypes": (jnp.uint8, jnp.uint8)}, r"x is uint8: convert images to a floating dtype"),
        ({"dtypes": (jnp.complex64, jnp.complex64)}, r"x is complex64: convert images"),
        ({"dtypes": (jnp.bool_, jnp.bool_)}, r"x is bool: convert images"),
        ({"x": (2, 0, 8, 4)}, r"x \(2, 0, 8, 4\) or kernel \(3, 3, 4, 6\) has an empty axis"),
        (
            {"x": (2, 8, 8, 0), "kernel": (3, 3, 0, 6)},
            r"x \(2, 8, 8, 0\) .* empty axis: only the batch may be empty",
        ),
        ({"kernel": (3, 0, 4, 6)}, r"kernel \(3, 0, 4, 6\) has an empty axis: only the batch"),
        ({"kernel": (3, 3, 4, 0)}, r"kernel \(3, 3, 4, 0\) has an empty axis: only the batch"),
    ],
)
def test_operands_that_do_not_fit(op, arguments, message):
    refuses(op, f"{op.__name__}: .*{message}", **arguments)


@both
def test_no_batch_is_no_error(op):
    assert op(ones((0, *IMAGES[1:])), ones(KERNEL)).shape[0] == 0


# --- options -------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, r"stride=0 has an entry below 1: give integers >= 1"),
        ({"stride": (2, 0)}, r"stride=\(2, 0\) has an entry below 1: give integers >= 1"),
        ({"stride": (1, 2, 3)}, r"stride=\(1, 2, 3\) does not fit 2 .* one integer, or 2 of them"),
        ({"dilation": -1}, r"dilation=-1 has an entry below 1: give integers >= 1"),
        ({"dilation": 0}, r"dilation=0 has an entry below 1: give integers >= 1"),
        ({"dilation": (2,)}, r"dilation=\(2,\) does not fit 2 .* one integer, or 2 of them"),
        ({"padding": -1}, r"padding=-1 has an entry below 0: give integers >= 0"),
        ({"padding": (0, -1)}, r"padding=\(0, -1\) is not understood .* an integer >= 0"),
        ({"padding": (1, 1, 1)}, r"padding=\(1, 1, 1\) is not understood for 2 .* 2 integers"),
        ({"padding": ((1, 1),)}, r"padding=\(\(1, 1\),\) is not understood for 2 .* or 2 pairs"),
        ({"padding": "full"}, r"padding='full' is not understood .* give \"same\", \"valid\""),
        ({"padding": None}, r"padding=None is not understood .* give \"same\", \"valid\""),
    ],
)
def test_options_that_do_not_fit(op, options, message):
    refuses(op, message, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"x": (2, 2, 8, 4), "padding": "valid"},
            r"window \(3, 3\) .* spans \(3, 3\) pixels, .* input \(2, 8\) with padding 'valid': "
            "pad more, dilate less, or give a larger input",
        ),
        (
            {"dilation": 5, "padding": 1},
            r"at dilation \(5, 5\) spans \(11, 11\) pixels, .* with padding 1: pad more, dilate",
        ),
    ],
)
def test_conv_windows_larger_than_the_input(arguments, message):
    refuses(ops.conv, message, **arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_padding": 2}, r"output_padding=2 must be smaller than the stride \(2, 2\) or"),
        ({"output_padding": (0, 3)}, r"output_padding=\(0, 3\) must be smaller than the stride"),
        (
            {"stride": 1, "dilation": 2, "output_padding": 2},
            r"output_padding=2 .* the stride \(1, 1\) or the dilation \(2, 2\) on each axis",
        ),
        ({"output_padding": -1}, r"output_padding=-1 has an entry below 0: give integers >= 0"),
        ({"padding": 9}, r"stride \(2, 2\) and padding 9 would have the size \(-1, -1\): pad less"),
        (
            {"padding": ((9, 8), (0, 0))},
            r"padding \(\(9, 8\), \(0, 0\)\) would have the size \(0, 17\): pad less",
        ),
    ],
)
def test_upconv_outputs_that_do_not_exist(options, message):
    refuses(ops.upconv, message, **options)


def test_output_padding_may_reach_beyond_the_stride_within_the_dilation():
    y = ops.upconv(ones((1, 3, 1)), ones((2, 1, 1)), stride=1, dilation=3, output_padding=2)
    assert y.shape == (1, 5, 1)


@both
def test_options_are_keywords_only(op):
    with pytest.raises(TypeError):
        op(ones(IMAGES), ones(KERNEL), 2)


# --- what may be given instead of JAX arrays -----------------------------------------------------


@forms
@both
def test_numpy_arrays_are_taken(op, form):
    rng = np.random.default_rng(0)
    x = rng.normal(size=IMAGES).astype(np.float32)
    kernel = rng.normal(size=KERNEL).astype(np.float32)
    with ops.lowering(form):
        y = op(x, kernel)
        assert isinstance(y, jax.Array)
        for a, b in [(jnp.asarray(x), kernel), (x, jnp.asarray(kernel))]:
            np.testing.assert_array_equal(op(a, b), y)
        np.testing.assert_array_equal(op(jnp.asarray(x), jnp.asarray(kernel)), y)


@forms
@both
def test_what_is_no_array_is_refused(op, form):
    x, kernel = ones(IMAGES), ones(KERNEL)
    with ops.lowering(form):
        for wrong, kind in [(x.tolist(), "list"), (1.5, "float"), (None, "NoneType")]:
            with pytest.raises(ValueError, match=rf"x is a {kind}: convert it with jnp\.asarray"):
                op(wrong, kernel)
            with pytest.raises(
                ValueError, match=rf"kernel is a {kind}: convert it with jnp\.asarr"
            ):
                op(x, wrong)


@forms
@both
def test_numpy_doubles_become_what_jax_makes_of_them(op, form):
    with ops.lowering(form):
        assert op(np.ones(IMAGES), np.ones(KERNEL)).dtype == jnp.float32
        with jax.enable_x64(True):
            assert op(np.ones(IMAGES), np.ones(KERNEL)).dtype == jnp.float64
