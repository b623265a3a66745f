"""FCN-8s, 16s and 32s against their definition, and as bilinear interpolation at the start."""

import jax
import numpy as np
import pytest
from flax import nnx
from small_nets import QUICKLY, TINIEST, call, draw_norms, images, initialized, quick

from jaxseg import ops
from jaxseg.models import SkipFCN


def make(finest):
    return draw_norms(
        quick(lambda: SkipFCN(classes=3, backbone=TINIEST, finest=finest, rngs=nnx.Rngs(0)))
    )


def definition(net, x):
    """Scores of the stages, the coarser ones upconvolved by two and cropped at the end."""

    def scored(module, x):
        return ops.conv(x, module.kernel[...]) + module.bias[...].reshape(1, 1, 1, -1)

    features = net.backbone(x)
    stages = [features.layer4, features.layer3, features.layer2][: len(net.scores)]
    total = scored(net.scores[0], stages[0])
    for n, stage in enumerate(stages[1:], start=1):
        total = ops.upconv(total, net.ups[n - 1].kernel[...], stride=2)
        total = total[:, : stage.shape[1], : stage.shape[2]] + scored(net.scores[n], stage)
    stride = {1: 32, 2: 16, 3: 8}[len(stages)]
    total = ops.upconv(total, net.ups[-1].kernel[...], stride=stride)
    return total[:, : x.shape[1], : x.shape[2]]


@pytest.mark.parametrize("finest", [8, 16, 32])
def test_logits_are_those_of_the_definition(finest):
    net, x = make(finest), images((37, 52))
    expected = jax.jit(definition, compiler_options=QUICKLY)(net, x)
    assert np.std(expected) > 0.01
    np.testing.assert_allclose(call(net, x), expected, rtol=1e-4, atol=1e-4)


def test_upconvolutions_start_as_bilinear_interpolation():
    net = initialized(lambda: SkipFCN(classes=2, backbone=TINIEST, rngs=nnx.Rngs(0)))
    x = images((6, 5), inputs=2)
    for up, stride in zip(net.ups, (2, 2, 8), strict=True):
        resized = ops.resize(x, (6 * stride, 5 * stride))
        inner = slice(stride, -stride)  # beyond it, zeros stand for the missing neighbors
        upsampled = jax.jit(lambda up, x: up(x), compiler_options=QUICKLY)(up, x)
        np.testing.assert_allclose(
            upsampled[:, inner, inner], resized[:, inner, inner], rtol=1e-5, atol=1e-6
        )
