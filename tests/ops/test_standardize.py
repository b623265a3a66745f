"""Normalization against plain autodiff, in every derivative mode and under every transformation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import export
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxseg import ops
from jaxseg.analysis import receptive_field
from jaxseg.ops.sums import sums

KINDS = {
    "batch": {"axes": (0, 1, 2)},
    "group": {"axes": (1, 2), "groups": 2},
    "layer": {"axes": (), "groups": 1},
}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def draw(shape=(3, 4, 5, 4), seed=0):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.normal(size=s)) for s in (shape, shape[-1:], shape[-1:]))


def definition(x, scale, bias, *, axes, groups=None, epsilon=1e-5):
    """Normalize in plain JAX."""
    groups = x.shape[-1] if groups is None else groups
    parts = x.reshape(*x.shape[:-1], groups, -1)
    axes = (*axes, x.ndim)
    mean, variance = (f(parts, axes, keepdims=True) for f in (jnp.mean, jnp.var))
    row = (1,) * (x.ndim - 1) + (-1,)
    y = ((parts - mean) / jnp.sqrt(variance + epsilon)).reshape(x.shape)
    y = y * scale.reshape(row) + bias.reshape(row)
    rows = (jnp.broadcast_to(a, (*a.shape[:-1], parts.shape[-1])) for a in (mean, variance))
    return y, *(a.reshape(*a.shape[:-2], -1) for a in rows)


def loss(f, kind):
    """A scalar that is linear in nothing, of all three results."""

    def of_operands(*operands):
        y, mean, variance = f(*operands, **kind)
        weights = jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)
        return jnp.sum(jnp.sin(y) * weights) + jnp.sum(jnp.cos(mean) * variance)

    return of_operands


def forward(f, direction):
    return lambda *operands: jax.jvp(f, operands, direction)[1]


def reverse(f):
    return jax.grad(f, (0, 1, 2))


def dot(f, direction):
    """The derivative in a direction, by reverse mode."""

    def of_operands(*operands):
        return sum(map(jnp.vdot, reverse(f)(*operands), direction))

    return of_operands


def assert_equal(got, wanted, tolerance=1e-11):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        assert np.abs(a - b).max() <= tolerance * max(np.abs(b).max(), 1)


def mesh(kind=AxisType.Auto):
    return jax.make_mesh((2,), ("data",), axis_types=(kind,))


@kinds
def test_every_derivative_mode(x64, kind):
    operands, v, w = draw(), draw(seed=1), draw(seed=2)
    modes = [
        lambda f: f,
        lambda f: forward(f, v),
        reverse,
        lambda f: forward(reverse(f), v),
        lambda f: reverse(forward(f, v)),
        lambda f: reverse(dot(f, v)),
    ]
    third_order = [
        lambda f: reverse(dot(dot(f, v), w)),
        lambda f: forward(reverse(dot(f, v)), w),
        lambda f: reverse(forward(forward(f, v), w)),
        lambda f: forward(forward(forward(f, v), w), v),
    ]
    modes += third_order if kind is KINDS["group"] else []  # which mixes channels and axes
    functions = loss(ops.standardize, kind), loss(definition, kind)
    got, wanted = (
        quick_jit(lambda *a, f=f: [m(f)(*a) for m in modes])(*operands) for f in functions
    )
    assert_equal(got, wanted)


def test_batching_of_any_operand_and_jacobians(x64):
    kind = KINDS["group"]
    operands = draw((2, 2, 2, 4))
    members = [
        jnp.stack([a, a**2, jnp.sin(a)], axis) for a, axis in zip(operands, (2, 1, 0), strict=True)
    ]

    def everything(f):
        products = forward(reverse(loss(f, kind)), operands)
        y = functools.partial(lambda *a: f(*a, **kind)[0])
        return [
            jax.vmap(products, (2, 1, 0), 1)(*members),
            jax.vmap(products, (2, None, None))(members[0], *operands[1:]),
            jax.vmap(products, (None, 1, None))(operands[0], members[1], operands[2]),
            jax.vmap(reverse(loss(f, kind)), (None, None, 0))(*operands[:2], members[2]),
            jax.grad(lambda *a: jnp.sum(jax.vmap(loss(f, kind), (2, 1, 0))(*a) ** 2))(*members),
            jax.jacfwd(y)(*operands),
            jax.jacrev(y)(*operands),
            jax.hessian(loss(f, kind), (0, 1))(*operands),
        ]

    got, wanted = (
        quick_jit(functools.partial(everything, f))() for f in (ops.standardize, definition)
    )
    assert_equal(got, wanted)


def test_loops_and_checkpoints(x64):
    kind = KINDS["group"]

    def everything(f):
        def step(x, _):
            return x + jnp.sin(f(x, *draw()[1:], **kind)[0]), None

        def loop(x):
            return jnp.sum(jax.lax.scan(step, x, None, length=3)[0] ** 2)

        kept = jax.checkpoint(loss(f, kind))

        def branch(x):
            return jax.lax.cond(x[0, 0, 0, 0] < 9, lambda: kept(x, *draw()[1:]), lambda: 0.0)

        x = draw()[0]
        return jax.grad(loop)(x), jax.jvp(jax.grad(loop), (x,), (x,)), jax.grad(branch)(x)

    got, wanted = (
        quick_jit(functools.partial(everything, f))() for f in (ops.standardize, definition)
    )
    assert_equal(got, wanted, 1e-10)


@settings(max_examples=5)
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    groups=st.sampled_from([1, 2, 3, 6]),
    mask=st.lists(st.booleans(), min_size=3, max_size=3),
)
def test_any_shape_and_axes(shape, groups, mask):
    with jax.enable_x64(True):
        axes = tuple(axis for axis, chosen in zip(range(len(shape)), mask, strict=False) if chosen)
        kind, operands = {"axes": axes, "groups": groups, "epsilon": 0.1}, draw((*shape, 6))
        modes = reverse, lambda f: forward(reverse(f), draw((*shape, 6), 1))
        functions = loss(ops.standardize, kind), loss(definition, kind)
        got, wanted = (quick_jit(lambda f=f: [m(f)(*operands) for m in modes])() for f in functions)
    assert_equal(got, wanted)


@kinds
def test_the_transpose_is_the_adjoint(x64, kind):
    operands = draw()
    out, tangent = jax.linearize(functools.partial(ops.standardize, **kind), *operands)
    v, u = draw(seed=1), jax.tree.map(jnp.sin, out)
    pulled = jax.linear_transpose(tangent, *v)(u)
    left, right = (sum(map(jnp.vdot, *pair)) for pair in ((tangent(*v), u), (v, pulled)))
    assert left.item() == pytest.approx(right.item(), rel=1e-12)


def test_a_gradient_takes_two_passes_and_a_product_none_of_its_own():
    """The program of norm and ReLU writes two arrays of the size of x: the value, the gradient."""

    def value_and_gradient(x, scale, bias, cotangent):
        def f(*operands):
            return jax.nn.relu(ops.standardize(*operands, axes=(0, 1, 2))[0])

        y, pull = jax.vjp(f, x, scale, bias)
        return y, pull(cotangent)

    x, c = jnp.zeros((8, 64, 48, 40)), jnp.ones(40)
    program = jax.jit(value_and_gradient).lower(x, c, c, x).compile().as_text()
    entry = program[program.index("ENTRY") :].splitlines()
    large = [line for line in entry if line.lstrip("ROT %").partition(" = f32[8,64,48,40]")[1]]
    # y, the cotangent and dx. The latter two are updated in place, which keeps XLA from computing
    # them anew in each use.
    assert len([line for line in large if "parameter(" not in line]) == 5


# --- numbers that are hard -----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 127, 2, 3), (2, 3, 127, 3)])
def test_one_pixel_and_prime_sizes(x64, shape):
    operands = draw(shape)
    functions = (loss(f, KINDS["batch"]) for f in (ops.standardize, definition))
    got, wanted = (quick_jit(reverse(f))(*operands) for f in functions)
    assert_equal(got, wanted)


def test_a_constant_channel_has_a_finite_derivative(x64):
    x, scale, bias = draw()
    x = x.at[..., 1].set(30.3)
    modes = reverse, lambda f: forward(reverse(f), draw(seed=1))
    functions = (loss(f, KINDS["batch"]) for f in (ops.standardize, definition))
    got, wanted = (
        quick_jit(lambda *a, f=f: [m(f)(*a) for m in modes])(x, scale, bias) for f in functions
    )
    assert_equal(got, wanted, 1e-8)


@pytest.mark.parametrize("value", [jnp.inf, jnp.nan])
def test_a_value_that_is_not_finite_stays_in_its_channel(value):
    x, scale, bias = (a.astype(jnp.float32) for a in draw())
    f = functools.partial(ops.standardize, axes=(0, 1, 2))
    y, pull = jax.vjp(lambda *a: f(*a)[0], x.at[0, 0, 0, 1].set(value), scale, bias)
    dx, dscale, dbias = pull(jnp.ones_like(y))
    for array in (y, dx, dscale):
        finite = np.isfinite(array).reshape(-1, 4).all(axis=0)
        np.testing.assert_array_equal(finite, [True, False, True, True])
    assert np.isfinite(dbias).all()


def test_a_tangent_far_from_zero_keeps_its_precision():
    """A shift of the input by a constant changes nothing."""
    x, scale, bias = (a.astype(jnp.float32) for a in draw((8, 32, 32, 4)))
    f = functools.partial(ops.standardize, scale=scale, bias=bias, axes=(0, 1, 2))
    noise = 0.01 * draw((8, 32, 32, 4), 1)[0].astype(jnp.float32)
    tangent = 1000.1 + noise
    got = jax.jvp(lambda x: f(x)[0], (x,), (tangent,))[1]
    wanted = jax.jvp(lambda x: f(x)[0], (x,), (tangent - 1000.1,))[1]
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


def test_empty_batches():
    x, c = jnp.zeros((0, 4, 4, 4)), jnp.ones(4)
    for groups in (1, 4):
        y, pull = jax.vjp(
            lambda *a, g=groups: ops.standardize(*a, axes=(1, 2), groups=g)[0], x, c, c
        )
        dx, dscale, dbias = pull(y)
        assert y.shape == dx.shape == x.shape
        np.testing.assert_array_equal(dscale, 0)
        np.testing.assert_array_equal(dbias, 0)


def test_errors():
    x, c = jnp.ones((2, 3, 4)), jnp.ones(4)
    for axes in ((2,), (-1,), (3,)):
        with pytest.raises(
            ValueError, match=r"give axes from 0 to 1; for a mean over channels use"
        ):
            ops.standardize(x, c, c, axes=axes)
    with pytest.raises(ValueError, match=r"4 channels do not divide into groups=3: choose a divis"):
        ops.standardize(x, c, c, axes=(0,), groups=3)


def test_sums_and_their_derivatives(x64):
    x, y = draw((2, 12, 34, 3))[0], draw((2, 12, 34, 3), 1)[0]
    for axes in ((), (0,), (1, 2), (3,), (0, 1, 2, 3)):

        def ours(x, y, axes=axes):
            return sums([x, x * y], axes)

        def plain(x, y, axes=axes):
            return [jnp.sum(a, axes, keepdims=True) for a in (x, x * y)]

        assert_equal(ours(x, y), plain(x, y))
        scalars = [lambda *a, f=f: sum(jnp.sum(jnp.sin(s)) for s in f(*a)) for f in (ours, plain)]
        got, wanted = (
            quick_jit(jax.jvp, static_argnums=0)(jax.grad(f, (0, 1)), (x, y), (y, x))
            for f in scalars
        )
        assert_equal(got, wanted)


# --- several devices -----------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [AxisType.Auto, AxisType.Explicit], ids=["auto", "explicit"])
@pytest.mark.parametrize("kind", [KINDS["batch"], KINDS["group"]], ids=["batch", "group"])
def test_a_sharded_batch_has_the_statistics_of_the_whole(x64, axes, kind):
    x, scale, bias = draw((4, 3, 5, 4))
    f = loss(ops.standardize, kind)
    run = quick_jit(lambda *a: (f(*a), reverse(f)(*a), forward(reverse(f), a)(*a)))
    wanted = run(x, scale, bias)
    devices = mesh(axes)
    with jax.set_mesh(devices):
        got = run(jax.device_put(x, NamedSharding(devices, P("data"))), scale, bias)
    assert_equal(jax.device_get(got), jax.device_get(wanted))


@pytest.mark.parametrize("kind", [KINDS["batch"], KINDS["group"]], ids=["batch", "group"])
def test_each_shard_has_statistics_of_its_own_under_shard_map(x64, kind):
    operands, f = draw((4, 3, 5, 4)), loss(ops.standardize, kind)

    def summed(*a):
        return jax.lax.psum(f(*a), "data")

    specs = P("data"), P(), P()
    sharded = jax.shard_map(summed, mesh=mesh(), in_specs=specs, out_specs=P())
    inside = jax.shard_map(reverse(f), mesh=mesh(), in_specs=specs, out_specs=specs)

    def by_hand(x, *others):
        return f(x[:2], *others) + f(x[2:], *others)

    got, wanted = (
        quick_jit(
            lambda *a, f=f: (reverse(f)(*a), forward(reverse(f), a)(*a), reverse(dot(f, a))(*a))
        )
        for f in (sharded, by_hand)
    )
    assert_equal(got(*operands), wanted(*operands))
    assert_equal(quick_jit(inside)(*operands), quick_jit(reverse(by_hand))(*operands))


# --- tools that read programs --------------------------------------------------------------------


def test_gradients_are_exported_for_all_platforms_and_any_batch(x64):
    operands = draw((2, 3, 5, 4))
    gradient = jax.jit(reverse(loss(ops.standardize, KINDS["batch"])))
    (batch,) = export.symbolic_shape("batch")
    shape = jax.ShapeDtypeStruct((batch, 3, 5, 4), jnp.float64)
    exported = export.export(gradient, platforms=("cpu", "cuda", "tpu"))(shape, *operands[1:])
    assert_equal(exported.call(*operands), gradient(*operands))


@kinds
def test_receptive_fields_are_those_of_the_plain_form(kind):
    c = jnp.ones(4)

    def norm(x):
        return ops.standardize(x, c, c, **kind)[0]

    def gradient(x):
        return jax.grad(lambda x: jnp.sum(norm(x) ** 3))(x)

    for f in (norm, gradient):
        with ops.lowering("direct"):
            wanted = receptive_field(f, jnp.ones((2, 7, 9, 4))).size
        assert receptive_field(f, jnp.ones((2, 7, 9, 4))).size == wanted
