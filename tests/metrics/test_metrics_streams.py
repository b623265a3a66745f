"""Exact counts of long streams, every ratio by hand, and the table."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import PartitionSpec as P

from jaxseg import metrics

CLASSES = 3
RATIOS = [
    metrics.pixel_accuracy,
    metrics.class_accuracy,
    metrics.precision,
    metrics.intersection_over_union,
    metrics.dice,
    metrics.mean_class_accuracy,
    metrics.mean_precision,
    metrics.mean_iou,
    metrics.mean_dice,
    metrics.frequency_weighted_iou,
]


def draw(shape, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 2, 255], shape)
    return jnp.asarray(labels, jnp.int32), jnp.asarray(rng.integers(0, CLASSES, shape), jnp.int32)


def test_a_stream_is_one_batch():
    labels, predictions = draw((5, 4, 6))
    together = metrics.confusion_matrix(labels, predictions, CLASSES)
    add = jax.jit(metrics.Confusion.add)
    confusion = metrics.Confusion.zeros(CLASSES)
    for pair in zip(labels, predictions, strict=True):
        confusion = add(confusion, *pair)
    np.testing.assert_array_equal(confusion.counts(), together)
    assert confusion.counts().dtype == np.int64

    def step(carry, pair):
        return carry.add(*pair), None

    scanned, _ = jax.lax.scan(step, metrics.Confusion.zeros(CLASSES), (labels, predictions))
    np.testing.assert_array_equal(scanned.counts(), together)
    other = metrics.Confusion.zeros(CLASSES).add(labels, predictions, ignore_index=0)
    assert not other.counts()[0].any()


def test_one_pixel_more_than_float32_and_int32_can_count():
    one = metrics.Confusion.zeros(2).add(jnp.array([0]), jnp.array([0]))
    for start in (1 << 24, 2**31 - 1, 2**31, 2**40, 2**50):
        high, low = start >> 20, start & ((1 << 20) - 1)
        confusion = metrics.Confusion(one.high * 0 + high, one.low * 0 + low)
        computed = jax.jit(metrics.Confusion.add)(confusion, jnp.array([0]), jnp.array([0]))
        np.testing.assert_array_equal(computed.counts(), [[start + 1, start], [start, start]])
        np.testing.assert_allclose(computed.to_float32(), np.full((2, 2), start), rtol=1e-6)


@settings(max_examples=60)
@given(
    counts=st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=6), parts=st.integers(1, 2048)
)
def test_sums_of_sums_are_exact(counts, parts):
    confusion = metrics.Confusion.zeros(1)
    for count in counts:
        confusion = confusion.add_counts(jnp.full((1, 1), count, jnp.int32))
    assert confusion.counts().tolist() == [[sum(counts)]]
    assert 0 <= int(confusion.low[0, 0]) < 1 << 20
    # The result of psum over as many parts, and one batch more.
    total = jax.tree.map(lambda part: part * parts, confusion)
    assert total.counts().tolist() == [[parts * sum(counts)]]
    more = total.add_counts(jnp.full((1, 1), counts[0], jnp.int32))
    assert more.counts().tolist() == [[parts * sum(counts) + counts[0]]]


def test_two_devices_sum_their_counts():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    labels, predictions = draw((4, 5, 6))

    @jax.jit
    @functools.partial(jax.shard_map, mesh=mesh, in_specs=(P("data"), P("data")), out_specs=P())
    def count(labels, predictions):
        own = metrics.Confusion.zeros(CLASSES).add(labels, predictions)
        return jax.lax.psum(own, "data")

    computed = count(labels, predictions).counts()
    np.testing.assert_array_equal(computed, metrics.confusion_matrix(labels, predictions, CLASSES))


# Class 2 is neither labeled nor predicted; class 3 is only predicted.
HAND = np.array([[3, 1, 0, 0], [2, 4, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
NAN = np.nan
EXPECTED = {
    "pixel_accuracy": 7 / 11,
    "class_accuracy": [3 / 4, 4 / 7, NAN, NAN],
    "precision": [3 / 5, 4 / 5, NAN, 0],
    "intersection_over_union": [3 / 6, 4 / 8, NAN, 0],
    "dice": [6 / 9, 8 / 12, NAN, 0],
    "mean_class_accuracy": (3 / 4 + 4 / 7) / 2,
    "mean_precision": (3 / 5 + 4 / 5) / 3,
    "mean_iou": 1 / 3,
    "mean_dice": (6 / 9 + 8 / 12) / 3,
    "frequency_weighted_iou": (4 * 3 / 6 + 7 * 4 / 8) / 11,
}


@pytest.mark.parametrize("ratio", RATIOS, ids=lambda f: f.__name__)
def test_ratios_by_hand(ratio):
    expected = EXPECTED[ratio.__name__]
    np.testing.assert_allclose(ratio(HAND), expected, rtol=1e-15)
    np.testing.assert_allclose(jax.jit(ratio)(jnp.array(HAND)), expected, rtol=1e-6)
    # NumPy is divided in float64, beyond int32 and its sums too.
    np.testing.assert_allclose(ratio(HAND.astype(np.int64) * 2**40), expected, rtol=1e-15)
    large = jnp.array(HAND * 2**28, jnp.int32)
    np.testing.assert_allclose(ratio(large), expected, rtol=1e-6)
    many = np.stack([HAND, HAND.T, 0 * HAND])
    computed = jax.vmap(ratio)(jnp.array(many))
    np.testing.assert_allclose(computed, ratio(many), rtol=1e-6)
    assert np.isnan(computed[2]).all()
    with pytest.raises(ValueError, match=r"shape \(..., classes, classes\), not \(2, 3\)"):
        ratio(np.ones((2, 3)))


def test_scikit_learn_agrees():
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, predictions = draw((500,))
    counts = np.asarray(metrics.confusion_matrix(labels, predictions, CLASSES))
    keep = np.asarray(labels) != 255
    y, guess = np.asarray(labels)[keep], np.asarray(predictions)[keep]
    np.testing.assert_array_equal(counts, sklearn.confusion_matrix(y, guess))
    for ours, theirs in (
        (metrics.intersection_over_union, sklearn.jaccard_score),
        (metrics.dice, sklearn.f1_score),
        (metrics.class_accuracy, sklearn.recall_score),
        (metrics.precision, sklearn.precision_score),
    ):
        np.testing.assert_allclose(ours(counts), theirs(y, guess, average=None))


def test_the_table():
    names = ("sky", "a|b", "car", "cow")
    assert metrics.per_class_table(HAND, names) == (
        "| class | labeled pixels | accuracy | IoU | Dice | precision |\n"
        "|---|---:|---:|---:|---:|---:|\n"
        "| sky | 4 | 0.750 | 0.500 | 0.667 | 0.600 |\n"
        "| a\\|b | 7 | 0.571 | 0.500 | 0.667 | 0.800 |\n"
        "| car | 0 | - | - | - | - |\n"
        "| cow | 0 | - | 0.000 | 0.000 | 0.000 |\n"
        "| mean of classes | 11 | 0.661 | 0.333 | 0.444 | 0.467 |\n"
        "| all pixels | 11 | 0.636 | 0.500 | - | - |\n"
        "\n"
        "Pixel accuracy 0.636, mean IoU 0.333, over 3 of 4 classes.\n"
    )
    rows = metrics.per_class_rows(jnp.array(HAND), names)
    assert tuple(rows[0]) == metrics.COLUMNS
    assert rows[1]["accuracy"] == 4 / 7
    assert rows[-2]["iou"] == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match=r"2 names for a confusion matrix of shape \(4, 4\)"):
        metrics.per_class_table(HAND, ("sky", "car"))


def test_refusals():
    with pytest.raises(ValueError, match="classes=0 must be at least 1"):
        metrics.Confusion.zeros(0)
