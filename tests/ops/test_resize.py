"""Resizing: values by hand, PyTorch's interpolate, adjoints, transformations, dtypes, errors."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from hypothesis import given, settings
from hypothesis import strategies as st
from operands import draw, line

from jaxseg import ops
from jaxseg.ops._resize import _linear_table, _table
from jaxseg.ops.sparse_axis import _MOST_TAPS

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


nearest_methods = pytest.mark.parametrize("method", ["nearest-exact", "nearest"])
all_methods = pytest.mark.parametrize("method", ["bilinear", "nearest-exact", "nearest"])


# --- by hand -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "size", "options", "wanted"),
    [
        ([0, 4], 4, {}, [0, 1, 3, 4]),
        ([0, 3], 4, {"align_corners": True}, [0, 1, 2, 3]),
        ([0, 2, 6, 4], 2, {}, [1, 5]),
        ([0, 2, 6], 2, {"align_corners": True}, [0, 6]),
        ([1, 2, 4, 8, 16, 32], 2, {}, [2, 16]),  # the center of three, without antialiasing
        ([5], 3, {}, [5, 5, 5]),
        ([5], 3, {"align_corners": True}, [5, 5, 5]),
        ([1, 2, 6], 1, {}, [2]),
        ([1, 2, 6], 1, {"align_corners": True}, [1]),
        ([1, 2, 6], 3, {}, [1, 2, 6]),
        ([1, 2], 4, {"method": "nearest"}, [1, 1, 2, 2]),
        ([1, 2, 3], 5, {"method": "nearest"}, [1, 1, 2, 2, 3]),
        ([1, 2, 3, 4, 5], 2, {"method": "nearest"}, [1, 3]),
        ([7], 2, {"method": "nearest"}, [7, 7]),
        ([7, 8], 1, {"method": "nearest"}, [7]),
        ([1, 2], 4, {"method": "nearest-exact"}, [1, 1, 2, 2]),
        ([1, 2, 3], 5, {"method": "nearest-exact"}, [1, 1, 2, 3, 3]),
        ([1, 2, 3, 4, 5], 2, {"method": "nearest-exact"}, [2, 4]),
        ([7], 2, {"method": "nearest-exact"}, [7, 7]),
        ([7, 8], 1, {"method": "nearest-exact"}, [8]),  # the border of two: the one behind
        ([1, 2, 3, 4], 2, {"method": "nearest-exact"}, [2, 4]),
    ],
)
def test_values(values, size, options, wanted):
    np.testing.assert_allclose(ops.resize(line(values), size, **options)[0, :, 0], wanted, 1e-6)


def test_axes_are_independent():
    x = jnp.asarray([[0.0, 4.0], [8.0, 12.0]])[None, :, :, None]
    y = ops.resize(x, (1, 4))
    np.testing.assert_allclose(y[0, :, :, 0], [[4, 5, 7, 8]])
    np.testing.assert_array_equal(ops.resize(x, (2, 2)), x)


@nearest_methods
def test_labels_keep_their_values(method):
    labels = jnp.asarray([[0, 255], [3, 7]], jnp.int32)[None, ..., None]
    y = ops.resize(labels, 4, method=method)
    assert y.dtype == jnp.int32
    np.testing.assert_array_equal(y[0, :, :, 0], np.kron(labels[0, :, :, 0], np.ones((2, 2))))


def test_constants_and_ramps_are_kept():
    x = np.broadcast_to(np.linspace(0, 1, 9, dtype=np.float32)[:, None, None], (1, 9, 5, 1))
    y = ops.resize(x, (33, 7), align_corners=True)
    np.testing.assert_allclose(y[0, :, 3, 0], np.linspace(0, 1, 33), atol=1e-6)
    for size in [1, 3, 17]:
        np.testing.assert_allclose(ops.resize(jnp.full((1, 5, 6, 2), 3.0), size), 3.0, rtol=1e-6)


def test_infinities_stay_where_they_are():
    for value in (np.inf, -np.inf):
        x = line([1, 2, value, 4, 5, 6])
        finite = np.isfinite(ops.resize(x, 12))[0, :, 0]
        np.testing.assert_array_equal(finite, [1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1])
        assert (ops.resize(x, 12)[0, 3:7] == value).all()
        assert np.isfinite(ops.resize(x, 6)).sum() == 5


@pytest.mark.parametrize("pixel", [0, 2, 5])
@pytest.mark.parametrize("size", [3, 11, 12])
def test_an_infinity_becomes_no_nan_where_a_pixel_has_weight_zero(pixel, size):
    """Output pixels that look at one input pixel alone share tables with others that mix two."""
    x = np.arange(6, dtype=np.float32)
    x[pixel] = np.inf
    y = ops.resize(line(x), size, align_corners=size == 11)[0, :, 0]
    weights = _linear_table(6, size, size == 11).dense()[:, pixel]
    np.testing.assert_array_equal(np.isposinf(y), weights > 0)
    assert not np.isnan(y).any()
    gradient = jax.vjp(lambda x: ops.resize(x, 6), line(np.arange(size)))[1](line(x))[0]
    assert not np.isnan(gradient).any()


# --- PyTorch -------------------------------------------------------------------------------------


def torch_resize(x, size, cotangent, **options):
    torch = pytest.importorskip("torch")
    tx = torch.from_numpy(np.moveaxis(x, -1, 1).copy()).requires_grad_()
    ty = torch.nn.functional.interpolate(tx, size=size, **options)
    ty.backward(torch.from_numpy(np.moveaxis(cotangent, -1, 1).copy()))
    return (np.moveaxis(t.detach().numpy(), 1, -1) for t in (ty, tx.grad))


def ours(x, size, cotangent, **options):
    @quick_jit  # one compilation for both
    def both(x, cotangent):
        y, pull = jax.vjp(lambda x: ops.resize(x, size, **options), x)
        return y, pull(cotangent)[0]

    return both(x, cotangent)


@st.composite
def shapes(draw):
    axes = draw(st.integers(1, 3))
    most = {1: 40, 2: 14, 3: 6}[axes]
    space = tuple(draw(st.integers(1, most)) for _ in range(axes))
    size = tuple(draw(st.integers(1, most)) for _ in range(axes))
    return (draw(st.integers(1, 2)), *space, draw(st.integers(1, 3))), size


def bilinear_is_pytorchs(shape, size, align_corners):
    x, cotangent = draw(*shape), draw(shape[0], *size, shape[-1], seed=1)
    mode = MODES[len(size)]
    wanted = torch_resize(x, size, cotangent, mode=mode, align_corners=align_corners)
    with jax.enable_x64(True):
        got = ours(x, size, cotangent, align_corners=align_corners)
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == np.float64
        assert np.abs(np.asarray(a) - b).max() <= 1e-12 * np.abs(b).max()


@settings(max_examples=15)
@given(case=shapes(), align_corners=st.booleans())
def test_bilinear_is_pytorchs(case, align_corners):
    bilinear_is_pytorchs(*case, align_corners)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(
    ("space", "size"),
    [((33, 33), (129, 129)), ((1, 1), (65, 70)), ((64,), (32,)), ((3, 50), (1, 1))],
)
def test_sizes_of_nets_are_pytorchs(space, size, align_corners):
    bilinear_is_pytorchs((1, *space, 2), size, align_corners)


@settings(max_examples=15)
@given(case=shapes())
def test_nearest_is_pytorchs(case):
    (batch, *space, channels), size = case
    # Small integers in float32: sums are exact, and PyTorch's indices are those of float32.
    integers = np.random.default_rng(0).integers
    x = integers(-9, 9, (batch, *space, channels)).astype(np.float32)
    cotangent = integers(-9, 9, (batch, *size, channels)).astype(np.float32)
    wanted = torch_resize(x, size, cotangent, mode="nearest")
    for a, b in zip(ours(x, size, cotangent, method="nearest"), wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_nearest_rounds_as_pytorch_at_every_size():
    torch = pytest.importorskip("torch")
    for i in [1, 2, 3, 7, 31, 64, 107]:
        x = torch.arange(i, dtype=torch.float32)[None, None]
        for o in [*range(1, 130), 164, 214, 360, 481]:
            wanted = torch.nn.functional.interpolate(x, size=o, mode="nearest")
            np.testing.assert_array_equal(_table(i, o, "nearest", False).index[:, 0], wanted[0, 0])


def exact_positions(i, o):
    """Twice o times the position (pixel + 1/2) i / o that an output pixel looks at: integers."""
    return (2 * np.arange(o) + 1) * i


@settings(max_examples=60)
@given(i=st.integers(1, 400), o=st.integers(1, 400))
def test_nearest_exact_is_the_nearest_pixel(i, o):
    """Of two that are equally near, the one behind."""
    centers = 2 * np.arange(i) + 1  # times 1/2
    distance = np.abs(exact_positions(i, o)[:, None] - centers * o)
    nearest = i - 1 - np.argmin(distance[:, ::-1], axis=1)
    np.testing.assert_array_equal(_table(i, o, "nearest-exact", False).index[:, 0], nearest)


@settings(max_examples=60)
@given(i=st.integers(1, 400), o=st.integers(1, 400))
def test_nearest_exact_takes_the_pixel_that_bilinear_weights_most(i, o):
    weights = _linear_table(i, o, False).dense()
    column = _table(i, o, "nearest-exact", False).index[:, 0]
    assert weights[np.arange(o), column] == pytest.approx(weights.max(axis=1), abs=1e-9)


@settings(max_examples=60)
@given(i=st.integers(1, 400), o=st.integers(1, 400))
def test_nearest_exact_is_pytorchs_at_every_size(i, o):
    torch = pytest.importorskip("torch")
    x = torch.arange(i, dtype=torch.float64)[None, None]
    wanted = torch.nn.functional.interpolate(x, size=o, mode="nearest-exact")[0, 0]
    np.testing.assert_array_equal(_table(i, o, "nearest-exact", False).index[:, 0], wanted)


@settings(max_examples=15)
@given(case=shapes())
def test_nearest_exact_and_its_gradient_are_pytorchs(case):
    (batch, *space, channels), size = case
    # From odd sizes, whose positions never lie on the border of two pixels: there PyTorch takes
    # either, as rounding goes, in two and three dimensions.
    space = [i if i % 2 else i + 1 for i in space]
    integers = np.random.default_rng(0).integers
    x = integers(-9, 9, (batch, *space, channels)).astype(np.float32)
    cotangent = integers(-9, 9, (batch, *size, channels)).astype(np.float32)
    wanted = torch_resize(x, size, cotangent, mode="nearest-exact")
    for a, b in zip(ours(x, size, cotangent, method="nearest-exact"), wanted, strict=True):
        np.testing.assert_array_equal(a, b)


# --- algebra -------------------------------------------------------------------------------------


@settings(max_examples=6)
@given(case=shapes(), method=st.sampled_from(["bilinear", "nearest-exact", "nearest"]))
def test_adjoint(case, method):
    (batch, *space, channels), size = case
    with jax.enable_x64(True):
        x, v = draw(batch, *space, channels), draw(batch, *size, channels, seed=1)
        y, xv = ours(x, size, v, method=method)
        np.testing.assert_allclose(np.vdot(y, v), np.vdot(x, xv), rtol=0, atol=1e-11)


@pytest.mark.parametrize("sizes", [(2, 7), (7, 2), (1, 5), (5, 1), (2, 3 * _MOST_TAPS)])
def test_tables_are_transposes_of_each_other(sizes):
    table = _linear_table(*sizes, False)
    assert table.transposed.transposed is table
    np.testing.assert_array_equal(table.transposed.dense(), table.dense().T)
    for t in (table, table.transposed):
        dense = np.zeros((t.outputs, t.inputs))
        np.add.at(dense, (np.arange(t.outputs)[:, None], t.index), t.weight)
        np.testing.assert_array_equal(dense, t.dense())
    np.testing.assert_allclose(table.dense().sum(axis=1), 1)
    assert str(table) == f"Taps({sizes[0]} -> {sizes[1]}, {table.index.shape[1]} each)"


# --- transformations -----------------------------------------------------------------------------


@all_methods
def test_transformations(method, x64):
    def f(x):
        return ops.resize(x, (5, 3), method=method)

    def loss(f):
        return lambda x: jnp.sum(jnp.sin(f(x)) * jnp.arange(45.0).reshape(1, 5, 3, 3))

    xs = jnp.asarray(draw(4, 1, 3, 4, 3))
    x, v = xs[0], xs[1]
    matrix = jax.jacfwd(f)(x).reshape(45, 36)
    close = np.testing.assert_allclose
    close(jax.jacrev(f)(x).reshape(45, 36), matrix)
    y = (matrix @ x.reshape(36)).reshape(1, 5, 3, 3)

    def plain(x):
        return (matrix @ x.reshape(36)).reshape(1, 5, 3, 3)

    cases = []

    def agree(transformed, *args):
        cases.append((transformed, args))

    close(f(x), y, atol=1e-12)
    agree(jax.jit, x)
    agree(lambda f: jax.grad(loss(f)), x)
    agree(lambda f: lambda x, v: jax.jvp(f, (x,), (v,))[1], x, v)
    agree(jax.vmap, xs)
    agree(lambda f: jax.vmap(f, 2, 1), jnp.moveaxis(xs, 0, 2))
    agree(lambda f: jax.vmap(jax.grad(loss(f))), xs)
    agree(lambda f: jax.grad(lambda x: jnp.sum(jax.grad(loss(f))(x) * v)), x)
    agree(lambda f: jax.grad(lambda x: jax.jvp(loss(f), (x,), (v,))[1]), x)
    agree(lambda f: lambda xs: jax.lax.scan(lambda c, x: (c + loss(f)(x), f(x)), 0.0, xs)[1], xs)
    agree(
        lambda f: jax.grad(
            lambda xs: jax.lax.scan(lambda c, x: (jnp.sin(c) + loss(f)(x), None), 0.0, xs)[0]
        ),
        xs,
    )
    agree(lambda f: jax.grad(loss(jax.checkpoint(f))), x)
    agree(lambda f: lambda y: jax.linear_transpose(f, x)(y)[0], y)

    @quick_jit  # one compilation for all
    def everything(arguments):
        return [
            (transformed(f)(*args), transformed(plain)(*args))
            for (transformed, _), args in zip(cases, arguments, strict=True)
        ]

    for got, wanted in everything([args for _, args in cases]):
        jax.tree.map(functools.partial(close, rtol=1e-10, atol=1e-12), got, wanted)
    assert jax.eval_shape(f, x).shape == (1, 5, 3, 3)


@nearest_methods
def test_labels_go_through_jit_vmap_and_a_loss(method):
    labels = jnp.arange(24).reshape(2, 1, 3, 4, 1)
    y = jax.jit(jax.vmap(lambda y: ops.resize(y, (6, 8), method=method)))(labels)
    np.testing.assert_array_equal(y[:, :, ::2, ::2], labels)

    def loss(x, labels):
        return jnp.sum(x * ops.resize(labels, (6, 8), method=method).astype(x.dtype))

    np.testing.assert_array_equal(jax.grad(loss)(jnp.ones(y[0].shape), labels[0]), y[0])


@pytest.mark.parametrize(
    ("size", "method"), [((6, 8), "nearest"), ((6, 5), "nearest"), ((6, 5), "nearest-exact")]
)
def test_nearest_on_an_explicit_mesh(size, method):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Explicit,))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(ops.resize(x, size, method=method) ** 2)))
    x = draw(4, 3, 4, 2).astype(np.float32)
    with jax.set_mesh(mesh):
        got = gradient(jax.device_put(x, split))
    np.testing.assert_array_equal(got, gradient(x))


def test_any_batch_is_exported():
    (batch,) = jax.export.symbolic_shape("b")
    f = jax.jit(lambda x: ops.resize(x, 5))
    exported = jax.export.export(f)(jax.ShapeDtypeStruct((batch, 3, 3, 2), jnp.float32))
    x = draw(4, 3, 3, 2).astype(np.float32)
    np.testing.assert_allclose(exported.call(x), f(x), rtol=1e-6)


# --- dtypes and errors ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_floating_dtypes(dtype):
    x = jnp.asarray(draw(2, 6, 5, 3), dtype)
    y, pull = jax.vjp(lambda x: ops.resize(x, (9, 4)), x)
    assert y.dtype == pull(y)[0].dtype == dtype
    exact = ops.resize(x.astype(jnp.float32), (9, 4))
    # Rounded once, at the end.
    np.testing.assert_array_equal(y, exact.astype(dtype))
    assert ops.resize(x, 4, method="nearest-exact").dtype == dtype


@nearest_methods
@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.int32, jnp.bool_, jnp.complex64])
def test_nearest_takes_any_dtype(dtype, method):
    x = jnp.asarray(draw(2, 3, 4, 1) > 0, dtype)
    y = ops.resize(x, (6, 2), method=method)
    assert y.dtype == dtype
    first = {"nearest": 0, "nearest-exact": 1}[method]
    np.testing.assert_array_equal(y, np.repeat(x, 2, axis=1)[:, :, first::2])


def test_numpy_doubles_become_what_jax_makes_of_them():
    assert ops.resize(np.ones((1, 2, 2, 1)), 3).dtype == jnp.float32


def test_no_batch_is_no_error():
    for method in ("bilinear", "nearest-exact", "nearest"):
        assert ops.resize(jnp.ones((0, 2, 3, 1)), (4, 5), method=method).shape == (0, 4, 5, 1)


@pytest.mark.parametrize(
    ("x", "size", "options", "message"),
    [
        ((2, 3), 4, {}, r"resize: x has shape \(2, 3\), .* x\[None\] .* x\[\.\.\., None\]"),
        ((1, 2, 3, 4, 5, 6), 4, {}, r"resize: x has shape .* 1, 2 or 3 spatial axes"),
        ((1, 0, 3, 1), 4, {}, r"x \(1, 0, 3, 1\) has an empty axis: only the batch may be empty"),
        ((1, 2, 2, 1), 0, {}, r"size=0 has an entry below 1: give integers >= 1"),
        ((1, 2, 2, 1), (4,), {}, r"size=\(4,\) does not fit 2 spatial axes: .* or 2 of them"),
        ((1, 2, 2, 1), 2.5, {}, r"size=2.5 does not fit 2 spatial axes"),
        ((1, 2, 2, 1), 4, {"method": "cubic"}, r"method='cubic' is unknown: give \"bilinear\""),
        (
            (1, 2, 2, 1),
            4,
            {"method": "nearest", "align_corners": True},
            r"align_corners=True has no meaning for method='nearest': leave it out",
        ),
        (
            (1, 2, 2, 1),
            4,
            {"method": "nearest-exact", "align_corners": True},
            r"align_corners=True has no meaning for method='nearest-exact': leave it out",
        ),
    ],
)
def test_what_does_not_fit(x, size, options, message):
    with pytest.raises(ValueError, match=message):
        ops.resize(jnp.ones(x), size, **options)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda x: ops.resize(x, size, **options), jnp.ones(x))


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint8, jnp.bool_])
def test_labels_are_not_mixed(dtype):
    message = (
        rf'x is {jnp.dtype(dtype)}, .*method="bilinear" .* give method="nearest-exact" for labels'
    )
    for size in (2, 4):  # at its own size as well
        with pytest.raises(ValueError, match=message):
            ops.resize(jnp.ones((1, 2, 2, 1), dtype), size)


def test_a_large_factor_is_a_product():
    """More taps than are written out, forward or in the gradient."""
    x = line(range(3 * _MOST_TAPS))
    assert math.isclose(float(ops.resize(x, 1)[0, 0, 0]), (3 * _MOST_TAPS - 1) / 2)
    gradient = jax.grad(lambda x: ops.resize(x, 3 * _MOST_TAPS).sum())(line([1.0]))
    np.testing.assert_allclose(gradient, [[[3 * _MOST_TAPS]]])
