"""Encoders: strides, provable dilation, rematerialization, precision, refusals."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_nets import (
    QUICKLY,
    TINY,
    TINY_BASIC,
    abstract,
    call,
    draw_norms,
    images,
    leaves,
    parameters,
    quick,
    shapes,
)

from jaxseg.models import ResNet, ResNetSize

TRUNKS = {"bottleneck": ResNetSize((1, 2, 2, 2), width=8), "basic": TINY_BASIC}


def make(size=TINY, **options):
    return quick(lambda: ResNet(size=size, rngs=nnx.Rngs(0), **options))


@functools.cache
def drawn(size, **options):
    return draw_norms(make(size, **options))


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
    net = abstract(
        lambda: ResNet(output_stride=output_stride, dilation_rule=rule, rngs=nnx.Rngs(0))
    )
    assert net.stages == stages


@pytest.mark.parametrize("output_stride", [32, 16, 8, 4])
@pytest.mark.parametrize("trunk", TRUNKS)
def test_features_have_the_strides_asked_for(trunk, output_stride):
    size = TRUNKS[trunk]
    for height, width in [(33, 64), (1, 1), (5, 130)] if output_stride in (32, 4) else [(37, 70)]:
        features = shapes(make(size, output_stride=output_stride), (height, width), 2)
        for a, channels, stride in zip(features[:5], size.features, (2, 4, 8, 16, 32), strict=True):
            stride = min(stride, max(output_stride, 4)) if stride > 2 else 2
            assert a.shape == (2, -(-height // stride), -(-width // stride), channels)
        assert features.low.shape == features.layer2.shape
        assert features.auxiliary.shape == features.layer3.shape
        assert make(size).widths == tuple(a.shape[-1] for a in features)


# Each trunk at each output stride, and at each of the two sizes.
@pytest.mark.parametrize(
    ("trunk", "size", "output_stride"),
    [("bottleneck", (32, 33), s) for s in (16, 8, 4)]
    + [("bottleneck", (37, 1), 8), ("basic", (32, 33), 8)]
    + [("basic", (37, 1), s) for s in (16, 8, 4)],
)
def test_dilated_features_subsampled_are_the_strided_ones(trunk, output_stride, size):
    x = images(size)
    strided = call(drawn(TRUNKS[trunk]), x)
    dilated = call(drawn(TRUNKS[trunk], output_stride=output_stride), x)
    for stride, a, b in zip((2, 4, 8, 16, 32), strided, dilated, strict=False):
        step = max(stride // output_stride, 1)
        b = b[:, ::step, ::step]
        assert a.shape == b.shape
        assert np.std(a) > 0.1
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.max(a))


@pytest.mark.parametrize("trunk", TRUNKS)
def test_the_rule_of_the_whole_stage_gives_other_features(trunk):
    x = images((32, 33))
    strided = call(drawn(TRUNKS[trunk]), x).layer4
    net = drawn(TRUNKS[trunk], output_stride=8, dilation_rule="whole_stage")
    dilated = call(net, x).layer4[:, ::4, ::4]
    assert np.max(np.abs(dilated - strided)) > np.std(strided)


def test_gradients_of_a_rematerialized_encoder_are_the_same():
    x = images((33, 20))
    results = []
    for remat in (False, True):
        net = make(TINY_BASIC, output_stride=8, remat=remat)
        graphdef, params, stats = nnx.split(net, nnx.Param, ...)

        def loss(params, graphdef=graphdef, stats=stats):
            net = nnx.merge(graphdef, params, stats, copy=True)
            features = net(x, train=True)
            return jnp.sum(jnp.sin(features.layer4)), nnx.state(net, nnx.BatchStat)

        step = jax.jit(jax.value_and_grad(loss, has_aux=True), compiler_options=QUICKLY)
        results.append(leaves(step(params)))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_bfloat16_computes_but_does_not_store(norm):
    x = images((96, 96))  # a batch norm over a handful of pixels would magnify the rounding
    net = make(norm=norm, dtype="bfloat16")
    run = jax.jit(lambda net, x: (net(x, train=True), nnx.state(net)), compiler_options=QUICKLY)
    features, stats = run(net, x)
    assert all(f.dtype == jnp.bfloat16 for f in features)
    assert all(a.dtype == jnp.float32 for a in leaves(stats))
    exact_features = call(make(norm=norm), x, train=True)
    for rounded, exact in zip(features, exact_features, strict=True):
        error = np.asarray(rounded, np.float32) - np.asarray(exact)
        assert np.sqrt(np.mean(error**2)) < 0.1 * np.std(exact)


def test_sizes_by_name():
    # torchvision's classifiers without their last layer.
    counts = {
        "resnet18": 11_176_512,
        "resnet34": 21_284_672,
        "resnet50": 23_508_032,
        "resnet101": 42_500_160,
    }
    for name, count in counts.items():
        net = abstract(lambda name=name: ResNet(size=name, rngs=nnx.Rngs(0)))
        assert parameters(net) == count


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
        ResNet(**fields, rngs=nnx.Rngs(0))


def test_sizes_that_make_no_encoder_are_refused():
    for bad in ({"blocks": (1, 1, 1)}, {"blocks": (1, 0, 1, 1)}, {"width": 0}):
        with pytest.raises(ValueError, match="must be four integers >= 1"):
            ResNetSize(**{"blocks": (1, 1, 1, 1), **bad})
