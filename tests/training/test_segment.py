"""One image on the host by rows of windows: what whole batches give, in little memory."""

import itertools
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxseg.training import inference
from jaxseg.training.inference import (
    InferenceConfig,
    entropy,
    probabilities,
    probability_strips,
    segment,
    window_starts,
)


def pointwise(images):
    """Logits that see one pixel: windows then change nothing."""
    return jnp.concatenate([images, -images, 0 * images + 0.1], axis=-1)


def local(images):
    """Logits that see the neighbors too, and zeros beyond the window."""
    wide = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    across = 3 * wide[:, :-2, 1:-1] - wide[:, 2:, 1:-1] + images
    along = wide[:, 1:-1, :-2] + 2 * wide[:, 1:-1, 2:] - images
    return jnp.concatenate([across, along[..., :1]], axis=-1)


@jax.jit
def local_probabilities(images):
    return jax.nn.softmax(local(images))


def windowed(images):
    """Logits of the window's mean: each window says one thing, unlike the others."""
    mean = images.mean((1, 2), keepdims=True) + 0 * images
    return jnp.concatenate([mean, -mean], axis=-1)


def draw(height, width, channels=2, seed=0):
    return np.random.default_rng(seed).normal(size=(height, width, channels)).astype(np.float32)


def assemble(logits, image, config, classes, **options):
    """All strips in one array; every pixel must come exactly once."""
    result = np.full((*image.shape[:2], classes), np.nan, np.float32)
    for strip in probability_strips(logits, image, config, classes=classes, **options):
        assert np.isnan(result[strip.rows, strip.columns]).all()
        result[strip.rows, strip.columns] = strip.probabilities
    assert not np.isnan(result).any()
    return result


def mean_over_windows(image, config):
    """The definition: the mean, pixel by pixel, over the windows that cover it."""
    size, window = image.shape[:2], config.window_of(image.shape[:2])
    total, counts = np.zeros((*size, 3), np.float32), np.zeros((*size, 1), np.float32)
    for top in window_starts(size[0], window[0], config.overlap):
        for left in window_starts(size[1], window[1], config.overlap):
            part = (slice(top, top + window[0]), slice(left, left + window[1]))
            total[part] += local_probabilities(image[part][None])[0]
            counts[part] += 1
    return total / counts


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.sampled_from([1, 3, 8, 21, 40]), st.sampled_from([2, 5, 9, 33])),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.8]),
)
def test_strips_are_the_means_over_windows(size, overlap):
    image, config = draw(*size), InferenceConfig(window=(8, 5), overlap=overlap)
    expected = mean_over_windows(image, config)
    np.testing.assert_array_equal(assemble(local, image, config, 3), expected)
    labels = segment(local, image, config, classes=3)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, expected.argmax(-1))


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.7])
@pytest.mark.parametrize("size", [(5, 4), (13, 20)])
def test_strips_are_the_probabilities_of_a_batch(size, overlap):
    image, config = draw(*size), InferenceConfig(window=(6, 7), overlap=overlap)
    whole = probabilities(local, jnp.asarray(image[None]), config)[0]
    # A batch is not compiled here, and its sums are multiplied by 1 / 3 rather than divided by 3.
    np.testing.assert_allclose(assemble(local, image, config, 3), whole, atol=1e-6)
    np.testing.assert_array_equal(segment(local, image, config, classes=3), whole.argmax(-1))


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.sampled_from([3, 7, 30]), st.integers(6, 90)),
    overlap=st.sampled_from([0.0, 0.5, 0.7]),
    sums=st.sampled_from([1, 4 * 3 * 7 * 20]),
    strip=st.sampled_from([1, 700]),
)
def test_bands_and_strips_change_no_bit(size, overlap, sums, strip):
    image, config = draw(*size), InferenceConfig(window=(7, 6), overlap=overlap)
    expected = mean_over_windows(image, config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "_SUMS_BYTES", sums)
        patch.setattr(inference, "_STRIP_BYTES", strip)
        np.testing.assert_array_equal(assemble(local, image, config, 3), expected)
        np.testing.assert_array_equal(segment(local, image, config, classes=3), expected.argmax(-1))


@pytest.mark.parametrize(
    "config",
    [
        InferenceConfig(flip=True, window=(6, 5)),
        InferenceConfig(scales=(0.5, 1.0, 1.5), window=(6, 5)),
        InferenceConfig(scales=(0.75,), flip=True),
    ],
)
def test_scales_and_mirror_images_are_those_of_each_window(config):
    image = draw(13, 17)
    whole = probabilities(local, jnp.asarray(image[None]), config)[0]
    np.testing.assert_allclose(assemble(local, image, config, 3), whole, atol=1e-6)
    first = next(iter(probability_strips(local, image, config, classes=3)))
    alone = probabilities(local, jnp.asarray(image[None, :6, :5]), config)[0]
    if config.window:
        np.testing.assert_allclose(first.probabilities[:1, :1], alone[:1, :1], atol=1e-6)


def test_each_pixel_has_the_mean_over_the_windows_that_cover_it():
    image = np.float32([[1, 2, 3, 6, 0, 2]])[..., None]  # windows 0..3 and 2..5: means 3 and 2.75
    strips = assemble(windowed, image, InferenceConfig(window=(1, 4)), 2)
    first, second = (1 / (1 + np.exp(-2 * mean)) for mean in (3.0, 2.75))
    expected = [first, first, (first + second) / 2, (first + second) / 2, second, second]
    np.testing.assert_allclose(strips[0, :, 0], expected, rtol=1e-6)
    tall = assemble(windowed, image.transpose(1, 0, 2), InferenceConfig(window=(4, 1)), 2)
    np.testing.assert_array_equal(tall[:, 0], strips[0])


@pytest.mark.parametrize("size", [(3, 4), (3, 30), (30, 4), (8, 9)])
def test_nothing_is_padded_along_an_axis_shorter_than_the_window(size):
    shapes = []

    def logits(images):
        shapes.append(images.shape[1:3])
        return local(images)

    image = draw(*size)
    strips = assemble(logits, image, InferenceConfig(window=(8, 9)), 3)
    assert shapes == [(min(8, size[0]), min(9, size[1]))]
    if size in ((3, 4), (8, 9)):
        whole = jax.nn.softmax(jax.jit(local)(image[None]))[0]
        np.testing.assert_array_equal(strips, whole)


def test_images_beyond_the_limit_are_seen_by_default_windows_compiled_once():
    shapes = []

    def logits(images):
        shapes.append(images.shape[1:3])
        return pointwise(images)

    config = InferenceConfig(max_whole_pixels=200, default_window=(8, 9))
    for size in ((10, 20), (10, 21), (30, 40), (8, 200), (9, 25)):
        image = draw(*size, 2)
        labels = segment(logits, image, config, classes=6)
        np.testing.assert_array_equal(labels, pointwise(image[None])[0].argmax(-1))
    assert shapes == [(10, 20), (8, 9)]


@pytest.mark.parametrize(
    ("size", "classes", "window"),
    [
        ((1024, 2048), 32, (1024, 2048)),
        ((1024, 2049), 2, (512, 512)),
        ((1024, 2048), 33, (512, 512)),
        ((512, 512), 256, (512, 512)),
        ((512, 513), 256, (512, 512)),
        ((300, 513), 436, (300, 513)),
        ((300, 513), 437, (300, 512)),
    ],
)
def test_the_default_limit(size, classes, window):
    assert InferenceConfig().window_of(size, classes) == window


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 5])
def test_images_are_normalized_on_the_device(dtype, channels):
    full = 1 if dtype == np.float32 else np.iinfo(dtype).max
    image = (full * np.random.default_rng(1).uniform(size=(9, 14, channels))).astype(dtype)
    kinds = set()

    def normalize(images):
        assert isinstance(images, jax.Array)
        kinds.add(images.dtype)
        return images.astype(jnp.float32) / full - 0.5

    config = InferenceConfig(window=(4, 5), scales=(1.0, 2.0))
    got = assemble(pointwise, image, config, 2 * channels + channels, normalize=normalize)
    assert kinds == {np.dtype(dtype)}
    normal = jnp.asarray(image[None].astype(np.float32) / full - 0.5)
    np.testing.assert_allclose(got, probabilities(pointwise, normal, config)[0], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_resized_as_shares_of_full_brightness(dtype):
    values = np.array([0, np.iinfo(dtype).max], dtype).reshape(1, 2, 1)
    ranges = []

    def logits(images):
        ranges.append((str(images.dtype), images.shape[2]))
        return pointwise(images)

    segment(logits, values, InferenceConfig(scales=(2.0,)), classes=3)
    assert ranges == [("float32", 4)]
    strips = assemble(pointwise, values, InferenceConfig(scales=(2.0,)), 3)
    floats = np.float32([0, 1]).reshape(1, 2, 1)
    np.testing.assert_array_equal(
        strips, assemble(pointwise, floats, InferenceConfig(scales=(2.0,)), 3)
    )


def test_strips_know_their_entropy_and_are_handed_on():
    image, heights = draw(20, 6, 1), []
    config = InferenceConfig(window=(8, 6))
    uncertainty = np.zeros((20, 6), np.float32)

    def keep(strip):
        heights.append((strip.rows.start, strip.rows.stop))
        uncertainty[strip.rows, strip.columns] = strip.entropy()

    segment(pointwise, image, config, classes=3, on_strip=keep)
    assert heights[0][0] == 0
    assert heights[-1][1] == 20
    assert all(a[1] == b[0] for a, b in itertools.pairwise(heights))
    expected = entropy(probabilities(pointwise, jnp.asarray(image[None]), config)[0])
    np.testing.assert_allclose(uncertainty, expected, atol=1e-6)
    sure = inference.Strip(slice(0, 1), slice(0, 2), np.float32([[[1, 0], [0.5, 0.5]]]))
    np.testing.assert_allclose(sure.entropy(), [[0, 1]], atol=1e-7)
    assert sure.labels().tolist() == [[0, 0]]
    alone = inference.Strip(slice(0, 1), slice(0, 1), np.float32([[[1]]]))
    assert alone.entropy().tolist() == [[0]]


def test_only_one_row_of_windows_is_alive():
    image = np.zeros((1536, 1024, 1), np.uint8)  # 21 classes of it are 132 MB

    def logits(images):
        return jnp.broadcast_to(images.astype(jnp.float32), (*images.shape[:3], 21))

    config = InferenceConfig(window=(128, 256), overlap=0.0)
    segment(logits, image[:256, :512], config, classes=21)  # compiled and imported before
    tracemalloc.start()
    segment(logits, image, config, classes=21)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6  # the sums are 11 MB, the labels 1.5 and their argmax, int64, up to 1


def test_a_memory_mapped_image_is_read_in_place(tmp_path):
    image = draw(20, 30)
    np.save(tmp_path / "image.npy", image)
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    config = InferenceConfig(window=(8, 8))
    np.testing.assert_array_equal(
        segment(local, mapped, config, classes=3), segment(local, image, config, classes=3)
    )


def test_many_classes_have_labels_of_more_bits():
    image = np.zeros((2, 3, 1), np.float32)

    def logits(images):
        return jnp.broadcast_to(jnp.arange(300.0), (*images.shape[:3], 300))

    labels = segment(logits, image, InferenceConfig(), classes=300)
    np.testing.assert_array_equal(labels, np.full((2, 3), 299))


@pytest.mark.parametrize("shape", [(4, 4), (0, 4, 3), (4, 0, 3), (4, 4, 0), (1, 4, 4, 3)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(height, width, channels\)"):
        segment(pointwise, np.zeros(shape, np.float32), InferenceConfig(), classes=3)


def test_a_net_of_other_classes_is_refused():
    with pytest.raises(ValueError, match=r"gives \(1, 4, 4, 6\) .* expected \(1, 4, 4, 5\)"):
        segment(pointwise, draw(4, 4), InferenceConfig(), classes=4 + 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"default_window": (4, 0)}, r"default_window=\(4, 0\) must be"),
        ({"max_whole_pixels": -1}, "max_whole_pixels=-1 must be at least 0"),
    ],
)
def test_limits_out_of_range_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        InferenceConfig(**fields)
