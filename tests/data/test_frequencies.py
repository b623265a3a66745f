import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxseg import data


@given(
    seed=st.integers(0, 999),
    classes=st.integers(1, 5),
    images=st.integers(1, 4),
    ignored=st.floats(0, 0.9),
    where_present=st.booleans(),
)
def test_frequencies_agree_with_counting(seed, classes, images, ignored, where_present):
    rng = np.random.default_rng(seed)
    # Of each image, only some of the classes.
    labels = [rng.choice(classes, rng.integers(1, 3)) for _ in range(images)]
    labels = [rng.choice(some, (3, 4)).astype(np.uint8) for some in labels]
    labels = [np.where(rng.uniform(size=(3, 4)) < ignored, 255, label) for label in labels]
    labels[0][0, 0] = classes - 1  # a pixel at least
    expected = []
    for c in range(classes):
        related = [label for label in labels if (label == c).any() or not where_present]
        valid = sum(int((label != 255).sum()) for label in related)
        own = sum(int((label == c).sum()) for label in labels)
        expected.append(own / valid if own else 0.0)
    found = data.class_frequencies(iter(labels), classes, where_present=where_present)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float64
    if not where_present:
        np.testing.assert_allclose(found.sum(), 1, rtol=1e-12)


def test_frequencies_of_a_source_of_its_batches_and_of_its_labels(tiny):
    source = tiny.source("train")
    expected = data.class_frequencies([example["label"] for example in source], 3)
    for examples in (source, data.padded_batches(source, batch_size=5)):
        np.testing.assert_array_equal(data.class_frequencies(examples, 3), expected)


def test_bad_labels_are_named():
    with pytest.raises(ValueError, match=r"label has the values 3 .*expected 0\.\.2 or 255"):
        data.class_frequencies([np.array([[3]])], 3)
    for examples in ([], [np.full((2, 2), 255)]):
        with pytest.raises(ValueError, match="no pixel of the 3 classes"):
            data.class_frequencies(examples, 3)
    found = data.class_frequencies([np.array([0, -1, 1, 1])], 2, ignore_index=-1)
    np.testing.assert_allclose(found, [1 / 3, 2 / 3], rtol=1e-12)


def test_weights_by_hand():
    # The frequencies .1, .2 and .4 have the median .2; the absent class has no part in it.
    found = data.median_frequency_weights(np.array([0.1, 0.0, 0.4, 0.2]))
    np.testing.assert_allclose(found, [2, 0, 0.5, 1], rtol=1e-12)
    found = data.inverse_log_weights(np.array([0.0, 1.0]))
    np.testing.assert_allclose(found, [50.49835, 1.422278], rtol=1e-6)
    found = data.inverse_log_weights(np.array([0.0, 1.0]), offset=2.0)
    np.testing.assert_allclose(found, [1 / np.log(2), 1 / np.log(3)], rtol=1e-12)


@pytest.mark.parametrize("weights", [data.median_frequency_weights, data.inverse_log_weights])
def test_bad_frequencies_are_named(weights):
    for wrong in ([-0.1, 1.0], [2.0, 3.0], [np.nan, 1.0], [[0.5, 0.5]]):
        with pytest.raises(ValueError, match="are not shares"):
            weights(np.array(wrong))
    with pytest.raises(ValueError, match="are all 0"):
        weights(np.zeros(2))


@pytest.mark.parametrize("offset", [1.0, 0.5, float("nan"), float("inf")])
def test_a_bad_offset_is_named(offset):
    with pytest.raises(ValueError, match=f"offset={offset} is out of range"):
        data.inverse_log_weights(np.array([0.5, 0.5]), offset=offset)
