"""Sizes of initial scores: as large as the features that they are computed from."""

import numpy as np
import pytest
from flax import nnx
from small_nets import initialized

from jaxseg.models import DeepNet
from jaxseg.models.heads import FCNHead, classifier
from jaxseg.nn import BatchNorm


def gain(conv):
    """Variance of the kernel times its fan-in."""
    kernel = np.asarray(conv.kernel[...])
    return np.var(kernel) * np.prod(kernel.shape[:-1])


def test_classifiers_keep_the_variance():
    last = initialized(lambda: classifier(512, 64, nnx.Rngs(0)))
    assert gain(last) == pytest.approx(1, rel=0.03)
    options = {"dropout": 0.0, "norm": BatchNorm}
    head = initialized(lambda: FCNHead(256, 256, **options, rngs=nnx.Rngs(0)))
    assert gain(head.classifier) == pytest.approx(1, rel=0.05)
    assert gain(head.unit.conv) == pytest.approx(2, rel=0.03)  # a ReLU follows
    assert head.unit.conv.kernel.shape == (3, 3, 256, 64)


def test_stem_and_head_of_a_deep_net_keep_the_variance():
    options = {"classes": 128, "features": 128, "blocks": 1, "weight_variance": 0.5}
    net = initialized(lambda: DeepNet(**options, rngs=nnx.Rngs(0)))
    assert gain(net.stem) == pytest.approx(1, rel=0.1)
    assert gain(net.head) == pytest.approx(1, rel=0.05)
    blocks = np.asarray(net.stack.blocks.branch.conv1.kernel[...][0])
    assert np.var(blocks) * 9 * 128 == pytest.approx(0.5, rel=0.03)
