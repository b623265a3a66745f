"""Means and sums over heads: by hand, in float64, and in 16 bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_cases import CLASSES, WEIGHTS, draw

from jaxseg import losses

HALVES = (jnp.float16, jnp.bfloat16)


def test_mean_over_valid_by_hand():
    values = jnp.array([1.0, 3.0, 0.0, 8.0])
    labels = jnp.array([0, 1, 255, 3])
    assert float(losses.mean_over_valid(values, labels)) == 4
    weights = np.array([1.0, 2.0, 50.0, 0.5])
    weighted = losses.mean_over_valid(values, labels, class_weights=weights)
    assert float(weighted) == pytest.approx(12 / 3.5)
    assert float(losses.mean_over_valid(values, labels, ignore_index=3)) == pytest.approx(12 / 3)
    assert float(losses.mean_over_valid(0 * values, jnp.full(4, 255))) == 0


def test_auxiliary_heads_add_up():
    loss = losses.mean_cross_entropy
    (logits, labels), (more, _), (third, _) = draw(), draw(seed=1), draw(seed=2)
    main, one, two = (float(loss(z, labels)) for z in (logits, more, third))
    computed = losses.with_auxiliary(loss, weight=0.4)((logits, more, third), labels)
    assert float(computed) == pytest.approx(main + 0.4 * (one + two), rel=1e-6)
    computed = losses.with_auxiliary(loss, weight=(0.4, 0.1))([logits, more, third], labels)
    assert float(computed) == pytest.approx(main + 0.4 * one + 0.1 * two, rel=1e-6)
    assert float(losses.with_auxiliary(loss)((logits,), labels)) == pytest.approx(main)
    gradient = jax.grad(losses.with_auxiliary(loss, weight=0.4))((logits, more), labels)[1]
    np.testing.assert_allclose(gradient, 0.4 * jax.grad(loss)(more, labels), rtol=1e-5, atol=1e-9)


def test_mean_over_classes_by_hand():
    values = jnp.array([[1.0, 2, 3], [4, 5, 6], [0, 0, 0]])
    labels = jnp.array([[0, 2, 255], [1, 1, 1], [255] * 3])
    assert float(losses.mean_over_classes(values, labels)) == pytest.approx((1 + 3 + 5) / 3)
    every = losses.mean_over_classes(values, labels, present_only=False)
    assert float(every) == pytest.approx(21 / 6)
    assert float(losses.mean_over_classes(values, jnp.full((3, 3), 255))) == 0


def test_labels_that_weigh_nothing_have_a_mean_of_zero():
    logits, labels = draw()
    only = jnp.where(labels == 255, 255, 1)
    weights = np.array([1, 0, 1, 1], np.float32)
    assert float(losses.mean_cross_entropy(logits, only, class_weights=weights)) == 0
    smooth = {"class_weights": weights, "label_smoothing": 0.1}
    assert float(losses.mean_cross_entropy(logits, only, **smooth)) == 0


def test_an_unknown_label_that_weighs_nothing_is_nan():
    # Jitted: XLA makes a selection of a product with zeros and ones, which would drop NaN.
    mean = jax.jit(losses.mean_cross_entropy)
    weights = np.array([1, 1, 1, 0], np.float32)
    assert np.isnan(mean(jnp.zeros((2, 4)), jnp.array([255, 77]), class_weights=weights))


@pytest.mark.parametrize("half", HALVES)
def test_means_over_many_pixels_are_those_of_float64(half):
    labels = jnp.zeros((300, 300), jnp.int32)
    value, gradient = jax.value_and_grad(losses.mean_over_valid)(
        jnp.full((300, 300), 0.5, half), labels
    )
    assert value.dtype == jnp.float32
    assert float(value) == 0.5
    assert gradient.dtype == half
    np.testing.assert_array_equal(gradient, np.asarray(1 / 90_000, half))
    rng = np.random.default_rng(0)
    drawn = jnp.asarray(rng.uniform(0, 2, (300, 300)), half)
    labels = jnp.asarray(rng.choice([0, 1, 2, 3, 255], (300, 300)), jnp.int32)
    drawn = jnp.where(labels == 255, jnp.zeros_like(drawn), drawn)
    exact, y = np.asarray(drawn, np.float64), np.asarray(labels)
    mean = losses.mean_over_valid(drawn, labels)
    np.testing.assert_allclose(mean, exact.sum() / (y != 255).sum(), rtol=1e-6)
    weight_of_pixel = np.append(WEIGHTS, np.zeros(252))[y].astype(np.float64)
    for weights in (WEIGHTS, jnp.asarray(WEIGHTS, half)):
        mean, gradient = jax.value_and_grad(losses.mean_over_valid)(
            drawn, labels, class_weights=weights
        )
        np.testing.assert_allclose(mean, exact.sum() / weight_of_pixel.sum(), rtol=1e-6)
        np.testing.assert_array_equal(gradient, np.asarray(1 / weight_of_pixel.sum(), half))


@pytest.mark.parametrize("half", HALVES)
def test_means_over_soft_and_several_labels_are_those_of_float64(half):
    weights = np.array([0.5, 2.0])
    soft = jnp.broadcast_to(jnp.array([0.25, 0.75], half), (300, 300, 2))
    values = jnp.full((300, 300), 0.5, half)
    mean = losses.mean_over_valid(values, soft)
    assert (mean.dtype, float(mean)) == (jnp.float32, 0.5)
    mean = losses.mean_over_valid(values, soft, class_weights=weights)
    assert float(mean) == pytest.approx(0.5 / 1.625, rel=1e-6)
    values, labels = jnp.full((300, 300, 2), 0.5, half), jnp.ones((300, 300, 2), jnp.uint8)
    mean = losses.mean_over_valid(values, labels, multilabel=True)
    assert (mean.dtype, float(mean)) == (jnp.float32, 0.5)
    mean = losses.mean_over_valid(values, labels, class_weights=weights, multilabel=True)
    assert float(mean) == pytest.approx(0.5 / 1.25, rel=1e-6)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("present_only", [True, False])
def test_means_over_many_images_are_those_of_float64(half, present_only):
    labels = jnp.tile(jnp.array([[0], [1]]), (35_000, 1))
    values = jnp.tile(jnp.array([[0.5, 1.5], [0.25, 1.0]], half), (35_000, 1))
    mean = lambda values: losses.mean_over_classes(values, labels, present_only=present_only)  # noqa: E731
    value, gradient = jax.value_and_grad(mean)(values)
    assert value.dtype == jnp.float32
    assert float(value) == pytest.approx(0.75 if present_only else 3.25 / 4, rel=1e-6)
    share = np.array([[1, 0], [0, 1]]) / 70_000 if present_only else np.ones((2, 2)) / 140_000
    np.testing.assert_array_equal(gradient[:2], np.asarray(share, half))


@pytest.mark.parametrize("half", HALVES)
def test_weights_of_16_bits_are_those_of_float32(half):
    logits, labels = draw((2, 40, 30))
    narrow = jnp.asarray(WEIGHTS, half)
    for loss in (losses.mean_cross_entropy, losses.focal_loss):
        np.testing.assert_array_equal(
            loss(logits.astype(half), labels, class_weights=narrow),
            loss(logits.astype(half), labels, class_weights=WEIGHTS),
        )


def test_auxiliary_heads_weigh_half_unless_told_otherwise():
    logits, labels = draw()
    total = losses.with_auxiliary(losses.mean_cross_entropy)((logits, logits), labels)
    alone = losses.mean_cross_entropy(logits, labels)
    assert float(total) == pytest.approx(1.5 * float(alone), rel=1e-6)


def test_refusals():
    logits, labels = draw()
    with pytest.raises(ValueError, match="differ: give one of each a pixel"):
        losses.mean_over_valid(logits[..., 0], labels[0])
    with pytest.raises(ValueError, match=r"losses \(2, 4\) do not fit labels \(3, 5, 4\)"):
        losses.mean_over_classes(jnp.zeros((2, CLASSES)), labels)
    both = losses.with_auxiliary(losses.mean_cross_entropy, weight=(0.1, 0.2))
    with pytest.raises(ValueError, match="2 weights for 1 auxiliary heads"):
        both((logits, logits), labels)
    with pytest.raises(ValueError, match="give a tuple of the logits"):
        both(logits, labels)
