"""Logits of FCN and DeepLab v3 against PyTorch nets with the same weights, and files of them."""

import pickle

import numpy as np
import pytest
from flax import nnx
from small_nets import call, draw_norms, images, quick

from jaxseg import interop, models
from jaxseg.models import ResNetSize

torch = pytest.importorskip("torch")
import torch_nets  # noqa: E402

SIZES = {
    "basic": ResNetSize((2, 1, 2, 2), bottleneck=False, width=8),
    "bottleneck": ResNetSize((1, 2, 1, 2), width=8),
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
    draw_norms(ours)
    trunk = torch_nets.Trunk(size, ours.backbone.config.stages)
    theirs = torch_nets.Net(trunk, head, torch_nets.fcn_head(third, 6))
    state = {name: torch.from_numpy(a) for name, a in interop.to_torchvision(ours).items()}
    theirs.load_state_dict(state)
    return ours, theirs


@pytest.mark.parametrize(
    ("kind", "size", "output_stride"),
    [
        ("fcn", "bottleneck", 8), ("fcn", "basic", 32), ("fcn", "basic", 16),
        ("deeplab", "bottleneck", 8), ("deeplab", "basic", 16),
    ],
)  # fmt: skip
def test_logits(kind, size, output_stride):
    ours, theirs = pair(kind, SIZES[size], output_stride)
    x = images((65, 97))
    for train in (False, True):
        theirs.train(train)
        with torch.no_grad():
            wanted = theirs(torch.from_numpy(np.array(x).transpose(0, 3, 1, 2)))
        found = call(ours, x, method="with_auxiliary", train=train)
        for a, b in zip(found, wanted, strict=True):
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


def test_a_pickle_that_would_run_code_is_not_read(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"conv1.weight": Evil()}, tmp_path / "evil.pth")
    net = models.ResNet(size=SIZES["basic"], rngs=nnx.Rngs(0))
    with pytest.raises(pickle.UnpicklingError, match="print"):
        interop.load_torchvision(net, tmp_path / "evil.pth")
