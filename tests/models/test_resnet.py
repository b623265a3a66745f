"""Encoders: strides, provable dilation, rematerialisation, precision, what is refused."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_nets import TINY, TINY_BASIC, call, draw_norms, images, leaves, parameters, quick

from jaxseg.models import ResNet, ResNetConfig, ResNetSize

TRUNKS = {"bottleneck": ResNetSize((1, 2, 2, 2), width=8), "basic": TINY_BASIC}


def make(size=TINY, **fields):
    return quick(lambda: ResNet(size=size, rngs=nnx.Rngs(0), **fields))


@pytest.mark.parametrize(
    ("output_stride", "rule", "stages"),
    [
        (32, "first_keeps", [(1, 1, 1), (2, 1, 1), (2, 1, 1), (2, 1, 1)]),
        (16, "first_keeps", [(1, 1, 1), (2, 1, 1), (2, 1, 1), (1, 1, 2)]),
        (8, "first_keeps", [(1, 1, 1), (2, 1, 1), (1, 1, 2), (1, 2, 4)]),
        (4, "first_keeps", [(1, 1, 1), (1, 1, 2), (1, 2, 4), (1, 4, 8)]),
        (32, "whole_stage", [(1, 1, 1), (2, 1, 1), (2, 1, 1), (2, 1, 1)]),
        (8, "whole_stage", [(1, 1, 1), (2, 1, 1), (1, 2, 2), (1, 4, 4)]),
    ],
)
def test_strides_and_dilations_of_the_stages(output_stride, rule, stages):
    config = ResNetConfig(output_stride=output_stride, dilation_rule=rule)
    assert config.stages == stages


@pytest.mark.parametrize("output_stride", [32, 16, 8, 4])
@pytest.mark.parametrize("trunk", TRUNKS)
def test_features_have_the_strides_asked_for(trunk, output_stride):
    size = TRUNKS[trunk]
    for height, width in [(33, 64), (1, 1), (5, 130)]:
        net = nnx.eval_shape(lambda: make(size, output_stride=output_stride))
        found = nnx.eval_shape(lambda net, x: net(x), net, jnp.zeros((2, height, width, 3)))
        for features, channels, stride in zip(
            found[:5], size.features, (2, 4, 8, 16, 32), strict=True
        ):
            stride = min(stride, max(output_stride, 4)) if stride > 2 else 2
            wanted = (2, -(-height // stride), -(-width // stride), channels)
            assert features.shape == wanted


@pytest.mark.parametrize("size", [(32, 33), (37, 1)])
@pytest.mark.parametrize("output_stride", [16, 8, 4])
@pytest.mark.parametrize("trunk", TRUNKS)
def test_dilated_features_subsampled_are_the_strided_ones(trunk, output_stride, size):
    x = images(size)
    strided = draw_norms(make(TRUNKS[trunk]))
    dilated = draw_norms(make(TRUNKS[trunk], output_stride=output_stride))
    pairs = zip(call(strided, x), call(dilated, x), strict=True)
    for stride, (wanted, found) in zip((2, 4, 8, 16, 32), pairs, strict=False):
        step = max(stride // output_stride, 1)
        found = found[:, ::step, ::step]
        assert found.shape == wanted.shape
        assert np.std(wanted) > 0.1
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6 * np.max(wanted))


@pytest.mark.parametrize("trunk", TRUNKS)
def test_the_rule_of_the_whole_stage_gives_other_features(trunk):
    x = images((64, 64))
    wanted = call(draw_norms(make(TRUNKS[trunk])), x).layer4
    net = draw_norms(make(TRUNKS[trunk], output_stride=8, dilation_rule="whole_stage"))
    found = call(net, x).layer4[:, ::4, ::4]
    assert np.max(np.abs(found - wanted)) > np.std(wanted)


def test_gradients_of_a_rematerialised_encoder_are_the_same():
    x = images((33, 20))
    found = []
    for remat in (False, True):
        net = make(TINY_BASIC, output_stride=8, remat=remat)
        graphdef, params, stats = nnx.split(net, nnx.Param, ...)

        def loss(params, graphdef=graphdef, stats=stats):
            net = nnx.merge(graphdef, params, stats, copy=True)
            features = net(x, train=True)
            return jnp.sum(jnp.sin(features.layer4)), nnx.state(net, nnx.BatchStat)

        found.append(leaves(jax.jit(jax.value_and_grad(loss, has_aux=True))(params)))
        text = str(jax.make_jaxpr(jax.grad(loss, has_aux=True))(params))
        assert ("remat" in text or "checkpoint" in text) == remat
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_bfloat16_computes_but_does_not_store(norm):
    x = images((96, 96))  # a batch norm over a handful of pixels would magnify the rounding
    net = make(norm=norm, dtype="bfloat16")
    features, stats = jax.jit(lambda net, x: (net(x, train=True), nnx.state(net)))(net, x)
    assert all(f.dtype == jnp.bfloat16 for f in features)
    assert all(a.dtype == jnp.float32 for a in leaves(stats))
    wanted = call(make(norm=norm), x, train=True)
    for found, exact in zip(features, wanted, strict=True):
        error = np.asarray(found, np.float32) - np.asarray(exact)
        assert np.sqrt(np.mean(error**2)) < 0.1 * np.std(exact)


def test_sizes_by_name():
    # torchvision's classifiers without their last layer.
    counts = {
        "resnet18": 11_176_512,
        "resnet34": 21_284_672,
        "resnet50": 23_508_032,
        "resnet101": 42_500_160,
    }
    for name, wanted in counts.items():
        net = nnx.eval_shape(lambda name=name: make(name))
        assert parameters(net) == wanted


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": "resnet51"}, "size='resnet51' is unknown: give one of ['resnet18', 'resnet34',"),
        ({"output_stride": 64}, "output_stride=64 is unknown: give one of [4, 8, 16, 32]"),
        ({"dilation_rule": "x"}, "dilation_rule='x' is unknown: give one of ['first_keeps', 'who"),
        ({"norm": "layer"}, "norm='layer' is unknown: give one of ['batch', 'group']"),
        ({"dtype": "int8"}, "dtype='int8' is unknown: give one of [None, 'float32', 'bfloat16']"),
        ({"inputs": 0}, "inputs=0 must be at least 1"),
    ],
)
def test_configurations_that_make_no_encoder_are_refused(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ResNetConfig(**fields)


def test_sizes_that_make_no_encoder_are_refused():
    for bad in ({"blocks": (1, 1, 1)}, {"blocks": (1, 0, 1, 1)}, {"width": 0}):
        with pytest.raises(ValueError, match="must be four integers >= 1"):
            ResNetSize(**{"blocks": (1, 1, 1, 1), **bad})
