"""Nets by name, with weights of files."""

import functools
from typing import get_args

import jax
import numpy as np
import pytest
from flax import nnx
from small_nets import TINY, abstract, quick
from test_torchvision_names import write

from jaxseg import interop, models
from jaxseg.commands.model import ModelName
from jaxseg.interop import zoo
from jaxseg.models.registry import NETS

SMALL = {"deeplabv3_resnet50": functools.partial(models.DeepLabV3, backbone=TINY, features=8)}


def test_names():
    assert set(get_args(ModelName)) == set(NETS)
    assert interop.list_nets() == [*interop.TORCHVISION_NETS, *NETS]
    assert set(zoo._FILES) == set(interop.TORCHVISION_NETS)


@pytest.mark.parametrize("name", interop.list_nets())
def test_every_name_builds(name):
    net = abstract(lambda: interop.create(name, classes=5, rngs=nnx.Rngs(0)))
    kind = NETS[name][0] if name in NETS else models.Segmenter
    assert isinstance(net, kind)


def test_torchvision_weights_come_from_the_file(monkeypatch, tmp_path):
    monkeypatch.setitem(interop.TORCHVISION_NETS, "deeplabv3_resnet50", SMALL["deeplabv3_resnet50"])
    make = functools.partial(interop.create, "deeplabv3_resnet50")
    source = quick(lambda: make(classes=4, auxiliary=True, rngs=nnx.Rngs(0)), 1)
    file = tmp_path / "net.safetensors"
    write(file, interop.to_torchvision(source))
    urls = []
    monkeypatch.setattr(zoo, "download", lambda url: urls.append(url) or file)
    monkeypatch.setattr(zoo.importlib.util, "find_spec", lambda name: True)
    loaded = make(classes=4, auxiliary=True, weights="torchvision", rngs=nnx.Rngs(0))
    assert urls == ["https://download.pytorch.org/models/deeplabv3_resnet50_coco-cd0a2569.pth"]
    for a, b in zip(*map(jax.tree.leaves, (nnx.state(source), nnx.state(loaded))), strict=True):
        np.testing.assert_array_equal(a, b)
    other = make(classes=7, weights=file, rngs=nnx.Rngs(0))  # no second head, other classes
    np.testing.assert_array_equal(
        other.backbone.stem.conv.kernel[...], source.backbone.stem.conv.kernel[...]
    )
    assert other.classifier.kernel.shape[-1] == 7
    write(file, interop.to_torchvision(other))
    with pytest.raises(ValueError, match="missing: aux_classifier"):
        make(classes=7, auxiliary=True, weights=file, rngs=nnx.Rngs(0))


def test_refusals(monkeypatch, tmp_path):
    rngs = nnx.Rngs(0)
    with pytest.raises(ValueError, match="must be one of fcn_resnet50"):
        interop.create("resnet", rngs=rngs)
    with pytest.raises(ValueError, match="has no weights of 'drn'"):
        interop.create("drn", weights="torchvision", rngs=rngs)
    with pytest.raises(ValueError, match="neither an auxiliary head"):
        interop.create("unet", auxiliary=True, rngs=rngs)
    monkeypatch.setitem(interop.TORCHVISION_NETS, "deeplabv3_resnet50", SMALL["deeplabv3_resnet50"])
    with pytest.raises(ValueError, match="is missing"):
        interop.create("deeplabv3_resnet50", weights=tmp_path / "no.pth", rngs=rngs)
    monkeypatch.setattr(zoo.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="only be read with PyTorch"):
        interop.create("deeplabv3_resnet50", weights="torchvision", rngs=rngs)
