import numpy as np
import pytest

from jaxseg import data


def test_what_a_dataset_says(tiny):
    assert (tiny.name, tiny.classes, tiny.channels, tiny.size) == ("mosaic", 3, 1, (16, 16))
    assert tiny.class_names == ("brick", "grass", "gravel")
    assert np.asarray(tiny.palette).shape == (3, 3)
    assert hash(tiny) == hash(tiny)


@pytest.mark.parametrize("cache", [False, True])
def test_an_example(tiny, cache):
    source = tiny.source("train", cache=cache)
    example = source[0]
    assert sorted(example) == ["image", "label"]
    assert (example["image"].shape, example["image"].dtype) == ((16, 16, 1), np.float32)
    assert (example["label"].shape, example["label"].dtype) == ((16, 16), np.int32)
    assert len(source) == len(list(source)) == 12


def test_training_images_are_standardised(tiny):
    images = np.stack([example["image"] for example in tiny.source("train")])
    np.testing.assert_allclose(images.mean(), 0, atol=0.15)
    np.testing.assert_allclose(images.std(), 1, atol=0.15)


def test_the_cache_holds_the_same(tiny):
    for one, two in zip(tiny.source("test"), tiny.source("test", cache=True), strict=True):
        np.testing.assert_array_equal(one["image"], two["image"])
        np.testing.assert_array_equal(one["label"], two["label"])


def test_writing_into_an_example_does_not_change_the_source(tiny):
    source = tiny.source("test", cache=True)
    source[0]["label"][:] = 7
    source[0]["image"][:] = 7
    assert source[0]["label"].max() < 3
    assert source[0]["image"].max() < 7


@pytest.mark.parametrize("cache", [False, True])
def test_pixels_are_what_the_standardised_images_are_made_of(tiny, cache):
    source = tiny.source("train", cache=cache)
    assert isinstance(source.pixels, data.Pixels)
    assert len(source.pixels) == len(source) == len(list(source.pixels))
    for stored, example in zip(source.pixels[2:9:3], source[2:9:3], strict=True):
        assert (stored["image"].shape, stored["image"].dtype) == ((16, 16, 1), np.uint8)
        assert (stored["label"].shape, stored["label"].dtype) == ((16, 16), np.uint8)
        images = data.standardise(data.to_float(stored["image"]), tiny.mean, tiny.std)
        np.testing.assert_allclose(images, example["image"], rtol=0, atol=1e-6)
        assert images.dtype == np.float32
        np.testing.assert_array_equal(stored["label"], example["label"])
    source.pixels[0]["image"][:] = 7  # a copy
    assert (source.pixels[0]["image"] != 7).any()


def test_batches_of_pixels_are_of_8_bits(tiny):
    pixels = tiny.source("test").pixels
    for batch in (
        next(data.batches(pixels, batch_size=2)),
        next(data.padded_batches(pixels, batch_size=2)),
    ):
        assert {key: value.dtype for key, value in batch.items()} == {
            "image": np.uint8,
            "label": np.uint8,
        }


def test_standardise_takes_each_channel_by_its_own_numbers():
    images = np.stack([np.full((2, 3, 4), v, np.float32) for v in (0.5, 0.25)], axis=-1)
    found = data.standardise(images, (0.25, 0.5), (0.5, 0.125))
    np.testing.assert_array_equal(found[..., 0], 0.5)
    np.testing.assert_array_equal(found[..., 1], -2)


def test_pixels_of_a_wrong_type_or_number_are_named():
    with pytest.raises(ValueError, match="dtype float32, expected uint8"):
        data.to_float(np.zeros((1, 2, 2, 3), np.float32))
    with pytest.raises(ValueError, match="dtype uint8, expected floats"):
        data.standardise(np.zeros((1, 2, 2, 3), np.uint8), (0,) * 3, (1,) * 3)
    with pytest.raises(ValueError, match=r"mean has shape \(1,\), expected \(3,\)"):
        data.standardise(np.zeros((1, 2, 2, 3), np.float32), (0,), (1,) * 3)


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
