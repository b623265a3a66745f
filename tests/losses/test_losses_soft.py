"""Soft labels and masks: equality with hard labels, float64, PyTorch, and the contract."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import CLASSES, WEIGHTS, draw

from jaxseg import losses


def of_pixels(loss, **options):
    def mean(logits, labels, mask=None):
        values = loss(logits, labels, mask=mask, **options)
        weights = options.get("class_weights")
        return losses.mean_over_valid(values, labels, class_weights=weights, mask=mask)

    return mean


def of_regions(loss, *, present_only=True, **options):
    def mean(logits, labels, mask=None):
        values = loss(logits, labels, mask=mask, **options)
        return losses.mean_over_classes(values, labels, present_only=present_only, mask=mask)

    return mean


LOSSES = {
    "cross_entropy": of_pixels(losses.cross_entropy),
    "weighted": of_pixels(losses.cross_entropy, class_weights=WEIGHTS, label_smoothing=0.1),
    "focal": of_pixels(losses.focal_loss),
    "focal_half": of_pixels(losses.focal_loss, gamma=0.5, class_weights=WEIGHTS),
    "tversky": of_regions(losses.tversky_loss),
    "dice": of_regions(losses.dice_loss, smoothing=0.0),
    "jaccard": of_regions(losses.jaccard_loss, present_only=False),
}
GRADIENTS = {name: jax.jit(jax.value_and_grad(loss)) for name, loss in LOSSES.items()}
every_loss = pytest.mark.parametrize("name", LOSSES)


def draw_soft(shape=(3, 5, 4), seed=0, ignored=0.2):
    """Logits, soft labels some of which are 0, and a mask; NaN labels where nothing counts."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((*shape, CLASSES))
    soft = rng.dirichlet(np.full(CLASSES, 0.5), shape) * (rng.random((*shape, CLASSES)) < 0.7)
    soft[..., 0] += soft.sum(-1) == 0
    soft /= soft.sum(-1, keepdims=True)
    mask = rng.random(shape) >= ignored
    soft[~mask] = np.nan
    return jnp.asarray(logits, jnp.float32), jnp.asarray(soft, jnp.float32), jnp.asarray(mask)


def softmax(logits):
    z = np.asarray(logits, np.float64)
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.optimized
@every_loss
@settings(max_examples=12)
@given(
    shape=st.sampled_from([(1,), (3, 2), (2, 3, 4)]),
    seed=st.integers(0, 10**6),
    ignored=st.sampled_from([0.0, 0.5, 2.0]),
)
def test_one_hot_labels_are_hard_labels(name, shape, seed, ignored):
    logits, labels = draw(shape, seed, ignored=ignored)
    value, gradient = GRADIENTS[name](logits, labels)
    soft = jax.nn.one_hot(labels, CLASSES)
    computed = GRADIENTS[name](logits, soft, labels != 255)
    np.testing.assert_allclose(computed[0], value, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(computed[1], gradient, rtol=1e-4, atol=1e-7)
    # A mask of hard labels does what the ignored label does, to the last bit.
    known = jnp.where(labels == 255, jnp.zeros_like(labels), labels)
    masked = GRADIENTS[name](logits, known, labels != 255)
    assert float(masked[0]) == float(value)
    np.testing.assert_array_equal(masked[1], gradient)


def test_one_hot_labels_give_the_same_overlaps_bit_for_bit():
    logits, labels = draw()
    soft, mask = jax.nn.one_hot(labels, CLASSES), labels != 255
    for loss in (losses.dice_loss, losses.jaccard_loss, losses.tversky_loss):
        np.testing.assert_array_equal(loss(logits, soft, mask=mask), loss(logits, labels))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_cross_entropy_equals_float64(smoothing, weights):
    logits, soft, mask = draw_soft()
    w = np.ones(CLASSES) if weights is None else weights.astype(np.float64)
    y, m = np.where(mask[..., None], np.asarray(soft, np.float64), 0), np.asarray(mask)
    smooth = (1 - smoothing) * y + smoothing / CLASSES
    expected = np.where(m, -(smooth * w * np.log(softmax(logits))).sum(-1), 0)
    options = {"class_weights": weights, "label_smoothing": smoothing, "mask": mask}
    computed = losses.cross_entropy(logits, soft, **options)
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6)
    mean = losses.mean_cross_entropy(logits, soft, **options)
    np.testing.assert_allclose(mean, expected.sum() / (y @ w).sum(), rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_equals_float64(gamma):
    logits, soft, mask = draw_soft()
    p, y = softmax(2 * logits), np.where(mask[..., None], np.asarray(soft, np.float64), 0)
    expected = -(y * WEIGHTS * (1 - p) ** gamma * np.log(p)).sum(-1)
    options = {"gamma": gamma, "class_weights": WEIGHTS, "mask": mask}
    computed = losses.focal_loss(2 * logits, soft, **options)
    np.testing.assert_allclose(computed, expected, rtol=2e-5, atol=1e-7)


def test_focal_loss_keeps_its_digits_where_the_prediction_is_sure():
    logits = jnp.array([20.0, 0, 0, 0])
    rest = 3 * np.exp(-20.0) / (1 + 3 * np.exp(-20.0))
    for gamma in (0.5, 2.0):
        computed = float(losses.focal_loss(logits, jnp.array([1.0, 0, 0, 0]), gamma=gamma))
        assert computed == pytest.approx(rest**gamma * -np.log1p(-rest), rel=1e-4, abs=0)


@pytest.mark.parametrize("smoothing", [0.0, 1.0, 30.0])
def test_overlaps_equal_their_definitions(smoothing):
    logits, soft, mask = draw_soft()
    m = np.asarray(mask)[..., None]
    p, g = np.where(m, softmax(logits), 0), np.where(m, np.asarray(soft, np.float64), 0)
    difference = np.abs(p - g).sum((1, 2))
    total, both = p.sum((1, 2)) + g.sum((1, 2)), np.minimum(p, g).sum((1, 2))
    s = {"smoothing": smoothing, "mask": mask}
    # The formulas of the papers: the intersection is (|p| + |g| - |p - g|) / 2.
    dice = 1 - (total - difference + smoothing) / (total + smoothing)
    np.testing.assert_allclose(losses.dice_loss(logits, soft, **s), dice, rtol=1e-5, atol=1e-7)
    union = (total + difference) / 2
    jaccard = 1 - ((total - difference) / 2 + smoothing) / (union + smoothing)
    np.testing.assert_allclose(losses.jaccard_loss(logits, soft, **s), jaccard, rtol=1e-5)
    more, less = np.maximum(p - g, 0).sum((1, 2)), np.maximum(g - p, 0).sum((1, 2))
    tversky = 1 - (both + smoothing) / (both + 0.2 * more + 0.9 * less + smoothing)
    computed = losses.tversky_loss(logits, soft, alpha=0.2, beta=0.9, **s)
    np.testing.assert_allclose(computed, tversky, rtol=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_cross_entropy_equals_pytorch_and_optax(weights):
    torch = pytest.importorskip("torch")
    logits, soft, _ = draw_soft(ignored=0.0)
    z, y = (torch.tensor(np.moveaxis(np.asarray(a), -1, 1)) for a in (logits, soft))
    weight = None if weights is None else torch.tensor(weights)
    each = torch.nn.functional.cross_entropy(
        z, y, weight=weight, label_smoothing=0.1, reduction="none"
    )
    options = {"class_weights": weights, "label_smoothing": 0.1}
    computed = losses.cross_entropy(logits, soft, **options)
    np.testing.assert_allclose(computed, each.numpy(), rtol=1e-5)
    if weights is None:
        mean = losses.mean_cross_entropy(logits, soft, **options)
        np.testing.assert_allclose(mean, each.mean().item(), rtol=1e-5)
        expected = optax.losses.softmax_cross_entropy(logits, soft)
        np.testing.assert_allclose(losses.cross_entropy(logits, soft), expected, rtol=1e-5)


@every_loss
def test_the_gradient_is_that_of_finite_differences(name, x64):
    logits, soft, mask = draw_soft((2, 3, 4))
    logits, soft = logits.astype(jnp.float64), soft.astype(jnp.float64)
    loss = jax.jit(LOSSES[name])
    assert loss(logits, soft, mask).dtype == jnp.float64
    way = jnp.asarray(np.random.default_rng(1).standard_normal(logits.shape))
    step = 1e-6
    rise = loss(logits + step * way, soft, mask) - loss(logits - step * way, soft, mask)
    slope = jnp.sum(GRADIENTS[name](logits, soft, mask)[1] * way)
    np.testing.assert_allclose(slope, rise / (2 * step), rtol=1e-6, atol=1e-9)


@every_loss
@pytest.mark.parametrize("fill", [np.inf, -np.inf, np.nan, 1e30])
def test_what_is_masked_does_not_matter(name, fill):
    logits, soft, mask = draw_soft()
    off = ~mask[..., None]
    value, gradient = GRADIENTS[name](logits, soft, mask)
    fill = jnp.float32(fill)
    spoiled = GRADIENTS[name](jnp.where(off, fill, logits), jnp.where(off, fill, soft), mask)
    assert np.isfinite(value)
    assert float(spoiled[0]) == float(value)
    np.testing.assert_array_equal(spoiled[1], gradient)
    assert not np.any(np.asarray(gradient)[~np.asarray(mask)])
    nothing = GRADIENTS[name](logits, jnp.full_like(soft, fill), jnp.zeros_like(mask))
    assert float(nothing[0]) == 0
    np.testing.assert_array_equal(nothing[1], 0)


@every_loss
def test_values_and_gradients_are_finite(name):
    logits, soft, mask = draw_soft()
    signs = jnp.where(logits > 0, 1e4, -1e4).astype(jnp.float32)
    for half in (jnp.float32, jnp.bfloat16, jnp.float16):
        value, gradient = GRADIENTS[name](signs.astype(half), soft.astype(half), mask)
        assert value.dtype == jnp.float32
        assert gradient.dtype == half
        assert np.isfinite(value)
        assert np.isfinite(gradient.astype(jnp.float32)).all()


# Not "weighted": its smoothing gives every class a probability.
@pytest.mark.parametrize("name", [name for name in LOSSES if name != "weighted"])
def test_a_class_of_probability_zero_may_be_impossible(name):
    logits = jnp.array([[[1.0, 0.5, -jnp.inf, -jnp.inf], [0.0, -jnp.inf, 2.0, -jnp.inf]]])
    soft = jnp.array([[[0.25, 0.75, 0, 0], [0.5, 0, 0.5, 0]]])
    value, gradient = GRADIENTS[name](logits, soft)
    expected = GRADIENTS[name](jnp.maximum(logits, -80.0), soft)
    np.testing.assert_allclose(value, expected[0], rtol=1e-6)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-5, atol=1e-9)


def test_the_best_prediction_is_the_labels():
    _, soft, _ = draw_soft(ignored=0.0)
    soft = jnp.clip(soft, 0.01, 1) / jnp.sum(jnp.clip(soft, 0.01, 1), -1, keepdims=True)
    right = jnp.log(soft)
    for loss in (losses.dice_loss, losses.jaccard_loss, losses.tversky_loss):
        np.testing.assert_allclose(loss(right, soft), 0, atol=1e-6)
        assert (loss(1.1 * right, soft) > 1e-4).all()
        assert (loss(0.9 * right, soft) > 1e-4).all()
    np.testing.assert_allclose(jax.grad(losses.mean_cross_entropy)(right, soft), 0, atol=1e-7)


def test_means_of_soft_labels_by_hand():
    values = jnp.array([1.0, 3.0, 0.0])
    soft = jnp.array([[0.5, 0.5], [0.0, 1.0], [jnp.nan, 2.0]])
    mask = np.array([True, True, False])
    assert float(losses.mean_over_valid(values, soft, mask=mask)) == 2
    weights = np.array([2.0, 4.0])
    mean = losses.mean_over_valid(values, soft, class_weights=weights, mask=mask)
    assert float(mean) == pytest.approx(4 / 7)
    regions = jnp.array([[0.25, 0.75, 1.0]])
    soft = jnp.array([[[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]])
    mean = functools.partial(losses.mean_over_classes, regions, soft)
    assert float(mean(mask=np.array([[True, False]]))) == 0.5
    assert float(mean()) == pytest.approx(2 / 3)
    assert float(mean(mask=np.array([[False, True]]), present_only=False)) == pytest.approx(2 / 3)
    assert float(mean(mask=np.array([[False, False]]), present_only=False)) == 0


BAD = {
    "above 1": [1.5, -0.5, 0.0, 0.0],
    "no sum of 1": [0.5, 0.25, 0.0, 0.0],
    "nothing": [0.0, 0.0, 0.0, 0.0],
    "logits": [2.0, -1.0, 0.5, 0.0],
    "nan": [np.nan, 1.0, 0.0, 0.0],
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_labels_that_are_no_probabilities(bad):
    logits, soft, mask = draw_soft()
    mask = mask.at[1, 2, 3].set(True)
    worse = soft.at[1, 2, 3].set(jnp.array(bad, jnp.float32))
    for loss in (losses.cross_entropy, losses.focal_loss, losses.dice_loss):
        with pytest.raises(ValueError, match=r"at \(1, 2, 3\) are not probabilities that sum to 1"):
            loss(logits, worse, mask=mask)
        # Under jit the label is not known: NaN, there alone.
        computed = np.asarray(jax.jit(loss)(logits, worse, mask=mask))
        expected = np.zeros(computed.shape, bool)
        expected[(1, 2, 3) if computed.shape == mask.shape else 1] = True
        np.testing.assert_array_equal(np.isnan(computed), expected)
    for loss in GRADIENTS.values():
        assert np.isnan(loss(logits, worse, mask)[0])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_rounded_probabilities_are_accepted(dtype):
    soft = jax.nn.softmax(jax.random.normal(jax.random.key(0), (100, 150))).astype(dtype)
    assert np.isfinite(losses.cross_entropy(jnp.zeros((100, 150)), soft)).all()


def test_sums_beside_one():
    soft = jnp.array([0.5, 0.25, 0.25, 0.0])
    for accepted in (0.998, 1.002):
        assert np.isfinite(losses.cross_entropy(jnp.zeros(4), accepted * soft))
    for refused in (0.99, 1.01):
        with pytest.raises(ValueError, match="divide them by their sum"):
            losses.cross_entropy(jnp.zeros(4), refused * soft)


def test_labels_rounded_beyond_their_range_are_clipped():
    logits = jnp.array([[1.0, -2.0, 0.5, 3.0]])
    rounded, exact = jnp.array([[1.002, -0.002, 0, 0]]), jnp.array([[1.0, 0, 0, 0]])
    for loss in (losses.cross_entropy, losses.focal_loss, losses.dice_loss):
        np.testing.assert_array_equal(loss(logits, rounded), loss(logits, exact))


@pytest.mark.optimized
def test_a_mask_adds_to_the_ignored_label():
    logits, labels = draw()
    mask = np.random.default_rng(1).random(labels.shape) < 0.6
    both = jnp.where(mask, labels, 255)
    for loss in GRADIENTS.values():
        computed, expected = loss(logits, labels, mask), loss(logits, both)
        assert float(computed[0]) == float(expected[0])
        np.testing.assert_array_equal(computed[1], expected[1])


def test_refusals():
    logits, soft, mask = draw_soft(ignored=0.0)
    labels = jnp.zeros(mask.shape, jnp.int32)
    with pytest.raises(
        ValueError, match=r"of the logits' shape \(3, 5, 4, 4\), not \(3, 5, 4, 3\)"
    ):
        losses.cross_entropy(logits, soft[..., :3])
    with pytest.raises(ValueError, match=r"mask is bool of shape \(5, 4\): give booleans of shape"):
        losses.dice_loss(logits, soft, mask=mask[0])
    with pytest.raises(ValueError, match=r"focal_loss: the mask is int32 of shape \(3, 5, 4\)"):
        losses.focal_loss(logits, labels, mask=labels)
    with pytest.raises(ValueError, match="mask is float32"):
        losses.mean_over_valid(logits[..., 0], labels, mask=soft[..., 0])
    for loss in (losses.lovasz_softmax, losses.boundary_loss, losses.hard_labels):
        with pytest.raises(ValueError, match="labels are float32: give integers"):
            loss(logits, soft)
    with pytest.raises(ValueError, match="of soft labels one a class"):
        losses.mean_over_valid(logits, soft)
    with pytest.raises(ValueError, match=r"labels \(batch, \*space, classes\) of the same batch"):
        losses.mean_over_classes(jnp.zeros((3, 2)), soft)
