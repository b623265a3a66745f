"""Arrays that devices share stay where they are: what XLA makes of the calls on two devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from jax.interpreters import mlir
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxseg import ops
from jaxseg.ops import _lowering, trilinear

pytestmark = pytest.mark.usefixtures("native")

OPS = [
    functools.partial(ops.conv, stride=2, padding=1, groups=2),
    functools.partial(ops.upconv, stride=2, padding=1, groups=2),
    lambda x, k: ops.conv(x[..., :2], k),
]
all_ops = pytest.mark.parametrize("op", OPS, ids=["conv", "upconv", "dense"])
either_form = pytest.mark.parametrize("form", ["auto", "native"])


def arrays(batch=4):
    rng = np.random.default_rng(0)
    x, k = rng.normal(size=(batch, 6, 5, 4)), rng.normal(size=(3, 3, 2, 6))
    return x.astype(np.float32), k.astype(np.float32)


def two_devices(*axes):
    axes = axes or ("data",)
    shape = (2,) + (1,) * (len(axes) - 1)
    return jax.make_mesh(shape, axes, axis_types=(AxisType.Auto,) * len(axes))


def put(array, *spec, mesh=None):
    return jax.device_put(array, NamedSharding(mesh or two_devices(), P(*spec)))


def loss(op, k, x):
    return jnp.mean(jnp.sin(op(x, k)) + op(x, k) ** 2)


def value_and_gradients(op, k, x):
    return op(x, k), jax.grad(functools.partial(loss, op), (0, 1))(k, x)


def assert_close(got, wanted):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


def compiled(f, *args):
    return quick_jit(f).lower(*args).compile()


@either_form
@all_ops
def test_a_sharded_batch_stays_sharded(op, form):
    """No image is gathered, and the kernel's gradient is summed over the devices."""
    x, k = arrays()
    with ops.lowering(form):
        program = compiled(functools.partial(value_and_gradients, op), put(k), put(x, "data"))
        single = quick_jit(functools.partial(value_and_gradients, op))(k, x)
    text = program.as_text()
    assert "jaxseg_onednn" in text
    assert "all-gather" not in text
    assert "all-reduce" in text
    got = program(put(k), put(x, "data"))
    assert got[0].sharding.spec[0] == got[1][1].sharding.spec[0] == "data"
    assert_close(got, single)


def ensemble():
    x, k = arrays()
    return np.stack([k, 2 * k, k**2, np.sin(k)]), np.stack([x, 2 * x, x**2, np.sin(x)])


@all_ops
def test_a_sharded_ensemble_stays_sharded(op):
    kernels, images = ensemble()
    gradients = jax.vmap(jax.grad(functools.partial(loss, op)))
    shared = put(kernels, "data"), put(images, "data")
    program = compiled(gradients, *shared)
    text = program.as_text()
    assert "jaxseg_onednn" in text
    assert "all-gather" not in text
    assert "all-reduce" not in text
    assert_close(program(*shared), quick_jit(gradients)(kernels, images))


@all_ops
def test_a_sharded_ensemble_on_shared_images(op):
    """The members are channels of one convolution here, and gathered."""
    kernels, (x, _) = ensemble()[0], arrays()
    gradients = jax.vmap(jax.grad(functools.partial(loss, op)), (0, None))
    got = quick_jit(gradients)(put(kernels, "data"), put(x))
    assert_close(got, quick_jit(gradients)(kernels, x))


@all_ops
def test_per_example_gradients_of_a_sharded_batch(op):
    x, k = arrays()
    gradients = jax.vmap(jax.grad(lambda k, image: loss(op, k, image[None])), (None, 0))
    program = compiled(gradients, put(k), put(x, "data"))
    assert "all-gather" not in program.as_text()
    assert_close(program(put(k), put(x, "data")), quick_jit(gradients)(k, x))


@all_ops
@pytest.mark.parametrize("spec", [(None, "data"), (None, None, None, "data")], ids=["rows", "in"])
def test_other_axes_are_gathered(op, spec):
    x, k = arrays()
    f = functools.partial(value_and_gradients, op)
    assert_close(quick_jit(f)(put(k), put(x, *spec)), quick_jit(f)(k, x))


def test_two_axes_of_a_mesh_share_a_batch():
    mesh, (x, k) = two_devices("data", "model"), arrays()
    f = functools.partial(value_and_gradients, OPS[0])
    got = quick_jit(f)(put(k, mesh=mesh), put(x, ("data", "model"), mesh=mesh))
    assert_close(got, quick_jit(f)(k, x))


def test_a_batch_that_two_devices_cannot_share():
    x, k = arrays(3)
    f = functools.partial(value_and_gradients, OPS[0])
    assert_close(quick_jit(f)(put(k), put(x)), quick_jit(f)(k, x))


def test_shard_map_calls_the_library_on_each_device():
    x, k = arrays()

    def on_each(k, x):
        return jax.lax.pmean(loss(OPS[0], k, x), "data")

    mapped = jax.shard_map(on_each, mesh=two_devices(), in_specs=(P(), P("data")), out_specs=P())
    program = compiled(jax.grad(mapped), k, x)
    assert "jaxseg_onednn" in program.as_text()
    assert "all-gather" not in program.as_text()
    assert_close(program(k, x), quick_jit(jax.grad(functools.partial(loss, OPS[0])))(k, x))


def test_a_mesh_of_explicit_axes_is_left_to_lax():
    x, k = arrays()
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        program = compiled(OPS[0], put(x, "data", mesh=mesh), put(k, mesh=mesh))
    assert "jaxseg_onednn" not in program.as_text()


def test_the_lowering_context_tells_how_many_devices_share(monkeypatch):
    """Undocumented fields of JAX, which `_lowering.sharing_devices` reads."""
    counts = []

    def sharing_devices(context):
        axes = context.module_context.axis_context
        assert isinstance(axes, mlir.ShardingContext | mlir.SPMDAxisContext)
        counts.append(_lowering.sharing_devices(context))
        return counts[-1]

    monkeypatch.setattr(trilinear, "sharing_devices", sharing_devices)
    x, k = arrays()
    mesh = two_devices("data", "model")
    jax.jit(OPS[0]).lower(x, k)
    jax.jit(OPS[0]).lower(put(x, "data"), put(k))
    specs = {"in_specs": (P("data"), P()), "out_specs": P("data")}
    jax.jit(jax.shard_map(OPS[0], mesh=mesh, **specs)).lower(x, k)
    jax.jit(
        jax.shard_map(
            OPS[0],
            mesh=mesh,
            axis_names={"model"},
            in_specs=(P(), P()),
            out_specs=P(),
            check_vma=False,
        )
    ).lower(x, k)
    assert counts == [1, 2, 1, 2]
