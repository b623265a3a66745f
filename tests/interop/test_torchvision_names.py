"""Names, layouts and reports of weights, without PyTorch."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_nets import TINY, TINY_BASIC, TINY_DRN_D, TINY_MOBILE, abstract, draw_norms, quick

from jaxseg import interop, models

NETS = {
    "resnet": functools.partial(models.ResNet, size=TINY_BASIC),
    "fcn": functools.partial(models.FCN, classes=3, backbone=TINY_BASIC, auxiliary=True),
    "deeplab": functools.partial(models.DeepLabV3, classes=3, backbone=TINY, features=8),
    "mobilenet": functools.partial(models.MobileNetV3, size=TINY_MOBILE),
    "lraspp": functools.partial(models.LRASPP, classes=3, backbone=TINY_MOBILE, features=8),
    "deeplab_mobile": functools.partial(
        models.DeepLabV3, classes=3, backbone=TINY_MOBILE, features=8, auxiliary=True
    ),
}


def made(name, seed=0):
    return quick(lambda: NETS[name](rngs=nnx.Rngs(0)), seed)


def write(path, state):
    """A safetensors file of float32 arrays."""
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, array in state.items():
        end = len(body) + array.nbytes
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [len(body), end]}
        body += np.ascontiguousarray(array).tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


@pytest.mark.parametrize("name", NETS)
def test_there_and_back_through_a_file(name, tmp_path):
    net, other, again = (made(name, seed) for seed in range(3))
    draw_norms(net)
    state = interop.to_torchvision(net)
    assert len(state) == len(jax.tree.leaves(nnx.state(net)))
    write(tmp_path / "net.safetensors", state)
    counted = {"bn1.num_batches_tracked": np.int64(3)}
    report = interop.load_torchvision(other, {**state, **counted})
    assert report.complete
    assert str(report) == "complete"
    interop.load_torchvision(again, tmp_path / "net.safetensors")
    for loaded in (other, again):
        for a, b in zip(*map(jax.tree.leaves, (nnx.state(net), nnx.state(loaded))), strict=True):
            np.testing.assert_array_equal(a, b)


def test_names_and_layout():
    net = made("deeplab")
    state = interop.to_torchvision(net)
    for name, shape in {
        "backbone.conv1.weight": (8, 3, 7, 7),
        "backbone.bn1.running_var": (8,),
        "backbone.layer1.0.downsample.0.weight": (32, 8, 1, 1),
        "backbone.layer4.0.conv2.weight": (64, 64, 3, 3),
        "backbone.layer4.0.bn3.weight": (256,),
        "classifier.0.convs.0.0.weight": (8, 256, 1, 1),
        "classifier.0.convs.3.0.weight": (8, 256, 3, 3),
        "classifier.0.convs.4.1.weight": (8, 256, 1, 1),
        "classifier.0.convs.4.2.running_mean": (8,),
        "classifier.0.project.0.weight": (8, 40, 1, 1),
        "classifier.1.weight": (8, 8, 3, 3),
        "classifier.2.bias": (8,),
        "classifier.4.weight": (3, 8, 1, 1),
        "classifier.4.bias": (3,),
    }.items():
        assert state[name].shape == shape
    kernel = np.asarray(net.backbone.stem.conv.kernel[...])
    assert state["backbone.conv1.weight"][5, 2, 1, 4] == kernel[1, 4, 2, 5]


def test_names_and_shapes_on_mobilenet():
    make = interop.TORCHVISION_NETS["lraspp_mobilenet_v3_large"]
    state = interop.to_torchvision(quick(lambda: make(classes=21, rngs=nnx.Rngs(0))))
    for name, shape in {
        "backbone.0.0.weight": (16, 3, 3, 3),
        "backbone.0.1.running_mean": (16,),
        "backbone.1.block.0.0.weight": (16, 1, 3, 3),  # as wide as its input: no first 1x1
        "backbone.1.block.1.0.weight": (16, 16, 1, 1),
        "backbone.4.block.0.0.weight": (72, 24, 1, 1),
        "backbone.4.block.1.0.weight": (72, 1, 5, 5),
        "backbone.4.block.2.fc1.weight": (24, 72, 1, 1),
        "backbone.4.block.2.fc2.bias": (72,),
        "backbone.4.block.3.0.weight": (40, 72, 1, 1),
        "backbone.7.block.2.0.weight": (80, 240, 1, 1),
        "backbone.12.block.2.fc1.weight": (168, 672, 1, 1),
        "backbone.15.block.3.1.bias": (160,),
        "backbone.16.0.weight": (960, 160, 1, 1),
        "classifier.cbr.0.weight": (128, 960, 1, 1),
        "classifier.cbr.1.running_var": (128,),
        "classifier.scale.1.weight": (128, 960, 1, 1),
        "classifier.low_classifier.weight": (21, 40, 1, 1),
        "classifier.high_classifier.bias": (21,),
    }.items():
        assert state[name].shape == shape
    assert "classifier.scale.1.bias" not in state
    assert "features.1.block.0.0.weight" in interop.to_torchvision(made("mobilenet"))


def test_the_settings_of_the_weights():
    settings = {}
    for name, make in interop.TORCHVISION_NETS.items():
        assert name.endswith(make.keywords["backbone"])
        size = TINY_MOBILE if "mobile" in name else TINY
        net = abstract(
            lambda make=make, size=size: make(classes=21, backbone=size, rngs=nnx.Rngs(0))
        )
        rates = [branch.conv.dilation for branch in net.aspp.atrous] if "deep" in name else []
        settings[name] = (net.backbone.output_stride, net.backbone.dilation_rule, rates)
    eight = (8, "first_keeps")
    assert settings == {
        "fcn_resnet50": (*eight, []),
        "fcn_resnet101": (*eight, []),
        "deeplabv3_resnet50": (*eight, [12, 24, 36]),
        "deeplabv3_resnet101": (*eight, [12, 24, 36]),
        "deeplabv3_mobilenet_v3_large": (16, "whole_stage", [12, 24, 36]),
        "lraspp_mobilenet_v3_large": (16, "whole_stage", []),
    }


def test_differences_are_listed_and_change_nothing():
    net = made("fcn")
    state = interop.to_torchvision(made("fcn", 1))
    state["classifier.4.bias"] = np.zeros(21, np.float32)
    state["fc.weight"] = np.zeros((1000, 64), np.float32)
    del state["backbone.conv1.weight"]
    before = interop.to_torchvision(net)
    with pytest.raises(ValueError, match="give strict=False") as refusal:
        interop.load_torchvision(net, state)
    for line in (
        "missing: backbone.conv1.weight",
        "unexpected: fc.weight",
        "of another shape: classifier.4.bias, (21,) instead of (3,)",
    ):
        assert line in str(refusal.value)
    for name, array in interop.to_torchvision(net).items():
        np.testing.assert_array_equal(array, before[name])
    report = interop.load_torchvision(net, state, strict=False)
    assert report.missing == ("backbone.conv1.weight",)
    assert report.unexpected == ("fc.weight",)
    after = interop.to_torchvision(net)
    for name in after:
        kept = name in ("backbone.conv1.weight", "classifier.4.bias")
        np.testing.assert_array_equal(after[name], (before if kept else state)[name])


def test_nets_and_files_that_torchvision_does_not_have():
    unet = quick(lambda: models.UNet(classes=2, widths=(8,), rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="UNet has no counterpart in torchvision"):
        interop.to_torchvision(unet)
    drn = quick(lambda: models.FCN(classes=2, backbone=TINY_DRN_D, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="backbone of type DRNEncoder has no counterpart in torch"):
        interop.to_torchvision(drn)
    net = made("resnet")
    with pytest.raises(ValueError, match=r"must end in \.safetensors, \.pth or \.pt"):
        interop.load_torchvision(net, "weights.npz")


def test_files_in_another_format(tmp_path):
    path = tmp_path / "a.safetensors"
    write(path, {"a": np.arange(6, dtype=np.float32).reshape(2, 3)})
    whole = path.read_bytes()
    np.testing.assert_array_equal(interop.read_safetensors(path)["a"], [[0, 1, 2], [3, 4, 5]])
    for data, message in (
        (whole[:-1], "a of shape \\(2, 3\\) and dtype F32 needs 24 bytes"),
        (b"", "its header would end beyond the file"),
        (whole[:20], "its header would end beyond the file"),
        (whole[:8] + b"!" + whole[9:], "its header is no JSON"),
        (whole.replace(b'"F32"', b'"F31"'), "a has dtype F31: expected one of"),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=message):
            interop.read_safetensors(path)
    half = np.asarray(jnp.asarray([1.5, -2.0], jnp.bfloat16))
    header = b'{"h":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + half.tobytes())
    np.testing.assert_array_equal(interop.read_safetensors(path)["h"], half)
