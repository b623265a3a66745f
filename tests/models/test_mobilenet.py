"""MobileNetV3: its blocks, provable dilation given the means, and refusals."""

import functools
import re

import jax
import numpy as np
import pytest
from flax import nnx
from small_nets import QUICKLY, TINY_MOBILE, abstract, draw_norms, images, parameters, quick, shapes

from jaxseg import nn
from jaxseg.models import ENCODERS, MobileNetSize, MobileNetV3


@functools.cache
def make(**options):
    return draw_norms(quick(lambda: MobileNetV3(size=TINY_MOBILE, rngs=nnx.Rngs(0), **options)))


@pytest.mark.parametrize(
    ("output_stride", "rule", "last"),
    [
        (32, "first_keeps", [(2, 1, 1), (2, 1, 1)]),
        (16, "first_keeps", [(2, 1, 1), (1, 1, 2)]),
        (16, "whole_stage", [(2, 1, 1), (1, 2, 2)]),
        (8, "first_keeps", [(1, 1, 2), (1, 2, 4)]),
        (8, "whole_stage", [(1, 2, 2), (1, 4, 4)]),
    ],
)
def test_strides_and_dilations_of_the_stages(output_stride, rule, last):
    net = abstract(
        lambda: MobileNetV3(output_stride=output_stride, dilation_rule=rule, rngs=nnx.Rngs(0))
    )
    assert net.stages == [(1, 1, 1), (2, 1, 1), (2, 1, 1), *last]
    steps = [(b.depthwise.conv.stride, b.depthwise.conv.dilation) for b in net.layers[4]]
    stride, first, rest = last[-1]
    assert steps == [(stride, first), (1, rest), (1, rest)]


def test_features_have_the_strides_and_widths_asked_for():
    for output_stride, size in [(32, (33, 64)), (16, (1, 1)), (8, (5, 70))]:
        net = abstract(lambda s=output_stride: MobileNetV3(output_stride=s, rngs=nnx.Rngs(0)))
        features = shapes(net, size, 2)
        assert net.widths == (16, 24, 40, 112, 960, 40, 40)
        for a, channels, stride in zip(features, net.widths, (2, 4, 8, 16, 32, 8, 8), strict=True):
            stride = min(stride, output_stride)
            assert a.shape == (2, *(-(-n // stride) for n in size), channels)


def replay(monkeypatch, means):
    """Record the means of squeeze-and-excitation in an empty list, or replay a full one."""
    recorded = iter(list(means))
    squeeze = nn.SqueezeExcitation.squeeze

    def record(self, x):
        means.append(squeeze(self, x))
        return means[-1]

    patched = (lambda self, x: next(recorded)) if means else record
    monkeypatch.setattr(nn.SqueezeExcitation, "squeeze", patched)


@pytest.mark.parametrize("size", [(32, 33), (37, 1)])
def test_dilated_features_subsampled_are_the_strided_ones_given_the_same_means(monkeypatch, size):
    nets = [make(), make(output_stride=16), make(output_stride=8)]
    nets.append(make(output_stride=16, dilation_rule="whole_stage"))

    def features(nets, x):
        means, outputs = [], []
        for net in nets:
            replay(monkeypatch, means)
            outputs.append(net(x))
            monkeypatch.undo()
        return outputs

    strided, *dilated = jax.jit(features, compiler_options=QUICKLY)(nets, images(size))
    for output_stride, output in zip((16, 8), dilated, strict=False):
        for stride, a, b in zip((2, 4, 8, 16, 32), strided, output, strict=False):
            step = max(stride // output_stride, 1)
            b = b[:, ::step, ::step]
            assert a.shape == b.shape
            assert np.std(a) > 0.1
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.max(np.abs(a)))
    # Even so with the other rule, which moves the taps of the first block too.
    if size == (32, 33):
        other = dilated[-1].layer4[:, ::2, ::2]
        assert np.max(np.abs(other - strided.layer4)) > 0.5 * np.std(strided.layer4)


def test_norms_are_torchvision_s():
    net = quick(lambda: MobileNetV3(size=TINY_MOBILE, rngs=nnx.Rngs(0)))
    for unit in (net.stem, net.layers[2][1].depthwise, net.layers[4][1].project, net.last):
        assert (unit.norm.momentum, unit.norm.epsilon) == (0.99, 1e-3)


def test_sizes():
    net = abstract(lambda: MobileNetV3(rngs=nnx.Rngs(0)))
    assert parameters(net) == 2_971_952  # torchvision's classifier, 5,483,032, without its layers
    classifier = 960 * 1280 + 1280 + 1280 * 1000 + 1000
    assert parameters(net) + classifier == 5_483_032
    with pytest.raises(ValueError, match="must be five, of at least one block each"):
        MobileNetSize(stem=8, stages=TINY_MOBILE.stages[:4], last=8)  # pyright: ignore
    stages = ENCODERS["mobilenet_v3_large"].stages
    bad = (stages[0][0]._replace(activation="tanh"),)
    with pytest.raises(ValueError, match="activation='tanh' is unknown: give one of"):
        MobileNetSize(stem=8, stages=(bad, *stages[1:]), last=8)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": "mobilenet_v2"}, "size='mobilenet_v2' is unknown: give one of ['mobilenet_v3_l"),
        ({"output_stride": 2}, "output_stride=2 is unknown: give one of [4, 8, 16, 32]"),
        ({"inputs": 0}, "MobileNetV3: inputs=0 must be at least 1"),
    ],
)
def test_configurations_that_make_no_encoder_are_refused(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        MobileNetV3(**fields, rngs=nnx.Rngs(0))
