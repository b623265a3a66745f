"""Several labels a pixel: counts by hand and over streams, thresholds, and scikit-learn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxseg import metrics

CLASSES = 3
# Neighbors of drawn probabilities, which are tenths, and some of them.
THRESHOLDS = (0.0, 0.05, 0.1, 0.5, 0.95, 1.0)
count = jax.jit(metrics.multilabel_confusion_matrix, static_argnames=("thresholds", "ignore_index"))


def draw(shape=(4, 6, 7), seed=0, ignored=0.2):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (*shape, CLASSES))
    labels[rng.random(labels.shape) < ignored] = 255
    probabilities = rng.integers(0, 11, labels.shape).astype(np.float32) / np.float32(10)
    return jnp.asarray(labels, jnp.int32), jnp.asarray(probabilities)


def brute(labels, probabilities, threshold):
    counts = np.zeros((CLASSES, 2, 2), int)
    entries = np.ndindex(labels.shape)
    labels, p = np.asarray(labels), np.asarray(probabilities)
    for entry in entries:
        if labels[entry] != 255:
            counts[entry[-1], labels[entry], int(p[entry] >= np.float32(threshold))] += 1
    return counts


@settings(max_examples=20)
@given(
    shape=st.sampled_from([(), (1,), (3, 2), (2, 3, 4)]),
    seed=st.integers(0, 10**6),
    ignored=st.sampled_from([0.0, 0.3, 2.0]),
)
def test_counts_equal_brute_force_at_every_threshold(shape, seed, ignored):
    labels, probabilities = draw(shape, seed, ignored)
    counts = count(labels, probabilities, thresholds=THRESHOLDS)
    assert counts.dtype == jnp.int32
    assert counts.shape == (len(THRESHOLDS), CLASSES, 2, 2)
    for threshold, matrices in zip(THRESHOLDS, counts, strict=True):
        np.testing.assert_array_equal(matrices, brute(labels, probabilities, threshold))
    np.testing.assert_array_equal(
        metrics.multilabel_confusion_matrix(labels, probabilities),
        brute(labels, probabilities, 0.5),
    )


def test_what_is_ignored_is_not_counted():
    labels, probabilities = draw()
    off = labels == 255
    expected = count(labels, probabilities)
    spoiled = jnp.where(off, jnp.nan, probabilities)
    known = jnp.where(off, 7, labels)
    for other in (
        metrics.multilabel_confusion_matrix(labels, spoiled),
        metrics.multilabel_confusion_matrix(known, spoiled, mask=~off),
        metrics.multilabel_confusion_matrix(labels == 1, probabilities, mask=np.asarray(~off)),
        metrics.multilabel_confusion_matrix(labels, probabilities >= 0.5),
        metrics.multilabel_confusion_matrix(
            jnp.where(off, -1, labels), probabilities, ignore_index=-1
        ),
        metrics.multilabel_confusion_matrix(labels.astype(jnp.uint8), probabilities),
    ):
        np.testing.assert_array_equal(other, expected)
    pixels = np.random.default_rng(1).random(labels.shape[:-1]) < 0.5
    computed = count(labels, probabilities, mask=pixels)
    np.testing.assert_array_equal(computed, brute(labels[pixels], probabilities[pixels], 0.5))


@pytest.mark.parametrize("half", [jnp.float16, jnp.bfloat16])
def test_probabilities_of_16_bits_are_compared_in_float32(half):
    _, probabilities = draw()
    labels = jnp.ones(probabilities.shape, jnp.int32)
    narrow = probabilities.astype(half)
    computed = count(labels, narrow, thresholds=THRESHOLDS)
    for threshold, matrices in zip(THRESHOLDS, computed, strict=True):
        np.testing.assert_array_equal(
            matrices, brute(labels, narrow.astype(jnp.float32), threshold)
        )


def test_a_stream_is_one_batch():
    labels, probabilities = draw((5, 4, 6))
    together = count(labels, probabilities, thresholds=THRESHOLDS)
    confusion = metrics.Confusion.zeros(2, leading=together.shape[:-2])

    def step(confusion, pair):
        counts = metrics.multilabel_confusion_matrix(*pair, thresholds=THRESHOLDS)
        return confusion.add_counts(counts), None

    scanned, _ = jax.lax.scan(step, confusion, (labels, probabilities))
    assert scanned.counts().dtype == np.int64
    np.testing.assert_array_equal(scanned.counts(), together)
    each = jax.vmap(functools.partial(count, thresholds=THRESHOLDS))(labels, probabilities)
    np.testing.assert_array_equal(each.sum(0), together)
    # Exact beyond float32 and int32.
    large = metrics.Confusion(scanned.high + (1 << 12), scanned.low)
    more = large.add_counts(together).counts()
    np.testing.assert_array_equal(more, 2 * np.asarray(together, np.int64) + 2**32)


def test_ratios_of_a_class_by_hand():
    labels = jnp.array([[1, 0, 0]] * 3 + [[0, 0, 255]] * 5)
    predictions = jnp.array([[1, 1, 0]] * 2 + [[0, 0, 1]] + [[1, 0, 1]] * 1 + [[0, 0, 1]] * 4)
    counts = np.asarray(metrics.multilabel_confusion_matrix(labels, predictions == 1))
    np.testing.assert_array_equal(counts, [[[4, 1], [1, 2]], [[6, 2], [0, 0]], [[2, 1], [0, 0]]])
    for ratio, expected in (
        (metrics.intersection_over_union, [2 / 4, 0, 0]),
        (metrics.dice, [4 / 6, 0, 0]),
        (metrics.precision, [2 / 3, 0, 0]),
        (metrics.class_accuracy, [2 / 3, np.nan, np.nan]),
    ):
        np.testing.assert_allclose(ratio(counts)[..., 1], expected)
    np.testing.assert_allclose(metrics.pixel_accuracy(counts), [6 / 8, 6 / 8, 2 / 3])


def test_scikit_learn_agrees():
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, probabilities = draw((500,), ignored=0.0)
    y, p = np.asarray(labels), np.asarray(probabilities)
    counts = np.asarray(metrics.multilabel_confusion_matrix(labels, probabilities))
    np.testing.assert_array_equal(counts, sklearn.multilabel_confusion_matrix(y, p >= 0.5))
    for ours, theirs in (
        (metrics.intersection_over_union, sklearn.jaccard_score),
        (metrics.dice, sklearn.f1_score),
        (metrics.class_accuracy, sklearn.recall_score),
        (metrics.precision, sklearn.precision_score),
    ):
        np.testing.assert_allclose(ours(counts)[..., 1], theirs(y, p >= 0.5, average=None))
    # Every probability that was drawn is a threshold.
    thresholds = tuple(np.unique(p).tolist())
    sweep = np.asarray(count(labels, probabilities, thresholds=thresholds))
    expected = sklearn.average_precision_score(y, p, average=None)
    np.testing.assert_allclose(metrics.average_precision(sweep), expected, rtol=1e-12)
    computed = jax.jit(metrics.average_precision)(jnp.asarray(sweep))
    np.testing.assert_allclose(computed, expected, rtol=1e-5)


def test_average_precision_by_hand():
    labels = jnp.array([[1, 0, 1], [1, 0, 0], [0, 0, 1]])
    probabilities = jnp.array([[0.9, 0.3, 0.2], [0.6, 0.1, 0.8], [0.7, 0.0, 0.4]])
    thresholds = np.linspace(0, 1, 11)
    sweep = metrics.multilabel_confusion_matrix(labels, probabilities, thresholds=thresholds)
    # Ranked: right, wrong, right; none; wrong, right, right.
    expected = [(1 + 2 / 3) / 2, np.nan, (1 / 2 + 2 / 3) / 2]
    np.testing.assert_allclose(metrics.average_precision(sweep), expected, rtol=1e-6)
    pair = np.stack([np.asarray(sweep)] * 2)
    np.testing.assert_allclose(metrics.average_precision(pair), [expected] * 2)


@pytest.mark.parametrize("bad", [1.5, -0.5, np.nan, np.inf])
def test_probabilities_out_of_range(bad):
    labels, probabilities = draw(ignored=0.0)
    worse = probabilities.at[1, 2, 3, 1].set(bad)
    with pytest.raises(ValueError, match=r"at \(1, 2, 3, 1\) is not from 0 to 1: take the sigmoid"):
        metrics.multilabel_confusion_matrix(labels, worse)
    off = labels.at[1, 2, 3, 1].set(255)
    np.testing.assert_array_equal(count(labels, worse), count(off, probabilities))


def test_labels_out_of_range():
    labels, probabilities = draw(ignored=0.0)
    worse = labels.at[1, 2, 3, 1].set(2)
    with pytest.raises(ValueError, match=r"label 2 at \(1, 2, 3, 1\) is not 0, 1 or ignore_index"):
        metrics.multilabel_confusion_matrix(worse, probabilities)
    off = labels.at[1, 2, 3, 1].set(255)
    np.testing.assert_array_equal(count(worse, probabilities), count(off, probabilities))


@pytest.mark.parametrize("thresholds", [(), 1.5, -0.1, (0.5, 0.5), (0.6, 0.5), np.nan, [[0.5]]])
def test_thresholds_that_are_none(thresholds):
    with pytest.raises(ValueError, match="give one number from 0 to 1, or several increasing"):
        metrics.multilabel_confusion_matrix(*draw(), thresholds=thresholds)


def test_refusals():
    labels, probabilities = draw()
    with pytest.raises(ValueError, match=r"labels \(4, 6, 7\) and probabilities .* differ"):
        metrics.multilabel_confusion_matrix(labels[..., 0], probabilities)
    with pytest.raises(ValueError, match="labels are float32: give integers or booleans"):
        metrics.multilabel_confusion_matrix(probabilities, probabilities)
    with pytest.raises(ValueError, match="probabilities are int32: give floats, the sigmoid"):
        metrics.multilabel_confusion_matrix(labels, labels)
    with pytest.raises(ValueError, match=r"the mask is bool of shape \(4,\)"):
        metrics.multilabel_confusion_matrix(labels, probabilities, mask=np.ones(4, bool))
    counts = count(labels, probabilities)
    with pytest.raises(ValueError, match=r"Confusion.zeros\(2, leading=\(3,\)\)"):
        metrics.Confusion.zeros(2).add_counts(counts)
    with pytest.raises(ValueError, match=r"counts \(3, 2, 2\) must be .* several thresholds"):
        metrics.average_precision(counts)
