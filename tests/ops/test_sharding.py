"""Two devices give what one gives: by sharding constraints, and by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxseg import ops
from jaxseg.ops import canonical

OPS = [
    functools.partial(ops.conv, stride=2, padding=1, groups=2),
    functools.partial(ops.upconv, stride=2, padding=1, groups=2),
]


def few_channels(x, kernel):
    """Of few enough for the form that their weight gradient takes."""
    return ops.conv(x[..., :2], kernel, stride=2, padding=1)


all_ops_and_names = pytest.mark.parametrize(
    "op", [*OPS, few_channels], ids=["conv", "upconv", "few"]
)
ops_and_names = pytest.mark.parametrize("op", OPS, ids=["conv", "upconv"])
forms = pytest.mark.parametrize("form", ["auto", "direct", "fast"])


@pytest.fixture(autouse=True)
def _float64(x64):
    """Rounding then never hides a term that was left out."""


@pytest.fixture
def mesh():
    assert jax.device_count() == 2
    return jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))


def arrays():
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 6, 5, 4)), rng.normal(size=(3, 3, 2, 6))


def put(mesh, array, *spec):
    return jax.device_put(array, NamedSharding(mesh, P(*spec)))


def loss(op, kernel, x):
    """A mean over the batch, not linear in anything."""
    return jnp.mean(jnp.sin(op(x, kernel)) + op(x, kernel) ** 2)


def ensemble(k):
    return np.stack([k, 2 * k, k**2, np.sin(k)])


@functools.cache
def expected(op):
    """What one device gives, by name; in one program, which is compiled once."""
    x, k = arrays()
    kernels = ensemble(k)

    def everything(x, k, kernels):
        in_kernel = jax.grad(functools.partial(loss, op))
        return {
            "value": op(x, k),
            "gradients": jax.grad(functools.partial(loss, op), (0, 1))(k, x),
            "per example": jnp.stack([in_kernel(k, image[None]) for image in x]),
            "ensemble": jnp.stack([in_kernel(kernel, x) for kernel in kernels]),
        }

    return quick_jit(everything)(x, k, kernels)


def assert_close(got, wanted):
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= 1e-12 * np.abs(wanted).max()


def test_the_type_of_an_array_says_what_it_varies_over():
    """trilinear.py reads this, which is public by name but not documented."""
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    seen = {}

    def look(x, k):
        seen["x"] = jax.typeof(x).manual_axis_type.varying
        seen["k"] = jax.typeof(k).manual_axis_type.varying
        return x

    x, k = arrays()
    jax.shard_map(look, mesh=mesh, in_specs=(P("data"), P()), out_specs=P("data"))(x, k)
    assert seen == {"x": frozenset({"data"}), "k": frozenset()}
    assert jax.typeof(jnp.ones(3)).manual_axis_type.varying == frozenset()
    assert jax.typeof(np.ones(3)).manual_axis_type.varying == frozenset()


# --- the batch sharded, the rest left to the compiler --------------------------------------------


@forms
@all_ops_and_names
def test_value_and_mean_gradient_of_a_sharded_batch(mesh, op, form):
    x, k = arrays()
    sharded, shared = put(mesh, x, "data"), put(mesh, k)
    with ops.lowering(form):
        gradient = jax.grad(functools.partial(loss, op), (0, 1))
        y, gradients = quick_jit(lambda x, k: (op(x, k), gradient(k, x)))(sharded, shared)
    assert y.sharding.spec[0] == "data"
    assert_close(y, expected(op)["value"])
    for got, wanted in zip(gradients, expected(op)["gradients"], strict=True):
        assert_close(got, wanted)


@ops_and_names
def test_eager_on_a_sharded_batch(mesh, op):
    x, k = arrays()
    assert_close(op(put(mesh, x, "data"), put(mesh, k)), expected(op)["value"])


@ops_and_names
@pytest.mark.parametrize("spec", [(None, "data"), (None, None, None, "data")], ids=["rows", "in"])
def test_other_axes_sharded(mesh, op, spec):
    x, k = arrays()
    gradient = quick_jit(jax.grad(functools.partial(loss, op), (0, 1)))
    got = gradient(put(mesh, k), put(mesh, x, *spec))
    for a, b in zip(got, expected(op)["gradients"], strict=True):
        assert_close(a, b)


@all_ops_and_names
def test_per_example_gradients_of_a_sharded_batch(mesh, op):
    """The plain convolution is silently wrong here on every shard but the first (jax 0.10.1)."""
    x, k = arrays()
    per_example = jax.vmap(jax.grad(lambda k, image: loss(op, k, image[None])), (None, 0))
    got = quick_jit(per_example)(put(mesh, k), put(mesh, x, "data"))
    assert_close(got, expected(op)["per example"])


@all_ops_and_names
def test_the_gradient_of_a_large_sharded_batch(monkeypatch, mesh, op):
    """Weight gradients of large images are summed over bands of rows; here of small ones too."""
    monkeypatch.setattr(canonical, "_BAND_SIZE", 2**9)
    rng = np.random.default_rng(0)
    x, (_, k) = rng.normal(size=(4, 24, 24, 4)), arrays()
    gradient = quick_jit(jax.grad(functools.partial(loss, op)))
    assert_close(gradient(put(mesh, k), put(mesh, x, "data")), gradient(k, x))


@all_ops_and_names
def test_an_ensemble_sharded_over_its_members(mesh, op):
    x, k = arrays()
    gradients = jax.vmap(jax.grad(functools.partial(loss, op)), (0, None))
    got = quick_jit(gradients)(put(mesh, ensemble(k), "data"), put(mesh, x))
    assert_close(got, expected(op)["ensemble"])


# --- shard_map -----------------------------------------------------------------------------------


def mean_over_devices(op, kernel, x):
    return jax.lax.pmean(loss(op, kernel, x), "data")


@forms
@ops_and_names
def test_shard_map_value(mesh, op, form):
    x, k = arrays()
    with ops.lowering(form):
        mapped = jax.shard_map(op, mesh=mesh, in_specs=(P("data"), P()), out_specs=P("data"))
        assert_close(quick_jit(mapped)(x, k), expected(op)["value"])
        assert_close(mapped(x, k), expected(op)["value"])


@forms
@ops_and_names
@pytest.mark.parametrize("where", ["inside", "outside"])
def test_shard_map_gradient_of_a_shared_kernel(mesh, op, form, where):
    x, k = arrays()
    on_each = functools.partial(mean_over_devices, op)
    with ops.lowering(form):
        specs = {"mesh": mesh, "in_specs": (P(), P("data")), "out_specs": P()}
        if where == "inside":
            mapped = jax.shard_map(jax.grad(on_each), **specs)
        else:
            mapped = jax.grad(jax.shard_map(on_each, **specs))
        assert_close(quick_jit(mapped)(k, x), expected(op)["gradients"][0])


@ops_and_names
def test_shard_map_gradient_of_the_images(mesh, op):
    x, k = arrays()
    gradient = jax.grad(functools.partial(mean_over_devices, op), 1)
    mapped = jax.shard_map(gradient, mesh=mesh, in_specs=(P(), P("data")), out_specs=P("data"))
    assert_close(quick_jit(mapped)(k, x), expected(op)["gradients"][1])


@ops_and_names
def test_shard_map_with_shared_images_and_kernels_of_its_own(mesh, op):
    """The other operand is the one to be marked as varying."""
    x, k = arrays()
    kernels = np.stack([k, np.sin(k)])

    def on_each(x, kernels):
        return jax.lax.psum(loss(op, kernels[0], x), "data")

    mapped = jax.shard_map(on_each, mesh=mesh, in_specs=(P(), P("data")), out_specs=P())
    got = quick_jit(jax.grad(mapped, (0, 1)))(x, kernels)
    total = jax.grad(lambda x, ks: sum(loss(op, k, x) for k in ks), (0, 1))
    wanted = quick_jit(total)(x, kernels)
    for a, b in zip(got, wanted, strict=True):
        assert_close(a, b)


@ops_and_names
def test_shard_map_hessian_product(mesh, op):
    x, k = arrays()

    def product(f, k, x):
        return jax.jvp(jax.grad(lambda k: f(op, k, x)), (k,), (jnp.cos(k),))[1]

    mapped = jax.shard_map(
        functools.partial(product, mean_over_devices),
        mesh=mesh,
        in_specs=(P(), P("data")),
        out_specs=P(),
    )
    assert_close(quick_jit(mapped)(k, x), quick_jit(functools.partial(product, loss))(k, x))


@ops_and_names
def test_shard_map_of_a_scanned_stack(mesh, op):
    x, k = arrays()
    kernels = np.stack([k, np.sin(k), k / 2])

    def total(x, kernels, start):
        def body(carry, kernel):
            return carry + loss(op, kernel, x * jnp.cos(carry)), None

        return jax.lax.scan(body, start, kernels)[0]

    def on_each(kernels, x):
        start = jax.lax.pcast(jnp.zeros(()), "data", to="varying")
        return jax.lax.psum(total(x, kernels, start), "data")

    mapped = jax.shard_map(on_each, mesh=mesh, in_specs=(P(), P("data")), out_specs=P())
    got = quick_jit(jax.grad(mapped))(kernels, x)
    wanted = quick_jit(
        jax.grad(
            lambda kernels: sum(total(half, kernels, jnp.zeros(())) for half in (x[:2], x[2:]))
        )
    )(kernels)
    assert_close(got, wanted)


@ops_and_names
@pytest.mark.parametrize("check_vma", [True, False])
def test_shard_map_of_an_ensemble(mesh, op, check_vma):
    x, k = arrays()
    gradients = jax.vmap(jax.grad(functools.partial(loss, op)), (0, None))
    mapped = jax.shard_map(
        gradients, mesh=mesh, in_specs=(P("data"), P()), out_specs=P("data"), check_vma=check_vma
    )
    assert_close(quick_jit(mapped)(ensemble(k), x), expected(op)["ensemble"])


@ops_and_names
def test_shard_map_per_example_gradients(mesh, op):
    """Of a kernel marked as varying: unmarked, JAX would sum each gradient over the devices."""
    x, k = arrays()

    def on_each(k, x):
        k = jax.lax.pcast(k, "data", to="varying")
        return jax.vmap(jax.grad(lambda k, image: loss(op, k, image[None])), (None, 0))(k, x)

    mapped = jax.shard_map(on_each, mesh=mesh, in_specs=(P(), P("data")), out_specs=P("data"))
    assert_close(quick_jit(mapped)(k, x), expected(op)["per example"])


# --- Explicit meshes -----------------------------------------------------------------------------


@ops_and_names
def test_an_explicit_mesh_gives_values_and_image_gradients(op):
    x, k = arrays()
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        sharded, shared = put(mesh, x, "data"), put(mesh, k)
        y = quick_jit(op)(sharded, shared)
        gradient = quick_jit(jax.grad(functools.partial(loss, op), 1))(shared, sharded)
        assert y.sharding.spec == gradient.sharding.spec == P("data", None, None, None)
    assert_close(y, expected(op)["value"])
    assert_close(gradient, expected(op)["gradients"][1])


@ops_and_names
def test_an_explicit_mesh_gives_kernel_gradients(op):
    x, k = arrays()
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        gradient = quick_jit(jax.grad(functools.partial(loss, op)))
        got = gradient(put(mesh, k), put(mesh, x, "data"))
    assert_close(got, expected(op)["gradients"][0])
