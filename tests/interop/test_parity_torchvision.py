"""Logits of FCN, DeepLab v3 and LRASPP against PyTorch nets of the same weights, and files."""

import pickle

import numpy as np
import pytest
from flax import nnx
from small_nets import TINY_MOBILE, call, draw_norms, images, quick

from jaxseg import interop, models
from jaxseg.models import ResNetSize

torch = pytest.importorskip("torch")
import torch_nets  # noqa: E402

SIZES = {
    "basic": ResNetSize((2, 1, 2, 2), bottleneck=False, width=8),
    "bottleneck": ResNetSize((1, 2, 1, 2), width=8),
}
SQUEEZED = {24: 8, 40: 16, 48: 16}  # a quarter, to a multiple of 8, but no less than .9 of it
MOBILE = {
    "classes": 6,
    "backbone": TINY_MOBILE,
    "output_stride": 16,
    "dilation_rule": "whole_stage",
}
RATES = {8: (12, 24, 36), 16: (6, 12, 18), 32: (3, 6, 9)}


def pair(kind, size, output_stride):
    """Our net with drawn variables, and PyTorch's filled with them."""
    fields = {"classes": 6, "backbone": size, "output_stride": output_stride, "auxiliary": True}
    last, third = size.features[4], size.features[3]
    if kind == "fcn":
        ours = quick(lambda: models.FCN(**fields, rngs=nnx.Rngs(0)))
        head = torch_nets.fcn_head(last, 6)
    else:
        ours = quick(lambda: models.DeepLabV3(**fields, features=16, rngs=nnx.Rngs(0)))
        head = torch_nets.deeplab_head(last, 16, 6, RATES[output_stride])
    trunk = torch_nets.Trunk(size, ours.backbone.stages)
    return filled(ours, torch_nets.Net(trunk, head, torch_nets.fcn_head(third, 6)))


def mobile_pair(kind):
    """Our net on MobileNetV3 and PyTorch's, in torchvision's dilated form."""
    trunk = torch_nets.MobileTrunk(TINY_MOBILE, SQUEEZED, dilation=2)
    if kind == "lraspp":
        ours = quick(lambda: models.LRASPP(**MOBILE, features=16, rngs=nnx.Rngs(0)))
        return filled(ours, torch_nets.LightNet(trunk, torch_nets.LightHead(32, 48, 16, 6)))
    more = {"auxiliary": True, "features": 16, "rates": (2, 4, 6)}
    ours = quick(lambda: models.DeepLabV3(**MOBILE, **more, rngs=nnx.Rngs(0)))
    head = torch_nets.deeplab_head(48, 16, 6, more["rates"])
    return filled(ours, torch_nets.Net(trunk, head, torch_nets.fcn_head(32, 6)))


def filled(ours, theirs):
    """Draw the norms of our net, and load its weights into theirs."""
    draw_norms(ours)
    state = {name: torch.from_numpy(a) for name, a in interop.to_torchvision(ours).items()}
    theirs.load_state_dict(state)
    return ours, theirs


@pytest.mark.parametrize(
    ("kind", "size", "output_stride"),
    [
        ("fcn", "bottleneck", 8),
        ("fcn", "basic", 32),
        ("fcn", "basic", 16),
        ("deeplab", "bottleneck", 8),
        ("deeplab", "basic", 16),
    ],
)
def test_logits(kind, size, output_stride):
    same_logits(*pair(kind, SIZES[size], output_stride))


@pytest.mark.parametrize("kind", ["lraspp", "deeplab"])
def test_logits_on_mobilenet(kind):
    same_logits(*mobile_pair(kind))


def same_logits(ours, theirs):
    x = images((65, 97))
    method = "with_auxiliary" if ours.auxiliary is not None else None
    for train in (False, True):
        theirs.train(train)
        with torch.no_grad():
            expected = theirs(torch.from_numpy(np.array(x).transpose(0, 3, 1, 2)))
        logits = call(ours, x, method=method, train=train)
        for a, b in zip(logits if method else [logits], expected, strict=True):
            b = b.numpy().transpose(0, 2, 3, 1)
            assert a.shape == b.shape == (2, 65, 97, 6)
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * max(1, np.abs(b).max()))


def test_files_of_pytorch(tmp_path):
    size = SIZES["basic"]
    ours, theirs = pair("fcn", size, 8)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    empty = quick(
        lambda: models.FCN(
            classes=6, backbone=size, output_stride=8, auxiliary=True, rngs=nnx.Rngs(1)
        )
    )
    assert interop.load_torchvision(empty, tmp_path / "weights.pth").complete
    for (name, a), b in zip(
        interop.to_torchvision(empty).items(), interop.to_torchvision(ours).values(), strict=True
    ):
        np.testing.assert_array_equal(a, b, err_msg=name)


def test_tensors_of_16_bits():
    ours, theirs = pair("fcn", SIZES["basic"], 8)
    state = {name: tensor.bfloat16() for name, tensor in theirs.state_dict().items()}
    assert interop.load_torchvision(ours, state).complete
    for name, array in interop.to_torchvision(ours).items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, state[name].float().numpy())


def test_a_pickle_that_would_run_code_is_not_read(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"conv1.weight": Evil()}, tmp_path / "evil.pth")
    net = quick(lambda: models.ResNet(size=SIZES["basic"], rngs=nnx.Rngs(0)))
    with pytest.raises(pickle.UnpicklingError, match="print"):
        interop.load_torchvision(net, tmp_path / "evil.pth")
