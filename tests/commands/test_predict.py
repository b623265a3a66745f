"""Masks in the user's own values, and nothing lost: neither a file nor an exit status."""

import re

import numpy as np
import pytest
from PIL import Image
from pixel_net import COLORS, info, run, scene

from jaxseg.commands import predict, predict_files
from jaxseg.commands.outputs import MANIFEST
from jaxseg.data import geometry


@pytest.fixture
def net(monkeypatch):
    """Makes `predict` use a net that tells classes by colors, of a data set with some fields."""

    def use(size=(16, 24), **fields):
        opened = run(info(size, **fields))
        monkeypatch.setattr(predict, "load_run", lambda *_, **__: opened)
        return opened

    return use


def save(path, shape=(20, 31), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    image, label = scene(shape, seed)
    Image.fromarray(image).save(path)
    return label


def test_a_file_that_fails_is_named_and_the_rest_goes_on(net, tmp_path, capsys):
    net()
    for name, size in (("a.png", (20, 31)), ("b.jpg", (16, 16))):
        save(tmp_path / name, size)
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    (tmp_path / "._a.png").write_bytes(b"of another system")
    out = tmp_path / "out"
    words = ["--images", str(tmp_path), "--out", str(out), "--uncertainty"]
    assert predict.command(words) == 1
    text = capsys.readouterr()
    assert re.search(r"Failed: .*c\.png' cannot be read as an image", text.err)
    assert re.search(r"2 of 3 images segmented in .* images a second\)", text.out)
    assert "1 failed" in text.out
    assert "1 hidden file (._a.png)" in text.out
    with Image.open(out / "a_mask.png") as mask:
        assert mask.mode == "P"
        assert mask.size == (31, 20)
        assert np.asarray(mask).max() <= 2
        assert tuple(mask.getpalette()[3:6]) == COLORS[1]
    assert {p.name for p in out.iterdir()} == {MANIFEST} | {
        f"{stem}_{kind}" for stem in "ab" for kind in ("mask.png", "overlay.jpg", "uncertainty.png")
    }


def test_all_is_well(net, tmp_path, capsys):
    net()
    save(tmp_path / "a.png")
    words = ["--images", str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--no-overlay"]
    assert predict.command(words) == 0
    assert "1 of 1 images segmented" in capsys.readouterr().out
    assert {p.name for p in (tmp_path / "out").iterdir()} == {MANIFEST, "a_mask.png"}


@pytest.mark.parametrize("images_in_out", [True, False])
def test_the_users_masks_are_not_replaced(net, tmp_path, images_in_out):
    net()
    folder = tmp_path / "photos"
    for number in range(3):
        save(folder / f"p{number}.jpg")
        (folder / f"p{number}_mask.png").write_text("drawn by hand")
    out = folder if images_in_out else tmp_path / "out"
    if not images_in_out:
        out.mkdir()
        (folder / "p1_mask.png").rename(out / "p1_mask.png")
    words = ["--images", str(folder / "*.jpg"), "--out", str(out)]
    with pytest.raises(ValueError, match=r"p\d_mask\.png.* would be replaced, but jaxseg did not"):
        predict.command(words)
    assert (out / "p1_mask.png").read_text() == "drawn by hand"
    assert not list(tmp_path.rglob("*overlay*"))


def test_predictions_beside_the_images_are_not_predicted_in_turn(net, tmp_path, capsys):
    net()
    for number in range(3):
        save(tmp_path / f"p{number}.png")
    words = ["--images", str(tmp_path), "--out", str(tmp_path)]
    assert predict.command(words) == 0
    before = {path.name for path in tmp_path.iterdir()}
    assert predict.command(words) == 0
    assert {path.name for path in tmp_path.iterdir()} == before
    assert "passed over 6 results of jaxseg" in capsys.readouterr().out
    (tmp_path / "p1_mask.png").write_bytes((tmp_path / "p1.png").read_bytes())
    with pytest.raises(ValueError, match=r"p1_mask\.png would be replaced.*edited it since"):
        predict.command(["--images", str(tmp_path / "p?.png"), "--out", str(tmp_path)])


@pytest.mark.parametrize(
    ("values", "mode", "expected"),
    [
        ((), "P", (0, 1, 2)),
        ((0, 255), "L", (0, 255)),
        ((7, 0, 250), "P", (7, 0, 250)),
        ((0, 3000, 65535), "I;16", (0, 3000, 65535)),
        ((-1, 0, 1), "I", (-1, 0, 1)),
        ((0, 70_000), "I", (0, 70_000)),
        (COLORS, "RGB", COLORS),
    ],
)
def test_masks_have_the_users_own_values(values, mode, expected):
    count = len(expected)
    dataset_info = info(
        mask_values=values, class_names=tuple("abc"[:count]), palette=COLORS[:count]
    )
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4) % count
    mask = predict_files.mask_image(labels, dataset_info)
    assert mask.mode == mode
    np.testing.assert_array_equal(np.asarray(mask), np.array(expected)[labels])
    if mode == "P":
        palette = np.array(mask.getpalette()).reshape(-1, 3)
        np.testing.assert_array_equal(palette[list(expected)], COLORS)


def test_values_beyond_16_bits_come_as_tiff(net, tmp_path):
    net(mask_values=(0, 1, 100_000))
    save(tmp_path / "a.png")
    out = tmp_path / "out"
    assert predict.command(["--images", str(tmp_path / "a.png"), "--out", str(out)]) == 0
    assert set(np.unique(np.asarray(Image.open(out / "a_mask.tif")))) <= {0, 1, 100_000}


@pytest.mark.parametrize("strip_bytes", [1 << 25, 2000])
def test_probabilities_are_those_of_the_mask(net, tmp_path, monkeypatch, strip_bytes):
    monkeypatch.setattr(geometry, "_STRIP_BYTES", strip_bytes)
    net()
    label = save(tmp_path / "a.png", (50, 37))
    words = ["--images", str(tmp_path / "a.png"), "--out", str(tmp_path), "--probabilities"]
    assert predict.command(words) == 0
    probabilities = np.load(tmp_path / "a_probabilities.npy")
    assert (probabilities.shape, probabilities.dtype) == ((50, 37, 3), np.float32)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    mask = np.asarray(Image.open(tmp_path / "a_mask.png"))
    np.testing.assert_array_equal(probabilities.argmax(-1), mask)
    assert (mask == label).mean() > 0.7


def test_an_image_is_read_as_training_read_it(tmp_path):
    Image.fromarray(np.full((2, 3), 4000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png"):
        predict.read(tmp_path / "deep.png", info())
    Image.fromarray(np.full((2, 3), 40, np.uint8)).save(tmp_path / "gray.png")
    np.testing.assert_array_equal(predict.read(tmp_path / "gray.png", info()), 40)
    gray = info(mean=(0.5,), std=(0.5,))
    assert predict.read(tmp_path / "gray.png", gray).shape == (2, 3, 1)
    five = info(mean=(0.5,) * 5, std=(0.5,) * 5)
    with pytest.raises(ValueError, match=r"gray\.png' has \d channels.*, expected 5"):
        predict.read(tmp_path / "gray.png", five)


def test_a_folder_that_cannot_be_read_fails_alone(net, tmp_path, monkeypatch, capsys):
    net()
    for name in ("a.png", "b.png"):
        save(tmp_path / name)

    def read(path, dataset_info, read=predict.read):
        if path.name == "a.png":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, dataset_info)

    monkeypatch.setattr(predict, "read", read)
    assert predict.command(["--images", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert re.search(r"Failed: .*Permission denied.*a\.png", capsys.readouterr().err)
    assert (tmp_path / "out" / "b_mask.png").exists()


def test_a_full_disk_stops_with_what_is_done(net, tmp_path, monkeypatch):
    net()
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    written = predict.Outputs.write

    def write(self, name, content):
        if name == "b_mask.png":
            raise OSError(28, "No space left on device")
        written(self, name, content)

    monkeypatch.setattr(predict.Outputs, "write", write)
    out = tmp_path / "out"
    with pytest.raises(OSError, match="No space left"):
        predict.command(["--images", str(tmp_path), "--out", str(out)])
    assert {p.name for p in out.iterdir()} == {MANIFEST, "a_mask.png", "a_overlay.jpg"}


@pytest.mark.parametrize("opacity", [-0.1, 1.1])
def test_opacity_is_a_share(opacity):
    with pytest.raises(ValueError, match="must be from 0 to 1"):
        predict.Config(opacity=opacity)


def test_overlays_mix_the_classes_colors():
    image = np.full((3, 2, 3), 100, np.uint8)
    labels = np.array([[0, 1], [2, 2], [1, 0]], np.uint8)
    mixed = predict_files.overlay(image, labels, COLORS, 0.5)
    np.testing.assert_array_equal(mixed, (50 + np.array(COLORS)[labels] / 2).astype(np.uint8))
    np.testing.assert_array_equal(predict_files.overlay(image, labels, COLORS, 0), image)
