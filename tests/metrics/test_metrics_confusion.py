"""Confusion matrices counted by hand, and the ratios taken from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import metrics

CLASSES = 5


def draw(shape=(4, 6, 7)):
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 2, 4, 255], shape)
    return jnp.int32(labels), jnp.int32(rng.integers(0, CLASSES, shape))


def brute(labels, predictions):
    counts = np.zeros((CLASSES, CLASSES), int)
    for t, p in zip(np.ravel(labels), np.ravel(predictions), strict=True):
        if t != 255:
            counts[t, p] += 1
    return counts


def confusion(labels, predictions):
    return metrics.confusion_matrix(labels, predictions, CLASSES)


def test_counts_and_batches_add_up():
    labels, predictions = draw()
    computed = jax.jit(confusion)(labels, predictions)
    assert computed.dtype == jnp.int32
    np.testing.assert_array_equal(computed, brute(labels, predictions))
    each = jax.vmap(confusion)(labels, predictions)
    np.testing.assert_array_equal(each[2], brute(labels[2], predictions[2]))
    np.testing.assert_array_equal(each.sum(0), computed)


def test_ignored_pixels_count_nowhere():
    labels, predictions = draw()
    assert confusion(labels, predictions).sum() == (labels != 255).sum() < labels.size
    computed = metrics.confusion_matrix(labels, predictions, CLASSES, ignore_index=1)
    expected = brute(labels, predictions)
    expected[1] = 0
    np.testing.assert_array_equal(computed, expected)
    assert not confusion(jnp.full(3, 255), jnp.zeros(3, jnp.int32)).any()


def test_refusals():
    labels, predictions = draw()
    with pytest.raises(ValueError, match=r"labels \(4, 6, 7\) and predictions \(6, 7\) differ"):
        confusion(labels, predictions[0])
    with pytest.raises(ValueError, match="classes=0 must be at least 1"):
        metrics.confusion_matrix(labels, predictions, 0)


# Class 2 is neither labeled nor predicted.
HAND = np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]])


def test_ratios_by_hand():
    counts = jnp.array(HAND)
    assert float(metrics.pixel_accuracy(counts)) == pytest.approx(0.7)
    iou = metrics.intersection_over_union(counts)
    np.testing.assert_allclose(iou, [3 / 6, 4 / 7, np.nan], rtol=1e-6)
    assert float(metrics.mean_iou(counts)) == pytest.approx((3 / 6 + 4 / 7) / 2)
    # Predicted where it is not labeled, a class counts with an overlap of 0.
    wrong = jnp.array(HAND + np.array([[0, 0, 1], [0, 0, 0], [0, 0, 0]]))
    assert float(metrics.mean_iou(wrong)) == pytest.approx((3 / 7 + 4 / 7 + 0) / 3)


@pytest.mark.parametrize("measure", [metrics.pixel_accuracy, metrics.mean_iou])
def test_nothing_counted_is_nan_and_leading_axes_stay(measure):
    counts = jnp.array(np.stack([HAND, np.eye(3, dtype=int), 0 * HAND]))[:, None]
    computed = jax.jit(measure)(counts)
    assert computed.shape == (3, 1)
    assert float(computed[0, 0]) == pytest.approx(float(measure(jnp.array(HAND))))
    assert float(computed[1, 0]) == 1
    assert np.isnan(computed[2, 0])


def test_iou_keeps_leading_axes():
    counts = jnp.array(np.stack([HAND, HAND.T]))
    assert metrics.intersection_over_union(counts).shape == (2, 3)
    mapped = jax.vmap(metrics.mean_iou)(counts)
    np.testing.assert_allclose(mapped, metrics.mean_iou(counts))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
def test_labels_of_few_bits_do_not_overflow(dtype):
    labels = np.arange(40).astype(dtype)
    computed = metrics.confusion_matrix(jnp.array(labels), jnp.arange(40), 40, ignore_index=100)
    np.testing.assert_array_equal(computed, np.eye(40))
