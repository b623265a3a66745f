"""A folder of a user's own at native resolution: nothing is resized."""

import numpy as np
import pytest
from PIL import Image

from jaxseg import data
from jaxseg.data.folders.default_size import default_crop
from jaxseg.data.folders.statistics import spread_pixels

SIZES = ((300, 520), (40, 30), (64, 270), (257, 256), (20, 20), (90, 31), (80, 80))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "tiles"
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    draw = np.random.default_rng(0)
    for number, size in enumerate(SIZES):
        image = draw.integers(40, 200, (*size, 3)).astype(np.uint8)
        mask = draw.choice(np.array([0, 1, 255], np.uint8), size, p=(0.6, 0.3, 0.1))
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    return folder


def opened(root, size=None, **options):
    return data.folder(root, size, crops=True, data_dir=root.parent / "prepared", **options)


def written(root, kind):
    return [np.asarray(Image.open(path)) for path in sorted((root / kind).iterdir())]


def test_pixels_and_labels_are_those_of_the_files(root):
    dataset = opened(root, (32, 48))
    assert dataset.info.crops
    assert dataset.info.size == (32, 48)
    assert dataset.splits == {"train": 5, "validation": 1, "test": 1}
    images = {image.tobytes(): image for image in written(root, "images")}
    masks = {mask.tobytes() for mask in written(root, "masks")}
    count = 0
    for split in dataset.splits:
        source = dataset.source(split)
        assert [example["label"].shape for example in source] == list(source.sizes)
        for example in source:
            assert example["image"].shape == images[example["image"].tobytes()].shape
            assert example["label"].tobytes() in masks
            count += 1
    assert count == len(SIZES)


def test_one_preparation_serves_crops_of_all_sizes(root):
    first, second = opened(root, (32, 48)), opened(root, (16, 16))
    assert first.directory == second.directory
    resized = data.folder(root, (256, 256), data_dir=root.parent / "prepared")
    assert resized.directory != first.directory
    assert not resized.info.crops
    assert not resized.sizes


def test_the_mean_and_deviation_are_those_of_the_stored_pixels(root):
    dataset = opened(root, (32, 48))
    pixels = [example["image"].reshape(-1, 3) for example in dataset.source("train")]
    pixels = np.concatenate(pixels) / 255
    np.testing.assert_allclose(dataset.info.mean, pixels.mean(0), rtol=1e-6)
    np.testing.assert_allclose(dataset.info.std, pixels.std(0), rtol=1e-6)


def test_of_a_large_image_an_even_grid_of_pixels_counts():
    image = np.arange(40 * 60).reshape(40, 60, 1)
    assert spread_pixels(image, most=2400).shape == (40, 60, 1)
    np.testing.assert_array_equal(spread_pixels(image, most=600), image[::2, ::2])
    np.testing.assert_array_equal(spread_pixels(image, most=599), image[::2, ::2])
    np.testing.assert_array_equal(spread_pixels(image, most=266), image[::3, ::3])


@pytest.mark.parametrize("cache", [False, True])
def test_batches_and_the_grid_of_a_folder(root, cache):
    dataset = opened(root, (32, 48))
    source = dataset.source("train", cache=cache)
    batch = next(data.batches(source, batch_size=3, crop=(32, 48), seed=1))
    assert batch["image"].shape == (3, 32, 48, 3)
    assert batch["label"].shape == (3, 32, 48)
    counted = data.class_frequencies(source.grid((32, 48)), 2)
    np.testing.assert_array_equal(counted, data.class_frequencies(source, 2))


def test_the_memory_of_the_decoded_examples(root, tiny):
    dataset = opened(root, (32, 48))
    for split in dataset.splits:
        arrays = [a for example in dataset.source(split) for a in example.values()]
        assert dataset.decoded_bytes(split) == sum(a.nbytes for a in arrays)
    assert tiny.decoded_bytes("test") == 3 * 16 * 16 * 2


def test_the_default_crop_is_the_median_of_each_side_but_at_most_256(root):
    assert default_crop([(100, 1000), (120, 2000), (140, 3000)]) == (120, 256)
    assert default_crop([(3, 5)]) == (8, 8)
    height, width = opened(root).info.size
    assert max(height, width) <= 256


def test_what_is_drawn_refuses_crops(tmp_path):
    with pytest.raises(ValueError, match=r"crops=True has no effect on the mosaic.*--data\.crops"):
        data.load("mosaic", crops=True, data_dir=tmp_path)


@pytest.mark.parametrize("size", [(0, 8), (8,), 8])
def test_a_crop_that_is_no_size_is_refused(root, size):
    with pytest.raises(ValueError, match=r"size=.* is not valid"):
        opened(root, size)


def test_stretching_what_is_not_resized_is_refused(root):
    with pytest.raises(ValueError, match=r"keep_aspect=False has no effect with crops=True"):
        opened(root, (8, 8), keep_aspect=False)
