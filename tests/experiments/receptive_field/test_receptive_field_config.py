"""The standard nets have the published fields, and what cannot be run is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.receptive_field import claims, probes
from experiments.receptive_field.config import NETS, PRESETS, Config, Layers

FIELDS = {
    "AlexNet": {
        "conv1": 11,
        "pool1": 19,
        "conv2": 51,
        "conv3": 99,
        "conv4": 131,
        "conv5": 163,
        "pool5": 195,
    },
    "VGG-16": {"pool5": 212, "fc6": 404},
    "VGG-19": {"pool5": 268},
    "ResNet-50 v1": {"stage1": 35, "stage2": 99, "stage3": 291, "stage4": 483},
    "ResNet-101 v1": {"stage4": 1027},
    "ResNet-152 v1": {"stage4": 1507},
    "ResNet-200 v1": {"stage4": 1763},
    "ResNet-50 v1.5": {"stage4": 427},
    "ResNet-101 v1.5": {"stage4": 971},
    "ResNet-152 v1.5": {"stage4": 1451},
    "ResNet-18": {"stage4": 435},
    "ResNet-34": {"stage4": 899},
    "CIFAR ResNet-20": {"stage3": 81},
    "CIFAR ResNet-32": {"stage3": 137},
    "CIFAR ResNet-44": {"stage3": 193},
    "CIFAR ResNet-56": {"stage3": 249},
    "CIFAR ResNet-110": {"stage3": 501},
    "Context module": {f"layer{i}": n for i, n in enumerate((3, 5, 9, 17, 33, 65, 67, 67), 1)},
    "Rates 1 2 4 … 64": {f"layer{i + 1}": 2 ** (i + 2) - 1 for i in range(7)},
    "Rates 2 2 2": {"layer3": 13},
    "DeepLabV3 features": {"backbone": 427, "aspp": 1003, "head": 1019},
    "DeepLabV3 without pooling": {"output": 1027},
    "DeepLabV3": {"output": 513},
}
PHASES = {2: {188: 4, 204: 12}, 4: {220: 6, 236: 10}}


@pytest.mark.parametrize("name", FIELDS)
def test_nets_have_their_published_fields(name):
    for end, size in FIELDS[name].items():
        assert probes.exact_field(NETS[name], end).size == (size, size), end
    assert NETS[name].published == FIELDS[name]


def test_every_net_is_named_here():
    unets = {f"U-Net {padding} {w}x{w}" for w in PHASES for padding in ("same", "valid")}
    assert {*NETS} == {*FIELDS} | unets


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("window", PHASES)
def test_a_unet_sees_by_phase(padding, window):
    net = NETS[f"U-Net {padding} {window}x{window}"]
    assert net.published == {"output": PHASES[window]}
    for axis in probes.exact_field(net).axes:
        assert probes.phase_sizes(axis) == PHASES[window]


@pytest.mark.parametrize(("window", "dilation"), [(1, 1), (3, 1), (3, 2), (7, 1), (5, 3)])
def test_convolutions_keep_the_size_unless_they_are_padded_otherwise(window, dilation):
    layers, x = Layers(), jnp.ones((1, 31, 31, 1))
    assert layers.conv(x, window, dilation=dilation).shape == x.shape
    lost = (window - 1) * dilation
    assert layers.conv(x, window, dilation=dilation, padding=0).shape[1] == 31 - lost
    assert layers.up(x, 4).shape == (1, 62, 62, 1)
    assert layers.average(x).shape == layers.join(x, jnp.ones((1, 40, 40, 1))).shape == x.shape


class Linear(Layers):
    """Mean pooling and normalized kernels: its gradient is nowhere zero by chance."""

    def conv(self, x, window, **options):
        return super().conv(x, window, **options) / window ** (x.ndim - 2)

    def pool(self, x, window, *, stride=2, padding=0):
        return self.conv(x, window, stride=stride, padding=padding)


@pytest.mark.parametrize("window", [2, 4])
def test_the_phases_of_a_unet_are_the_support_of_its_gradient(window, x64):
    net, first = NETS[f"U-Net same {window}x{window}"], 256
    image = jnp.zeros((1, 2 * first, 1), jnp.float64)

    def row(x):
        return net.at(Linear(), x)[0, first : first + 16, 0]

    support = np.asarray(jax.jit(jax.jacobian(row))(image)[:, 0, :, 0] > 0)
    assert claims.phase_intervals(window).tolist() == [
        [np.flatnonzero(seen)[0] - first - n, np.flatnonzero(seen)[-1] - first - n]
        for n, seen in enumerate(support)
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": (7,)}, "multiples of the number of rates, 5"),
        ({"depths": (5, 5)}, "each once"),
        ({"depths": ()}, r"depths=\(\) must be at least 1"),
        ({"depths": (0,)}, r"depths=\(0,\) must be at least 1"),
        ({"rates": ()}, r"rates=\(\) must be at least 1"),
        ({"seeds": 0}, "seeds=0 must be at least 1"),
        ({"layers": 0}, "layers=0"),
        ({"largest_rate": 0}, "largest_rate=0"),
        ({"features": 0}, "features=0"),
    ],
)
def test_what_cannot_be_run_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Config(**options)


def test_seeds_and_depths_may_be_added():
    assert {"seeds", "depths", "resume"} <= {*Config.may_differ}
    assert not {"rates", "features", "seed", "layers", "largest_rate"} & {*Config.may_differ}
    assert {*PRESETS} == {"tiny", "quick"}
