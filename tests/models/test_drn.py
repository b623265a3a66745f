"""DRN encoders: levels, provable dilation up to degridding, parameters, refusals."""

import functools
import re

import numpy as np
import pytest
from flax import nnx
from small_nets import (
    TINY_DRN_C,
    TINY_DRN_D,
    abstract,
    call,
    draw_norms,
    images,
    parameters,
    quick,
    shapes,
)

from jaxseg.models import DRN, ENCODERS, DRNEncoder, DRNSize

SIZES = {"C": TINY_DRN_C, "D": TINY_DRN_D}


@functools.cache
def make(size, **options):
    return draw_norms(quick(lambda: DRNEncoder(size=size, rngs=nnx.Rngs(0), **options)))


@pytest.mark.parametrize(
    ("output_stride", "rule", "last"),
    [
        (8, "first_keeps", [(1, 1, 2), (1, 2, 4), (1, 2, 2), (1, 1, 1)]),
        (8, "whole_stage", [(1, 2, 2), (1, 4, 4), (1, 2, 2), (1, 1, 1)]),
        (16, "first_keeps", [(2, 1, 1), (1, 1, 2), (1, 1, 1), (1, 1, 1)]),
        (32, "first_keeps", [(2, 1, 1), (2, 1, 1), (1, 1, 1), (1, 1, 1)]),
    ],
)
def test_strides_and_dilations_of_the_levels(output_stride, rule, last):
    net = abstract(
        lambda: DRNEncoder(output_stride=output_stride, dilation_rule=rule, rngs=nnx.Rngs(0))
    )
    assert net.stages == [(1, 1, 1), (2, 1, 1), (2, 1, 1), (2, 1, 1), *last]


def test_every_convolution_of_the_published_nets_has_its_dilation():
    nets = {
        name: abstract(lambda name=name: DRN(classes=3, backbone=name, rngs=nnx.Rngs(0)))
        for name in ("drn_c_26", "drn_d_22")
    }
    for name, net in nets.items():
        steps = []
        for blocks in net.backbone.blocks:
            units = [u for b in blocks for u in (b.units if hasattr(b, "units") else [b])]
            steps.append([(u.conv.stride, u.conv.dilation) for u in units])
        ends = 2 if name == "drn_c_26" else 1
        once, rest = [(1, 1)], [(1, 1)] * (ends - 1)
        assert steps[:4] == [once * ends, [(2, 1), *rest], [(2, 1), *once * 3], [(2, 1), *once * 3]]
        assert steps[4:] == [[(1, 2)] * 4, [(1, 4)] * 4, [(1, 2)] * ends, once * ends]
        shortcuts = [[hasattr(b, "shortcut") for b in blocks] for blocks in net.backbone.blocks]
        assert [all(level) for level in shortcuts] == [*[ends == 2] * 2, *[True] * 4, False, False]


@pytest.mark.parametrize("variant", SIZES)
def test_levels_have_the_strides_and_widths_asked_for(variant):
    size = SIZES[variant]
    for output_stride, (height, width) in [(8, (33, 64)), (32, (1, 70)), (16, (1, 1))]:
        net = make(size, output_stride=output_stride)
        levels = shapes(net, (height, width), 2, method="levels")
        strides = [min(s, output_stride) for s in (1, 2, 4, 8, 16, 32, 32, 32)]
        for features, channels, stride in zip(levels, size.features, strides, strict=True):
            assert features.shape == (2, -(-height // stride), -(-width // stride), channels)
        named = shapes(net, (height, width), 2)
        assert [f.shape for f in named] == [levels[i - 1].shape for i in (2, 3, 4, 5, 8, 4, 5)]
        assert net.widths == tuple(f.shape[-1] for f in named)


@pytest.mark.parametrize(
    ("variant", "size", "output_strides"),
    [("C", (32, 33), (8, 16)), ("D", (32, 33), (8,)), ("D", (37, 1), (8, 16))],
)
def test_dilated_levels_subsampled_are_the_strided_ones(variant, size, output_strides):
    x = images(size)
    strided = call(make(SIZES[variant], output_stride=32), x, method="levels")
    for output_stride in output_strides:
        dilated = call(make(SIZES[variant], output_stride=output_stride), x, method="levels")
        for stride, a, b in zip((1, 2, 4, 8, 16, 32), strided, dilated, strict=False):
            step = max(stride // output_stride, 1)
            b = b[:, ::step, ::step]
            assert a.shape == b.shape
            assert np.std(a) > 0.1
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.max(a))
    if size == (32, 33):
        whole = make(SIZES[variant], output_stride=16, dilation_rule="whole_stage")
        other = call(whole, x, method="levels")[5][:, ::2, ::2]
        assert np.max(np.abs(other - strided[5])) > 0.5 * np.std(strided[5])


# github.com/fyu/drn gives them in millions, for classifiers of 1000 classes. Its C-58 holds a
# projection around level 7 that its forward pass leaves out.
UNUSED = 2048 * 512 + 2 * 512
PUBLISHED = {
    "drn_c_26": 21.1,
    "drn_c_42": 31.2,
    "drn_c_58": 41.6,
    "drn_d_22": 16.4,
    "drn_d_38": 26.5,
    "drn_d_54": 35.8,
    "drn_d_105": 54.8,
}


def test_parameters_are_those_published():
    assert [name for name in ENCODERS if name.startswith("drn")] == list(PUBLISHED)
    for name, millions in PUBLISHED.items():
        net = abstract(lambda name=name: DRNEncoder(size=name, rngs=nnx.Rngs(0)))
        count = parameters(net) + 512 * 1000 + 1000 + (UNUSED if name == "drn_c_58" else 0)
        assert round(count / 1e6, 1) == millions, name


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: DRNEncoder(size="drn_a_50", rngs=nnx.Rngs(0)),
            "size='drn_a_50' is unknown: give one of [",
        ),
        (
            lambda: DRNEncoder(output_stride=4, rngs=nnx.Rngs(0)),
            "output_stride=4 is unknown: give one of [8,",
        ),
        (lambda: DRNSize((1, 1, 1, 1), variant="A"), "variant='A' is unknown: give one of ['C'"),
        (lambda: DRNSize((1, 1, 1)), "blocks=(1, 1, 1) must be four integers >= 1"),
    ],
)
def test_configurations_that_make_no_encoder_are_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
