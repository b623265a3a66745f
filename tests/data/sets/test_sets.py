"""One way to every data set, by its name."""

import inspect
import textwrap

import numpy as np
import pytest
from PIL import Image

from jaxseg import data
from jaxseg.data import sets
from jaxseg.data.folders.file_pairs import FilePairs
from jaxseg.data.images.image_files import FilePair


@pytest.mark.parametrize("name", data.SETS)
def test_every_set_takes_what_load_gives(name):
    parameters = inspect.signature(data.SETS[name]).parameters
    assert {"size", "directory", "data_dir"} <= set(parameters)
    assert data.SETS[name] is getattr(data, name)
    assert data.SETS[name].__module__ == f"jaxseg.data.sets.{name}"


@pytest.mark.parametrize("name", [name for name in data.SETS if name != "mosaic"])
def test_load_passes_on_what_it_is_given(name, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setitem(sets.SETS, name, lambda **options: calls.append(options))
    data.load(name, (4, 6), tmp_path, tmp_path / "p")
    data.load(name)
    given = {"size": (4, 6), "directory": tmp_path, "data_dir": tmp_path / "p"}
    assert calls == [given, {"directory": None, "data_dir": None}]
    monkeypatch.undo()
    monkeypatch.delenv(f"JAXSEG_{name.upper()}", raising=False)
    with pytest.raises(ValueError, match=r"^directory=None"):
        data.load(name)


def test_the_mosaic_is_loaded_as_it_is_opened(tiny_root):
    dataset = data.load("mosaic", (8, 8), data_dir=tiny_root)
    assert dataset == data.mosaic(size=8, data_dir=tiny_root)
    assert dataset.info.size == (8, 8)


def test_what_a_set_cannot_take_is_refused_by_itself(tmp_path):
    with pytest.raises(ValueError, match=r"size=\(4, 6\) is not square"):
        data.load("mosaic", (4, 6))
    with pytest.raises(ValueError, match=r"does not go with the mosaic"):
        data.load("mosaic", directory=tmp_path)


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(ValueError, match=r"name='cityscape' .*did you mean 'cityscapes'\?"):
        data.load("cityscape")
    with pytest.raises(ValueError, match=r"name='x' .*\['mosaic', 'camvid', .*give one of these"):
        data.load("x")


def squares_folder(root):
    """A bright square on a dark image, and its mask, in the layout of the docstring's example."""
    for split, count in (("train", 3), ("validation", 2)):
        (root / split).mkdir(parents=True)
        for number in range(count):
            mask = np.zeros((20, 30), np.uint8)
            mask[number : number + 9, 5:14] = 1
            Image.fromarray(mask).save(root / split / f"{number}_mask.png")
            image = np.repeat(mask[..., None] * 200, 3, axis=-1)
            Image.fromarray(image).save(root / split / f"{number}.jpg")
    return root


def test_the_data_set_of_the_docstring_works(tmp_path, monkeypatch):
    _, code = sets.__doc__.split("one public function:\n")
    code, _ = code.split("\nand enter it")
    module = {}
    exec(textwrap.dedent(code), module)
    monkeypatch.setitem(sets.SETS, "squares", module["squares"])
    root = squares_folder(tmp_path / "squares")
    dataset = data.load("squares", (20, 30), root, tmp_path / "p")
    assert dataset.splits == {"train": 3, "validation": 2}
    assert dataset.info.class_names == ("background", "square")
    label = dataset.source("validation")[1]["label"]
    assert (label.sum(), label[1:10, 5:14].all()) == (81, True)
    with pytest.raises(ValueError, match=r"JAXSEG_SQUARES is not set, .*git clone"):
        data.load("squares")
    (root / "train" / "2.jpg").unlink()
    with pytest.raises(ValueError, match=r"the image of the mask '.*train/2_mask\.png' is missing"):
        data.load("squares", (20, 30), root, tmp_path / "p")


def test_a_pair_whose_file_is_missing_is_named(tmp_path):
    here, gone = tmp_path / "a.png", tmp_path / "b.png"
    Image.new("L", (4, 4)).save(here)
    pairs = FilePairs(
        name="x",
        root=tmp_path,
        pairs={"train": [FilePair(here, gone)]},
        labels={0: 0},
        class_names=("a", "b"),
        palette=((0, 0, 0), (1, 1, 1)),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
    )
    with pytest.raises(ValueError, match=r"b\.png' is missing, expected a file of the data set"):
        pairs.prepare((4, 4), data_dir=tmp_path / "p")
