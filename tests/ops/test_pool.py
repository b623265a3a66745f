"""Pooling: values by hand, PyTorch's pools, adjoints, transformations, dtypes, errors."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from operands import draw, line

from jaxseg import ops

both = pytest.mark.parametrize("op", [ops.max_pool, ops.avg_pool], ids=["max", "avg"])


# --- by hand -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "window", "options", "wanted"),
    [
        (ops.max_pool, 2, {}, [5, 3]),
        (ops.max_pool, 2, {"stride": 1}, [5, 5, 3, 3]),
        (ops.max_pool, 3, {"padding": 1, "stride": 1}, [5, 5, 5, 3, 3]),
        (ops.max_pool, 3, {"padding": "same", "stride": 2}, [5, 5, 3]),
        (ops.max_pool, 2, {"dilation": 3, "stride": 1}, [3, 5]),
        (ops.max_pool, 2, {"padding": ((1, 0),)}, [1, 5, 3]),
        (ops.avg_pool, 2, {}, [3, 2.5]),
        (ops.avg_pool, 5, {}, [2]),
        (ops.avg_pool, 3, {"padding": 1, "stride": 2}, [2, 10 / 3, 2 / 3]),
        (ops.avg_pool, 3, {"padding": 1, "stride": 2, "count_include_pad": False}, [3, 10 / 3, 1]),
        (ops.avg_pool, 2, {"padding": "same", "count_include_pad": False}, [3, 2.5, -1]),
    ],
)
def test_values(op, window, options, wanted):
    y = op(line([1, 5, 2, 3, -1]), window, **options)
    np.testing.assert_allclose(y[0, :, 0], wanted, rtol=1e-6)


def test_padding_is_below_every_value():
    y = jax.jit(lambda x: ops.max_pool(x, 3, stride=1, padding=1))(jnp.full((1, 3, 3, 1), -7.0))
    np.testing.assert_array_equal(y, jnp.full((1, 3, 3, 1), -7.0))
    y = ops.max_pool(jnp.full((1, 3, 1), -7, jnp.int32), 3, stride=1, padding=1)
    np.testing.assert_array_equal(y, jnp.full((1, 3, 1), -7))


@pytest.mark.parametrize(("window", "stride"), [(3, 1), (3, 2), (2, 2)])
def test_images_of_minus_infinity_stay_so(window, stride):
    """The padding is no larger than any value: not the least finite number."""
    x = jnp.full((1, 4, 4, 1), -jnp.inf)
    f = jax.jit(lambda x: ops.max_pool(x, window, stride=stride, padding=1))
    y = f(x)
    np.testing.assert_array_equal(y, jnp.full(y.shape, -jnp.inf))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_first_of_equals_takes_the_gradient(stride):
    x = jnp.zeros((1, 3, 3, 1)).at[0, 1, 1:].set(1).at[0, 2, 0].set(1)
    gradient = jax.jit(jax.grad(lambda x: ops.max_pool(x, 3, stride=stride).sum()))(x)
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[0, 0, 0], [0, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize("stride", [1, 2])
def test_nan_wins(stride):
    y = ops.max_pool(line([1, np.nan, 3, 4, 5, np.nan, np.inf]), 2, stride=stride)
    seen = {1: [1, 1, 0, 0, 1, 1], 2: [1, 0, 1]}[stride]
    np.testing.assert_array_equal(np.isnan(y[0, :, 0]), seen)


@pytest.mark.parametrize(("window", "stride"), [(3, 1), (3, 2), (2, 2)])
def test_nan_takes_the_gradient(window, stride):
    """The first NaN of a window, and no other pixel, wherever it stands among larger numbers."""
    x = np.arange(36.0, dtype=np.float32).reshape(1, 6, 6, 1)
    x[0, 2, 3], x[0, 3, 1], x[0, 3, 3] = np.nan, np.nan, np.nan
    x[0, 2, 2] = np.inf
    y, pull = jax.vjp(jax.jit(lambda x: ops.max_pool(x, window, stride=stride)), x)
    wanted = np.zeros_like(x)
    for row, column in np.ndindex(y.shape[1:3]):
        rows, columns = (slice(n * stride, n * stride + window) for n in (row, column))
        wanted[0, rows, columns].flat[np.argmax(x[0, rows, columns])] += 1  # the first NaN, if any
    np.testing.assert_array_equal(pull(jnp.ones_like(y))[0], wanted)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_the_mean_of_an_infinity_is_infinite_where_it_is_seen(value, count_include_pad):
    """Windows at the border hold fewer pixels than the table of the others."""
    x = line([value, 1, 2, 3, value])
    y = ops.avg_pool(x, 3, stride=1, padding=1, count_include_pad=count_include_pad)[0, :, 0]
    np.testing.assert_array_equal(y[jnp.array([0, 1, 3, 4])], np.full(4, value))
    assert np.isfinite(y[2])


def test_global_mean_of_a_large_image():
    x = draw(2, 70, 3, 2).astype(np.float32)
    y, pull = jax.vjp(lambda x: ops.avg_pool(x, (70, 3)), x)
    np.testing.assert_allclose(y[:, 0, 0], x.mean((1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(pull(jnp.ones_like(y))[0], 1 / 210, rtol=1e-5)


# --- PyTorch -------------------------------------------------------------------------------------


@st.composite
def cases(draw, dilate):
    axes = draw(st.integers(1, 3))
    entry = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(axes))  # noqa: E731
    window, stride = entry(1, 4 if axes < 3 else 3), entry(1, 3)
    dilation = entry(1, 2) if dilate else (1,) * axes
    padding = tuple(draw(st.integers(0, k // 2)) for k in window)
    span = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    least = [max(1, r - 2 * p) for r, p in zip(span, padding, strict=True)]
    if axes == 3 and not dilate:  # PyTorch's avg_pool3d forgets the padding in a check
        least = [*window]
    size = tuple(n + draw(st.integers(0, 5)) for n in least)
    shape = (draw(st.integers(1, 2)), *size, draw(st.integers(1, 3)))
    return shape, window, stride, padding, dilation


def is_pytorchs(name, x, window, **options):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, f"{name}_pool{x.ndim - 2}d")
    tx = torch.from_numpy(np.moveaxis(x, -1, 1).copy()).requires_grad_()
    ty = theirs(tx, window, **options)
    cotangent = draw(*(ty.shape[n] for n in (0, *range(2, x.ndim), 1)), seed=1)
    ty.backward(torch.from_numpy(np.moveaxis(cotangent, -1, 1).copy()))
    with jax.enable_x64(True):
        op = {"max": ops.max_pool, "avg": ops.avg_pool}[name]

        @quick_jit  # one compilation for both
        def ours(x, cotangent):
            y, pull = jax.vjp(lambda x: op(x, window, **options), x)
            return y, pull(cotangent)[0]

        for a, b in zip(ours(x, cotangent), (ty.detach(), tx.grad), strict=True):
            b = np.moveaxis(b.numpy(), 1, -1)
            assert a.dtype == np.float64
            assert a.shape == b.shape
            assert np.abs(a - b).max() <= 1e-12 * np.abs(b).max()


@settings(max_examples=15)
@given(case=cases(dilate=True), ties=st.booleans())
def test_max_pool_is_pytorchs(case, ties):
    shape, window, stride, padding, dilation = case
    assume(
        all(  # which a window of nothing but padding would not be
            any(0 <= o * s + t * d - p < i for t in range(k))
            for i, k, s, p, d in zip(shape[1:-1], window, stride, padding, dilation, strict=True)
            for o in range((i + 2 * p - d * (k - 1) - 1) // s + 1)
        )
    )
    x = np.maximum(draw(*shape), 0) if ties else draw(*shape)
    is_pytorchs("max", x, window, stride=stride, padding=padding, dilation=dilation)


@settings(max_examples=10)
@given(case=cases(dilate=False), count=st.booleans())
def test_avg_pool_is_pytorchs(case, count):
    shape, window, stride, padding, _ = case
    options = {"padding": padding, "count_include_pad": count}
    is_pytorchs("avg", draw(*shape), window, stride=stride, **options)


@pytest.mark.parametrize("name", ["max", "avg"])
def test_pools_of_nets_are_pytorchs(name):
    x = np.maximum(draw(2, 13, 14, 3), 0)
    is_pytorchs(name, x, 2)
    is_pytorchs(name, x, 3, stride=2, padding=1)
    is_pytorchs(name, draw(1, 1, 1, 2), 3, stride=2, padding=1)
    is_pytorchs(name, x, (2, 3))
    is_pytorchs(name, np.maximum(draw(1, 4, 5, 6, 2), 0), 2)


@pytest.mark.parametrize("window", [2, 3])
def test_a_sharded_batch_is_pooled_where_it_lies(window):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(ops.max_pool(x, window, stride=2) ** 2)))
    x = np.maximum(draw(4, 9, 8, 3), 0).astype(np.float32)
    compiled = gradient.lower(jax.device_put(x, split)).compile()
    assert not re.findall("all-gather|all-reduce|collective-permute", compiled.as_text())
    np.testing.assert_array_equal(compiled(jax.device_put(x, split)), gradient(x))


# --- transformations -----------------------------------------------------------------------------


def test_adjoint_of_the_mean(x64):
    for count in (True, False):
        f = lambda x: ops.avg_pool(x, 3, stride=2, padding=1, count_include_pad=count)  # noqa: B023, E731
        x, v = jnp.asarray(draw(2, 7, 6, 3)), jnp.asarray(draw(2, 4, 3, 3, seed=1))
        y, pull = jax.vjp(f, x)
        np.testing.assert_allclose(jnp.vdot(y, v), jnp.vdot(x, pull(v)[0]), rtol=1e-12)


@pytest.mark.parametrize(
    ("op", "window"), [(ops.max_pool, 2), (ops.max_pool, 3), (ops.avg_pool, 3)]
)
def test_transformations(op, window, x64):
    """Against the definition: gathered windows, reduced by jax.numpy."""
    out = {2: 3, 3: 2}[window]
    sites = np.arange(out)[:, None] * 2 + np.arange(window)

    def f(x):
        return op(x, window, stride=2)

    def plain(x):
        seen = x[:, sites][:, :, :, sites]  # (batch, out, window, out, window, channels)
        return {ops.max_pool: jnp.max, ops.avg_pool: jnp.mean}[op](seen, axis=(2, 4))

    def loss(f):
        weights = jnp.arange(2.0 * out * out).reshape(1, out, out, 2)
        return lambda x: jnp.sum(jnp.sin(f(x)) * weights)

    xs = jnp.asarray(draw(3, 1, 6, 6, 2))
    x, v = xs[0], xs[1]

    cases = []

    def agree(transformed, *args):
        cases.append((transformed, args))

    agree(lambda f: f, x)
    agree(jax.jit, x)
    agree(lambda f: jax.grad(loss(f)), x)
    agree(lambda f: lambda x, v: jax.jvp(f, (x,), (v,))[1], x, v)
    agree(jax.vmap, xs)
    agree(lambda f: jax.vmap(f, -1, 2), jnp.moveaxis(xs, 0, -1))
    agree(lambda f: jax.vmap(jax.grad(loss(f))), xs)
    agree(lambda f: jax.grad(lambda x: jnp.sum(jax.grad(loss(f))(x) * v)), x)
    agree(lambda f: jax.grad(lambda x: jax.jvp(loss(f), (x,), (v,))[1]), x)
    agree(lambda f: lambda xs: jax.lax.scan(lambda c, x: (c, f(x)), 0, xs)[1], xs)
    agree(
        lambda f: jax.grad(
            lambda xs: jax.lax.scan(lambda c, x: (jnp.sin(c) + loss(f)(x), None), 0.0, xs)[0]
        ),
        xs,
    )
    agree(lambda f: jax.grad(loss(jax.checkpoint(f))), x)

    @quick_jit  # one compilation for all
    def everything(arguments):
        return [
            (transformed(f)(*args), transformed(plain)(*args))
            for (transformed, _), args in zip(cases, arguments, strict=True)
        ]

    for got, wanted in everything([args for _, args in cases]):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)
        assert np.abs(wanted).max() > 0
    assert jax.eval_shape(f, x).shape == (1, out, out, 2)


# --- dtypes and errors ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
@both
def test_floating_dtypes(op, dtype):
    x = jnp.asarray(draw(2, 6, 5, 3), dtype)
    f = jax.jit(lambda x: op(x, 3, stride=2, padding=1))
    y, pull = jax.vjp(f, x)
    assert y.dtype == pull(y)[0].dtype == dtype
    exact = f(x.astype(jnp.float32))
    np.testing.assert_array_equal(y, exact.astype(dtype))  # rounded once, at the end


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint8, jnp.int8])
def test_labels_are_pooled_by_their_maximum(dtype):
    x = jnp.asarray([3, 1, 7, 2], dtype)[None, :, None]
    y = ops.max_pool(x, 2, padding="same", stride=1)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y[0, :, 0], [3, 7, 7, 2])


@both
def test_no_batch_is_no_error(op):
    assert op(jnp.ones((0, 4, 4, 2)), 2).shape == (0, 2, 2, 2)


@both
def test_images_of_one_pixel(op):
    np.testing.assert_array_equal(op(jnp.ones((1, 1, 1, 1)), 1), jnp.ones((1, 1, 1, 1)))
    assert op(jnp.ones((1, 1, 1, 1)), 3, padding="same").shape == (1, 1, 1, 1)


@both
@pytest.mark.parametrize(
    ("shape", "window", "options", "message"),
    [
        ((4, 4), 2, {}, r"_pool: x has shape \(4, 4\), .* x\[None\]"),
        ((1, 4, 0, 1), 2, {}, r"_pool: x \(1, 4, 0, 1\) has an empty axis: only the batch"),
        ((1, 4, 4, 1), 0, {}, r"window=0 has an entry below 1: give integers >= 1"),
        ((1, 4, 4, 1), (2,), {}, r"window=\(2,\) does not fit 2 spatial axes"),
        ((1, 4, 4, 1), 2, {"stride": 0}, r"stride=0 has an entry below 1: give integers >= 1"),
        ((1, 4, 4, 1), 2, {"padding": "full"}, r"padding='full' is not understood .* give"),
        ((1, 4, 4, 1), 5, {}, r"window \(5, 5\) .* more than the input \(4, 4\) with padding 0"),
        (
            (1, 4, 4, 1),
            2,
            {"padding": 2},
            r"_pool: a window of \(2, 2\) on images of \(4, 4\) .* padding=2: pad less than a",
        ),
    ],
)
def test_what_does_not_fit(op, shape, window, options, message):
    with pytest.raises(ValueError, match=message):
        op(jnp.ones(shape), window, **options)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda x: op(x, window, **options), jnp.ones(shape))


def test_dtypes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"avg_pool: x is int32: convert images to a floating"):
        ops.avg_pool(jnp.ones((1, 2, 2, 1), jnp.int32), 2)
    with pytest.raises(ValueError, match=r"max_pool: x is bool: convert it"):
        ops.max_pool(jnp.ones((1, 2, 2, 1), jnp.bool_), 2)


def test_a_dilated_window_may_miss_the_image():
    with pytest.raises(ValueError, match=r"nothing but padding with padding='same': pad less"):
        ops.max_pool(jnp.ones((1, 1, 1)), 2, dilation=4, padding="same")
