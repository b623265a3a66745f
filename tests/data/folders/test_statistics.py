"""The statistics of a folder are those of its training images."""

import numpy as np
import pytest
from PIL import Image

from jaxseg import data


def write_pair(folder, brightness, noise=0):
    draw = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    image = brightness + draw.integers(-noise, noise + 1, (16, 16, 3))
    Image.fromarray(image.astype(np.uint8)).save(folder / "images" / "a.png")
    Image.fromarray(np.eye(16, dtype=np.uint8)).save(folder / "masks" / "a.png")
    return image / 255


def test_only_training_images_count(tmp_path):
    image = write_pair(tmp_path / "f" / "train", 100, noise=50)
    write_pair(tmp_path / "f" / "val", 250)
    info = data.folder(tmp_path / "f", (16, 16), data_dir=tmp_path / "p").info
    np.testing.assert_allclose(info.mean, image.mean((0, 1)), rtol=1e-6)
    np.testing.assert_allclose(info.std, image.std((0, 1)), rtol=1e-6)


def test_images_of_one_color_can_be_normalized(tmp_path):
    for split in ("train", "val"):
        write_pair(tmp_path / "f" / split, 51)
    dataset = data.folder(tmp_path / "f", (16, 16), data_dir=tmp_path / "p")
    assert dataset.info.std == pytest.approx((1 / 255,) * 3)
    images = dataset.info.normalize(dataset.source("train")[0]["image"])
    np.testing.assert_allclose(images, 0, atol=1e-4)
