"""Distances against every pair of pixels, and the boundary loss by hand and in float64."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import CLASSES, draw

from jaxseg import losses
from jaxseg.losses.distances import UNREACHABLE

squared_distance = jax.jit(losses.squared_distance)
signed_distance = jax.jit(losses.signed_distance, static_argnums=1, static_argnames="ignore_index")


def all_pairs(mask):
    """Squared distances of one image, over every pair of pixels."""
    inside = np.argwhere(mask)
    if not len(inside):
        return np.full(mask.shape, UNREACHABLE)
    away = np.indices(mask.shape)[..., None] - inside.T.reshape(mask.ndim, *[1] * mask.ndim, -1)
    return (away**2).sum(0).min(-1)


@settings(max_examples=40)
@given(
    shape=st.sampled_from([(1,), (9,), (1, 7), (5, 6), (8, 3), (3, 4, 5)]),
    seed=st.integers(0, 10**6),
    share=st.sampled_from([0.0, 0.02, 0.2, 0.9, 1.0]),
)
def test_squared_distances_equal_all_pairs(shape, seed, share):
    masks = np.random.default_rng(seed).random((2, *shape)) < share
    computed = squared_distance(jnp.asarray(masks))
    assert computed.dtype == jnp.int32
    np.testing.assert_array_equal(computed, np.stack([all_pairs(m) for m in masks]))


def test_squared_distances_of_long_axes_are_exact():
    # In float32 the largest, 20000², would be rounded.
    mask = jnp.zeros((1, 20001, 2), bool).at[0, 0, 0].set(True)
    computed = squared_distance(mask)[0]
    row = np.arange(20001)
    np.testing.assert_array_equal(computed, np.stack([row**2, row**2 + 1], 1))


def test_scipy_agrees_on_a_large_image():
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = np.random.default_rng(0).random((70, 90)) < 0.003
    expected = ndimage.distance_transform_edt(~mask)
    computed = np.sqrt(np.asarray(squared_distance(jnp.asarray(mask)[None])[0], float))
    np.testing.assert_allclose(computed, expected, rtol=1e-12)


def brute_signed(labels, classes):
    computed = np.zeros((*labels.shape, classes))
    for n, c in itertools.product(range(len(labels)), range(classes)):
        inside = labels[n] == c
        outside = ~inside & (labels[n] != 255)
        if inside.any() and outside.any():
            signed = np.sqrt(all_pairs(inside)) - np.sqrt(all_pairs(outside))
            computed[n, ..., c] = np.where(labels[n] == 255, 0, signed)
    return computed


def test_signed_distances():
    by_hand = signed_distance(jnp.array([[0, 0, 1, 1, 1, 255, 2]]), 4)[0]
    expected = [[-2, -1, 1, 2, 3, 0, 5], [2, 1, -1, -2, -2, 0, 2], [6, 5, 4, 3, 2, 0, -2], [0] * 7]
    np.testing.assert_array_equal(by_hand.T, expected)
    _, labels = draw((3, 8, 6))
    labels = labels.at[2].set(1)  # one class: no border
    computed = signed_distance(labels, CLASSES)
    np.testing.assert_allclose(computed, brute_signed(np.asarray(labels), CLASSES), rtol=1e-6)
    assert not computed[2].any()
    moved = signed_distance(jnp.where(labels == 255, -1, labels), CLASSES, ignore_index=-1)
    np.testing.assert_array_equal(moved, computed)


def test_boundary_loss_equals_float64():
    logits, labels = draw((3, 8, 6))
    z = np.asarray(logits, np.float64)
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    phi = brute_signed(np.asarray(labels), CLASSES)
    count = (np.asarray(labels) != 255).sum((1, 2))
    expected = (phi * p).sum((1, 2)) / count[:, None]
    computed = jax.jit(losses.boundary_loss)(logits, labels)
    np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-5)
    given = losses.boundary_loss(logits, labels, distances=signed_distance(labels, CLASSES))
    np.testing.assert_allclose(given, computed, rtol=1e-5)
    for n in range(3):
        alone = losses.boundary_loss(logits[n : n + 1], labels[n : n + 1])[0]
        np.testing.assert_allclose(alone, computed[n], rtol=1e-5)


def test_no_gradient_flows_through_the_distances():
    logits, labels = draw((1, 4, 3))

    def loss(distances):
        return jnp.sum(losses.boundary_loss(logits, labels, distances=distances))

    assert not np.any(jax.grad(loss)(signed_distance(labels, CLASSES)))


def test_boundary_loss_is_least_at_the_labels_and_grows_with_the_distance():
    guesses = list(itertools.product((0, 1), repeat=6))
    logits = 1e4 * jax.nn.one_hot(jnp.array(guesses), 2)
    labels = jnp.broadcast_to(jnp.array([[0, 0, 0, 1, 1, 1]]), (len(guesses), 6))
    computed = np.asarray(losses.boundary_loss(logits, labels)[:, 1])
    values = dict(zip(guesses, computed, strict=True))
    assert values[0, 0, 0, 1, 1, 1] == pytest.approx(-(1 + 2 + 3) / 6)
    assert min(values, key=lambda g: values[g]) == (0, 0, 0, 1, 1, 1)
    assert values[0, 0, 1, 1, 1, 1] < values[0, 1, 0, 1, 1, 1] < values[1, 0, 0, 1, 1, 1]


def test_refusals():
    with pytest.raises(ValueError, match="the mask is int32 of shape"):
        losses.squared_distance(jnp.zeros((2, 3), jnp.int32))
    with pytest.raises(ValueError, match="is no int32: cut the image into tiles"):
        jax.eval_shape(losses.squared_distance, jax.ShapeDtypeStruct((1, 40000, 2), bool))
    with pytest.raises(ValueError, match="classes=0 must be at least 1"):
        losses.signed_distance(jnp.zeros((1, 2), jnp.int32), 0)
    logits, labels = draw()
    with pytest.raises(ValueError, match=r"distances \(3, 5, 4, 3\) and logits \(3, 5, 4, 4\)"):
        losses.boundary_loss(logits, labels, distances=jnp.zeros((3, 5, 4, 3)))
