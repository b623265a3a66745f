"""Padding beyond the window's reach, where XLA for CPU reads what is not there (xla#48713)."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from experiments.benchmarks.exactness import reference
from jaxseg import ops
from jaxseg.ops.geometry import conv_geometry, upconv_geometry, without_excess

GEOMETRY = {"conv": conv_geometry, "upconv": upconv_geometry}
forms = pytest.mark.parametrize("form", ["auto", "direct", "fast"])


@st.composite
def cases(draw):
    """(operation, size, window, options) that fit together."""
    axes = draw(st.integers(1, 2))

    def entries(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    operation, size, window = draw(st.sampled_from([*GEOMETRY])), entries(1, 4), entries(1, 3)
    options = {"stride": entries(1, 3), "dilation": entries(1, 2)}
    pairs = tuple(zip(entries(0, 6), entries(0, 6), strict=True))
    try:
        GEOMETRY[operation](size, window, padding=pairs, **options)
    except ValueError:  # nothing would be left of the output of an upconvolution
        operation, pairs = "conv", tuple((lo + 3, hi + 1) for lo, hi in pairs)
    return operation, size, window, {**options, "padding": pairs}


def operands(operation, size, window, options):
    """Images, kernel and cotangent in float32, and the (y, dx, dk) of the definition."""
    geometry = GEOMETRY[operation](size, window, **options)
    out = geometry.output if operation == "conv" else geometry.input
    draw = np.random.default_rng(0)
    shapes = (2, *size, 3), (*window, 3, 4), (2, *out, 4)
    arrays = [draw.normal(size=shape).astype(np.float32) for shape in shapes]
    return arrays, reference(operation, geometry, *(a.astype(np.float64) for a in arrays))


def derivatives(operation, options, x, kernel, cotangent):
    op = functools.partial(getattr(ops, operation), **options)
    slopes = jax.grad(lambda x, kernel: jnp.sum(op(x, kernel) * cotangent), (0, 1))
    return op(x, kernel), *slopes(x, kernel)


def is_the_definition(form, operation, size, window, options):
    arrays, wanted = operands(operation, size, window, options)
    with ops.lowering(form):
        got = jax.jit(functools.partial(derivatives, operation, options))(*arrays)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@forms
@settings(max_examples=15)
@given(case=cases())
def test_any_padding_is_the_definition(form, case):
    is_the_definition(form, *case)


WRONG_ONCE = [
    ("conv", (2,), (2,), {"padding": ((3, 0),)}),
    ("conv", (4,), (2,), {"padding": ((4, 0),)}),
    ("conv", (3, 4), (3, 1), {"padding": ((0, 2), (3, 1))}),
    ("upconv", (4, 4), (2, 2), {"stride": 3, "padding": ((2, 1), (0, 3))}),
    ("upconv", (5,), (3,), {"stride": 1, "padding": ((4, 0),)}),
]
SEES_NOTHING = [
    ("conv", (1,), (1,), {"stride": 2, "padding": ((1, 0),)}),
    ("conv", (1, 3), (1, 2), {"stride": 2, "padding": ((1, 0), (3, 2))}),
    ("conv", (2,), (1,), {"stride": 5, "padding": ((3, 0),)}),
    ("upconv", (1,), (1,), {"stride": (3,), "padding": ((1, 0),), "output_padding": 2}),
]


@forms
@pytest.mark.parametrize("case", WRONG_ONCE + SEES_NOTHING)
def test_cases_that_were_wrong_and_images_that_nothing_sees(form, case):
    is_the_definition(form, *case)


@pytest.mark.parametrize("case", SEES_NOTHING)
def test_what_sees_nothing_is_zero_even_of_infinite_images(case):
    operation, _, _, options = case
    (x, kernel, _), (y, *_) = operands(*case)
    assert not y.any()
    np.testing.assert_array_equal(getattr(ops, operation)(x * np.inf, kernel, **options), y)


@pytest.mark.parametrize("case", SEES_NOTHING)
def test_batches_of_what_sees_nothing(case):
    """Over images, kernels and both: empty outputs are folded and unfolded like any other."""
    operation, *_, options = case
    (x, kernel, _), (y, *_) = operands(*case)
    op = functools.partial(getattr(ops, operation), **options)
    xs, kernels = np.stack([x] * 3), np.stack([kernel] * 3)

    @quick_jit
    def everything(xs, kernels):
        return [
            (
                jax.vmap(op, axes)(*pair),
                jax.grad(lambda *p, axes=axes: jnp.sum(jax.vmap(op, axes)(*p) ** 2), (0, 1))(*pair),
            )
            for axes, pair in (
                ((0, None), (xs, kernels[0])),
                ((None, 0), (xs[0], kernels)),
                ((0, 0), (xs, kernels)),
            )
        ]

    for value, gradients in everything(xs, kernels):
        assert value.shape == (3, *y.shape)
        assert not any(np.any(a) for a in (value, *gradients))


@pytest.mark.parametrize("case", WRONG_ONCE + SEES_NOTHING)
def test_on_an_explicit_mesh(case):
    operation, *_, options = case
    arrays, wanted = operands(*case)
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Explicit,))
    specs = P("data"), P(), P("data")
    with jax.set_mesh(mesh):
        sharded = (
            jax.device_put(a, NamedSharding(mesh, spec))
            for a, spec in zip(arrays, specs, strict=True)
        )
        got = jax.jit(functools.partial(derivatives, operation, options))(*sharded)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_an_ensemble_and_second_derivatives():
    """Both come back to the same geometry."""
    (x, kernel, _), _ = operands(*WRONG_ONCE[0])
    xs, kernels = np.stack([x, 2 * x]), np.stack([kernel, -kernel])

    def slope(x, kernel):
        return jax.grad(lambda x: jnp.sum(ops.conv(x, kernel, padding=((3, 0),)) ** 3))(x)

    def curvature(x, kernel):
        return jax.grad(lambda kernel: jnp.sum(slope(x, kernel) ** 2))(kernel)

    got = jax.jit(jax.vmap(curvature))(xs, kernels)
    with jax.enable_x64(True):  # which XLA writes as loops
        wanted = jax.vmap(curvature)(xs.astype(np.float64), kernels.astype(np.float64))
    np.testing.assert_allclose(got, wanted, rtol=1e-4)


# --- the geometry ---------------------------------------------------------------------------------


def meetings(geometry, at_input, at_output):
    """Every (input, tap, output) that meet, counted from the given pixels, axis by axis."""
    g = geometry
    return [
        {
            (position + i0, t, o + o0)
            for o, t in itertools.product(range(outputs), range(taps))
            if 0 <= (position := o * s + t * d - lo) < inputs
        }
        for inputs, taps, outputs, s, d, lo, (i0, _), (o0, _) in zip(
            g.input,
            g.window,
            g.output,
            g.stride,
            g.dilation,
            g.low,
            at_input,
            at_output,
            strict=True,
        )
    ]


@given(case=cases())
def test_what_is_left_out_meets_nothing(case):
    operation, size, window, options = case
    whole = GEOMETRY[operation](size, window, **options)
    rest, input_crop, output_crop = without_excess(whole)
    nowhere = ((0, 0),) * len(size)
    if 0 in rest.output:
        assert set() in meetings(whole, nowhere, nowhere)
        assert min(rest.input) >= 0
        return
    assert meetings(rest, input_crop, output_crop) == meetings(whole, nowhere, nowhere)
    for whole_size, rest_size, edges in (
        (whole.input, rest.input, input_crop),
        (whole.output, rest.output, output_crop),
    ):
        for n, m, (before, after) in zip(whole_size, rest_size, edges, strict=True):
            assert n == before + m + after
            assert min(before, after) >= 0
    for i, k, o, s, d, lo in zip(
        rest.input, rest.window, rest.output, rest.stride, rest.dilation, rest.low, strict=True
    ):
        assert 0 <= lo <= (k - 1) * d  # the paddings in front, of the convolution and its gradient
        assert i - 1 - (o - 1) * s + lo >= 0  # and behind it


@pytest.mark.parametrize("padding", ["same", "valid", 1])
def test_ordinary_paddings_leave_nothing_out(padding):
    whole = conv_geometry((8, 9), (3, 4), stride=(1, 2), padding=padding)
    assert without_excess(whole) == (whole, [(0, 0)] * 2, [(0, 0)] * 2)
