"""Values of masks become labels, or are refused by name."""

from pathlib import Path

import numpy as np
import pytest

from jaxseg.data.masks import mask_values


def test_packed_colors_become_labels():
    values = mask_values.pack_color(np.array([[[1, 2, 3], [0, 0, 9]]]))
    np.testing.assert_array_equal(values, [[0x010203, 9]])
    assert mask_values.distinct_values(values) == [9, 0x010203]
    label = mask_values.to_labels(values, {0x010203: 1, 9: 255}, Path("m.png"))
    np.testing.assert_array_equal(label, [[1, 255]])
    assert label.dtype == np.uint8
    with pytest.raises(
        ValueError, match=r"m\.png' has the values \(1, 2, 3\) in 1 p.*d \(0, 0, 9\)"
    ):
        mask_values.to_labels(values, {9: 0}, Path("m.png"), colored=True)


def test_numbers_become_labels():
    values = np.array([[7, 0], [255, 7]], np.uint8)
    assert mask_values.distinct_values(values) == [0, 7, 255]
    label = mask_values.to_labels(values, {0: 1, 7: 0, 255: 255, 9: 3}, Path("m.png"))
    np.testing.assert_array_equal(label, [[0, 1], [255, 0]])
    with pytest.raises(ValueError, match=r"m\.png' has the values 7, 255 in 3 pixels, expected 0"):
        mask_values.to_labels(values, {0: 0}, Path("m.png"))


def test_many_unknown_values_are_shortened():
    values = np.arange(30, dtype=np.uint8)[None]
    with pytest.raises(
        ValueError, match=r"values 0, 1, 2, .* 11, … in 30 pixels, expected 99: correct"
    ):
        mask_values.to_labels(values, {99: 0}, Path("m.png"))
