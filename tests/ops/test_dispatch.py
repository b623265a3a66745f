"""The rewritten forms against a sum over taps in NumPy, and which of them the rules choose."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.benchmarks.exactness import trilinear_reference
from jaxseg import ops
from jaxseg.ops import canonical, dispatch, rewrites
from jaxseg.ops.geometry import conv_geometry, upconv_geometry


def reference(geometry, x, k, y):
    """(y, dx, dk) by the definition, by mode, in float64."""
    return dict(zip("yxk", trilinear_reference(geometry, x, k, y), strict=True))


@st.composite
def geometries(draw, *, dilated=True):
    axes = draw(st.sampled_from([1, 2, 2, 2, 3]))
    most = {1: 9, 2: 8, 3: 4}[axes]

    def entries(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    make = draw(st.sampled_from([conv_geometry, upconv_geometry]))
    stride, dilation = entries(1, 3), entries(1, 3) if dilated else (1,) * axes
    padding = draw(st.sampled_from(["same", "pairs"]))
    pairs = tuple((draw(st.integers(0, 4)), draw(st.integers(0, 4))) for _ in range(axes))
    try:
        return make(
            entries(1, most),
            entries(1, min(4, most)),
            stride=stride,
            dilation=dilation,
            padding=padding if padding == "same" else pairs,
        )
    except ValueError:  # a window larger than its padded input
        return make((most,) * axes, (2,) * axes, stride=stride, dilation=dilation, padding="same")


def operands(geometry, inputs, features, seed=0):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(2, *geometry.input, inputs))
    k = draw.normal(size=(*geometry.window, inputs // geometry.groups, features))
    return {"x": x, "k": k, "y": draw.normal(size=(2, *geometry.output, features))}


OPERANDS = {"y": "xk", "x": "yk", "k": "xy"}


def check(forms, geometry, data):
    """Compare functions of (mode, function) with the definition; they are compiled at once."""

    @quick_jit
    def everything(data):
        return [
            function(*(data[name] for name in OPERANDS[mode]), geometry=geometry)
            for mode, function in forms
        ]

    with jax.enable_x64(True):
        results = everything(data)
    wanted = reference(geometry, **data)
    for (mode, function), got in zip(forms, map(np.asarray, results), strict=True):
        assert got.shape == wanted[mode].shape, function
        assert got.dtype == np.float64, function
        error = np.abs(got - wanted[mode]).max()
        assert error <= 1e-12 * max(np.abs(wanted[mode]).max(), 1), function


ANY_GEOMETRY = [
    ("y", canonical.convolution),
    ("x", canonical.input_gradient),
    ("k", canonical.weight_gradient),
    ("y", rewrites.product_convolution),
    ("x", rewrites.product_input_gradient),
    ("k", rewrites.product_weight_gradient),
    ("k", rewrites.columns_weight_gradient),
]


@settings(max_examples=25)
@given(geometry=geometries())
def test_any_geometry(geometry):
    check(ANY_GEOMETRY, geometry, operands(geometry, 2, 3))


@settings(max_examples=30)
@given(geometry=geometries(dilated=False))
def test_blocks_without_dilation(geometry):
    forms = [("x", rewrites.block_input_gradient)]
    if all(w <= s for w, s in zip(geometry.window, geometry.stride, strict=True)):
        forms.append(("k", rewrites.block_weight_gradient))
    check(forms, geometry, operands(geometry, 2, 3))


@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid", 3])
def test_depthwise(multiplier, stride, padding):
    geometry = conv_geometry((6, 7), (3, 2), stride=stride, dilation=2, padding=padding, groups=3)
    forms = [
        ("y", rewrites.depthwise_convolution),
        ("x", rewrites.depthwise_input_gradient),
        ("k", rewrites.depthwise_weight_gradient),
    ]
    check(forms, geometry, operands(geometry, 3, 3 * multiplier))


@pytest.mark.parametrize("floats", [1, 64, 300, 2**18])
@pytest.mark.parametrize("most", [2, 16])
def test_bands_of_any_height_add_up(monkeypatch, floats, most):
    monkeypatch.setattr(canonical, "_BAND_SIZE", floats)
    monkeypatch.setattr(canonical, "_MOST_BANDS", most)
    for options in ({}, {"stride": 2, "padding": 4}, {"dilation": 2, "padding": ((5, 0), (0, 1))}):
        geometry = conv_geometry((9, 6), (3, 2), **options)
        check([("k", canonical.weight_gradient)], geometry, operands(geometry, 2, 3))


@pytest.mark.parametrize(
    ("batch", "rows"), [(1, 125), (2, 63), (4, 32), (64, 8)], ids=["one", "two", "four", "most"]
)
def test_large_images_are_cut_into_bands(batch, rows):
    """Of at most 2**18 floats, and at most 16 of them, without a patched limit."""
    geometry = conv_geometry((250, 250), (3, 2), stride=2)
    x = jax.ShapeDtypeStruct((batch, 250, 250, 4), jnp.float32)
    y = jax.ShapeDtypeStruct((batch, *geometry.output, 4), jnp.float32)
    assert canonical._rows_per_band(x, y, geometry) == rows


def chosen(mode, geometry, inputs, features, batch=8):
    shapes = {
        "x": (batch, *geometry.input, inputs),
        "k": (*geometry.window, inputs // geometry.groups, features),
        "y": (batch, *geometry.output, features),
    }
    abstract = (jax.ShapeDtypeStruct(shapes[name], jnp.float32) for name in OPERANDS[mode])
    return dispatch.RULES[mode](geometry, *abstract).__name__


@pytest.mark.parametrize(
    ("options", "window", "channels", "wanted"),
    [
        ({}, 3, 64, ("convolution", "input_gradient", "weight_gradient")),
        ({}, 3, 8, ("convolution", "input_gradient", "columns_weight_gradient")),
        ({}, 1, 256, ("convolution", "input_gradient", "block_weight_gradient")),
        ({"stride": 2}, 2, 64, ("convolution", "block_input_gradient", "block_weight_gradient")),
        ({"stride": 2}, 4, 64, ("convolution", "block_input_gradient", "weight_gradient")),
        ({"stride": 2}, 3, 64, ("convolution", "product_input_gradient", "weight_gradient")),
        (
            {"dilation": 24},
            3,
            64,
            ("product_convolution", "product_input_gradient", "product_weight_gradient"),
        ),
        ({}, 3, 512, ("product_convolution", "product_input_gradient", "product_weight_gradient")),
        ({"groups": 4}, 3, 64, ("convolution", "input_gradient", "weight_gradient")),
    ],
)
def test_the_rules(options, window, channels, wanted):
    geometry = conv_geometry((33, 33), (window, window), **options)
    assert tuple(chosen(mode, geometry, channels, channels) for mode in "yxk") == wanted


def share(geometry):
    """The share of a convolution's products that see data, counted one by one."""
    pairs = itertools.product(
        itertools.product(*map(range, geometry.output)),
        itertools.product(*map(range, geometry.window)),
    )
    at_data = [
        all(
            0 <= o * s + t * d - low < i
            for o, t, s, d, low, i in zip(
                output,
                tap,
                geometry.stride,
                geometry.dilation,
                geometry.low,
                geometry.input,
                strict=True,
            )
        )
        for output, tap in pairs
    ]
    return sum(at_data) / len(at_data)


@pytest.mark.parametrize(
    ("dilation", "wanted"),
    [
        (2, ("convolution", "input_gradient", "weight_gradient")),
        (4, ("convolution", "product_input_gradient", "weight_gradient")),
        (7, ("convolution", "product_input_gradient", "weight_gradient")),
        (8, ("product_convolution", "product_input_gradient", "product_weight_gradient")),
    ],
)
def test_the_rules_at_either_side_of_their_shares(dilation, wanted):
    """Below .85 of the products on data the input gradient, below .6 all modes, are products."""
    geometry = conv_geometry((21, 21), (3, 3), dilation=dilation)
    expected = {2: (0.85, 1), 4: (0.6, 0.85), 7: (0.6, 0.85), 8: (0, 0.6)}[dilation]
    assert expected[0] <= share(geometry) < expected[1]
    assert share(geometry) == pytest.approx(rewrites.share_of_data(geometry))
    assert tuple(chosen(mode, geometry, 64, 64) for mode in "yxk") == wanted


@pytest.mark.parametrize(
    ("channels", "wanted"), [(11, "columns_weight_gradient"), (12, "weight_gradient")]
)
def test_few_columns_are_one_product(channels, wanted):
    """Up to 100 of them: taps times channels."""
    assert chosen("k", conv_geometry((33, 33), (3, 3)), channels, 64) == wanted


@pytest.mark.parametrize("window", [(7, 7), (1, 49), (7, 8)])
def test_windows_of_at_most_49_taps_are_written_out(window):
    geometry = conv_geometry((33, 64), window, groups=64)
    written_out = window != (7, 8)
    for mode in "yxk":
        assert chosen(mode, geometry, 64, 64).startswith("depthwise") == written_out


def test_depthwise_is_a_sum_of_products_in_every_mode():
    geometry = conv_geometry((33, 33), (3, 3), groups=64)
    assert all(chosen(m, geometry, 64, 64).startswith("depthwise") for m in "yxk")


@pytest.mark.parametrize("option", [{"groups": 64}, {"dilation": 3}, {}])
def test_large_windows_are_not_written_out_tap_by_tap(option):
    """Compiling 31 x 31 slices would take minutes."""
    geometry = conv_geometry((33, 33), (31, 31), **option)
    names = {chosen(mode, geometry, 64, 64) for mode in "yxk"}
    assert names == {"convolution", "input_gradient", "weight_gradient"}


@pytest.mark.parametrize("option", [{}, {"stride": 2}, {"dilation": 9}, {"groups": 16}])
def test_no_form_needs_the_batch(option):
    """Exported for any batch, as a served net is."""
    kernel = jnp.ones((3, 3, 16 // option.get("groups", 1), 16))
    (batch,) = jax.export.symbolic_shape("batch")
    x = jax.ShapeDtypeStruct((batch, 8, 8, 16), jnp.float32)

    def both(x, kernel):
        y, back = jax.vjp(lambda x, k: ops.conv(x, k, **option), x, kernel)
        return y, back(y)

    exported = jax.export.export(jax.jit(both))(x, kernel)
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 16)).astype(np.float32)
    calls = quick_jit(lambda x, k: (exported.call(x, k), both(x, k)))
    got, wanted = calls(images, kernel)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), got, wanted)


OPTIONS = [{}, {"stride": 2}, {"dilation": 9}, {"groups": 16}, {"groups": 4}]


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("form", ["auto", "fast"])
def test_sixteen_bits_are_rounded_once(option, dtype, form):
    geometry = conv_geometry((9, 12), (3, 3), **option)
    rounded = {n: np.asarray(a, dtype) for n, a in operands(geometry, 16, 16).items()}
    wanted = reference(geometry, **{n: a.astype(np.float64) for n, a in rounded.items()})

    @jax.jit  # one compilation for all
    def everything(x, k, y):
        out, back = jax.vjp(functools.partial(ops.conv, **option), x, k)
        return out, *back(y)

    with ops.lowering(form):
        results = everything(rounded["x"], rounded["k"], rounded["y"])
    got = dict(zip("yxk", results, strict=True))
    half_step = float(jnp.finfo(dtype).eps) / 2
    for mode in "yxk":
        assert got[mode].dtype == dtype
        error = np.abs(np.asarray(got[mode], np.float64) - wanted[mode])
        # Half a step of its own size, and float32's error of the sum.
        allowed = 1.01 * half_step * np.abs(wanted[mode]) + 1e-5 * np.abs(wanted[mode]).max()
        assert (error <= allowed).all()
