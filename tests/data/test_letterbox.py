"""Images and labels of any shape, brought to one size on one grid of pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxseg.data import letterbox

MEAN = (0.5, 0.5, 0.5)
STRIPES = np.zeros((8, 8, 3), np.uint8)
STRIPES[:, ::2] = 200  # taking every fourth pixel would make all black or all bright


def test_images_are_averaged_and_labels_are_not():
    label = np.repeat(np.array([[0, 10]], np.uint8), 4, axis=1).repeat(8, axis=0)
    small, nearest = letterbox.fit(STRIPES, label, (2, 2), keep_aspect=False, mean=MEAN)
    np.testing.assert_allclose(small, 100, atol=16)
    np.testing.assert_array_equal(nearest, [[0, 10], [0, 10]])


@pytest.mark.parametrize(
    ("shape", "inside"), [((8, 4), np.s_[:, 2:6]), ((4, 8), np.s_[2:6, :]), ((8, 8), np.s_[:, :])]
)
def test_aspect_is_kept_and_what_is_beside_is_ignored(shape, inside):
    image, label = np.full((*shape, 3), 9, np.uint8), np.ones(shape, np.uint8)
    expected, labels = np.full((8, 8, 3), letterbox.PADDING), np.full((8, 8), 255)
    expected[inside], labels[inside] = 9, 1
    found = letterbox.fit(image, label, (8, 8), keep_aspect=True, mean=MEAN)
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1], labels)
    stretched = letterbox.fit(image, label, (8, 8), keep_aspect=False, mean=MEAN)
    assert (stretched[0] == 9).all()
    assert (stretched[1] == 1).all()


@given(st.tuples(*[st.integers(1, 40)] * 2), st.tuples(*[st.integers(1, 40)] * 2), st.booleans())
def test_every_shape_fits_every_size(shape, size, keep_aspect):
    image = np.full((*shape, 3), 7, np.uint8)
    label = np.ones(shape, np.uint8)
    pixels, label = letterbox.fit(image, label, size, keep_aspect=keep_aspect, mean=MEAN)
    assert (pixels.shape, label.shape) == ((*size, 3), size)
    assert (label == 1).any()
    np.testing.assert_array_equal((pixels == 7).all(-1), label == 1)
