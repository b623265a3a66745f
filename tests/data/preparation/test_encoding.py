"""Images of every type and number of channels come back bit by bit from a prepared data set."""

import zlib

import numpy as np
import pytest

from jaxseg.data import DatasetInfo, Recipe, prepare
from jaxseg.data.preparation import encoding


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 32])
def test_an_image_comes_back_from_a_prepared_set(tmp_path, dtype, channels):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 2**16, (3, 5, 7, channels))
    images = (rng.normal(size=images.shape) if dtype == "float32" else images).astype(dtype)
    labels = rng.integers(0, 2, (3, 5, 7)).astype(np.uint8)
    info = DatasetInfo(
        name="x",
        size=(5, 7),
        class_names=("a", "b"),
        palette=((0, 0, 0), (1, 1, 1)),
        mean=(0.5,) * channels,
        std=(0.2,) * channels,
        dtype=dtype,
    )
    recipe = Recipe(
        info=info,
        splits={"train": 3},
        examples=lambda split: zip(images, labels, strict=True),
        inputs={},
    )
    source = prepare(recipe, data_dir=tmp_path).source("train")
    for example, image, label in zip(source, images, labels, strict=True):
        assert example["image"].dtype == dtype
        np.testing.assert_array_equal(example["image"], image)
        np.testing.assert_array_equal(example["label"], label)


def test_packed_images_are_smaller_than_their_numbers():
    image = np.random.default_rng(0).integers(0, 300, (64, 64, 5)).astype(np.uint16)
    packed = encoding.pack(image)
    assert len(packed) < 0.8 * image.nbytes
    np.testing.assert_array_equal(encoding.decode(packed), image)
    np.testing.assert_array_equal(
        encoding.decode(encoding.pack(image[::2, ::-1])), image[::2, ::-1]
    )


def test_images_are_compressed_in_little_time():
    image = np.random.default_rng(0).integers(0, 9, (64, 64, 3)).astype(np.uint8)
    encoded = encoding.encode(image)
    assert encoded == encoding.encode(image.copy())
    stream = encoded[encoded.index(b"IDAT") + 4 :]
    assert stream[:2] == zlib.compress(b"", level=1)[:2]  # the head of zlib names the level
    assert len(encoded) < 0.7 * image.nbytes
    np.testing.assert_array_equal(encoding.decode(encoded), image)
