"""Cross-entropy against float64, and with ignored pixels and unknown labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import losses

SHAPE, CLASSES = (2, 3, 5), 4


def draw(scale=3.0):
    rng = np.random.default_rng(0)
    logits = scale * rng.standard_normal((*SHAPE, CLASSES))
    labels = rng.integers(0, CLASSES, SHAPE)
    labels[0, 1, 2:] = 255
    return jnp.float32(logits), jnp.int32(labels)


def reference(logits, labels):
    z = np.asarray(logits, np.float64)
    labels = np.asarray(labels)
    top = z.max(-1)
    total = top + np.log(np.exp(z - top[..., None]).sum(-1))
    picked = np.take_along_axis(z, np.where(labels == 255, 0, labels)[..., None], -1)[..., 0]
    return np.where(labels == 255, 0, total - picked)


@pytest.mark.parametrize("scale", [1e-3, 3.0, 200.0])
def test_cross_entropy_equals_float64(scale):
    logits, labels = draw(scale)
    computed = jax.jit(losses.cross_entropy)(logits, labels)
    expected = reference(logits, labels)
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-5 * max(1, scale))
    assert np.all(np.asarray(computed)[np.asarray(labels) == 255] == 0)
    mean = losses.mean_cross_entropy(logits, labels)
    assert float(mean) == pytest.approx(
        expected.sum() / (np.asarray(labels) != 255).sum(), rel=1e-5
    )


def test_gradient_of_the_mean_is_softmax_minus_one_hot_over_the_count():
    logits, labels = draw()
    computed = jax.grad(losses.mean_cross_entropy)(logits, labels)
    valid = np.asarray(labels != 255)
    expected = np.asarray(jax.nn.softmax(logits)) - np.eye(CLASSES)[np.where(valid, labels, 0)]
    np.testing.assert_allclose(computed, expected * valid[..., None] / valid.sum(), atol=1e-6)


def test_another_ignore_index():
    logits, labels = draw()
    moved = jnp.where(labels == 255, jnp.int32(-1), labels)
    computed = losses.cross_entropy(logits, moved, ignore_index=-1)
    np.testing.assert_array_equal(computed, losses.cross_entropy(logits, labels))
    assert float(losses.mean_cross_entropy(logits, moved, ignore_index=-1)) == pytest.approx(
        float(losses.mean_cross_entropy(logits, labels))
    )
    # A class can be ignored too; then 255 is an unknown label.
    assert np.isnan(losses.cross_entropy(logits, labels, ignore_index=0)).any()


@pytest.mark.parametrize("label", [-1, CLASSES, 254, 1000])
def test_unknown_label_is_nan_there_and_there_alone(label):
    logits, labels = draw()
    computed = losses.cross_entropy(logits, labels.at[1, 1, 1].set(label))
    expected = np.array(losses.cross_entropy(logits, labels))
    expected[1, 1, 1] = np.nan
    np.testing.assert_array_equal(computed, expected)
    assert np.isnan(losses.mean_cross_entropy(logits, labels.at[1, 1, 1].set(label)))


def test_bfloat16_logits_are_summed_in_float32():
    logits, labels = draw()
    half = logits.astype(jnp.bfloat16)
    computed = losses.cross_entropy(half, labels)
    assert computed.dtype == jnp.float32
    np.testing.assert_allclose(computed, reference(half.astype(jnp.float32), labels), atol=1e-5)


def test_refusals():
    logits, labels = draw()
    with pytest.raises(ValueError, match=r"logits \(2, 3, 5, 4\) need labels of shape \(2, 3, 5\)"):
        losses.cross_entropy(logits, labels[0])
    with pytest.raises(ValueError, match="labels are float32: give integers"):
        losses.cross_entropy(logits, labels.astype(jnp.float32))
    with pytest.raises(ValueError, match="classes last"):
        losses.cross_entropy(jnp.zeros(()), jnp.zeros((), jnp.int32))


def test_chance():
    logits, labels = draw(0.0)
    assert float(losses.mean_cross_entropy(logits, labels)) == pytest.approx(np.log(CLASSES))
