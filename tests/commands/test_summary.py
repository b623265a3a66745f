"""A net's layers are listed without computing anything but shapes."""

import csv

import pytest

from jaxseg.commands import summary
from jaxseg.commands.model import ModelConfig


def test_a_net_by_name(capsys, tmp_path):
    table = summary.main(
        summary.Config(
            model=ModelConfig(name="unet", widths=(4, 8)),
            size=(32, 48),
            classes=5,
            depth=1,
            csv=tmp_path / "layers.csv",
        )
    )
    text = capsys.readouterr().out
    assert text.startswith("unet, 5 classes, an image of 32x48x3\n")
    assert table["all"].shape == (1, 32, 48, 5)
    with (tmp_path / "layers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["parameters"]) == table["all"].parameters
    assert f"{table['all'].multiply_adds:,}" in text


def test_the_largest_nets_take_shapes_alone():
    model = ModelConfig(name="deeplabv3", backbone="resnet101")
    table = summary.main(summary.Config(model=model, size=(513, 513), depth=0))
    assert table["all"].parameters == 58_630_997


@pytest.mark.parametrize(
    ("options", "message"),
    [({"classes": 0}, "classes=0"), ({"size": (0, 4)}, "size="), ({"channels": -1}, "channels=-1")],
)
def test_numbers_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        summary.Config(**options)
