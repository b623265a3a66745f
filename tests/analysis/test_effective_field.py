"""Effective fields against closed forms, against whole Jacobians, and the law of random nets."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxseg import models, nn, ops
from jaxseg.analysis import effective_receptive_field

KEY = jax.random.key(0)
QUICK = {"xla_backend_optimization_level": 0}  # compiles in half the time


def field_of(fn, x, *, key=KEY, seeds=1, **options):
    """Compiled whole: operation by operation, every new shape takes seconds."""
    run = functools.partial(effective_receptive_field, fn, seeds=seeds, **options)
    return jax.jit(run, compiler_options=QUICK)(x, key=key)


def chain(rates, axes=1, residual=False):
    """Uniform kernels of three taps an axis, or half of each and half of a shortcut."""
    kernel = jnp.full((3,) * axes + (1, 1), 3.0**-axes)

    def fn(x):
        for rate in rates:
            y = ops.conv(x, kernel, dilation=rate)
            x = (x + y) / math.sqrt(2) if residual else y
        return x

    return fn


def random_net(rates, width, *, residual=False):
    """ReLU nets at He initialization, a pixel-wise layer first: (init, fn)."""
    he = nn.initializers.he_normal()

    def init(key):
        first, *keys = jax.random.split(key, len(rates) + 1)
        return he(first, (1, 1, 1, width)), [he(k, (3, 3, width, width)) for k in keys]

    def fn(params, x):
        first, kernels = params
        x = ops.conv(x, first)
        for rate, kernel in zip(rates, kernels, strict=True):
            y = ops.conv(jax.nn.relu(x), kernel, dilation=rate)
            x = (x + y) / math.sqrt(2) if residual else y
        return x

    return init, fn


def tiny_field(*, x, key, **options):
    """Of random nets of one kernel, two features and one spatial axis."""
    init = lambda key: jax.random.normal(key, (3, 1, 2))  # noqa: E731
    fn = lambda kernel, x: jnp.tanh(ops.conv(x, kernel))  # noqa: E731
    return effective_receptive_field(fn, x, key=key, init=init, **options)


# --- the width's law: row by row of the literature -----------------------------------------------


@pytest.mark.parametrize("layers", [1, 5, 20])
def test_uniform_chain(layers):
    """Variance 2n/3 and kurtosis 3 - 3/(2n): a sum of n uniform steps."""
    found = field_of(chain([1] * layers), jnp.zeros((1, 51, 1)), power=1)
    assert found.width.item() ** 2 == pytest.approx(2 * layers / 3, rel=1e-5)
    assert found.kurtosis.item() == pytest.approx(3 - 1.5 / layers, rel=1e-5)
    assert found.center.item() == pytest.approx(25, rel=1e-6)


@pytest.mark.parametrize("axes", [1, 2])
def test_dilated_chain(axes):
    rates = (1, 2, 4, 8, 16)
    found = field_of(chain(rates, axes), jnp.zeros((1, *(63,) * axes, 1)), power=1)
    np.testing.assert_allclose(found.width**2, 2 / 3 * 341, rtol=1e-5)


def test_residual_chain_has_half_the_variance():
    found = field_of(chain([1] * 12, residual=True), jnp.zeros((1, 51, 1)), power=1)
    assert found.width.item() ** 2 == pytest.approx(12 / 3, rel=1e-5)


@pytest.mark.parametrize(
    ("rates", "residual", "side", "variance"),
    [
        ((1, 2, 4, 8, 16), False, 63, 2 / 3 * 341),
        ((1,) * 12, False, 33, 2 * 12 / 3),
        ((1,) * 12, True, 33, 12 / 3),
    ],
    ids=["dilated", "plain", "residual"],
)
def test_random_relu_nets_follow_the_same_law_in_their_energy(rates, residual, side, variance):
    init, fn = random_net(rates, 32, residual=residual)
    x = jax.random.normal(jax.random.key(1), (1, side, side, 1))
    found = field_of(fn, x, init=init, seeds=64)
    np.testing.assert_allclose(found.width**2, variance, rtol=0.07)
    np.testing.assert_allclose(found.center, side // 2, atol=0.1 * math.sqrt(variance))


def test_a_deep_chain_is_the_gaussian_fitted_to_it():
    found = field_of(chain([1] * 20, axes=2), jnp.zeros((1, 45, 41, 1)), power=1)
    assert found.gaussian.shape == found.energy.shape == (1, 45, 41)
    assert found.gaussian.sum() == pytest.approx(1, rel=1e-5)
    assert jnp.abs(found.gaussian - found.energy).sum() < 0.02
    one = field_of(chain([1], axes=2), jnp.zeros((1, 45, 41, 1)), power=1)
    assert jnp.abs(one.gaussian - one.energy).sum() > 0.2


# --- against Jacobians ---------------------------------------------------------------------------


KERNELS = np.random.default_rng(3).normal(size=(2, 3, 3, 3, 3))


def strided(x):
    """A small net without symmetry: (b, 7, 6, 2) -> (b, 4, 3, 3)."""
    first, second = (jnp.asarray(k, x.dtype) for k in (KERNELS[0, :, :, :2], KERNELS[1]))
    return ops.conv(jnp.sin(ops.conv(x, first, stride=2)), second)


def jacobian_energy(x, pixel):
    """Mean over images and channels of the squared Jacobian, summed over features."""
    jacobian = jax.jacobian(lambda x: strided(x)[:, *pixel])
    jacobian = np.asarray(jax.jit(jacobian, compiler_options=QUICK)(x))
    return np.mean(np.sum(jacobian**2, axis=(0, 1)), axis=(0, -1))


def test_the_mean_over_projections_is_the_sum_over_features():
    x = jax.random.normal(jax.random.key(4), (2, 7, 6, 2))
    pixels = [(2, 1), (0, 2)]
    found = field_of(strided, x, positions=pixels, seeds=2000)
    for pixel, energy, total in zip(pixels, found.energy, found.log10_total, strict=True):
        wanted = jacobian_energy(x, pixel)
        assert 10**total == pytest.approx(wanted.sum(), rel=0.05)
        np.testing.assert_allclose(energy, wanted / wanted.sum(), atol=0.05 * energy.max())
        assert energy.sum() == pytest.approx(1, rel=1e-6)
    np.testing.assert_array_equal(found.positions, pixels)


def test_moments_are_those_of_the_map():
    x = jax.random.normal(jax.random.key(4), (2, 7, 6, 2))
    found = field_of(strided, x, positions=[(1, 1), (3, 2)], seeds=2)
    rows, columns = np.meshgrid(np.arange(7), np.arange(6), indexing="ij")
    for n in range(2):
        energy = np.float64(found.energy[n])
        for axis, places in enumerate((rows, columns)):
            center = np.sum(energy * places)
            second, fourth = (np.sum(energy * (places - center) ** k) for k in (2, 4))
            assert found.center[n, axis] == pytest.approx(center, rel=1e-5)
            assert found.width[n, axis] == pytest.approx(math.sqrt(second), rel=1e-5)
            assert found.kurtosis[n, axis] == pytest.approx(fourth / second**2, rel=1e-5)


def test_a_single_feature_needs_no_mean():
    """There the projection only scales the map, whatever was drawn."""
    fn, x = (lambda x: strided(x)[..., :1]), jnp.ones((1, 7, 6, 2))
    first, second = (field_of(fn, x, key=jax.random.key(n)) for n in (1, 2))
    np.testing.assert_allclose(first.energy, second.energy, rtol=1e-5)
    assert first.log10_total != second.log10_total


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_default_is_the_middle_of_the_output(axes):
    found = field_of(lambda x: x, jnp.zeros((2, *(5, 4, 3)[:axes], 2)))
    middle = (2, 2, 1)[:axes]
    assert found.positions.tolist() == [[*middle]]
    assert found.center.tolist() == [[*middle]]
    assert found.width.tolist() == [[0] * axes]
    assert found.gaussian[0][middle] == 1
    assert np.isnan(found.kurtosis).all()


def test_behind_an_upconvolution_the_field_depends_on_the_phase():
    fn = functools.partial(ops.upconv, kernel=jnp.ones((3, 1, 1)), stride=2)
    found = field_of(fn, jnp.zeros((1, 6, 1)), positions=[(5,), (6,)])
    seen = [np.flatnonzero(energy).tolist() for energy in found.energy]
    assert sorted(map(len, seen)) == [1, 2]


# --- how it is run -------------------------------------------------------------------------------


def test_chunks_of_any_size():
    x = jax.random.normal(KEY, (2, 9, 1))
    positions = [(4,), (0,), (8,)]

    def run(batch_size):
        run = functools.partial(tiny_field, positions=positions, seeds=5, batch_size=batch_size)
        return jax.jit(run, compiler_options=QUICK)(x=x, key=KEY)

    wanted = run(1)
    for batch_size in (2, 3, 7, 100, None):
        for a, b in zip(run(batch_size), wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-7)


def test_memory_is_that_of_a_chunk():
    x = jnp.ones((1, 4096, 1))

    def temporary_bytes(seeds, batch_size):
        run = functools.partial(tiny_field, x=x, seeds=seeds, batch_size=batch_size)
        compiled = jax.jit(run).lower(key=KEY).compile(QUICK)
        return compiled.memory_analysis().temp_size_in_bytes

    one = temporary_bytes(1, 1)
    assert temporary_bytes(32, 1) < 2 * one
    assert temporary_bytes(32, None) > 8 * one


def test_jit_changes_nothing():
    x = jax.random.normal(KEY, (2, 7, 6, 2))
    run = lambda x, key: effective_receptive_field(strided, x, key=key)  # noqa: E731
    for a, b in zip(run(x, KEY), jax.jit(run, compiler_options=QUICK)(x, KEY), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_module_and_its_functions():
    make = lambda rngs: models.DeepNet(classes=3, inputs=1, features=4, blocks=1, rngs=rngs)  # noqa: E731
    x = jax.random.normal(KEY, (1, 9, 9, 1))
    module = field_of(make(nnx.Rngs(0)), x)
    init, apply = nn.functional(make)
    nets = field_of(lambda state, x: apply(*state, x)[0], x, init=init, seeds=3)
    for found in (module, nets):
        assert found.energy.sum() == pytest.approx(1, rel=1e-5)
        assert np.all(found.width > 0.5)


@pytest.mark.parametrize("form", ["direct", "auto"])
def test_images_split_over_two_devices(form):
    """`vmap` over kernels of a split batch is where XLA has been wrong."""
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    init, fn = random_net((2,), 4)
    x = jax.random.normal(KEY, (4, 9, 9, 1))
    split = jax.device_put(x, NamedSharding(mesh, P("data")))
    run = functools.partial(effective_receptive_field, fn, init=init, seeds=3, batch_size=None)
    with ops.lowering(form):
        jitted = jax.jit(run, compiler_options=QUICK)
        wanted, found = (jitted(x=x, key=KEY) for x in (x, split))
    np.testing.assert_allclose(found.energy, wanted.energy, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_low_precision_images_give_float32(dtype):
    found = field_of(strided, jnp.ones((1, 7, 6, 2), dtype))
    assert found.energy.dtype == found.width.dtype == jnp.float32
    assert found.energy.sum() == pytest.approx(1, rel=1e-5)


def test_float64(x64):
    found = field_of(chain([1] * 20), jnp.zeros((1, 51, 1), jnp.float64), power=1)
    assert found.width.item() ** 2 == pytest.approx(40 / 3, rel=1e-6)  # the kernel is float32's
    assert found.energy.dtype == jnp.float64


def test_gradients_whose_square_float32_cannot_hold():
    init = lambda key: jax.random.normal(key, (5,))  # noqa: E731
    x = jnp.ones((1, 5, 1))

    @jax.jit
    def run(scale):
        fn = lambda w, x: jnp.einsum("q,bqc->b", w, x)[:, None, None] * scale  # noqa: E731
        return effective_receptive_field(fn, x, key=KEY, init=init, seeds=3)

    for scale in (1e-25, 1e25):
        wanted, found = run(1.0), run(scale)
        np.testing.assert_allclose(found.energy, wanted.energy, rtol=1e-4, atol=1e-6)
        shift = found.log10_total - wanted.log10_total
        np.testing.assert_allclose(shift, 2 * math.log10(scale), rtol=1e-5)


def test_nets_that_are_dead_count_for_nothing():
    init = lambda key: jnp.float32(jax.random.bernoulli(key))  # noqa: E731
    x = jnp.ones((1, 7, 6, 1))
    found = field_of(lambda alive, x: alive * x, x, init=init, seeds=8)
    assert found.energy[0, 3, 3] == 1
    dead = field_of(lambda x: 0 * x, x)
    assert np.isnan(dead.energy).all()
    assert dead.log10_total == -np.inf


# --- what is refused -----------------------------------------------------------------------------

IMAGES = jnp.zeros((2, 5, 4, 3))


@pytest.mark.parametrize(
    ("fn", "x", "options", "message"),
    [
        (None, IMAGES, {"seeds": 0}, "seeds=0 must be"),
        (None, IMAGES, {"power": 0}, "power=0 must be"),
        (None, IMAGES, {"batch_size": 0}, "batch_size=0 must be"),
        (None, IMAGES[0, 0], {}, r"x has shape \(4, 3\)"),
        (None, IMAGES[:, :0], {}, "none of them empty"),
        (None, IMAGES.astype(jnp.int32), {}, "x is int32"),
        (None, IMAGES, {"positions": (1, 2, 3)}, r"one pixel of 2 indices.*\(2, 2\) is its middle"),
        (None, IMAGES, {"positions": []}, "one pixel of 2 indices"),
        (None, IMAGES, {"positions": [(0, 0), (5, 0)]}, r"from 0 and below \(5, 4\)"),
        (None, IMAGES, {"positions": (-1, 0)}, "from 0 and below"),
        (None, IMAGES, {"positions": (1.0, 2.0)}, "must be integers"),
        (lambda x: (x, x), IMAGES, {}, "returns a tuple"),
        (lambda x: x.mean((1, 2)), IMAGES, {}, r"returns \(2, 3\)"),
        (lambda x: x[:1], IMAGES, {}, r"returns \(1, 5, 4, 3\)"),
        (lambda x: x.argmax(-1, keepdims=True), IMAGES, {}, "scores, not labels"),
    ],
)
def test_what_is_refused(fn, x, options, message):
    with pytest.raises(ValueError, match=message):
        field_of(fn or (lambda x: x), x, **options)


def test_the_key_is_required():
    with pytest.raises(TypeError, match="key"):
        effective_receptive_field(lambda x: x, IMAGES)  # type: ignore[call-arg]
