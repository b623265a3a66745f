"""Several labels a pixel: float64, PyTorch, the softmax of two classes, and the contract."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import CLASSES, WEIGHTS

from jaxseg import losses

OVERLAPS = {
    "tversky": (losses.sigmoid_tversky_loss, losses.tversky_loss),
    "dice": (losses.sigmoid_dice_loss, losses.dice_loss),
    "jaccard": (losses.sigmoid_jaccard_loss, losses.jaccard_loss),
}


def of_entries(loss, **options):
    def mean(logits, labels, mask=None, ignore_index=255):
        shared = {"mask": mask, "ignore_index": ignore_index}
        values = loss(logits, labels, **options, **shared)
        weights = options.get("class_weights")
        return losses.mean_over_valid(
            values, labels, class_weights=weights, multilabel=True, **shared
        )

    return mean


def of_regions(loss, *, present_only=True, **options):
    def mean(logits, labels, mask=None, ignore_index=255):
        shared = {"mask": mask, "ignore_index": ignore_index}
        values = loss(logits, labels, **options, **shared)
        return losses.mean_over_classes(
            values, labels, present_only=present_only, multilabel=True, **shared
        )

    return mean


LOSSES = {
    "cross_entropy": losses.mean_sigmoid_cross_entropy,
    "weighted": functools.partial(
        losses.mean_sigmoid_cross_entropy, class_weights=WEIGHTS, label_smoothing=0.1
    ),
    "focal": of_entries(losses.sigmoid_focal_loss),
    "focal_half": of_entries(
        losses.sigmoid_focal_loss, gamma=0.5, alpha=0.25, class_weights=WEIGHTS
    ),
    "tversky": of_regions(losses.sigmoid_tversky_loss),
    "dice": of_regions(losses.sigmoid_dice_loss, smoothing=0.0),
    "jaccard": of_regions(losses.sigmoid_jaccard_loss, present_only=False),
}


def value_and_grad(loss):
    def call(logits, labels, mask=None, ignore_index=255):
        return jax.value_and_grad(loss)(logits, labels, mask=mask, ignore_index=ignore_index)

    return jax.jit(call, static_argnames="ignore_index")


GRADIENTS = {name: value_and_grad(loss) for name, loss in LOSSES.items()}
every_loss = pytest.mark.parametrize("name", LOSSES)


def draw(shape=(3, 5, 4), seed=0, ignored=0.2):
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((*shape, CLASSES))
    labels = rng.integers(0, 2, (*shape, CLASSES))
    labels[rng.random(labels.shape) < ignored] = 255
    return jnp.asarray(logits, jnp.float32), jnp.asarray(labels, jnp.int32)


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_cross_entropy_equals_float64(smoothing, weights):
    logits, labels = draw()
    w = np.ones(CLASSES) if weights is None else weights.astype(np.float64)
    p, y, valid = sigmoid(logits), np.asarray(labels), np.asarray(labels != 255)
    y = (1 - smoothing) * y + smoothing / 2
    expected = np.where(valid, -w * (y * np.log(p) + (1 - y) * np.log(1 - p)), 0)
    options = {"class_weights": weights, "label_smoothing": smoothing}
    computed = losses.sigmoid_cross_entropy(logits, labels, **options)
    assert computed.shape == logits.shape
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6)
    mean = losses.mean_sigmoid_cross_entropy(logits, labels, **options)
    np.testing.assert_allclose(mean, expected.sum() / (w * valid).sum(), rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_focal_loss_equals_float64(gamma, alpha):
    logits, labels = draw()
    p, y, valid = sigmoid(logits), np.asarray(labels), np.asarray(labels != 255)
    positive, negative = (1, 1) if alpha is None else (alpha, 1 - alpha)
    terms = positive * y * (1 - p) ** gamma * np.log(p)
    terms = terms + negative * (1 - y) * p**gamma * np.log(1 - p)
    options = {"gamma": gamma, "alpha": alpha, "class_weights": WEIGHTS}
    computed = losses.sigmoid_focal_loss(logits, labels, **options)
    np.testing.assert_allclose(computed, np.where(valid, -WEIGHTS * terms, 0), rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_overlaps_equal_their_definitions(smoothing, soft):
    logits, labels = draw()
    mask = np.asarray(labels != 255)
    if soft:
        labels = jnp.asarray(np.random.default_rng(1).random(labels.shape), jnp.float32)
    p, g = (np.where(mask, a, 0) for a in (sigmoid(logits), np.asarray(labels, np.float64)))
    # For labels of 0 and 1 the minimum is the product.
    both, total = np.minimum(p, g).sum((1, 2)), (p + g).sum((1, 2))
    options = {"smoothing": smoothing, "mask": mask}
    dice = 1 - (2 * both + smoothing) / (total + smoothing)
    computed = losses.sigmoid_dice_loss(logits, labels, **options)
    np.testing.assert_allclose(computed, dice, rtol=1e-5)
    jaccard = 1 - (both + smoothing) / (total - both + smoothing)
    computed = losses.sigmoid_jaccard_loss(logits, labels, **options)
    np.testing.assert_allclose(computed, jaccard, rtol=1e-5)
    more, less = p.sum((1, 2)) - both, g.sum((1, 2)) - both
    tversky = 1 - (both + smoothing) / (both + 0.2 * more + 0.9 * less + smoothing)
    computed = losses.sigmoid_tversky_loss(logits, labels, alpha=0.2, beta=0.9, **options)
    np.testing.assert_allclose(computed, tversky, rtol=1e-5)


def test_one_class_is_the_softmax_of_two():
    logits, labels = draw()
    pairs = jnp.stack([jnp.zeros_like(logits), logits], -1)
    computed = losses.sigmoid_cross_entropy(logits, labels, label_smoothing=0.2)
    expected = losses.cross_entropy(pairs, labels, label_smoothing=0.2)
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6)
    computed, expected = losses.sigmoid_focal_loss(logits, labels), losses.focal_loss(pairs, labels)
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6)
    for loss, softmax_loss in OVERLAPS.values():
        expected = softmax_loss(pairs[..., 0, :], labels[..., 0])[:, 1:]
        computed = loss(logits[..., :1], labels[..., :1])
        np.testing.assert_allclose(computed, expected, rtol=1e-5)


def test_pytorch_and_optax_agree():
    torch = pytest.importorskip("torch")
    logits, labels = draw(ignored=0.0)
    soft = jnp.asarray(np.random.default_rng(1).random(labels.shape), jnp.float32)
    z = torch.tensor(np.asarray(logits), requires_grad=True)
    for y in (labels.astype(jnp.float32), soft):
        mean = torch.nn.functional.binary_cross_entropy_with_logits(z, torch.tensor(np.asarray(y)))
        (expected,) = torch.autograd.grad(mean, z)
        value, gradient = GRADIENTS["cross_entropy"](logits, y)
        np.testing.assert_allclose(value, mean.item(), rtol=1e-5)
        np.testing.assert_allclose(gradient, expected.numpy(), atol=1e-7)
    computed = losses.sigmoid_focal_loss(logits, labels, gamma=1.5, alpha=0.25)
    y = labels.astype(jnp.float32)
    expected = optax.losses.sigmoid_focal_loss(logits, y, alpha=0.25, gamma=1.5)
    np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-7)
    # Dice of segmentation libraries: over a batch that counts as one image.
    p, g = torch.sigmoid(z).flatten(0, -2), torch.tensor(np.asarray(y)).flatten(0, -2)
    expected = 1 - (2 * (p * g).sum(0) + 1) / (p.sum(0) + g.sum(0) + 1)
    computed = losses.sigmoid_dice_loss(logits[None], labels[None])[0]
    np.testing.assert_allclose(computed, expected.detach().numpy(), rtol=1e-5)


def test_the_loss_keeps_its_digits_where_the_prediction_is_sure():
    logits = jnp.array([30.0, -30.0])
    labels, rest = jnp.array([1, 0]), np.exp(-30.0)
    np.testing.assert_allclose(losses.sigmoid_cross_entropy(logits, labels), rest, rtol=1e-5)
    computed = losses.sigmoid_focal_loss(logits, labels, gamma=0.5)
    np.testing.assert_allclose(computed, rest**1.5, rtol=1e-5)


@every_loss
@settings(max_examples=12)
@given(
    # Few shapes: each is compiled for every dtype.
    shape=st.sampled_from([(1,), (2, 3, 4)]),
    seed=st.integers(0, 10**6),
    ignored=st.sampled_from([0.0, 0.5, 2.0]),
    fill=st.sampled_from([np.inf, -np.inf, np.nan, 1e30]),
)
def test_what_is_ignored_does_not_matter(name, shape, seed, ignored, fill):
    logits, labels = draw(shape, seed, ignored)
    off = labels == 255
    value, gradient = GRADIENTS[name](logits, labels)
    assert np.isfinite(value)
    assert not np.any(np.asarray(gradient)[np.asarray(off)])
    if ignored > 1:
        assert float(value) == 0
    spoiled = jnp.where(off, jnp.float32(fill), logits)
    as_floats = jnp.where(off, jnp.nan, labels.astype(jnp.float32))
    for other in (
        GRADIENTS[name](spoiled, labels),
        GRADIENTS[name](logits, jnp.where(off, -1, labels), ignore_index=-1),
        GRADIENTS[name](logits, jnp.where(off, 7, labels), ~off),
        GRADIENTS[name](spoiled, labels == 1, ~off),
        GRADIENTS[name](spoiled, labels.astype(jnp.uint8)),
    ):
        assert float(other[0]) == float(value)
        np.testing.assert_array_equal(other[1], gradient)
    soft = GRADIENTS[name](spoiled, as_floats, ~off)
    np.testing.assert_allclose(soft[0], value, rtol=1e-6)
    np.testing.assert_allclose(soft[1], gradient, rtol=1e-5, atol=1e-9)


@every_loss
def test_a_mask_of_pixels_counts_for_all_their_classes(name):
    logits, labels = draw()
    mask = np.random.default_rng(2).random(labels.shape[:-1]) < 0.5
    everywhere = np.broadcast_to(mask[..., None], labels.shape)
    expected = GRADIENTS[name](logits, labels, everywhere)
    computed = GRADIENTS[name](logits, labels, mask)
    assert float(computed[0]) == float(expected[0])
    np.testing.assert_array_equal(computed[1], expected[1])


@every_loss
def test_the_gradient_is_that_of_finite_differences(name, x64):
    logits, labels = draw((2, 3, 4))
    logits = logits.astype(jnp.float64)
    loss = jax.jit(LOSSES[name])
    assert loss(logits, labels).dtype == jnp.float64
    way = jnp.asarray(np.random.default_rng(1).standard_normal(logits.shape))
    step = 1e-6
    rise = loss(logits + step * way, labels) - loss(logits - step * way, labels)
    slope = jnp.sum(GRADIENTS[name](logits, labels)[1] * way)
    np.testing.assert_allclose(slope, rise / (2 * step), rtol=1e-6, atol=1e-9)


@every_loss
def test_values_and_gradients_are_finite(name):
    logits, labels = draw()
    for scale in (1e-30, 30.0, 90.0, 1e4):
        signs = jnp.where(logits > 0, scale, -scale).astype(jnp.float32)
        for half in (jnp.float32, jnp.bfloat16, jnp.float16):
            value, gradient = GRADIENTS[name](signs.astype(half), labels)
            assert value.dtype == jnp.float32
            assert gradient.dtype == half
            assert np.isfinite(value)
            assert np.isfinite(gradient.astype(jnp.float32)).all()


@every_loss
def test_an_infinite_logit_of_the_right_sign_has_no_loss(name):
    labels = jnp.array([[[1, 0, 1, 255], [0, 1, 1, 0]]])
    logits = jnp.where(labels == 1, jnp.inf, -jnp.inf)
    value, gradient = GRADIENTS[name](logits, labels)
    if name == "weighted":
        assert float(value) == np.inf  # smoothing asks for some probability of the other label
    else:
        assert float(value) == 0
        np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("bad", [2, -1, 254])
def test_labels_out_of_range(bad):
    logits, labels = draw()
    worse = labels.at[1, 2, 3, 1].set(bad)
    expected = np.zeros(labels.shape, bool)
    expected[1, 2, 3, 1] = True
    for loss in (losses.sigmoid_cross_entropy, losses.sigmoid_focal_loss):
        with pytest.raises(ValueError, match=rf"label {bad} at \(1, 2, 3, 1\) is not 0, 1 or igno"):
            loss(logits, worse)
        np.testing.assert_array_equal(np.isnan(jax.jit(loss)(logits, worse)), expected)
    for loss, _ in OVERLAPS.values():
        with pytest.raises(ValueError, match=rf"label {bad} at \(1, 2, 3, 1\)"):
            loss(logits, worse)
        computed = np.isnan(jax.jit(loss)(logits, worse))
        np.testing.assert_array_equal(computed, expected.any((1, 2)))
    for loss in GRADIENTS.values():
        assert np.isnan(loss(logits, worse)[0])


@pytest.mark.parametrize("bad", [1.5, -0.5, np.nan])
def test_probabilities_out_of_range(bad):
    logits, labels = draw(ignored=0.0)
    worse = labels.astype(jnp.float32).at[1, 2, 3, 1].set(bad)
    for loss in (losses.sigmoid_cross_entropy, losses.sigmoid_dice_loss):
        with pytest.raises(ValueError, match=r"at \(1, 2, 3, 1\) is not a probability from 0 to 1"):
            loss(logits, worse)
        assert np.isnan(jax.jit(loss)(logits, worse)).sum() == 1


def test_probabilities_rounded_beyond_their_range_are_clipped():
    logits = jnp.array([[1.0, -2.0]])
    rounded, exact = jnp.array([[1.002, -0.002]]), jnp.array([[1.0, 0.0]])
    for loss in (losses.sigmoid_cross_entropy, losses.sigmoid_dice_loss):
        np.testing.assert_array_equal(loss(logits, rounded), loss(logits, exact))


def test_means_by_hand():
    values = jnp.array([[1.0, 3.0], [0.0, 8.0]])
    labels = jnp.array([[0, 1], [255, 0]])
    mean = functools.partial(losses.mean_over_valid, values, labels, multilabel=True)
    assert float(mean()) == 4
    assert float(mean(class_weights=np.array([2.0, 0.5]))) == pytest.approx(12 / 3)
    assert float(mean(class_weights=np.array([4.0, 0.5]))) == pytest.approx(12 / 5)
    assert float(mean(mask=np.array([True, False]))) == pytest.approx(12 / 2)
    # The size of the space may be the number of classes.
    regions = jnp.array([[1.0, 2.0], [4.0, 8.0]])
    labels = jnp.array([[[0, 1], [0, 255]], [[1, 255], [0, 255]]])
    mean = functools.partial(losses.mean_over_classes, regions, labels, multilabel=True)
    assert float(mean()) == 3
    assert float(mean(present_only=False)) == pytest.approx((1 + 2 + 4) / 3)
    assert float(mean(mask=np.array([[True, True], [False, True]]))) == 2


def test_defaults():
    logits, labels = draw()
    for loss, defaults in (
        (losses.sigmoid_focal_loss, {"gamma": 2.0, "alpha": None}),
        (losses.sigmoid_tversky_loss, {"alpha": 0.3, "beta": 0.7, "smoothing": 1.0}),
        (losses.sigmoid_dice_loss, {"smoothing": 1.0}),
        (losses.sigmoid_jaccard_loss, {"smoothing": 1.0}),
    ):
        np.testing.assert_array_equal(loss(logits, labels), loss(logits, labels, **defaults))


def test_refusals():
    logits, labels = draw()
    for loss in (losses.sigmoid_cross_entropy, losses.sigmoid_dice_loss):
        with pytest.raises(ValueError, match=r"labels of the same shape, not \(3, 5, 4\)"):
            loss(logits, labels[..., 0])
        with pytest.raises(ValueError, match="labels are complex64: give integers, booleans, or"):
            loss(logits, labels.astype(jnp.complex64))
        with pytest.raises(ValueError, match=r"mask is bool of shape \(2,\)"):
            loss(logits, labels, mask=np.ones(2, bool))
        with pytest.raises(ValueError, match="logits are int32: give floats"):
            loss(labels, labels)
    with pytest.raises(ValueError, match=r"sigmoid_dice_loss: .*\(batch, \*space, classes\)"):
        losses.sigmoid_dice_loss(jnp.zeros(3), jnp.zeros(3, jnp.int32))
    with pytest.raises(ValueError, match="sigmoid_jaccard_loss: smoothing=-1 is negative"):
        losses.sigmoid_jaccard_loss(logits, labels, smoothing=-1)
    with pytest.raises(ValueError, match=r"sigmoid_focal_loss: gamma=-0\.5 is negative"):
        losses.sigmoid_focal_loss(logits, labels, gamma=-0.5)
    with pytest.raises(ValueError, match=r"alpha=1\.5 is a share: give a number from 0 to 1"):
        losses.sigmoid_focal_loss(logits, labels, alpha=1.5)
    with pytest.raises(ValueError, match=r"sigmoid_cross_entropy: label_smoothing=2 is the share"):
        losses.sigmoid_cross_entropy(logits, labels, label_smoothing=2)
    with pytest.raises(ValueError, match="give one number for each of the 4 classes"):
        losses.sigmoid_cross_entropy(logits, labels, class_weights=np.ones(3))
    with pytest.raises(ValueError, match="differ: give one of each a pixel"):
        losses.mean_over_valid(logits, labels[..., 0], multilabel=True)
    with pytest.raises(ValueError, match=r"labels \(batch, \*space, classes\) of the same batch"):
        losses.mean_over_classes(jnp.zeros((3, 5)), labels, multilabel=True)
