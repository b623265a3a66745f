"""Images of other channels and bits than 8-bit colors, from `inspect` to predicted masks."""

import json
import re

import jax
import numpy as np
import pytest
import tifffile
from PIL import Image

from jaxseg import data
from jaxseg.commands import data as command_data
from jaxseg.commands import evaluate, inspect, predict, train
from jaxseg.commands.data import DataConfig
from jaxseg.commands.model import ModelConfig, load_pretrained

SIZE = (24, 32)


@pytest.fixture(autouse=True)
def standard_promotion():
    """Optax's schedules mix integers and floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def write_scenes(root, channels, dtype, count=12):
    """Squares that are brighter in the last band alone."""
    rng = np.random.default_rng(0)
    for n in range(count):
        mask = np.zeros(SIZE, np.uint8)
        top, left = rng.integers(0, 12, 2)
        mask[top : top + 10, left : left + 14] = 1
        image = rng.normal(300, 10, (*SIZE, channels))
        image[..., -1] += 100 * mask
        for kind, array in (("images", image.astype(dtype)), ("masks", mask)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            path = root / kind / f"{n}.tif"
            options = {"photometric": "minisblack", "planarconfig": "contig"}
            tifffile.imwrite(path, array, **(options if array.ndim == 3 else {}))
    return root


@pytest.mark.parametrize(
    ("channels", "dtype"), [(5, "uint16"), pytest.param(2, "float32", marks=pytest.mark.slow)]
)
def test_bands_from_a_folder_to_predicted_masks(tmp_path, capsys, channels, dtype):
    root = write_scenes(tmp_path / "tiles", channels, dtype)
    given = ["--data.name", "folder", "--data.directory", str(root)]
    given += ["--data.data-dir", str(tmp_path / "prepared")]
    inspect.command([*given, "--out", str(tmp_path / "look")])
    assert f"{channels} channels of {dtype}" in capsys.readouterr().out
    run = tmp_path / "run"
    train.command(
        [
            *given,
            *("--out", str(run), "--steps", "60", "--model.widths", "8", "16"),
            *("--batch-size", "8", "--evaluate-every", "60", "--optimizer.learning-rate", "0.01"),
        ]
    )
    assert "augmentation.hue are left out" in capsys.readouterr().out
    info = json.loads((run / "dataset.json").read_text())
    assert (info["dtype"], len(info["mean"])) == (dtype, channels)
    evaluate.command(["--run", str(run), "--split", "test"])
    predict.command(["--run", str(run), "--images", str(root / "images" / "0.tif")])
    with Image.open(run / "predictions" / "0_mask.png") as mask:
        predicted = np.asarray(mask)
    truth = tifffile.imread(root / "masks" / "0.tif")
    assert (predicted == truth).mean() > 0.9
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / "photo.png")
    assert predict.command(["--run", str(run), "--images", str(tmp_path / "photo.png")]) == 1
    assert re.search(rf"photo\.png' .*uint8.* expected .*{dtype}", capsys.readouterr().err)


@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (5, "uint8"), (3, "float32")])
def test_pretrained_weights_refuse_other_channels(tmp_path, channels, dtype):
    info = data.DatasetInfo(
        "tiles", SIZE, ("a", "b"), ((0, 0, 0), (1, 1, 1)), (0.5,) * channels, (0.2,) * channels
    )
    info = data.DatasetInfo(**{**vars(info), "dtype": dtype})
    config = ModelConfig(name="fcn")
    with pytest.raises(ValueError, match=rf"images of tiles have {channels} channels of {dtype}"):
        load_pretrained(config, tmp_path / "weights.pth", info, None)


def test_the_orientation_of_masks_is_an_option_of_folders_alone(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    for n in range(4):
        for kind in ("images", "masks"):
            (tmp_path / "f" / kind).mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (8, 8), (n, 9, 9))
        image.save(tmp_path / "f" / "images" / f"{n}.jpg", exif=exif)
        mask = np.repeat(np.array([0, 1], np.uint8), 4)[:, None].repeat(8, 1)
        Image.fromarray(mask).save(tmp_path / "f" / "masks" / f"{n}.png")
    config = DataConfig("folder", tmp_path / "f", (8, 8), tmp_path / "p")
    with pytest.raises(ValueError, match=r"--data\.mask-orientation upright"):
        command_data.load(config)
    config = DataConfig("folder", tmp_path / "f", (8, 8), tmp_path / "p", "stored")
    label = command_data.load(config).source("train")[0]["label"]
    assert (label[0, 0], label[-1, 0]) == (1, 0)
    with pytest.raises(ValueError, match=r"no effect on mosaic.*--data\.mask-orientation"):
        command_data.load(DataConfig(mask_orientation="stored"))
