"""Norms against float64, far from zero, on nothing at all, and under every transformation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from compiling import quick_jit
from flax import nnx
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxseg import models
from jaxseg.nn import BatchNorm, Bias, GroupNorm, functional
from jaxseg.training import init_state, make_train_step

SHAPE = (3, 5, 4, 8)
close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)


@pytest.fixture
def x():
    return 2 * jax.random.normal(jax.random.key(1), SHAPE) + 1


def batch_definition(x):
    """Batch norm in training, in the dtype of x."""
    centered = x - x.mean((0, 1, 2), keepdims=True)
    return centered / (x.var((0, 1, 2), keepdims=True) + 1e-5) ** 0.5


def group_definition(x, groups=2):
    """Group norm, in the dtype of x."""
    parts = x.reshape(*x.shape[:-1], groups, -1)
    centered = parts - parts.mean((1, 2, 4), keepdims=True)
    return (centered / (parts.var((1, 2, 4), keepdims=True) + 1e-5) ** 0.5).reshape(x.shape)


def batch_norm(x):
    return BatchNorm(x.shape[-1])(x, train=True)


def group_norm(x):
    return GroupNorm(x.shape[-1], groups=2)(x, train=True)


NORMS = [(batch_norm, batch_definition), (group_norm, group_definition)]
both = pytest.mark.parametrize(("norm", "definition"), NORMS, ids=["batch", "group"])


# --- definitions ---------------------------------------------------------------------------------


def test_batch_norm(x):
    norm = BatchNorm(8)
    values = np.asarray(x, np.float64)
    mean, variance = values.mean((0, 1, 2)), values.var((0, 1, 2))
    close(norm(x, train=True), (values - mean) / np.sqrt(variance + 1e-5))
    close(norm.mean[...], 0.1 * mean)
    # The variance divided by n = 60, not by 59 as PyTorch's running one is: 1.7 % apart.
    close(norm.var[...], 0.9 + 0.1 * variance)
    running = np.asarray(norm.mean[...]), np.asarray(norm.var[...])
    close(norm(x), (values - running[0]) / np.sqrt(running[1] + 1e-5))
    close(norm.mean[...], running[0], rtol=0, atol=0)


def test_scale_and_bias_are_applied_in_both_modes(x):
    norm, plain = BatchNorm(8), BatchNorm(8)
    group, plain_group = GroupNorm(8, groups=4), GroupNorm(8, groups=4)
    factor, shift = np.arange(8.0), np.arange(8.0) - 3
    for module in (norm, group):
        module.scale[...], module.bias[...] = jnp.asarray(factor), jnp.asarray(shift)
    for train in (False, True):
        close(norm(x, train=train), np.asarray(plain(x, train=train)) * factor + shift)
    close(group(x), np.asarray(plain_group(x)) * factor + shift)


def test_batch_norm_with_torchvision_s_settings_for_mobile_nets():
    norm = BatchNorm(2, momentum=0.99, epsilon=1e-3)
    y = norm(jnp.asarray([[1.0, 2.0], [3.0, 2.0]]), train=True)
    np.testing.assert_allclose(norm.mean[...], [0.02, 0.02], rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], [1.0, 0.99], rtol=1e-5)
    np.testing.assert_allclose(y[:, 0], np.asarray([-1, 1]) / np.sqrt(1 + 1e-3), rtol=1e-6)


def test_scale_false_has_as_many_parameters_as_bias():
    for norm in (
        functools.partial(BatchNorm, scale=False),
        functools.partial(GroupNorm, scale=False),
    ):
        shapes = [a.shape for a in jax.tree.leaves(nnx.state(norm(8), nnx.Param))]
        assert shapes == [a.shape for a in jax.tree.leaves(nnx.state(Bias(8), nnx.Param))] == [(8,)]


@pytest.mark.parametrize("groups", [1, 4, 8])
def test_group_norm_keeps_examples_apart(x, groups):
    norm = GroupNorm(8, groups=groups)
    close(norm(x, train=True), group_definition(np.asarray(x, np.float64), groups))
    close(norm(x)[1:2], norm(x[1:2], train=True))
    with pytest.raises(ValueError, match=r"features=8 do not divide into groups=3: choose a divis"):
        GroupNorm(8, groups=3)


def test_bias_adds_one_number_per_channel(x):
    norm = Bias(8)
    norm.bias[...] = jnp.arange(8.0)
    close(norm(x), np.asarray(x) + np.arange(8.0))
    assert norm(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


# --- values far from zero ------------------------------------------------------------------------

SIZES = pytest.mark.parametrize("shape", [SHAPE, (8, 64, 64, 4), (32, 64, 64, 2)])


def drawn(shape, mean, deviation):
    values = mean + deviation * np.random.default_rng(0).normal(size=shape)
    return values.astype(np.float32)


@both
@SIZES
@pytest.mark.parametrize(("mean", "deviation"), [(1000.1, 0.01), (-300, 1), (0, 1), (0, 1e-3)])
def test_values_far_from_zero_keep_their_spread(norm, definition, shape, mean, deviation):
    x = drawn(shape, mean, deviation)
    wanted = definition(x.astype(np.float64))
    y = np.asarray(jax.jit(norm)(x), np.float64)
    assert y.std((0, 1, 2)) == pytest.approx(wanted.std((0, 1, 2)), abs=1e-5)
    np.testing.assert_allclose(y, wanted, rtol=0, atol=5e-5)


@functools.cache
def value_and_gradient(norm):
    return jax.jit(lambda x: (norm(x), jax.grad(lambda x: norm(x)[0].sum())(x)))


@both
@SIZES
@pytest.mark.parametrize("value", [30.3, -1e6, 0.0])
def test_a_constant_becomes_zero(norm, definition, shape, value):
    del definition
    y, gradient = value_and_gradient(norm)(np.full(shape, value, np.float32))
    np.testing.assert_allclose(y, 0, atol=1e-5)
    assert np.isfinite(gradient).all()


def test_running_statistics_of_values_far_from_zero():
    x = drawn((8, 64, 64, 4), 1000.1, 0.01)
    norm = BatchNorm(4, momentum=0.0)
    norm(x, train=True)
    np.testing.assert_allclose(norm.mean[...], x.astype(np.float64).mean((0, 1, 2)), rtol=1e-7)
    np.testing.assert_allclose(norm.var[...], x.astype(np.float64).var((0, 1, 2)), rtol=1e-4)
    spread = np.asarray(norm(x), np.float64).std((0, 1, 2))
    np.testing.assert_allclose(spread, 0.01 / np.sqrt(1.1e-4), rtol=1e-2)


@both
def test_gradients_of_values_far_from_zero_are_those_of_float64(norm, definition):
    x, cotangent = drawn(SHAPE, 1000.1, 0.01), drawn(SHAPE, 0, 1)
    _, pull = jax.vjp(jax.jit(norm), x)
    with jax.enable_x64(True):
        _, exact = jax.vjp(definition, x.astype(np.float64))
        wanted = np.asarray(exact(cotangent.astype(np.float64))[0])
    got = np.asarray(pull(cotangent)[0], np.float64)
    assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("shape", [SHAPE, (8, 32, 32, 4)])
@pytest.mark.parametrize(("mean", "deviation"), [(0, 1), (0.5, 1)])
def test_ordinary_values_are_normalized_as_flax_does(shape, mean, deviation):
    x = drawn(shape, mean, deviation)
    rngs, options = nnx.Rngs(0), {"epsilon": 1e-5, "use_fast_variance": False}
    theirs = nnx.BatchNorm(shape[-1], momentum=0.9, rngs=rngs, **options)
    ours = BatchNorm(shape[-1])
    wanted, got = theirs(x), ours(x, train=True)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=5e-6)
    np.testing.assert_allclose(ours.mean[...], theirs.mean[...], rtol=0, atol=1e-7)
    np.testing.assert_allclose(ours.var[...], theirs.var[...], rtol=2e-6)
    theirs = nnx.GroupNorm(shape[-1], 2, rngs=rngs, **options)
    np.testing.assert_allclose(group_norm(x), theirs(x), rtol=0, atol=5e-6)


# --- dtypes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@both
def test_sixteen_bits_are_normalized_in_32(norm, definition, dtype):
    x = jnp.asarray(drawn((4, 8, 8, 8), 100, 1), dtype)
    y = norm(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, norm(x.astype(jnp.float32)).astype(dtype))
    wanted = definition(np.asarray(x, np.float64))
    np.testing.assert_allclose(np.asarray(y, np.float64), wanted, rtol=0.01, atol=1e-3)


def test_statistics_of_sixteen_bits_are_kept_in_32():
    x = jnp.asarray(drawn((4, 8, 8, 8), 100, 1), jnp.bfloat16)
    norm = BatchNorm(8, momentum=0.0)
    norm(x, train=True)
    assert norm.mean[...].dtype == norm.var[...].dtype == jnp.float32
    values = np.asarray(x, np.float64)
    np.testing.assert_allclose(norm.mean[...], values.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(norm.var[...], values.var((0, 1, 2)), rtol=1e-5)


@both
def test_doubles_stay_doubles(x64, norm, definition):
    x = np.random.default_rng(0).normal(size=SHAPE)
    y = norm(jnp.asarray(x))
    assert y.dtype == jnp.float64
    np.testing.assert_allclose(y, definition(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [BatchNorm, GroupNorm, Bias])
def test_parameters_are_float32_even_where_doubles_are_allowed(x64, make):
    assert {a.dtype for a in jax.tree.leaves(nnx.state(make(8)))} == {jnp.dtype("float32")}


# --- nothing, or next to nothing -----------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0, 8, 8, 4), (2, 0, 8, 4), (0, 4)])
@pytest.mark.parametrize("jit", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_an_empty_batch_keeps_the_running_statistics(shape, jit):
    init, apply = functional(lambda rngs: BatchNorm(4))
    params, stats = init(jax.random.key(0))
    stats["mean"][...] = jnp.arange(4.0)
    y, moved = jit(functools.partial(apply, train=True))(params, stats, jnp.zeros(shape))
    assert y.shape == shape
    np.testing.assert_array_equal(moved["mean"][...], jnp.arange(4.0))
    np.testing.assert_array_equal(moved["var"][...], jnp.ones(4))
    assert GroupNorm(4, groups=2)(jnp.zeros((0, 8, 8, 4))).shape == (0, 8, 8, 4)


def test_one_value_per_channel_uses_and_keeps_the_running_statistics():
    norm = BatchNorm(4)
    norm.mean[...] = jnp.arange(4.0)
    x = jnp.ones((1, 1, 1, 4))
    np.testing.assert_array_equal(norm(x, train=True), norm(x))
    np.testing.assert_array_equal(norm.mean[...], jnp.arange(4.0))
    assert np.any(np.asarray(norm(jnp.ones((2, 1, 1, 4)), train=True)) != np.asarray(norm(x)))


NETS = {
    "unet": lambda rngs: models.UNet(classes=3, widths=(2, 4), norm="batch", rngs=rngs),
    "deep": lambda rngs: models.DeepNet(classes=3, features=2, blocks=2, norm="batch", rngs=rngs),
}


@pytest.mark.parametrize("make", NETS.values(), ids=NETS)
def test_an_empty_batch_leaves_a_net_in_training_as_it_was(make):
    init, apply = functional(make)
    optimizer = optax.sgd(0.1)
    state = init_state(*quick_jit(init)(jax.random.key(0)), optimizer)
    batch = {"image": jnp.zeros((0, 8, 8, 3)), "label": jnp.zeros((0, 8, 8), jnp.int32)}
    after, metrics = quick_jit(make_train_step(apply, optimizer))(state, batch)
    assert metrics["finite"]
    assert len(jax.tree.leaves(state.stats)) >= 4
    before = jax.tree.leaves((state.params, state.stats))
    for a, b in zip(before, jax.tree.leaves((after.params, after.stats)), strict=True):
        np.testing.assert_array_equal(a, b)


# --- transformations -----------------------------------------------------------------------------


@both
def test_transformations(x64, norm, definition):
    xs = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2, 3, 4, 4)) + 5)
    x, v = xs[0], xs[1]

    def loss(f):
        return lambda x: jnp.sum(jnp.sin(f(x)) * jnp.cos(jnp.arange(x.size)).reshape(x.shape))

    def hessian_product(f):
        return lambda x, v: jax.jvp(jax.grad(loss(f)), (x,), (v,))[1]

    def loop(f):
        return lambda xs: jax.lax.scan(lambda c, x: (jnp.cos(c) + loss(f)(x + c), None), 0.0, xs)[0]

    cases = [
        (lambda f: f, (x,)),
        (lambda f: lambda x, v: jax.jvp(f, (x,), (v,))[1], (x, v)),
        (lambda f: lambda x, v: jax.vjp(f, x)[1](v)[0], (x, v)),
        (lambda f: jax.vmap(f, 1, 2), (jnp.moveaxis(xs, 0, 1),)),
        (lambda f: jax.vmap(jax.grad(loss(f))), (xs,)),
        (hessian_product, (x, v)),
        (lambda f: jax.grad(lambda x, v: jnp.vdot(jax.grad(loss(f))(x), v)), (x, v)),
        (lambda f: jax.grad(loop(f)), (xs,)),
        (lambda f: jax.grad(loss(jax.checkpoint(f))), (x,)),
    ]

    @quick_jit  # one compilation for all
    def everything():
        return [[transform(f)(*args) for f in (norm, definition)] for transform, args in cases]

    for got, wanted in everything():
        assert np.abs(got - wanted).max() <= 1e-10 * np.abs(wanted).max()


def test_second_derivatives_where_a_channel_is_dead(x64):
    """A channel of zeros, as behind a ReLU, has a variance of zero, whose curvature is not."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 3, 4))).at[..., 0].set(0)
    v = jnp.ones_like(x).at[0].set(-1)

    def curvature(f):
        return jax.jvp(jax.grad(lambda x: jnp.sum(f(x) ** 3 + f(x) ** 2)), (x,), (v,))[1]

    for norm, definition in NORMS:
        got, wanted = quick_jit(lambda n=norm, d=definition: (curvature(n), curvature(d)))()
        assert np.abs(got - wanted).max() <= 1e-10 * np.abs(wanted).max()


@both
def test_a_batch_sharded_over_two_devices(norm, definition):
    del definition
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    x = drawn((4, 6, 5, 4), 1000.1, 0.1)
    sharded = jax.device_put(x, NamedSharding(mesh, P("data")))
    both = jax.jit(lambda x: (norm(x), jax.grad(lambda x: jnp.sum(norm(x) ** 3))(x)))
    for got, wanted in zip(both(sharded), both(x), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_statistics_of_a_sharded_batch_are_those_of_the_whole():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    init, apply = functional(lambda rngs: BatchNorm(4))
    params, stats = init(jax.random.key(0))
    x = np.concatenate([drawn((2, 6, 5, 4), 10, 1), drawn((2, 6, 5, 4), -5, 3)])
    train = jax.jit(functools.partial(apply, train=True))
    _, moved = train(params, stats, jax.device_put(x, NamedSharding(mesh, P("data"))))
    np.testing.assert_allclose(moved["mean"][...], 0.1 * x.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(moved["var"][...], 0.9 + 0.1 * x.var((0, 1, 2)), rtol=1e-5)


def test_an_ensemble_keeps_statistics_of_its_own():
    init, apply = functional(lambda rngs: BatchNorm(4))
    params, stats = jax.vmap(init)(jax.random.split(jax.random.key(0), 3))
    xs = np.stack([drawn((2, 3, 3, 4), mean, 1) for mean in (0, 10, 1000)])
    y, moved = jax.jit(jax.vmap(functools.partial(apply, train=True)))(params, stats, xs)
    np.testing.assert_allclose(moved["mean"][...], 0.1 * xs.mean((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(y[2], batch_definition(xs[2].astype(np.float64)), atol=1e-4)
