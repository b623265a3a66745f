"""What a pixel sees: pins of the literature, other tools' rules, and what the study leaves."""

import csv
import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import receptive_effective
import receptive_field
import receptive_studies
import receptive_summary
import receptive_tools
import receptive_verdicts
import studies
from receptive_nets import NETS, Net, Traced, dilated

from jaxseg import analysis, ops

PINS = {
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
FIGURES = {
    "growth",
    "windows",
    "phases_2x2",
    "phases_4x4",
    "gridding",
    "checkerboard",
    "hybrid",
    "effective",
    "effective_width",
    "bottlenecks",
}


@pytest.mark.parametrize("name", PINS)
def test_pins(name):
    for end, size in PINS[name].items():
        assert NETS[name].field(end).size == (size, size), end
    assert NETS[name].pins == PINS[name]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("window", "sizes"), [(2, {188: 4, 204: 12}), (4, {220: 6, 236: 10})])
def test_a_unet_sees_by_phase(padding, window, sizes):
    for phases in NETS[f"U-Net {padding} {window}x{window}"].field().phases:
        found = [phase.size for phase in phases]
        assert {size: found.count(size) for size in {*found}} == sizes


def test_every_net_is_pinned_here():
    assert {name for name in NETS if "U-Net" not in name} == {*PINS}


class Linear(Traced):
    """Mean pooling and normalised kernels: its gradient is nowhere zero by chance."""

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

    support = jax.jit(jax.jacobian(row))(image)[:, 0, :, 0] > 0
    assert receptive_studies.phases(window).tolist() == [
        [np.flatnonzero(seen)[0] - first - n, np.flatnonzero(seen)[-1] - first - n]
        for n, seen in enumerate(np.asarray(support))
    ]


# --- other tools ---------------------------------------------------------------------------------


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
        said = receptive_tools.said("google-research", NETS[name], ends.get(name, "stage4"))
        assert said == str(size)


def test_the_call_order_gives_the_table_of_its_page():
    """A 7x7 convolution, then two 3x3 pools, all of stride 2: 7, 11, 19."""
    layers, x = receptive_tools.CallOrder(), receptive_tools.Chain()
    found = [layers.conv(x, 7, stride=2), layers.pool(x, 3), layers.pool(x, 3)]
    assert [(chain.size, chain.jump) for chain in found] == [(7, 2), (11, 4), (19, 8)]


def test_the_seen_columns_are_those_of_the_page():
    """Its example: 7x7, 5x5, pool, 5x5, pool, valid; 20 pixels before the last pool."""

    def build(layers, x):
        x = layers.conv(layers.conv(x, 7, padding=0), 5, padding=0)
        return {"grid": layers.conv(layers.pool(x, 2), 5, padding=0)}

    assert receptive_tools.seen_columns(Net("page", build, 64), "grid") == 20


def test_what_the_tools_say():
    rows = {row.pop("net"): tuple(row.values()) for row in receptive_studies.other_tools()}
    assert rows["AlexNet"] == ("195",) * 4
    assert rows["ResNet-18"] == ("435", "435", "refuses: BasicBlock", "435")
    assert rows["ResNet-50 v1.5"] == ("427", "427", "1963", "427")
    assert rows["Context module"] == ("67", "15", "67", "67")
    assert rows["Rates 2 2 2"] == ("13", "7", "13", "7")
    assert rows["DeepLabV3 features"] == ("1019", "267", "3147", "1019")
    assert rows["U-Net same 2x2"] == (
        "188 (4 of 16) and 204 (12 of 16)",
        "refuses: transposed convolution",
        "0",
        "188",
    )


def test_paths_of_different_strides_are_refused():
    layers, x = receptive_tools.LongestChain(), receptive_tools.Chain()
    with pytest.raises(receptive_tools.Refused, match="different strides"):
        layers.join(layers.conv(x, 1), layers.conv(x, 1, stride=2))


# --- holes ---------------------------------------------------------------------------------------


def test_growth_gridding_and_triples_hold():
    claims = [*receptive_studies.growth(5), *receptive_studies.gridding()[0]]
    triples, kinds = receptive_studies.hybrid_triples(9)
    claims += [*triples, *receptive_effective.path_moments()]
    assert [claim for claim in claims if not claim.holds] == []
    assert [int(np.sum(kinds == kind)) for kind in range(4)] == [47, 124, 38, 520]


def test_hybrid_dilation_sees_what_the_traced_chain_sees():
    for rates in itertools.product(range(1, 5), repeat=3):
        middle = sum(rates)
        net = Net("", functools.partial(dilated, rates), 2 * middle + 1)
        counts = net.field(axes=1).counts((middle,))
        assert tuple(counts) == analysis.hybrid_dilation(rates).counts


def test_the_paths_that_meet_are_an_upconvolution_of_ones():
    claims, maps = receptive_studies.checkerboard(block=4)
    assert [claim.found for claim in claims] == [4.0, 2.25, 1.0]
    for window, paths in zip(receptive_studies.UPCONVS, maps.values(), strict=True):
        ones = ops.upconv(jnp.ones((1, 8, 8, 1)), jnp.ones((window, window, 1, 1)), stride=2)
        assert np.array_equal(paths, ones[0, 2:6, 2:6, 0])


# --- verdicts ------------------------------------------------------------------------------------


def judge(claims, tools=()):
    return {v.claim: v for v in receptive_verdicts.verdicts(claims, tools, 64)}


def test_a_verdict_is_that_of_its_numbers():
    right = receptive_studies.exact("growth", "plain", "4 layers: pixels", 9, 9)
    wrong = receptive_studies.exact("growth", "dilation", "4 layers: pixels", 31, 30)
    (found,) = judge([right]).values()
    assert (found.verdict, found.heading) == ("agrees", "Dilation")
    assert found.measured == "1 of 1 numbers are so; plain 9 after 4 layers"
    (found,) = judge([right, wrong]).values()
    assert found.verdict == "disagrees"
    assert "1 of 2 numbers are so" in found.measured
    assert "dilation, 4 layers: pixels: 30 for 31" in found.measured
    assert judge([]) == {}


def test_the_rule_of_hybrid_dilation_is_contradicted_and_sharpened():
    found = judge(receptive_studies.hybrid_triples(9)[0])
    (rule,) = [v for claim, v in found.items() if "only there" in claim]
    assert rule.verdict == "disagrees"
    assert rule.measured == (
        "124 of 729 triples pass with holes, 38 of 729 triples fail without a hole"
    )
    (sharper,) = [v for claim, v in found.items() if "first rate is 1" in claim]
    assert (sharper.verdict, len(found)) == ("agrees", 2)


def test_a_tool_that_is_always_right_contradicts():
    row = {"net": "a", "truth": "3", "google-research": "3", "Fangyh09": "0", "fornaxai": "0"}
    (found,) = judge([], [row]).values()
    assert (found.verdict, found.seeds) == ("disagrees", 0)
    (found,) = judge([], [row, row | {"truth": "5"}]).values()
    assert found.verdict == "agrees"


def test_a_resnet_sees_less_where_it_strides_later():
    sizes, known = receptive_verdicts.bottlenecks()
    assert sizes == {"ResNet-50 v1": [35, 99, 291, 483], "ResNet-50 v1.5": [35, 91, 267, 427]}
    assert known == {"ResNet-50 v1": {0: 35, 1: 99, 2: 291, 3: 483}}


# --- the study -----------------------------------------------------------------------------------


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("receptive") / "out"
    receptive_field.main(dataclasses.replace(receptive_field.PRESETS["tiny"], out=out))
    return out


@pytest.mark.slow
def test_leaves_all_its_files(tiny):
    files = {
        "config.json",
        "results.csv",
        "verdicts.csv",
        "summary.md",
        *(f"{name}.png" for name in FIGURES),
    }
    assert {path.name for path in tiny.iterdir()} == files
    for name in FIGURES:
        assert (tiny / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    found = rows(tiny / "results.csv")
    assert all(None not in row and None not in row.values() for row in found)
    assert {row["study"] for row in found} == {*receptive_summary.ABOUT, "tools"}
    assert all(row["holds"] == "True" for row in found if row["study"] != "tools")
    summary = (tiny / "summary.md").read_text()
    assert (
        "| U-Net same 2x2 | output: pixels by phases | 188 (4 of 16) and 204 (12 of 16) |"
        in summary
    )
    assert "| ResNet-50 v1.5 | 427 | 427 | 1963 | 427 |" in summary
    assert "NO" not in summary
    judged = rows(tiny / "verdicts.csv")
    assert {*judged[0]} == {*studies.VERDICTS}
    # But for the rule of hybrid dilation, which is only counted at rates to 9.
    assert len(judged) == 9
    assert {row["verdict"] for row in judged} == {"agrees"}


def test_a_number_that_is_off_fails(tmp_path, monkeypatch):
    wrong = receptive_studies.exact("nets", "AlexNet", "pool5: pixels", 195, 196)
    monkeypatch.setattr(receptive_field, "standard_nets", lambda: [wrong])
    monkeypatch.setattr(receptive_field, "measure_effective", lambda config: [])
    monkeypatch.setattr(receptive_field, "_figures", lambda *args: None)
    with pytest.raises(SystemExit, match="1 numbers are off"):
        receptive_field.command(["--preset", "tiny", "--out", str(tmp_path)])
    assert (
        "| AlexNet | pool5: pixels | 195 | 196 | **NO** |" in (tmp_path / "summary.md").read_text()
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--depths", "7"], "multiples of their number, 5"),
        (["--seeds", "0"], "at least one of each"),
        (["--preset", "huge"], "preset 'huge' is unknown"),
    ],
)
def test_what_cannot_be_run_is_refused(flags, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        receptive_field.command(["--out", str(tmp_path / "out"), *flags])
    shown = f"{stopped.value} {capsys.readouterr().err}"
    assert message in " ".join(shown.replace("│", " ").split())
