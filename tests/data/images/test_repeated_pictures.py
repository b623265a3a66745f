"""The same picture in two splits is found whatever its name."""

import numpy as np

from jaxseg.data.images.repeated_pictures import RepeatedPictures, describe_repeated

A, B = np.zeros((4, 6, 3), np.uint8), np.ones((4, 6, 3), np.uint8)


def test_the_same_pixels_in_two_splits_are_named_with_both_files():
    pictures = RepeatedPictures()
    pictures.add(A, "train", "a.png")
    pictures.add(A, "train", "a again.png")  # in one split it does no harm
    pictures.add(B, "train", "b.png")
    pictures.add(A.reshape(6, 4, 3), "test", "c.png")
    pictures.add(A.astype(np.uint16), "test", "d.png")
    assert pictures.across_splits == []
    pictures.add(A[::-1], "test", "e.png")
    pictures.add(B, "validation", "f.png")
    assert pictures.across_splits == [("a.png", "e.png"), ("b.png", "f.png")]
    remark = describe_repeated(tuple(pictures.across_splits))
    assert "two splits" in remark
    assert "a.png and e.png; b.png and f.png;" in remark


def test_nothing_is_said_where_none_is():
    assert describe_repeated(()) == ""


def test_many_are_counted():
    assert "; and 3 more;" in describe_repeated((("a", "b"),) * 9)
