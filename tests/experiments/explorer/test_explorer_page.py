"""The explorer's page is whole: its parts, its nets' fields, and no word from the network."""

import json
import re

import pytest

from experiments.explorer import page, tables
from experiments.explorer.nets import EXPLORED, deeplab
from experiments.receptive_field.config import NETS
from jaxseg.analysis.receptive.explorer.tables import sample

MEASURED = tables.read_measured()


@pytest.fixture(scope="module")
def html():
    nets = {"Three layers of rate 2": EXPLORED["Three layers of rate 2"]}
    fields = tables.field_tables(nets, MEASURED["effective"], 3)
    return page.render({"fields": fields, "depth": MEASURED["depth"], "about": MEASURED["about"]})


def test_every_part_is_put_in(html):
    assert "/*{" not in html
    for name in page.SCRIPTS:
        assert (page.HERE / name).read_text() in html


def test_nothing_is_fetched(html):
    assert not re.search(r"https?:|//\w+\.\w|url\(|@import|\bimport\(|fetch\(|XMLHttp|src=", html)
    assert not re.search(r"<(script|link|img|iframe)[^>]*\s(src|href)=", html)


def test_the_scripts_stay_readable():
    folders = (page.HERE, page.HERE.parents[1] / "jaxseg/analysis/receptive/explorer")
    lines = [line for f in folders for p in f.glob("*.js") for line in p.read_text().splitlines()]
    assert len(lines) < 1500
    assert max(map(len, lines)) < 200


SIZES = {
    "VGG-16": {"pool5": 212, "fc6": 404},
    "ResNet-50, stride on the 1x1 (v1)": {"stage 1": 35, "stage 4": 483},
    "ResNet-50, stride on the 3x3 (v1.5)": {"stage 4": 427},
    "U-Net": {"output": 204},
    "FCN-8s": {"fc7": 404},
    "Three layers of rate 2": {"layer3": 13},
}


@pytest.mark.parametrize("name", SIZES)
def test_nets_have_their_published_fields(name):
    fields = dict(tables.fields(EXPLORED[name]))
    assert {end: fields[end].size[0] for end in SIZES[name]} == SIZES[name]


def test_deeplab_at_8_is_that_of_the_study():
    fields = dict(tables.fields(EXPLORED["DeepLabV3, output stride 8"]))
    published = NETS["DeepLabV3 features"].published
    assert fields["stage 4"].size[0] == published["backbone"]
    assert fields["ASPP without image pooling"].size[0] == published["aspp"]
    assert fields["ASPP"].size[0] == EXPLORED["DeepLabV3, output stride 8"].size


@pytest.mark.parametrize("stride", [4, 8, 16, 32])
def test_deeplab_has_its_output_stride(stride):
    net = EXPLORED[f"DeepLabV3, output stride {stride}"]._replace(size=64)
    fields = dict(tables.fields(net))
    assert net.build.func is deeplab
    assert fields["stage 4"].stride == (stride, stride)
    # Dilation takes the place of stride: what a pixel sees grows as the map does not shrink.
    assert fields["stage 4"].size[0] >= 427


def test_both_phases_of_the_u_net_can_be_chosen():
    field = dict(tables.fields(EXPLORED["U-Net"]))["output"]
    windows = [field.window((row, row)) for row in sample(256, len(field.phases[0]), 2)]
    rows = [window[0] for window in windows if window]
    assert {b - a + 1 for a, b in rows if a > 0 and b < 255} == {188, 204}


def test_measurements_cover_every_net_and_depth():
    assert {*MEASURED["effective"]} == {*EXPLORED}
    assert [*MEASURED["depth"]] == ["2", "4", "8", "16", "32", "64", "128"]
    for table in MEASURED["depth"].values():
        assert len(table["residual"]) == 10
        assert (
            max(map(abs, table["residual"][0][1])) == 0
        )  # no branch: the gradient passes unchanged


def test_an_unknown_net_is_refused(tmp_path):
    with pytest.raises(ValueError, match="ResNet-51"):
        page.main(page.Config(out=tmp_path / "page.html", nets=("ResNet-51",)))


def test_a_page_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "LARGEST_PAGE", 1000)
    with pytest.raises(ValueError, match="fewer positions"):
        page.main(page.Config(out=tmp_path / "page.html", nets=("Three layers of rate 2",)))


def test_data_are_json_in_a_script(html):
    (data,) = re.findall(r"^const DATA = (.*);$", html, re.MULTILINE)
    assert "<" not in data
    assert json.loads(data)["fields"]["nets"][0]["input"] == [32, 32]
