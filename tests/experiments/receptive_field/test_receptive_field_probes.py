"""Other tools' rules give the numbers of their pages, and random nets are as their theory says."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.receptive_field import probes
from experiments.receptive_field.config import NETS, Net, dilated
from jaxseg import analysis


def test_the_longest_chain_gives_the_numbers_its_tool_publishes():
    published = {
        "AlexNet": 195,
        "VGG-16": 212,
        "ResNet-50 v1": 483,
        "ResNet-101 v1": 1027,
        "ResNet-152 v1": 1507,
        "ResNet-200 v1": 1763,
    }
    ends = {"AlexNet": "pool5", "VGG-16": "pool5"}
    for name, size in published.items():
        assert probes.answer("google-research", name, ends.get(name, "stage4")) == str(size)


def test_the_call_order_gives_the_table_of_its_page():
    """A 7x7 convolution, then two 3x3 pools, all of stride 2: 7, 11, 19."""
    layers, x = probes.CallOrder(), probes.Chain()
    chains = [layers.conv(x, 7, stride=2), layers.pool(x, 3), layers.pool(x, 3)]
    assert [(chain.size, chain.jump) for chain in chains] == [(7, 2), (11, 4), (19, 8)]


def test_the_columns_with_a_gradient_are_those_of_the_page():
    """Its example: 7x7, 5x5, pool, 5x5, pool, valid; 20 pixels before the last pool."""

    def build(layers, x):
        x = layers.conv(layers.conv(x, 7, padding=0), 5, padding=0)
        return {"grid": layers.conv(layers.pool(x, 2), 5, padding=0)}

    assert probes.columns_with_gradient(Net("page", build, 64), "grid") == 20


def test_paths_of_different_strides_are_refused():
    layers, x = probes.LongestChain(), probes.Chain()
    with pytest.raises(probes.RefusedError, match="different strides"):
        layers.join(layers.conv(x, 1), layers.conv(x, 1, stride=2))


@pytest.mark.parametrize(
    ("tool", "net", "end", "text"),
    [
        ("google-research", "DeepLabV3", "output", "refuses: mean over all pixels"),
        ("google-research", "U-Net same 2x2", "output", "refuses: transposed convolution"),
        ("google-research", "Context module", "layer8", "15"),
        ("Fangyh09", "ResNet-18", "stage4", "refuses: BasicBlock"),
        ("Fangyh09", "DeepLabV3", "output", "refuses: AdaptiveAvgPool2d"),
        ("Fangyh09", "U-Net same 2x2", "output", "0"),
        ("Fangyh09", "ResNet-50 v1.5", "stage4", "1963"),
        ("Fangyh09", "DeepLabV3 features", "head", "3147"),
        ("fornaxai", "Rates 2 2 2", "layer3", "7"),
        ("fornaxai", "U-Net same 2x2", "output", "188"),
        # Its net is traced at 513 pixels first, and then at an image that holds its field.
        ("fornaxai", "DeepLabV3 features", "head", "1019"),
    ],
)
def test_answers_of_the_tools(tool, net, end, text):
    assert probes.answer(tool, net, end) == text


def test_hybrid_dilation_sees_what_the_traced_chain_sees():
    for rates in itertools.product(range(1, 5), repeat=3):
        middle = sum(rates)
        net = Net("", functools.partial(dilated, rates), 2 * middle + 1)
        counts = probes.exact_field(net, axes=1).counts((middle,))
        assert tuple(counts) == analysis.hybrid_dilation(rates).counts


def test_triples_are_of_four_kinds():
    kinds = probes.triple_kinds(9)
    assert [int(np.sum(kinds == kind)) for kind in range(4)] == [47, 124, 38, 520]
    # 2 2 2 sees a grid though M_2 = 2, and 1 2 9 leaves holes.
    assert (kinds[1, 1, 1], kinds[0, 1, 4], kinds[0, 1, 8]) == (1, 0, 3)


def test_phases_are_counted_by_the_size_of_their_field():
    (axis, _) = probes.exact_field(NETS["U-Net same 2x2"]).axes
    assert probes.by_phase(probes.phase_sizes(axis)) == "188 (4 of 16) and 204 (12 of 16)"


KINDS = {
    # kind -> rates of ten layers, width
    "uniform": ((1,) * 10, np.sqrt(20 / 3)),
    "dilated": ((1, 2, 4, 2, 1) * 2, np.sqrt(2 / 3 * 52)),
    "residual": ((1,) * 10, np.sqrt(10 / 3)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_random_nets_have_the_width_of_a_random_walk(kind):
    rates, width = KINDS[kind]
    net = probes.RandomNet(kind, 10, (1, 2, 4, 2, 1), 3)
    assert (net.reach, net.shape) == (sum(rates), (1, 2 * sum(rates) + 1, 2 * sum(rates) + 1, 3))
    assert net.theory == pytest.approx(width)
    assert net.window == ((0, 2 * sum(rates)),) * 2


@pytest.mark.parametrize("kind", KINDS)
def test_random_nets_are_what_their_layers_make_of_an_image(kind):
    net = probes.RandomNet(kind, 4, (1, 3), 2)
    noise, kernels = net.init(jax.random.key(0))
    # He's variance, 2 over nine taps of two features.
    assert float(jnp.std(kernels)) == pytest.approx(1 / 3, rel=0.2)
    assert noise.shape == net.shape
    x = jax.random.normal(jax.random.key(1), net.shape)
    expected = x + noise
    rates = (1, 3, 1, 3) if kind == "dilated" else (1,) * 4
    for kernel, rate in zip(kernels.reshape(4, 3, 3, 2, 2), rates, strict=True):
        branch = jax.lax.conv_general_dilated(
            jnp.maximum(expected, 0),
            kernel,
            (1, 1),
            "SAME",
            rhs_dilation=(rate, rate),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        expected = (expected + branch) / np.sqrt(2) if kind == "residual" else branch
    np.testing.assert_allclose(net.apply((noise, kernels), x), expected, rtol=1e-4, atol=1e-4)


def test_the_effective_field_of_a_net_lies_about_its_middle():
    net = probes.RandomNet("uniform", 2, (1,), 4)
    field = probes.effective_field(net, seeds=32, seed=0)
    assert field["energy"].shape == (5, 5)
    assert field["energy"].sum() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(field["center"], 2, atol=0.2)
    assert probes.mean_width(field["width"]) == pytest.approx(np.sqrt(4 / 3), rel=0.1)
    assert probes.mean_width(np.array([3.0, 4.0])) == pytest.approx(np.sqrt(12.5))
