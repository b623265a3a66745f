"""Per-example gradients equal a Python loop, on one device and on two, in chunks of any size."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxseg import models, ops
from jaxseg.analysis import layer_gradient_norms, leading_norms, per_example_gradients
from jaxseg.numerics import safe_norm

OPS = {
    "conv": (ops.conv, (3, 3, 4, 6)),
    "dilated": (functools.partial(ops.conv, dilation=2), (3, 3, 4, 6)),
    "strided": (functools.partial(ops.conv, stride=2), (3, 3, 4, 6)),
    "upconv": (ops.upconv, (4, 4, 4, 6)),
    "grouped": (functools.partial(ops.conv, groups=2), (3, 3, 2, 6)),
    "depthwise": (functools.partial(ops.conv, groups=4), (3, 3, 1, 8)),
}
EXAMPLES = 6
QUICK = {"xla_backend_optimization_level": 0}  # compiles in a fraction of the time
forms = pytest.mark.parametrize("form", ["auto", "direct"])


@pytest.fixture
def mesh():
    assert jax.device_count() == 2
    return jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))


@pytest.fixture
def one_device():
    """A mesh that tells a jitted call that its batch lies on one of the two devices."""
    return jax.make_mesh((1,), ("data",), (AxisType.Auto,), devices=jax.devices()[:1])


def problem(*names, dtype=np.float64, examples=EXAMPLES):
    """A loss with a kernel for each operation; the batch holds images and targets."""
    rng = np.random.default_rng(0)
    params = {name: rng.normal(size=OPS[name][1]) for name in names}
    batch = {"image": rng.normal(size=(examples, 6, 5, 4)), "target": rng.normal(size=examples)}

    def loss(params, example):
        x = example["image"][None]
        terms = [jnp.mean(jnp.sin(OPS[name][0](x, params[name])) ** 2) for name in params]
        return sum(terms[1:], terms[0]) * (1 + example["target"] ** 2)

    cast = functools.partial(jax.tree.map, lambda a: jnp.asarray(a, dtype))
    return loss, cast(params), cast(batch)


def looped(loss, params, batch):
    """The definition: one example after another, each on its own."""
    count = len(jax.tree.leaves(batch)[0])
    gradient = jax.jit(jax.grad(loss), compiler_options=QUICK)
    each = [gradient(params, jax.tree.map(lambda a: a[i], batch)) for i in range(count)]  # noqa: B023
    return jax.tree.map(lambda *leaves: np.stack(leaves), *each)


@functools.cache
def reference(*names, gain=1):
    """Float64 gradients of `problem(*names)` by the definition, for all tests together."""
    loss, params, batch = problem(*names)
    with ops.lowering("direct"):
        return looped(lambda params, example: gain * loss(params, example), params, batch)


def both(loss, params, batch, **options):
    """Gradients and their norms."""
    return (
        per_example_gradients(loss, params, batch, **options),
        layer_gradient_norms(loss, params, batch, **options),
    )


def under_jit(loss, params, batch, **options):
    """There a sharding on an Auto mesh cannot be seen."""
    fn = functools.partial(both, loss, **options)
    return jax.jit(fn, compiler_options=QUICK)(params, batch)


def assert_close(got, wanted, rtol):
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= rtol * np.abs(b).max()


def assert_right(found, wanted, rtol=1e-12):
    """`found` is what `both` gave, `wanted` the gradients of the loop."""
    flat = jax.tree.map(lambda g: np.float64(g).reshape(len(g), -1), wanted)
    norms = jax.tree.map(lambda g: np.linalg.norm(g, axis=1), flat)
    assert_close(found[0], wanted, rtol)
    assert_close(found[1], norms, max(rtol, 1e-6))


def put(mesh, tree, *spec):
    return jax.device_put(tree, NamedSharding(mesh, P(*spec)))


# --- one device ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["auto", "direct", "fast"])
def test_equal_a_python_loop(x64, one_device, form):
    loss, params, batch = problem(*OPS)
    with ops.lowering(form):
        found = under_jit(loss, params, batch, batch_size=4, mesh=one_device)
    assert_right(found, reference(*OPS))


@pytest.mark.parametrize("batch_size", [None, 1, 3, 5, 100])
def test_chunks_of_any_size(x64, one_device, batch_size):
    loss, params, batch = problem("strided")
    found = under_jit(loss, params, batch, batch_size=batch_size, mesh=one_device)
    assert_right(found, reference("strided"))


def test_outside_jit(x64):
    loss, params, batch = problem("strided")
    assert_right(both(loss, params, batch, batch_size=5), reference("strided"))


@pytest.mark.parametrize("examples", [0, 1])
def test_of_no_example_and_of_one(examples):
    loss, params, batch = problem("conv", dtype=np.float32, examples=examples)
    gradients, norms = both(loss, params, batch)
    assert gradients["conv"].shape == (examples, 3, 3, 4, 6)
    assert norms["conv"].shape == (examples,)


def test_float32():
    loss, params, batch = problem("upconv", "dilated", dtype=np.float32)
    wanted = looped(loss, params, batch)
    found = under_jit(loss, params, batch)
    assert_right(found, wanted, rtol=1e-5)
    whole = [safe_norm(jax.tree.map(lambda g: g[i], wanted)) for i in range(EXAMPLES)]  # noqa: B023
    np.testing.assert_allclose(leading_norms(found[1]), whole, rtol=1e-5)


@pytest.mark.parametrize("norm", ["none", "group"])
def test_a_module_and_its_state(norm):
    net = models.DeepNet(classes=3, inputs=4, features=8, blocks=1, norm=norm, rngs=nnx.Rngs(0))
    graphdef, state = nnx.split(net)
    images = jax.random.normal(jax.random.key(0), (3, 6, 5, 4))

    def loss(net, image):
        return jnp.mean(jnp.sin(net(image[None])))

    def of_state(state, image):
        return loss(nnx.merge(graphdef, state, copy=True), image)

    wanted = looped(of_state, state, images)
    assert_right(under_jit(of_state, state, images), wanted, rtol=1e-5)
    if norm == "none":
        gradients, norms = under_jit(loss, net, images)
        assert isinstance(gradients, models.DeepNet)
        assert_right((nnx.state(gradients), nnx.state(norms)), wanted, rtol=1e-5)


def test_norms_beyond_what_float32_can_square_and_their_gradient():
    def loss(w, x):
        return jnp.sum(w * x)

    x = jnp.array([[3e25, 4e25], [3e-25, 4e-25], [0, 0]], jnp.float32)
    norms = functools.partial(layer_gradient_norms, loss, jnp.ones(2))
    np.testing.assert_allclose(norms(x), [5e25, 5e-25, 0], rtol=1e-6)
    found = jax.grad(lambda x: jnp.sum(norms(x)))(x)
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.6, 0.8], [0, 0]], rtol=1e-6)


def test_memory_is_that_of_a_chunk(one_device):
    """A small image and a large kernel: gradients outweigh all else, 1.1 MiB an example."""
    kernel = jnp.ones((3, 3, 64, 512), jnp.float32)
    images = jnp.ones((32, 4, 4, 64), jnp.float32)

    def loss(kernel, image):
        return jnp.mean(jnp.sin(ops.conv(image[None], kernel)))

    def temporary_bytes(batch_size):
        norms = functools.partial(
            layer_gradient_norms, loss, batch_size=batch_size, mesh=one_device
        )
        memory = jax.jit(norms).lower(kernel, images).compile().memory_analysis()
        return memory.temp_size_in_bytes

    assert temporary_bytes(1) < temporary_bytes(4) < 10 * kernel.nbytes
    assert temporary_bytes(None) > 32 * kernel.nbytes


# --- two devices ---------------------------------------------------------------------------------


@forms
@pytest.mark.parametrize("call", ["as it is", "jit", "jit with mesh"])
def test_a_batch_split_over_two_devices(x64, mesh, form, call):
    """`vmap(grad)` of the plain convolution is silently wrong here on the second device."""
    names = ("dilated", "upconv", "depthwise") if call == "as it is" else OPS
    loss, params, batch = problem(*names)
    split = put(mesh, batch, "data")
    options = {"batch_size": 2, **({"mesh": mesh} if call == "jit with mesh" else {})}
    with ops.lowering(form):
        found = (both if call == "as it is" else under_jit)(loss, params, split, **options)
    assert_right(found, reference(*names))
    if call != "jit":
        assert {g.sharding.spec[0] for g in jax.tree.leaves(found)} == {"data"}


def test_the_trap_is_still_there(x64, mesh):
    """When this fails, jax is mended, and `vmap` may do what is done one after another."""
    loss, params, batch = problem("conv")
    with ops.lowering("direct"):
        trap = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))  # compiled as users compile it
        got = trap(params, put(mesh, batch, "data"))["conv"]
    wanted = reference("conv")["conv"]
    wrong = [np.abs(a - b).max() > 1e-3 for a, b in zip(got, wanted, strict=True)]
    assert wrong == [False] * 3 + [True] * 3


def test_a_given_mesh_shares_out_what_lies_on_one_device(x64, mesh):
    loss, params, batch = problem("conv")
    params = jax.device_put(params, jax.devices()[1])
    found = both(loss, params, batch, mesh=mesh)
    assert_right(found, reference("conv"))
    assert found[0]["conv"].sharding.spec[0] == "data"


@pytest.mark.parametrize("call", [both, under_jit])
@pytest.mark.parametrize("spec", [(None, "data"), ("data", "rows"), (("data", "rows"),)], ids=str)
def test_other_axes_split(x64, spec, call):
    sizes = (2, 1) if spec == (None, "data") else (1, 2)
    mesh = jax.make_mesh(sizes, ("data", "rows"), axis_types=(AxisType.Auto,) * 2)
    loss, params, batch = problem("strided")
    split = {**batch, "image": put(mesh, batch["image"], *spec)}
    with ops.lowering("direct"):
        assert_right(call(loss, params, split), reference("strided"))


@forms
@pytest.mark.parametrize("call", [both, under_jit])
def test_an_explicit_mesh(x64, form, call):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Explicit,))
    loss, params, batch = problem("dilated")
    # Labels may lie elsewhere than the images, parameters on the mesh or not.
    split = {"image": put(mesh, batch["image"], "data"), "target": put(mesh, batch["target"])}
    with ops.lowering(form):
        for parameters in (params, put(mesh, params)):
            assert_right(call(loss, parameters, split), reference("dilated"))


@forms
@pytest.mark.parametrize("check_vma", [True, False])
def test_inside_a_shard_map_of_ones_own(x64, mesh, form, check_vma):
    loss, params, batch = problem("grouped")
    mapped = jax.shard_map(
        functools.partial(both, loss),
        mesh=mesh,
        in_specs=(P(), P("data")),
        out_specs=P("data"),
        check_vma=check_vma,
    )
    with ops.lowering(form):
        found = jax.jit(mapped, compiler_options=QUICK)(params, batch)
    assert_right(found, reference("grouped"))


def test_a_loss_that_scans_from_zeros(x64, mesh):
    _, params, batch = problem("conv")

    def loss(params, example):
        y = jnp.sin(ops.conv(example["image"][None], params["conv"]))[0]
        return lax.scan(lambda sum_, row: (sum_ + jnp.sum(row), None), jnp.zeros(()), y)[0]

    assert_right(both(loss, params, put(mesh, batch, "data")), looped(loss, params, batch))


@pytest.mark.parametrize("given", [False, True])
def test_a_loss_that_closes_over_what_all_examples_share(x64, mesh, given):
    loss, params, batch = problem("conv")
    options = {"mesh": mesh} if given else {}

    @functools.partial(jax.jit, compiler_options=QUICK)
    def found(params, batch, gain):
        return both(lambda p, e: loss(p, e) * gain, params, batch, **options)

    found = found(params, put(mesh, batch, "data"), jnp.float64(3))
    assert_right(found, reference("conv", gain=3))


@pytest.mark.parametrize("call", ["as it is", "jit", "jit with mesh"])
def test_the_gradient_of_norms_over_two_devices(x64, mesh, call):
    """The sum over the devices that is wanted: of what all examples say of shared parameters."""
    loss, params, batch = problem("conv")
    weights = jnp.arange(1.0, EXAMPLES + 1)

    def total(params, batch):
        options = {"mesh": mesh} if call == "jit with mesh" else {}
        norms = layer_gradient_norms(loss, params, batch, **options)
        return jnp.sum(norms["conv"] * weights.astype(jnp.float32))

    def by_hand(params):
        each = jax.vmap(jax.grad(loss), (None, 0))(params, batch)["conv"]
        return jnp.sum(jnp.sqrt(jnp.sum(each**2, axis=(1, 2, 3, 4))) * weights)

    quickly = functools.partial(jax.jit, compiler_options=QUICK)
    gradient = jax.grad(total) if call == "as it is" else quickly(jax.grad(total))
    wanted = quickly(jax.grad(by_hand))(params)
    assert_close(gradient(params, put(mesh, batch, "data")), wanted, rtol=1e-5)


# --- what is refused -----------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("fn", [per_example_gradients, layer_gradient_norms])


def total(params, example):
    return jnp.sum(params["w"] * jnp.sum(example))


@BOTH
@pytest.mark.parametrize(
    ("loss", "params", "batch", "options", "message"),
    [
        (total, {"w": jnp.ones(2)}, {}, {}, "batch has no leaves"),
        (total, {}, jnp.ones(4), {}, "params has no leaves"),
        (
            total,
            {"w": jnp.ones(2)},
            {"a": jnp.ones(4), "b": jnp.ones((3, 2))},
            {},
            r"batch\['a'\] \(4,\), batch\['b'\] \(3, 2\)",
        ),
        (total, {"w": jnp.ones(2)}, [jnp.ones(4), 1.0], {}, r"batch\[1\] \(\): what all examples"),
        (total, {"w": jnp.ones(2)}, jnp.ones(4), {"batch_size": 0}, "batch_size=0 must be"),
        (total, {"w": jnp.ones(2, jnp.int32)}, jnp.ones(4), {}, r"params\['w'\] is int32"),
        (lambda p, e: p["w"] * e, {"w": jnp.ones(2)}, jnp.ones(4), {}, r"has shape \(2,\)"),
        (lambda p, e: (p["w"].sum() * e, 0), {"w": jnp.ones(2)}, jnp.ones(4), {}, "type tuple"),
        (lambda p, e: jnp.int32(1), {"w": jnp.ones(2)}, jnp.ones(4), {}, "dtype int32"),
    ],
    ids=[
        "no batch",
        "no params",
        "axes",
        "no axis",
        "chunk",
        "integers",
        "shape",
        "tuple",
        "integer loss",
    ],
)
def test_what_is_refused(fn, loss, params, batch, options, message):
    with pytest.raises(ValueError, match=message):
        fn(loss, params, batch, **options)


@BOTH
def test_examples_that_the_devices_cannot_share_evenly(mesh, fn):
    with pytest.raises(ValueError, match="5 examples do not divide by the 2 devices"):
        fn(total, {"w": jnp.ones(2)}, jnp.ones((5, 3)), mesh=mesh)
