"""What is said of a data set is what is in it; every data set is reached by its name."""

import csv

import numpy as np
import pytest
from PIL import Image

from jaxseg import data
from jaxseg.commands import data as command_data
from jaxseg.commands import inspect
from jaxseg.commands.data import DataConfig
from jaxseg.commands.outputs import MANIFEST

FILES = {"classes.csv", "scenes.png", "classes.png"}


def own_folder(root):
    """Ten pairs of 16 x 16 pixels: a quarter is class 2, the first row ignored."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    mask = np.zeros((16, 16), np.uint8)
    mask[8:, 8:] = 2
    mask[0] = 255
    for number in range(10):
        Image.new("RGB", (16, 16), (number, 100, 200)).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    return root


def test_a_folder_of_ones_own(tmp_path, capsys):
    root = own_folder(tmp_path / "mine")
    words = ["--data.name", "folder", "--data.directory", str(root), "--images", "3"]
    out = tmp_path / "out"
    inspect.command([*words, "--data.data-dir", str(tmp_path / "p"), "--out", str(out)])
    assert {path.name for path in out.iterdir()} == {*FILES, MANIFEST}
    with (out / "classes.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    assert [(row["class"], row["name"], int(row["pixels"])) for row in rows] == [
        ("0", "class 0", 6 * (256 - 64 - 16)),
        ("1", "class 2", 6 * 64),
        ("255", "ignored", 6 * 16),
    ]
    assert float(rows[1]["pixel_share"]) == pytest.approx(64 / 240)
    assert float(rows[2]["pixel_share"]) == pytest.approx(16 / 256)
    said = capsys.readouterr().out
    assert "mine: the masks' values 0, 2 are the labels 0..1; pixels of 255 are ignored" in said
    assert "folder: 16x16 pixels, 3 channels, 2 classes" in said
    assert "! validation has 2 images only" in said


def test_the_mosaic(tmp_path, monkeypatch):
    small = data.mosaic(size=16, train=6, validation=3, test=3, data_dir=tmp_path / "p")
    monkeypatch.setattr(inspect, "load", lambda config: small)
    found = inspect.main(inspect.Config(out=tmp_path / "out", split="test"))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*FILES, MANIFEST}
    assert {split: counts.examples for split, counts in found.items()} == small.splits
    for split, counts in found.items():
        labels = np.stack([example["label"] for example in small.source(split)])
        assert counts.ignored == 0
        for number in range(3):
            assert counts.pixels[number] == (labels == number).sum()
            assert counts.images[number] == (labels == number).any((1, 2)).sum()


def test_remarks_name_what_may_hurt():
    dataset = data.Dataset(data.DatasetInfo("x", (1, 1), ("sky", "sea"), (), (), ()), None, {})
    counts = inspect.Counts(np.array([99, 0]), np.array([40, 0]), 200, 40)
    said = "\n".join(inspect.remarks(dataset, {"train": counts}))
    assert "train has no pixel of sea" in said
    assert "more than half of the pixels of train are ignored" in said
    assert "'sky' has 100.0 % of the pixels" in said
    assert "noisy" not in said


@pytest.mark.parametrize("name", [name for name in data.SETS if name != "mosaic"])
def test_every_name_has_its_reader(name, tmp_path, monkeypatch):
    monkeypatch.delenv(f"JAXSEG_{name.upper()}", raising=False)
    called = []
    monkeypatch.setitem(data.SETS, name, lambda **options: called.append(options))
    command_data.load(DataConfig(name, directory=tmp_path, size=(4, 6), data_dir=tmp_path))
    assert called == [{"directory": tmp_path, "size": (4, 6), "data_dir": tmp_path}]
    monkeypatch.undo()
    monkeypatch.delenv(f"JAXSEG_{name.upper()}", raising=False)
    with pytest.raises(ValueError, match=r"^directory=None"):
        inspect.command(["--data.name", name])


def test_the_mosaic_is_square_and_embedded(tmp_path):
    with pytest.raises(ValueError, match=r"size=\(4, 6\) .*square"):
        command_data.load(DataConfig(size=(4, 6)))
    with pytest.raises(ValueError, match=r"directory=.* does not go with the mosaic"):
        command_data.load(DataConfig(directory=tmp_path))


def test_an_unknown_data_set_is_nearly_a_known_one():
    with pytest.raises(ValueError, match="camvid"):
        command_data.load(DataConfig("camvit"))


def test_bad_options_are_named(tmp_path):
    with pytest.raises(ValueError, match="images=0 is out of range"):
        inspect.Config(images=0)
    root = own_folder(tmp_path / "mine")
    words = ["--data.name", "folder", "--data.directory", str(root), "--split", "val"]
    words += ["--data.data-dir", str(tmp_path / "p"), "--out", str(tmp_path / "out")]
    with pytest.raises(ValueError, match=r"split='val' is not in folder, expected one of"):
        inspect.command(words)
    assert not (tmp_path / "out").exists()


def test_the_users_files_are_not_replaced(tmp_path):
    root, out = own_folder(tmp_path / "mine"), tmp_path / "out"
    out.mkdir()
    (out / "classes.csv").write_text("mine")
    words = ["--data.name", "folder", "--data.directory", str(root), "--out", str(out)]
    with pytest.raises(
        ValueError, match=r"classes\.csv would be replaced, but jaxseg did not write"
    ):
        inspect.command([*words, "--data.data-dir", str(tmp_path / "p")])
    assert (out / "classes.csv").read_text() == "mine"
    assert {path.name for path in out.iterdir()} == {"classes.csv"}
