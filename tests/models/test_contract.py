"""What every net owes its user, whatever its architecture."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_nets import (
    QUICKLY,
    TINIEST,
    TINY,
    TINY_DRN_C,
    TINY_DRN_D,
    TINY_MOBILE,
    call,
    images,
    leaves,
    parameters,
    quick,
)

from jaxseg import analysis, models, ops
from jaxseg.nn import ASPP

ENCODED = {"classes": 5, "backbone": TINIEST, "dropout": 0.0}
DEEPLAB = {**ENCODED, "rates": (1, 2, 3), "features": 8, "pyramid_dropout": 0.0}
UNET = {"classes": 5, "widths": (8, 16)}
NETS = {
    "fcn": (models.FCN, ENCODED),
    "fcn_4": (models.FCN, {**ENCODED, "backbone": TINY, "output_stride": 4}),
    "fcn_group": (models.FCN, {**ENCODED, "norm": "group"}),
    "fcn_8s": (models.SkipFCN, {**ENCODED, "finest": 8}),
    "fcn_32s": (models.SkipFCN, {**ENCODED, "finest": 32}),
    "deeplab_v3": (models.DeepLabV3, DEEPLAB),
    "deeplab_v3_plus": (models.DeepLabV3Plus, {**DEEPLAB, "output_stride": 16}),
    "unet": (models.UNet, {**UNET, "widths": (8, 16, 24)}),
    "unet_resize_sum": (models.UNet, {**UNET, "up": "resize", "skips": "sum", "residual": True}),
    "unet_valid": (models.UNet, {**UNET, "padding": "valid", "residual": True, "norm": "group"}),
    "unet_valid_resize_none": (
        models.UNet,
        {**UNET, "padding": "valid", "up": "resize", "skips": "none"},
    ),
    "lraspp": (models.LRASPP, {**ENCODED, "backbone": TINY_MOBILE, "features": 8}),
    # 16 features: a group norm of one channel's mean would be of a single value.
    "deeplab_mobile": (
        models.DeepLabV3,
        {**DEEPLAB, "backbone": TINY_MOBILE, "norm": "group", "features": 16},
    ),
    "drn_c": (models.DRN, {**ENCODED, "backbone": TINY_DRN_C}),
    "drn_d": (models.DRN, {**ENCODED, "backbone": TINY_DRN_D, "norm": "group"}),
    "encoder_unet": (models.EncoderUNet, {**ENCODED, "decoder": (8,) * 5}),
    "encoder_unet_mobile": (
        models.EncoderUNet,
        {
            **ENCODED,
            "backbone": TINY_MOBILE,
            "decoder": (16, 8, 8, 8, 8),
            "output_stride": 16,
            "norm": "group",
        },
    ),
}
STRIDES = {
    "fcn": 8,
    "fcn_4": 4,
    "fcn_group": 8,
    "fcn_8s": 32,
    "fcn_32s": 32,
    "deeplab_v3": 8,
    "deeplab_v3_plus": 16,
    "unet": 4,
    "unet_resize_sum": 2,
    "unet_valid": 2,
    "unet_valid_resize_none": 2,
    "lraspp": 16,
    "drn_c": 8,
    "encoder_unet": 32,
}
AUXILIARY = ("fcn", "fcn_4", "fcn_group", "fcn_8s", "lraspp", "deeplab_mobile", "drn_c")
# Those that recompute blocks of their own, and one encoder: all encoders do it in one place.
REMATERIALISED = ("unet", "lraspp", "encoder_unet")
SIZE = (40, 36)
every_net = pytest.mark.parametrize("name", NETS)


@functools.cache
def make(name, **fields):
    net, given = NETS[name]
    return quick(lambda: net(**{**given, **fields}, rngs=nnx.Rngs(0)))


@functools.cache
def train_step(name, remat=False):
    """A net, then loss and state, and the gradient of every parameter, of one compiled step.

    Of the auxiliary logits too where there are some. Plain convolutions compile fastest, and plain
    upconvolutions run slowest; that the forms that replace them have the same gradients is for the
    tests of `ops` to say.
    """
    auxiliary = {"auxiliary": True} if name in AUXILIARY else {}
    net = make(name, remat=remat, **auxiliary)
    graphdef, params, stats = nnx.split(net, nnx.Param, ...)

    def loss(params, stats):
        net = nnx.merge(graphdef, params, stats, copy=True)
        out = (net.with_auxiliary if auxiliary else net)(images(SIZE), train=True)
        total = sum(jnp.mean(jnp.sin(2 * logits + 1) ** 2) for logits in jax.tree.leaves(out))
        return total, nnx.state(net, nnx.Not(nnx.Param))

    with ops.lowering("auto" if NETS[name][0] is models.SkipFCN else "direct"):
        step = jax.jit(jax.value_and_grad(loss, has_aux=True), compiler_options=QUICKLY)
        return net, step(params, stats)


@every_net
def test_images_of_one_pixel_or_one_line(name):
    for size, train in [((1, 1), True), ((1, 7), False)]:
        logits = call(make(name), images(size, batch=1), train=train)
        assert logits.shape == (1, *size, 5)
        assert np.isfinite(logits).all()


@every_net
def test_every_parameter_gets_a_gradient(name):
    net, ((value, stats), gradient) = train_step(name)
    assert np.isfinite(value)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all(), path
        assert np.any(leaf), path
    before = nnx.state(net, nnx.Not(nnx.Param))
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), before, stats)
    assert all(jax.tree.leaves(moved))


@every_net
def test_rematerialisation_is_what_was_asked_for(name):
    for remat in (False, True):
        x = jnp.zeros((1, 9, 8, 3))
        text = str(jax.make_jaxpr(lambda net, x: net(x, train=True))(make(name, remat=remat), x))
        assert ("remat" in text or "checkpoint" in text) == remat


@pytest.mark.parametrize("name", REMATERIALISED)
def test_rematerialisation_changes_nothing(name):
    for a, b in zip(leaves(train_step(name)[1]), leaves(train_step(name, True)[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4 * max(1, np.max(np.abs(a))))


@every_net
def test_examples_stay_apart_and_jit_is_eager(name):
    net = make(name)
    x = images(SIZE, batch=3)
    together = call(net, x)
    assert together.shape == (3, *SIZE, 5)
    assert together.dtype == jnp.float32
    assert np.isfinite(together).all()
    # Of one example, without jit and in plain convolutions at once: all have to be the same.
    with ops.lowering("direct"):
        alone = net(x[1:2])
    np.testing.assert_allclose(alone, together[1:2], rtol=1e-4, atol=1e-4)


# Not with group norm, whose means over the whole map bring in its edges.
@pytest.mark.parametrize("name", [n for n in NETS if NETS[n][1].get("norm") != "group"])
def test_an_image_moved_by_the_stride_moves_the_logits(name):
    stride, reach = STRIDES[name], 96
    side = 640 if stride == 32 or name == "lraspp" else 288  # more than is seen
    net = make(name)
    patch = images((2 * stride, 2 * stride), batch=1)
    low = (side // 2 - stride) // stride * stride
    moved = []
    for start in (low, low + stride):
        gap = side - start - 2 * stride
        x = jnp.pad(patch, [(0, 0), (start, gap), (start, gap), (0, 0)])
        logits = call(net, x)
        moved.append(logits[:, start - reach : start + reach, start - reach : start + reach])
    assert np.std(moved[0]) > 1e-3
    np.testing.assert_allclose(*moved, rtol=0, atol=1e-4 * np.max(np.abs(moved[0])))


@every_net
def test_bfloat16_stays_close(name):
    x = images(SIZE, batch=3)
    found, wanted = (call(make(name, dtype=dtype), x) for dtype in ("bfloat16", None))
    assert found.dtype == jnp.float32
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.05 * np.std(wanted)
    assert all(a.dtype == jnp.float32 for a in leaves(nnx.state(make(name), nnx.Param)))


@every_net
def test_the_summary_has_all_parameters(name):
    net = make(name)
    table = analysis.summary(net, jax.ShapeDtypeStruct((1, 32, 24, 3), jnp.float32))
    assert table["all"].parameters == parameters(net)
    assert table["all"].shape == (1, 32, 24, 5)
    assert table["classifier" if hasattr(net, "classifier") else "backbone/stem"].parameters


@pytest.mark.parametrize(
    "name", ["deeplab_v3_plus", "fcn_8s", "unet_valid", "lraspp", "encoder_unet"]
)
def test_powers_of_two(name):
    net = make(name)
    squares, oblongs = [(2**i, 2**i) for i in range(10)], [(2 ** (5 - i), 2**i) for i in range(5)]
    for size in squares + oblongs:
        found = nnx.eval_shape(lambda net, x: net(x), net, jnp.zeros((1, *size, 3)))
        assert found.shape == (1, *size, 5)


@pytest.mark.parametrize("size", [(2, 2), (16, 2), (512, 512)])
@pytest.mark.parametrize("name", ["deeplab_v3_plus", "fcn_8s", "lraspp"])
def test_training_on_one_image_of_a_power_of_two_is_finite(name, size):
    logits = call(make(name), images(size, batch=1), train=True)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("method", ["__call__", "with_auxiliary"])
def test_dropout_needs_a_key_and_training(method):
    x = images((16, 16))
    net = make("deeplab_v3", dropout=0.5, pyramid_dropout=0.5, auxiliary=True)
    key, other = jax.random.key(3), jax.random.key(4)

    def drawn(train, key):
        run = lambda net, x, key: getattr(net, method)(x, train=train, key=key)  # noqa: E731
        return "random_bits" in str(jax.make_jaxpr(run)(net, x, key))

    assert drawn(True, key)
    assert not any((drawn(False, key), drawn(True, None), drawn(False, None)))
    dropped, again, others = (
        jax.tree.leaves(call(net, x, method=method, train=True, key=k)) for k in (key, key, other)
    )
    for a, b, c in zip(dropped, again, others, strict=True):
        assert a.shape == (2, 16, 16, 5)
        np.testing.assert_array_equal(a, b)
        assert np.max(np.abs(a - c)) > 1e-3


def test_a_pyramid_learns_nothing_from_the_mean_of_one_example():
    aspp = quick(lambda: ASPP(8, 8, rates=(1, 2, 3), rngs=nnx.Rngs(0)))
    with ops.lowering("direct"):
        aspp(images((4, 4), batch=1, inputs=8), train=True)
        assert not np.any(aspp.pooled.norm.mean[...])
        np.testing.assert_array_equal(aspp.pooled.norm.var[...], 1)
        aspp(images((4, 4), batch=2, inputs=8), train=True)
        assert np.all(aspp.pooled.norm.mean[...])


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("fcn", {"classes": 0}, "classes=0 must be at least 1"),
        ("fcn", {"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
        ("fcn", {"backbone": "vgg"}, "backbone='vgg' is unknown: give one of"),
        ("fcn_8s", {"finest": 4}, "finest=4 is unknown: give one of"),
        ("fcn_8s", {"output_stride": 8}, "output_stride=8 is unknown: give one of"),
        ("deeplab_v3", {"rates": (0,)}, "must be integers >= 1, or None"),
        ("deeplab_v3", {"features": 0}, "features=0 and low_features=48 must be at least 1"),
        ("unet", {"widths": ()}, "must be at least 1"),
        ("unet", {"skips": "add"}, "skips='add' is unknown: give one of"),
        ("lraspp", {"features": 0}, "features=0 must be at least 1"),
        ("drn_d", {"output_stride": 4}, "output_stride=4 is unknown: give one of"),
        ("drn_c", {"backbone": 50}, "backbone=50 is no encoder: give a name, one of"),
        ("encoder_unet", {"decoder": (8, 8)}, "must be 5 integers >= 1"),
        ("unet", {"dropout": -1}, "dropout=-1 must be at least 0 and below 1"),
    ],
)
def test_configurations_that_make_no_net_are_refused(name, fields, message):
    with pytest.raises(ValueError, match=message):
        make(name, **fields)


def test_no_auxiliary_logits_without_their_head():
    with pytest.raises(ValueError, match="build the net with auxiliary=True"):
        make("fcn").with_auxiliary(images((4, 4)))
