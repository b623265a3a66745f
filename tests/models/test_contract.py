"""Properties that every net has, whatever its architecture."""

import functools
import inspect

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
    abstract,
    call,
    images,
    leaves,
    parameters,
    quick,
    shapes,
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
    # Bottlenecks: a group norm of a quarter of the first stage's channels needs 32 of them.
    "linknet": (models.LinkNet, {**ENCODED, "backbone": TINY}),
    "linknet_dilated": (models.LinkNet, {**ENCODED, "backbone": TINY, "output_stride": 8}),
    "psp_net": (models.PSPNet, {**ENCODED, "features": 8, "head_dropout": 0.0}),
    "fpn": (models.FPN, {**ENCODED, "pyramid": 8, "features": 8}),
    "uper_net": (models.UPerNet, {**ENCODED, "features": 8, "head_dropout": 0.0}),
    "unet_plus_plus": (models.UNetPlusPlus, {"classes": 5, "widths": (6, 8, 10)}),
    "unet_plus_plus_deep": (
        models.UNetPlusPlus,
        {"classes": 5, "widths": (8, 8, 8), "deep_supervision": True, "norm": "group"},
    ),
    "erfnet": (models.ERFNet, {"classes": 5, "widths": (6, 8, 12), "dropout": 0.0}),
    "fc_densenet": (
        models.FCDenseNet,
        {"classes": 5, "layers": (2, 2, 3), "growth": 4, "stem": 8, "dropout": 0.0},
    ),
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
    "linknet": 32,
    "linknet_dilated": 8,
    "fpn": 32,
    "unet_plus_plus": 4,
    "erfnet": 8,
    "fc_densenet": 4,
}
SIDES = {"lraspp": 640, "erfnet": 1344}
AUXILIARY = ("fcn", "fcn_4", "fcn_group", "fcn_8s", "lraspp", "deeplab_mobile", "drn_c")
SEGMENTERS = [name for name in NETS if issubclass(NETS[name][0], models.Segmenter)]
# Combinations of parts that other nets have too: gradients, shapes and shifts are enough.
VARIANTS = (
    "linknet_dilated",
    "fcn_group",
    "fcn_32s",
    "unet_valid_resize_none",
    "encoder_unet_mobile",
)
# Nets that recompute blocks of their own. Encoders do so in one place, which `test_resnet` tests.
REMATERIALIZED = ("unet", "encoder_unet", "erfnet", "fc_densenet", "unet_plus_plus")
# One net of each way to decode, and together one of each encoder.
DECODERS = ("fcn_8s", "unet_valid", "lraspp", "encoder_unet")
# Of the nets in 16 bits, those with a decoder, an encoder or a norm that no other has.
ROUNDED = (
    "fcn",
    "fcn_8s",
    "deeplab_v3_plus",
    "unet",
    "unet_valid",
    "lraspp",
    "drn_d",
    "encoder_unet",
)
SIZE = (40, 36)
every_net = pytest.mark.parametrize("name", NETS)
every_segmenter = pytest.mark.parametrize("name", SEGMENTERS)
every_architecture = pytest.mark.parametrize("name", [n for n in NETS if n not in VARIANTS])
every_decoder = pytest.mark.parametrize("name", DECODERS)


def build(name, **options):
    net, given = NETS[name]
    return net(**{**given, **options}, rngs=nnx.Rngs(0))


@functools.cache
def make(name, **options):
    return quick(lambda: build(name, **options))


@functools.cache
def train_step(name, remat=False):
    """A net, then loss and state, and the gradient of every parameter, of one compiled step.

    The loss is also of the auxiliary logits where there are some. Plain convolutions compile
    fastest, and plain upconvolutions run slowest. That the forms that replace them have the same
    gradients is tested in `ops`.
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
    for size in [(1, 1), (1, 7), (6, 1)]:
        assert shapes(make(name), size).shape == (1, *size, 5)
    if name not in VARIANTS:
        assert np.isfinite(call(make(name), images((1, 1), batch=1), train=True)).all()


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


@pytest.mark.parametrize("name", [*REMATERIALIZED, "fcn", "lraspp", "drn_c"])
def test_blocks_are_recomputed_when_asked_for(name):
    for remat in (False, True):
        x = jnp.zeros((1, 9, 8, 3))
        text = str(jax.make_jaxpr(lambda net, x: net(x, train=True))(make(name, remat=remat), x))
        assert ("remat" in text or "checkpoint" in text) == remat


@pytest.mark.parametrize("name", REMATERIALIZED)
def test_rematerialization_changes_nothing(name):
    for a, b in zip(leaves(train_step(name)[1]), leaves(train_step(name, True)[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4 * max(1, np.max(np.abs(a))))


@every_segmenter
def test_options_reach_the_encoder(name):
    options = {"inputs": 2, "norm": "group", "dtype": "bfloat16", "remat": True}
    net = abstract(lambda: build(name, dilation_rule="whole_stage", **options))
    defaults = {p.name: p.default for p in inspect.signature(NETS[name][0]).parameters.values()}
    stride = NETS[name][1].get("output_stride", defaults["output_stride"])
    assert net.backbone.output_stride == stride
    assert net.backbone.dilation_rule == "whole_stage"
    assert net.backbone.norm == "group"
    assert net.backbone.dtype == "bfloat16"
    assert net.backbone.remat
    assert net.backbone.stem.conv.kernel.shape[2] == 2
    norms = {type(m).__name__ for _, m in nnx.iter_modules(net) if "Norm" in type(m).__name__}
    assert norms == {"ConvNorm", "GroupNorm"}
    net = abstract(lambda: build(name, dilation_rule="first_keeps"))
    assert (net.backbone.dilation_rule, net.backbone.remat) == ("first_keeps", False)


@every_architecture
def test_examples_stay_apart(name):
    net = make(name)
    x = images(SIZE, batch=3)
    logits = call(net, x)
    assert logits.shape == (3, *SIZE, 5)
    assert logits.dtype == jnp.float32
    assert np.isfinite(logits).all()
    others = call(net, x.at[::2].set(images(SIZE, batch=2, seed=9)))
    np.testing.assert_array_equal(logits[1], others[1])
    assert np.min(np.max(np.abs(logits - others)[::2], axis=(1, 2, 3))) > 1e-3


@every_decoder
def test_jit_is_eager(name):
    # Without jit, in plain convolutions and with one example at once: none may change the logits.
    with ops.lowering("direct"):
        alone = make(name)(images(SIZE, batch=3)[1:2])
    together = call(make(name), images(SIZE, batch=3))
    np.testing.assert_allclose(alone, together[1:2], rtol=1e-4, atol=1e-4)


# Not with group norm, whose means over the whole map bring in its edges, nor with pyramid pooling,
# whose bins stay where they are.
MOVABLE = [
    n for n in NETS if NETS[n][1].get("norm") != "group" and n not in ("psp_net", "uper_net")
]


@pytest.mark.parametrize("name", MOVABLE)
def test_an_image_moved_by_the_stride_moves_the_logits(name):
    stride, reach = STRIDES[name], 96
    side = SIDES.get(name, 640 if stride == 32 else 288)  # more than a pixel sees
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


@pytest.mark.parametrize("name", ROUNDED)
def test_bfloat16_stays_close(name):
    x = images(SIZE, batch=3)
    rounded, exact = (call(make(name, dtype=dtype), x) for dtype in ("bfloat16", None))
    assert rounded.dtype == jnp.float32
    assert np.sqrt(np.mean((rounded - exact) ** 2)) < 0.05 * np.std(exact)
    assert all(a.dtype == jnp.float32 for a in leaves(nnx.state(make(name), nnx.Param)))


@every_architecture
def test_the_summary_has_all_parameters(name):
    net = make(name)
    table = analysis.summary(net, jax.ShapeDtypeStruct((1, 32, 24, 3), jnp.float32))
    assert table["all"].parameters == parameters(net)
    assert table["all"].shape == (1, 32, 24, 5)
    part = "classifier" if hasattr(net, "classifier") else "backbone/stem"
    assert table["down.0" if isinstance(net, models.UNetPlusPlus) else part].parameters


@pytest.mark.parametrize(
    "name", ["deeplab_v3_plus", "fcn_8s", "unet_valid", "lraspp", "encoder_unet"]
)
def test_powers_of_two(name):
    squares, oblongs = [(2**i, 2**i) for i in range(7)], [(2 ** (5 - i), 2**i) for i in range(5)]
    for size in [*squares, *oblongs, (512, 512)]:
        assert shapes(make(name), size).shape == (1, *size, 5)


@pytest.mark.parametrize("size", [(2, 2), (16, 2), (512, 512)])
@pytest.mark.parametrize("name", ["deeplab_v3_plus", "fcn_8s", "lraspp"])
def test_training_on_one_image_of_a_power_of_two_is_finite(name, size):
    logits = call(make(name), images(size, batch=1), train=True)
    assert np.isfinite(logits).all()


# Rates of all dropouts of every architecture. The others drop in the auxiliary head alone.
DROPOUT = {
    "fcn": {"dropout": 0.5},
    "fcn_8s": {"dropout": 0.5},
    "deeplab_v3": {"dropout": 0.5, "pyramid_dropout": 0.5},
    "deeplab_v3_plus": {"dropout": 0.5, "pyramid_dropout": 0.5},
    "unet": {"dropout": 0.5},
    "lraspp": {"dropout": 0.5},
    "drn_c": {"dropout": 0.5},
    "encoder_unet": {"dropout": 0.5},
    "linknet": {"dropout": 0.5},
    "psp_net": {"dropout": 0.5, "head_dropout": 0.5},
    "fpn": {"dropout": 0.5},
    "uper_net": {"dropout": 0.5, "head_dropout": 0.5},
    "unet_plus_plus": {"dropout": 0.5},
    "erfnet": {"dropout": 0.5},
    "fc_densenet": {"dropout": 0.5},
}
DROPS_IN_THE_CALL = (
    "fcn",
    "deeplab_v3",
    "deeplab_v3_plus",
    "unet",
    "erfnet",
    "fc_densenet",
    "psp_net",
    "uper_net",
    "unet_plus_plus",
)


def test_every_architecture_is_tested_for_dropout():
    assert {NETS[name][0] for name in DROPOUT} == {net for net, _ in NETS.values()}


@pytest.mark.parametrize("name", DROPOUT)
def test_dropout_needs_a_key_and_training(name):
    key = jax.random.key(3)
    methods = ("__call__", "with_auxiliary") if name in SEGMENTERS else ("__call__",)
    auxiliary = {"auxiliary": True} if name in SEGMENTERS else {}
    net = make(name, **DROPOUT[name], **auxiliary)

    def draws(method, train, key):
        run = lambda net, x, key: getattr(net, method)(x, train=train, key=key)  # noqa: E731
        return "random_bits" in str(jax.make_jaxpr(run)(net, images((8, 8)), key))

    for method in methods:
        in_the_call = name in DROPS_IN_THE_CALL or method == "with_auxiliary"
        assert draws(method, True, key) == in_the_call
        assert not draws(method, False, key)
    assert not draws(methods[-1], True, None)


@pytest.mark.parametrize("name", ["deeplab_v3", "deeplab_v3_plus"])
def test_the_pyramid_has_a_dropout_rate_of_its_own(name):
    net = abstract(lambda: build(name, dropout=0.2, pyramid_dropout=0.7, auxiliary=True))
    assert (net.auxiliary.dropout, net.aspp.dropout) == (0.2, 0.7)


@pytest.mark.parametrize("method", ["__call__", "with_auxiliary"])
def test_dropout_draws_by_the_key(method):
    x = images((16, 16))
    net = make("deeplab_v3", dropout=0.5, pyramid_dropout=0.5, auxiliary=True)
    key, other = jax.random.key(3), jax.random.key(4)
    dropped, again, others = (
        jax.tree.leaves(call(net, x, method=method, train=True, key=k)) for k in (key, key, other)
    )
    for a, b, c in zip(dropped, again, others, strict=True):
        assert a.shape == (2, 16, 16, 5)
        np.testing.assert_array_equal(a, b)
        assert np.max(np.abs(a - c)) > 1e-3


class EqualHeads(models.FCN):
    """Both heads are the auxiliary one, on the same features."""

    def decode(self, features, size, *, train, key):
        return self.auxiliary(features.auxiliary, train=train, key=key)


def test_each_head_drops_by_a_key_of_its_own():
    options = {**ENCODED, "dropout": 0.5, "auxiliary": True}
    net = quick(lambda: EqualHeads(**options, rngs=nnx.Rngs(0)))
    both = functools.partial(call, net, images((16, 16)), method="with_auxiliary", train=True)
    np.testing.assert_array_equal(*both())
    logits, auxiliary = both(key=jax.random.key(3))
    assert np.max(np.abs(logits - auxiliary)) > 1e-3


def test_a_pyramid_learns_nothing_from_the_mean_of_one_example():
    aspp = quick(lambda: ASPP(8, 8, rates=(1, 2, 3), rngs=nnx.Rngs(0)))

    @functools.partial(jax.jit, compiler_options=QUICKLY)
    def pooled_statistics(aspp, x):
        aspp(x, train=True)
        return aspp.pooled.norm.mean[...], aspp.pooled.norm.var[...]

    mean, var = pooled_statistics(aspp, images((4, 4), batch=1, inputs=8))
    assert not np.any(mean)
    np.testing.assert_array_equal(var, 1)
    mean, _ = pooled_statistics(aspp, images((4, 4), batch=2, inputs=8))
    assert np.all(mean)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fcn", {"classes": 0}, "classes=0 must be at least 1"),
        ("fcn", {"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
        ("fcn", {"backbone": "vgg"}, "backbone='vgg' is unknown: give one of"),
        ("fcn_8s", {"finest": 4}, "finest=4 is unknown: give one of"),
        ("fcn_8s", {"output_stride": 8}, "output_stride=8 is unknown: give one of"),
        ("deeplab_v3", {"rates": (0,)}, "must be integers >= 1, or None"),
        ("deeplab_v3_plus", {"rates": ()}, "must be integers >= 1, or None"),
        ("deeplab_v3", {"features": 0}, "DeepLabV3: features=0 must be at least 1"),
        ("deeplab_v3_plus", {"features": 0}, "DeepLabV3Plus: features=0 must be at least 1"),
        ("deeplab_v3_plus", {"low_features": 0}, "low_features=0 must be at least 1"),
        ("deeplab_v3", {"pyramid_dropout": 1.0}, "pyramid_dropout=1.0 must be at least 0 and"),
        ("deeplab_v3_plus", {"pyramid_dropout": -0.1}, "pyramid_dropout=-0.1 must be at least 0"),
        ("unet", {"widths": ()}, "must be integers, one or more, and at least 1"),
        ("unet", {"widths": (8, 0)}, "must be integers, one or more, and at least 1"),
        ("unet", {"inputs": 0}, "inputs=0 must be at least 1"),
        ("unet", {"skips": "add"}, "skips='add' is unknown: give one of"),
        ("unet", {"up": "nearest"}, "up='nearest' is unknown: give one of"),
        ("unet", {"padding": "zeros"}, "padding='zeros' is unknown: give one of"),
        ("unet", {"norm": "layer"}, "norm='layer' is unknown: give one of"),
        ("unet", {"dtype": "int8"}, "dtype='int8' is unknown: give one of"),
        ("lraspp", {"features": 0}, "features=0 must be at least 1"),
        ("drn_d", {"output_stride": 4}, "output_stride=4 is unknown: give one of"),
        ("drn_c", {"backbone": 50}, "backbone=50 is no encoder: give a name, one of"),
        ("encoder_unet", {"decoder": (8, 8)}, "must be 5 integers >= 1"),
        ("encoder_unet", {"decoder": (8, 8, 0, 8, 8)}, "must be 5 integers >= 1"),
        ("erfnet", {"widths": (3, 8, 12)}, "must be three integers that increase, the first above"),
        ("fc_densenet", {"layers": ()}, "must be integers, one or more, and at least 1"),
        ("fc_densenet", {"growth": 0}, "FCDenseNet: growth=0 must be at least 1"),
        ("unet", {"dropout": -1}, "dropout=-1 must be at least 0 and below 1"),
    ],
)
def test_options_that_make_no_net_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, **options)


def test_no_auxiliary_logits_without_their_head():
    with pytest.raises(ValueError, match="build the net with auxiliary=True"):
        make("fcn").with_auxiliary(images((4, 4)))


def test_padding_in_any_case():
    logits = [call(make("unet_valid", padding=p), images((9, 8))) for p in ("valid", "VALID")]
    np.testing.assert_array_equal(*logits)
    assert make("unet", padding="Same").valid is False
