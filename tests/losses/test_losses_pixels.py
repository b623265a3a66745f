"""Weights, smoothing, focal loss and hard pixels: closed forms, float64, PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_cases import CLASSES, WEIGHTS, draw

from jaxseg import losses


def log_softmax(logits):
    z = np.asarray(logits, np.float64)
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def picked(values, labels):
    labels = np.asarray(labels)
    return np.take_along_axis(values, np.where(labels == 255, 0, labels)[..., None], -1)[..., 0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_cross_entropy_equals_pytorch(smoothing, weights):
    torch = pytest.importorskip("torch")
    logits, labels = draw()
    z = torch.tensor(np.moveaxis(np.asarray(logits), -1, 1), requires_grad=True)
    y = torch.tensor(np.asarray(labels, np.int64))
    options = {
        "weight": None if weights is None else torch.tensor(weights),
        "ignore_index": 255,
        "label_smoothing": smoothing,
    }
    each = torch.nn.functional.cross_entropy(z, y, reduction="none", **options)
    ours = {"class_weights": weights, "label_smoothing": smoothing}
    computed = losses.cross_entropy(logits, labels, **ours)
    np.testing.assert_allclose(computed, each.detach().numpy(), rtol=1e-5, atol=1e-6)
    mean = torch.nn.functional.cross_entropy(z, y, **options)
    mean.backward()
    value, gradient = jax.value_and_grad(losses.mean_cross_entropy)(logits, labels, **ours)
    np.testing.assert_allclose(value, mean.item(), rtol=1e-5)
    np.testing.assert_allclose(gradient, np.moveaxis(z.grad.numpy(), 1, -1), atol=1e-6)


def test_smoothing_by_hand():
    # Uniform predictions cost log K whatever the smoothing.
    zeros, labels = jnp.zeros((2, CLASSES)), jnp.array([0, 255])
    computed = losses.cross_entropy(zeros, labels, label_smoothing=0.3)
    np.testing.assert_allclose(computed, [np.log(CLASSES), 0], rtol=1e-6)
    # Equal weights scale the map and leave the mean.
    logits, labels = draw()
    twos = np.full(CLASSES, 2)
    np.testing.assert_allclose(
        losses.cross_entropy(logits, labels, class_weights=twos),
        2 * losses.cross_entropy(logits, labels),
    )
    np.testing.assert_allclose(
        losses.mean_cross_entropy(logits, labels, class_weights=twos),
        losses.mean_cross_entropy(logits, labels),
        rtol=1e-6,
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_focal_loss_equals_float64(gamma):
    logits, labels = draw(scale=6.0)
    log_p = picked(log_softmax(logits), labels)
    rest = -np.expm1(log_p)
    expected = np.where(labels == 255, 0, -(rest**gamma) * log_p)
    computed = losses.focal_loss(logits, labels, gamma=gamma)
    np.testing.assert_allclose(computed, expected, rtol=2e-5, atol=1e-12)
    weighted = losses.focal_loss(logits, labels, gamma=gamma, class_weights=WEIGHTS)
    alpha = WEIGHTS[np.where(labels == 255, 0, labels)]
    np.testing.assert_allclose(weighted, alpha * expected, rtol=2e-5, atol=1e-12)


def test_focal_loss_keeps_its_digits_where_the_prediction_is_sure():
    # 1 - p is 3e-9 here: taken from p in float32, it is 0, and so is the logarithm of p.
    logits = jnp.array([20.0, 0, 0, 0])
    rest = 3 * np.exp(-20.0) / (1 + 3 * np.exp(-20.0))
    for gamma in (0.0, 0.5, 2.0):
        computed = float(losses.focal_loss(logits, jnp.array(0), gamma=gamma))
        assert computed == pytest.approx(rest**gamma * -np.log1p(-rest), rel=1e-4, abs=0)


def test_focal_loss_of_gamma_zero_is_cross_entropy_and_fades():
    logits, labels = draw()
    plain = losses.cross_entropy(logits, labels)
    np.testing.assert_allclose(
        losses.focal_loss(logits, labels, gamma=0), plain, rtol=1e-5, atol=1e-6
    )
    assert (losses.focal_loss(logits, labels) <= plain + 1e-6).all()
    # A single class is always predicted.
    one = jax.value_and_grad(lambda z: losses.focal_loss(z, jnp.array(0), gamma=0.5))
    assert tuple(np.ravel(v).tolist() for v in one(jnp.array([3.0]))) == ([0.0], [0.0])


def test_defaults():
    logits, labels = draw()
    np.testing.assert_array_equal(
        losses.focal_loss(logits, labels), losses.focal_loss(logits, labels, gamma=2.0)
    )
    # The second pixel's probability is below the threshold.
    odds = jnp.log(jnp.float32([0.71 / 0.29, 0.69 / 0.31]))
    two = jnp.stack([odds, jnp.zeros(2)], axis=-1)
    kept = losses.hard_labels(two, jnp.zeros(2, jnp.int32), least_kept=0)
    np.testing.assert_array_equal(kept, [255, 0])
    # All pixels are easy, and the easiest one is one too many.
    easy = jnp.zeros((100_001, 2)).at[:, 0].set(1.0).at[-2:, 0].set(jnp.array([2.0, 3.0]))
    kept = losses.hard_labels(easy, jnp.zeros(100_001, jnp.int32))
    np.testing.assert_array_equal(kept[-3:], [0, 0, 255])


def brute_hard(logits, labels, threshold, least_kept):
    p = np.exp(picked(log_softmax(logits), labels)).ravel()
    flat = np.asarray(labels).ravel()
    count = [i for i in range(flat.size) if flat[i] != 255]
    ranked = sorted(count, key=lambda i: p[i])
    keep = {i for i in count if p[i] < threshold} | set(ranked[:least_kept])
    return np.array([flat[i] if i in keep else 255 for i in range(flat.size)]).reshape(labels.shape)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.7, 1.0])
@pytest.mark.parametrize("least_kept", [0, 1, 20, 47, 60, 1000])
def test_hard_labels_equal_brute_force(threshold, least_kept):
    logits, labels = draw()
    options = {"threshold": threshold, "least_kept": least_kept}
    computed = jax.jit(lambda z, y: losses.hard_labels(z, y, **options))(logits, labels)
    np.testing.assert_array_equal(computed, brute_hard(logits, labels, threshold, least_kept))


def test_hard_labels_keep_ties_and_choose_over_the_batch():
    labels = jnp.zeros((2, 3), jnp.int32)
    kept = losses.hard_labels(jnp.zeros((2, 3, 2)), labels, threshold=0.5, least_kept=1)
    np.testing.assert_array_equal(kept, labels)
    logits = jnp.zeros((2, 3, 2)).at[0, :, 1].set(5.0).at[1, :, 0].set(5.0)
    kept = losses.hard_labels(logits, labels, threshold=0.5, least_kept=1)
    np.testing.assert_array_equal(kept, [[0] * 3, [255] * 3])
    each = jax.vmap(lambda z, y: losses.hard_labels(z, y, threshold=0.0, least_kept=1))
    np.testing.assert_array_equal(each(logits, labels), labels)


def test_hard_labels_of_narrow_types():
    logits, labels = draw()
    narrow = jnp.where(labels == 255, -1, labels).astype(jnp.int8)
    # 255 is beyond int8, so that the result has to be of a wider dtype.
    computed = losses.hard_labels(logits, narrow.at[0].set(1), least_kept=0)[0]
    assert computed.dtype == jnp.int32
    assert set(np.unique(computed)) == {1, 255}


def test_refusals():
    logits, labels = draw()
    with pytest.raises(ValueError, match=r"label_smoothing=1.5 .* from 0 to 1"):
        losses.cross_entropy(logits, labels, label_smoothing=1.5)
    with pytest.raises(ValueError, match=r"shape \(3,\): give one number for each of the 4 class"):
        losses.cross_entropy(logits, labels, class_weights=np.ones(3))
    with pytest.raises(ValueError, match="gamma=-1 is negative"):
        losses.focal_loss(logits, labels, gamma=-1)
    with pytest.raises(ValueError, match="threshold=2 is a probability"):
        losses.hard_labels(logits, labels, threshold=2)
    with pytest.raises(ValueError, match="least_kept=-1 is a number of pixels"):
        losses.hard_labels(logits, labels, least_kept=-1)
