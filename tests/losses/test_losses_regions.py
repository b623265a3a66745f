"""Tversky, Dice, Jaccard and Lovász: by hand, in float64, over all subsets, and over batches."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_cases import CLASSES, REGIONS, draw

from jaxseg import losses
from jaxseg.losses.lovasz import _jaccard_steps

# Jitted, since operation by operation every new shape takes seconds.
tversky_loss = jax.jit(losses.tversky_loss, static_argnames=("alpha", "beta", "smoothing"))
dice_loss = jax.jit(losses.dice_loss, static_argnames="smoothing")
jaccard_loss = jax.jit(losses.jaccard_loss, static_argnames="smoothing")
lovasz_softmax = jax.jit(losses.lovasz_softmax)
LOSSES = [tversky_loss, dice_loss, jaccard_loss, lovasz_softmax]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)


def softmax(logits):
    z = np.asarray(logits, np.float64)
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def regions(logits, labels):
    """For every image and class: its predictions and labels at the pixels that count."""
    p, labels = softmax(logits), np.asarray(labels)
    for n, c in itertools.product(range(len(labels)), range(p.shape[-1])):
        valid = labels[n] != 255
        yield p[n][valid][:, c], (labels[n][valid] == c).astype(float)


def brute(measure, logits, labels):
    values = [measure(p, g) for p, g in regions(logits, labels)]
    return np.reshape(values, (len(labels), -1))


@pytest.mark.parametrize("smoothing", [0.0, 1.0, 30.0])
def test_overlaps_equal_their_definitions(smoothing):
    logits, labels = draw()

    def dice(p, g):
        return 1 - (2 * (p * g).sum() + smoothing) / (p.sum() + g.sum() + smoothing)

    def jaccard(p, g):
        both = (p * g).sum()
        return 1 - (both + smoothing) / (p.sum() + g.sum() - both + smoothing)

    def tversky(p, g):
        right, more, less = (p * g).sum(), (p * (1 - g)).sum(), ((1 - p) * g).sum()
        return 1 - (right + smoothing) / (right + 0.2 * more + 0.9 * less + smoothing)

    options = {"smoothing": smoothing}
    computed = dice_loss(logits, labels, **options)
    np.testing.assert_allclose(computed, brute(dice, logits, labels), rtol=1e-5)
    computed = jaccard_loss(logits, labels, **options)
    np.testing.assert_allclose(computed, brute(jaccard, logits, labels), rtol=1e-5)
    computed = tversky_loss(logits, labels, alpha=0.2, beta=0.9, **options)
    np.testing.assert_allclose(computed, brute(tversky, logits, labels), rtol=1e-5)


def test_defaults():
    logits, labels = draw()
    defaults = {"alpha": 0.3, "beta": 0.7, "smoothing": 1.0}
    np.testing.assert_array_equal(
        tversky_loss(logits, labels), tversky_loss(logits, labels, **defaults)
    )
    for loss in (dice_loss, jaccard_loss):
        np.testing.assert_array_equal(loss(logits, labels), loss(logits, labels, smoothing=1.0))


def test_overlaps_by_hand():
    # Certain predictions: class 0 has two pixels, of which one is predicted, and a false positive.
    labels = jnp.array([[0, 0, 1, 1, 255]])
    guess = jnp.array([[0, 1, 0, 1, 0]])
    logits = 1e4 * jax.nn.one_hot(guess, 3)
    bare = {"smoothing": 0.0}
    np.testing.assert_allclose(dice_loss(logits, labels, **bare), [[0.5, 0.5, 0]])
    np.testing.assert_allclose(jaccard_loss(logits, labels, **bare), [[2 / 3, 2 / 3, 0]])
    np.testing.assert_allclose(jaccard_loss(logits, labels), [[2 / 4, 2 / 4, 0]])
    np.testing.assert_allclose(dice_loss(logits, labels), [[2 / 5, 2 / 5, 0]])
    np.testing.assert_allclose(lovasz_softmax(logits, labels), [[2 / 3, 2 / 3, 0]])
    fp_alone = tversky_loss(logits, labels, alpha=3.0, beta=0.0, smoothing=0.0)
    np.testing.assert_allclose(fp_alone, [[3 / 4, 3 / 4, 0]])


def lovasz(p, g):
    """The definition: the set function, evaluated on each leading set of the sorted errors."""
    errors = np.abs(g - p)
    order = np.argsort(-errors, kind="stable")

    def loss_of(wrong):
        guess = g.copy()
        guess[wrong] = 1 - guess[wrong]
        union = np.maximum(g, guess).sum()
        return 1 - np.minimum(g, guess).sum() / union if union else 0.0

    sets = [loss_of(order[:i]) for i in range(len(order) + 1)]
    return float(np.sum(errors[order] * np.diff(sets)))


@pytest.mark.parametrize("seed", range(3))
def test_lovasz_softmax_equals_the_definition(seed):
    logits, labels = draw(seed=seed)
    labels = jnp.where(labels == 3, 2, labels)  # class 3 is absent
    computed = lovasz_softmax(logits, labels)
    np.testing.assert_allclose(computed, brute(lovasz, logits, labels), rtol=1e-5)
    probability = np.where(np.asarray(labels)[..., None] == 255, 0, softmax(logits))
    np.testing.assert_allclose(computed[:, 3], probability[..., 3].max((1, 2)), rtol=1e-5)


def test_lovasz_softmax_is_the_jaccard_loss_of_every_sure_prediction():
    labels = jnp.array([[0, 0, 1, 2, 255, 1]])
    guesses = np.array(list(itertools.product(range(3), repeat=5)))
    guesses = np.insert(guesses, 4, 0, axis=1)
    logits = 1e4 * jax.nn.one_hot(guesses, 3)
    labels = jnp.broadcast_to(labels, guesses.shape)
    computed = lovasz_softmax(logits, labels)
    expected = jaccard_loss(logits, labels, smoothing=0.0)
    np.testing.assert_allclose(computed, expected, atol=1e-6)


def test_lovasz_steps_keep_their_digits_in_large_images():
    # Differences of float32 losses near 1 are multiples of 6e-8: a tenth of these steps.
    g = np.random.default_rng(0).random(1 << 20) < 0.7
    union = g.sum() + np.cumsum(~g)
    expected = np.diff(1 - (g.sum() - np.cumsum(g)) / union, prepend=0)
    computed = _jaccard_steps(jnp.asarray(g)[None, :, None], jnp.dtype(jnp.float32))
    np.testing.assert_allclose(computed[0, :, 0], expected, rtol=1e-6, atol=1e-15)


@every_loss
def test_a_batch_is_a_loop_over_images_and_can_be_one_image(loss):
    logits, labels = draw()
    computed = loss(logits, labels)
    assert computed.shape == (3, CLASSES)
    for n in range(3):
        alone = loss(logits[n : n + 1], labels[n : n + 1])[0]
        np.testing.assert_allclose(computed[n], alone, rtol=1e-6)
    flat = loss(logits.reshape(1, -1, CLASSES), labels.reshape(1, -1))
    np.testing.assert_allclose(loss(logits[None], labels[None]), flat, rtol=1e-6)


@every_loss
def test_sure_and_right_is_zero_also_for_empty_classes(loss):
    labels = jnp.array([[0, 1, 1, 255], [2, 2, 2, 2], [255] * 4])
    right = 1e4 * jax.nn.one_hot(labels, CLASSES)
    np.testing.assert_array_equal(loss(right, labels), 0)
    # Nearly right: the small loss is not rounded away.
    near = loss(14.0 * jax.nn.one_hot(labels, CLASSES), labels)
    assert (np.asarray(near[:2])[np.array([[1, 1, 0, 0], [0, 0, 1, 0]], bool)] > 0).all()


@every_loss
def test_unknown_labels_spoil_their_image_alone(loss):
    logits, labels = draw()
    computed = loss(logits, labels.at[1, 0, 0].set(77))
    assert np.isnan(computed[1]).all()
    np.testing.assert_array_equal(computed[::2], loss(logits, labels)[::2])


@every_loss
def test_no_pixel_is_zero(loss):
    computed = loss(jnp.zeros((2, 0, 3, CLASSES)), jnp.zeros((2, 0, 3), jnp.int32))
    np.testing.assert_array_equal(computed, np.zeros((2, CLASSES)))


@pytest.mark.parametrize("name", REGIONS)
def test_gradient_descent_finds_the_labels(name):
    _, labels = draw()
    gradient = jax.jit(jax.grad(REGIONS[name]))
    logits = jnp.zeros((*labels.shape, CLASSES))
    for _ in range(60):
        # The sign of the gradient: every loss descends at the same rate.
        logits = logits - 0.1 * jnp.sign(gradient(logits, labels))
    right = np.asarray(jnp.argmax(logits, -1) == labels)
    assert right[np.asarray(labels) != 255].mean() > 0.95


def test_refusals():
    logits, labels = draw()
    with pytest.raises(ValueError, match="dice_loss: smoothing=-1 is negative: give 0 or more"):
        losses.dice_loss(logits, labels, smoothing=-1)
    with pytest.raises(ValueError, match=r"tversky_loss: alpha=-0\.5 is negative"):
        losses.tversky_loss(logits, labels, alpha=-0.5)
    with pytest.raises(ValueError, match=r"lovasz_softmax: .*\(batch, \*space, classes\)"):
        losses.lovasz_softmax(jnp.zeros(3), jnp.zeros((), jnp.int32))
