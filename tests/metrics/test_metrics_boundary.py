"""Boundary scores against loops over all pairs of border pixels."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxseg import metrics

CLASSES = 3
count = jax.jit(
    metrics.boundary_counts, static_argnums=2, static_argnames=("tolerance", "ignore_index")
)


def borders(classes_of, valid, c):
    """Positions of class c beside another class, one by one."""
    border = []
    for at in np.ndindex(classes_of.shape):
        for axis, way in itertools.product(range(classes_of.ndim), (-1, 1)):
            other = tuple(p + way * (a == axis) for a, p in enumerate(at))
            inside = all(0 <= p < n for p, n in zip(other, classes_of.shape, strict=True))
            if inside and valid[at] and valid[other] and classes_of[at] == c != classes_of[other]:
                border.append(at)
                break
    return border


def brute(labels, predictions, tolerance):
    counts = np.zeros((4, len(labels), CLASSES), int)
    for n, c in itertools.product(range(len(labels)), range(CLASSES)):
        valid = labels[n] != 255
        predicted, labeled = (borders(a[n], valid, c) for a in (predictions, labels))

        def near(some, others):
            return sum(any(math.dist(a, b) <= tolerance + 1e-9 for b in others) for a in some)

        counts[:, n, c] = (
            near(predicted, labeled),
            len(predicted),
            near(labeled, predicted),
            len(labeled),
        )
    return counts


@settings(max_examples=20)
@given(
    shape=st.sampled_from([(1, 6), (2, 5, 6), (1, 3, 4, 3)]),
    seed=st.integers(0, 10**6),
    tolerance=st.sampled_from([0, 1, math.sqrt(2), math.sqrt(3), 2.5]),
)
def test_counts_equal_brute_force(shape, seed, tolerance):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 1, 1, 2, 255], shape)
    predictions = rng.choice([1, 1, 1, 0, 2], shape)
    computed = count(jnp.asarray(labels), jnp.asarray(predictions), CLASSES, tolerance=tolerance)
    np.testing.assert_array_equal(np.stack(computed), brute(labels, predictions, tolerance))


def square(at, size=9):
    labels = np.zeros((1, size, size), np.int32)
    labels[0, at : at + 4, 2:6] = 1
    return jnp.asarray(labels)


def test_a_shifted_square_matches_within_its_shift():
    def score(tolerance):
        counts = count(square(2), square(4), 2, tolerance=tolerance)
        return float(metrics.boundary_f_score(counts)[0, 1])

    assert score(2) == 1
    default = metrics.boundary_counts(square(2), square(4), 2)
    np.testing.assert_array_equal(
        np.stack(default), np.stack(count(square(2), square(4), 2, tolerance=2))
    )
    assert score(1.99) < 1
    # They share two rows. In each of them, one square has a horizontal edge and the other its two
    # sides: 4 of the 12 border pixels coincide.
    assert score(0) == pytest.approx(4 / 12)
    assert score(0) < score(1) < 1


def test_scores_of_borders_that_are_missing():
    none, one = jnp.zeros((1, 9, 9), jnp.int32), square(2)
    for labels, predictions in ((none, one), (one, none)):
        np.testing.assert_array_equal(
            metrics.boundary_f_score(count(labels, predictions, 3))[0], [0, 0, np.nan]
        )
    np.testing.assert_array_equal(metrics.boundary_f_score(count(one, one, 2)), [[1, 1]])
    by_hand = metrics.BoundaryCounts(*(jnp.array([n]) for n in (1, 2, 3, 4)))
    np.testing.assert_allclose(metrics.boundary_f_score(by_hand), [0.6], rtol=1e-6)


def test_predictions_at_ignored_pixels_do_not_matter():
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 2, 255], (2, 7, 8))
    predictions = rng.integers(0, 3, labels.shape)
    other = np.where(labels == 255, rng.integers(0, 3, labels.shape), predictions)
    first, second = (count(jnp.asarray(labels), jnp.asarray(p), 3) for p in (predictions, other))
    np.testing.assert_array_equal(np.stack(first), np.stack(second))
    moved = jnp.asarray(np.where(labels == 255, -1, labels))
    third = count(moved, jnp.asarray(predictions), 3, ignore_index=-1)
    np.testing.assert_array_equal(np.stack(first), np.stack(third))
    void = count(jnp.full((1, 3, 3), 255), jnp.asarray(predictions[:1, :3, :3]), 3)
    assert not np.any(np.stack(void))


def test_refusals():
    labels = jnp.zeros((1, 3, 3), jnp.int32)
    with pytest.raises(ValueError, match=r"labels \(1, 3, 3\) and predictions \(3, 3\)"):
        metrics.boundary_counts(labels, labels[0], 2)
    with pytest.raises(ValueError, match="classes=0 must be at least 1"):
        metrics.boundary_counts(labels, labels, 0)
    with pytest.raises(ValueError, match="tolerance=-1 is a distance in pixels"):
        metrics.boundary_counts(labels, labels, 2, tolerance=-1)
