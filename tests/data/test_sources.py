import dataclasses

import numpy as np
import pytest

from jaxseg import data


def test_what_a_dataset_says(tiny):
    info = tiny.info
    assert (info.name, info.classes, info.channels, info.size) == ("mosaic", 3, 1, (16, 16))
    assert info.class_names == ("brick", "grass", "gravel")
    assert np.asarray(info.palette).shape == (3, 3)
    assert hash(tiny) == hash(tiny)


@pytest.mark.parametrize("cache", [False, True])
def test_an_example(tiny, cache):
    source = tiny.source("train", cache=cache)
    example = source[0]
    assert sorted(example) == ["image", "label"]
    assert (example["image"].shape, example["image"].dtype) == ((16, 16, 1), np.uint8)
    assert (example["label"].shape, example["label"].dtype) == ((16, 16), np.uint8)
    assert len(source) == len(list(source)) == 12


def test_the_mean_and_deviation_are_those_of_the_images(tmp_path):
    """A cell of gain 1 and offset 0 has exactly these; hundreds of them come near."""
    dataset = data.mosaic(
        size=32, cells=1, gain=0.0, offset=0.0, train=256, validation=1, test=1, data_dir=tmp_path
    )
    images = np.stack([example["image"] for example in dataset.source("train")])
    normalized = np.asarray(dataset.info.normalize(images))
    np.testing.assert_allclose(normalized.mean(), 0, atol=0.02)
    np.testing.assert_allclose(normalized.std(), 1, atol=0.03)


def test_the_cache_holds_the_same(tiny):
    for one, two in zip(tiny.source("test"), tiny.source("test", cache=True), strict=True):
        np.testing.assert_array_equal(one["image"], two["image"])
        np.testing.assert_array_equal(one["label"], two["label"])


def test_writing_into_an_example_does_not_change_the_source(tiny):
    source = tiny.source("test", cache=True)
    source[0]["label"][:] = 7
    source[0]["image"][:] = 0
    assert source[0]["label"].max() < 3
    assert source[0]["image"].max() > 0


def test_batches_are_of_8_bits(tiny):
    source = tiny.source("test")
    for batch in (
        next(data.batches(source, batch_size=2)),
        next(data.padded_batches(source, batch_size=2)),
    ):
        assert {key: value.dtype for key, value in batch.items()} == {
            "image": np.uint8,
            "label": np.uint8,
        }


@pytest.mark.parametrize("cache", [False, True])
def test_indices_and_slices(tiny, cache):
    source = tiny.source("train", cache=cache)
    np.testing.assert_array_equal(source[-1]["image"], source[11]["image"])
    some = source[2:12:4]
    assert len(some) == 3
    np.testing.assert_array_equal(some[1]["image"], source[6]["image"])
    np.testing.assert_array_equal(some[1:][0]["label"], source[6]["label"])
    for index in (12, -13):
        with pytest.raises(IndexError):
            source[index]


def test_labels_beyond_the_classes_are_refused_when_they_are_read(tiny):
    info = dataclasses.replace(tiny.info, class_names=("brick",))
    source = dataclasses.replace(tiny, info=info).source("train")
    with pytest.raises(ValueError, match=r"label has the values .* expected 0\.\.0 or 255"):
        list(source)


def test_an_unknown_split_is_named(tiny):
    with pytest.raises(ValueError, match=r"split='val' .*\['train', 'validation', 'test'\]"):
        tiny.source("val")


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_valid_labels_pass(dtype):
    data.check_labels(np.array([[0, 1, 2], [255, 255, 0]], dtype), 3)
    data.check_labels(np.full((2, 2), 255, dtype), 3)
    data.check_labels(np.zeros((0, 2), dtype), 3)


@pytest.mark.parametrize(
    ("label", "values"), [([0, 3], "3"), ([-1, 0, 254], "-1, 254"), ([300], "300")]
)
def test_invalid_labels_are_named(label, values):
    with pytest.raises(ValueError, match=rf"values {values} in .*expected 0\.\.2 or 255"):
        data.check_labels(np.array(label), 3)


def test_another_ignore_index():
    data.check_labels(np.array([-1, 0]), 3, ignore_index=-1)
    with pytest.raises(ValueError, match="255"):
        data.check_labels(np.array([255, 0]), 3, ignore_index=-1)


def test_many_invalid_labels_are_shortened():
    with pytest.raises(ValueError, match="3, 4, 5, 6, 7, 8, 9, 10, … in 47 pixels"):
        data.check_labels(np.arange(50), 3)


def test_labels_of_floats_are_refused():
    with pytest.raises(ValueError, match="dtype float32, expected integers"):
        data.check_labels(np.zeros(3, np.float32), 3)


def test_a_data_set_without_files_gives_its_prepared_examples(tiny):
    originals = tiny.originals("test")
    assert len(originals) == len(originals[:3]) == 3
    for original, example in zip(originals, tiny.source("test"), strict=True):
        np.testing.assert_array_equal(original.image, example["image"])
        np.testing.assert_array_equal(original.label, example["label"])
        assert original.paths is None
    with pytest.raises(ValueError, match="split='all' is not in mosaic"):
        tiny.originals("all")
