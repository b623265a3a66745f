"""Images and labels of any shape, brought to one size on one grid of pixels, and scores back."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxseg import ops
from jaxseg.data import geometry
from jaxseg.data.images.normalization import FULL_BRIGHTNESS

MEAN = (0.4, 0.5, 0.6)
STRIPES = np.zeros((8, 8, 3), np.uint8)
STRIPES[:, ::2] = 200  # taking every fourth pixel would make all black or all bright
SIZES = st.tuples(*[st.integers(1, 40)] * 2)


def draw(shape, dtype="uint8", seed=0):
    values = np.random.default_rng(seed).uniform(size=shape) * FULL_BRIGHTNESS[dtype]
    return values.astype(dtype)


def test_images_are_averaged_and_labels_are_not():
    label = np.repeat(np.array([[0, 10]], np.uint8), 4, axis=1).repeat(8, axis=0)
    small, nearest = geometry.fit(STRIPES, label, (2, 2), keep_aspect=False, mean=MEAN)
    np.testing.assert_allclose(small, 100, atol=16)
    np.testing.assert_array_equal(nearest, [[0, 10], [0, 10]])


@pytest.mark.parametrize(
    ("shape", "inside"), [((8, 4), np.s_[:, 2:6]), ((4, 8), np.s_[2:6, :]), ((8, 8), np.s_[:, :])]
)
def test_aspect_is_kept_and_what_is_beside_is_ignored(shape, inside):
    image, label = np.full((*shape, 3), 9, np.uint8), np.ones(shape, np.uint8)
    expected, labels = np.full((8, 8, 3), geometry.PADDING), np.full((8, 8), 255)
    expected[inside], labels[inside] = 9, 1
    fitted = geometry.fit(image, label, (8, 8), keep_aspect=True, mean=MEAN)
    np.testing.assert_array_equal(fitted[0], expected)
    np.testing.assert_array_equal(fitted[1], labels)
    stretched = geometry.fit(image, label, (8, 8), keep_aspect=False, mean=MEAN)
    assert (stretched[0] == 9).all()
    assert (stretched[1] == 1).all()


@given(SIZES, SIZES, st.booleans())
def test_every_shape_fits_every_size(shape, size, keep_aspect):
    image, label = np.full((*shape, 3), 7, np.uint8), np.ones(shape, np.uint8)
    pixels, label = geometry.fit(image, label, size, keep_aspect=keep_aspect, mean=MEAN)
    assert (pixels.shape, label.shape) == ((*size, 3), size)
    assert (label == 1).any()
    np.testing.assert_array_equal((pixels == 7).all(-1), label == 1)


@given(SIZES, SIZES)
def test_pixels_of_color_images_are_those_of_pillow(shape, size):
    image = draw((*shape, 3))
    pixels = geometry.fit_image(image, size, keep_aspect=False, mean=MEAN)
    resized = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(pixels, np.asarray(resized))


@given(SIZES, SIZES, st.sampled_from(["uint8", "uint16", "float32"]), st.integers(1, 6))
def test_every_dtype_and_number_of_channels_is_brought_alike(shape, size, dtype, channels):
    image = draw((*shape, channels), dtype)
    mean = np.linspace(0.2, 0.8, channels)
    pixels = geometry.fit_image(image, size, keep_aspect=True, mean=tuple(mean))
    assert (pixels.shape, pixels.dtype) == ((*size, channels), image.dtype)
    full = FULL_BRIGHTNESS[dtype]
    inside = geometry.placement(shape, size, keep_aspect=True).inside
    bytes_ = np.repeat((image[..., :1] / full * 255).round().astype(np.uint8), 3, axis=-1)
    reference = geometry.fit_image(bytes_, size, keep_aspect=True, mean=MEAN)[inside][..., 0]
    np.testing.assert_allclose(pixels[inside][..., 0] / full * 255, reference, atol=1.6)
    outside = np.ones(size, bool)
    outside[inside] = False
    if channels != 3 or dtype != "uint8":
        expected = np.broadcast_to(mean * full, (outside.sum(), channels))
        np.testing.assert_allclose(pixels[outside], expected, atol=0.5 if full > 1 else 1e-6)


def test_the_fourth_channel_is_no_opacity():
    image = np.full((6, 6, 4), 90, np.uint8)
    image[..., 3] = np.arange(36).reshape(6, 6)
    pixels = geometry.fit_image(image, (3, 3), keep_aspect=True, mean=(0.0,) * 4)
    assert (pixels[..., :3] == 90).all()


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.int64)])
def test_what_is_no_image_is_refused(image):
    with pytest.raises(ValueError, match=r"expected \(height, width, channels\) of uint8, uint16"):
        geometry.fit_image(image, (2, 2), keep_aspect=True, mean=MEAN)


@given(SIZES, SIZES, st.booleans())
def test_scores_come_back_to_the_image_as_resizing_brings_them(shape, size, keep_aspect):
    scores = draw((*size, 3), "float32")
    restored = geometry.restore(scores, shape, keep_aspect=keep_aspect)
    inside = geometry.placement(shape, size, keep_aspect=keep_aspect).inside
    expected = jax.device_get(ops.resize(scores[inside][None], shape))[0]
    np.testing.assert_allclose(restored, expected, atol=1e-5)


@settings(max_examples=40)
@given(st.tuples(*[st.integers(8, 300)] * 2), st.tuples(*[st.integers(16, 90)] * 2), st.booleans())
def test_nothing_is_shifted_on_the_way_there_and_back(shape, size, keep_aspect):
    """A ramp stays where it was, whatever the padding is rounded to."""
    ramps = np.stack(np.indices(shape), -1).astype(np.float32)
    fitted = geometry.fit_image(ramps, size, keep_aspect=keep_aspect, mean=(0.0, 0.0))
    restored = geometry.restore(fitted, shape, keep_aspect=keep_aspect)
    inner = geometry.placement(shape, size, keep_aspect=keep_aspect)
    for axis, (length, count) in enumerate(zip(shape, inner[2:], strict=True)):
        error = (restored - ramps)[..., axis]
        reach = 0.6 * max(1, length / count)  # an edge pixel is the mean of a triangle's half
        assert np.abs(error).max() <= reach
        # Both ends are drawn inwards alike; a shift would show in the mean.
        np.testing.assert_allclose(error.mean(), 0, atol=0.01)


def test_strips_of_rows_are_the_rows_of_the_whole(monkeypatch):
    scores = draw((12, 9, 4), "float32")
    whole = geometry.restore(scores, (50, 31), keep_aspect=True)
    monkeypatch.setattr(geometry, "_STRIP_BYTES", 3000)
    rows = list(geometry.strips((50, 31), 4))
    assert len(rows) == 9
    parts = [geometry.restore(scores, (50, 31), keep_aspect=True, rows=r) for r in rows]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
