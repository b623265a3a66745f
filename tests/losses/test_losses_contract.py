"""Properties of all losses: ignored pixels, unknown labels, extremes, dtypes, vmap and jit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import CLASSES, GRADIENTS, LOSSES, SCALARS, draw

every_loss = pytest.mark.parametrize("loss", SCALARS.values(), ids=SCALARS)
every_gradient = pytest.mark.parametrize("gradient_of", GRADIENTS.values(), ids=GRADIENTS)


@every_gradient
@pytest.mark.parametrize("fill", [np.inf, -np.inf, np.nan, 1e30])
def test_the_logits_of_ignored_pixels_do_not_matter(gradient_of, fill):
    logits, labels = draw()
    spoiled = jnp.where((labels == 255)[..., None], jnp.float32(fill), logits)
    value, gradient = gradient_of(spoiled, labels)
    expected = gradient_of(logits, labels)
    assert float(value) == float(expected[0])
    np.testing.assert_array_equal(gradient, expected[1])
    assert not np.any(np.asarray(gradient)[np.asarray(labels) == 255])
    assert np.any(gradient)


@every_gradient
@pytest.mark.parametrize("fill", [0.0, 1e4, np.inf, np.nan])
def test_nothing_but_ignored_pixels_is_zero_with_zero_gradient(gradient_of, fill):
    logits, labels = draw(ignored=2.0)
    value, gradient = gradient_of(logits + jnp.float32(fill), labels)
    assert float(value) == 0
    np.testing.assert_array_equal(gradient, 0)


@every_loss
def test_another_ignore_index(loss):
    logits, labels = draw()
    moved = jnp.where(labels == 255, -1, labels)
    np.testing.assert_array_equal(loss(logits, moved, ignore_index=-1), loss(logits, labels))
    # A class can be ignored too.
    unseen = jnp.where(labels == 2, 255, labels)
    np.testing.assert_allclose(
        loss(logits, jnp.where(labels == 255, 2, labels), ignore_index=2),
        loss(logits, unseen),
        rtol=1e-6,
    )


@every_gradient
@pytest.mark.parametrize("label", [-1, CLASSES, 254])
def test_an_unknown_label_is_nan(gradient_of, label):
    logits, labels = draw()
    assert np.isfinite(gradient_of(logits, labels)[0])
    assert np.isnan(gradient_of(logits, labels.at[1, 1, 1].set(label))[0])
    # Also where no other label counts.
    alone = jnp.full_like(labels, 255).at[0, 0, 0].set(label)
    assert np.isnan(gradient_of(logits, alone)[0])


def extremes():
    logits, labels = draw(ignored=0.2)
    signs = jnp.where(logits > 0, 1e4, -1e4).astype(jnp.float32)
    right = 1e4 * (2 * jax.nn.one_hot(labels, CLASSES) - 1)
    return {
        "random": (signs, labels),
        "right": (right, labels),
        "wrong": (-right, labels),
        "equal": (jnp.full_like(logits, -1e4), labels),
        "one class": (signs, jnp.ones_like(labels)),
        "one class, right": (signs.at[..., 1].set(3e4), jnp.ones_like(labels)),
        "one class, wrong": (signs.at[..., 1].set(-3e4), jnp.ones_like(labels)),
        "one pixel": (signs[:1, :1, :1], jnp.zeros_like(labels[:1, :1, :1])),
        "tiny": (jnp.full_like(logits, 1e-30), labels),
        "nearly": (jnp.zeros_like(logits).at[..., 0].set(-35.0), jnp.zeros_like(labels)),
        "barely": (jnp.zeros_like(logits).at[..., 0].set(-70.0), jnp.zeros_like(labels)),
        "hardly": (jnp.zeros_like(logits).at[..., 0].set(-90.0), jnp.zeros_like(labels)),
        "absent": (jnp.zeros_like(logits).at[..., 0].set(-70.0), jnp.ones_like(labels)),
    }


@every_gradient
@pytest.mark.parametrize("case", extremes())
def test_values_and_gradients_are_finite(gradient_of, case):
    logits, labels = extremes()[case]
    value, gradient = gradient_of(logits, labels)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    for half in (jnp.bfloat16, jnp.float16):
        value, gradient = gradient_of(logits.astype(half), labels)
        assert np.isfinite(value)
        assert gradient.dtype == half
        assert np.isfinite(gradient.astype(jnp.float32)).all()


@every_loss
@pytest.mark.parametrize("half", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_computed_in_float32(loss, half):
    logits, labels = draw((2, 40, 30))
    logits = logits.astype(half)
    computed = loss(logits, labels)
    assert computed.dtype == jnp.float32
    np.testing.assert_allclose(computed, loss(logits.astype(jnp.float32), labels), rtol=1e-6)


@every_loss
@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.int16, jnp.uint32])
def test_any_integers_are_labels(loss, dtype):
    logits, labels = draw()
    np.testing.assert_array_equal(loss(logits, labels.astype(dtype)), loss(logits, labels))


@every_gradient
def test_vmap_is_a_loop(gradient_of):
    pairs = [draw((2, 3, 4), seed) for seed in range(3)]
    logits, labels = (jnp.stack(parts) for parts in zip(*pairs, strict=True))
    computed = jax.jit(jax.vmap(gradient_of))(logits, labels)
    for i, pair in enumerate(pairs):
        value, gradient = gradient_of(*pair)
        np.testing.assert_allclose(computed[0][i], value, rtol=1e-5)
        np.testing.assert_allclose(computed[1][i], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_that_of_finite_differences(name, x64):
    loss = SCALARS[name]
    logits, labels = draw((2, 3, 4))
    logits = logits.astype(jnp.float64)
    assert loss(logits, labels).dtype == jnp.float64
    # Along a line through a point without ties, where the losses that sort are smooth.
    way = jnp.asarray(np.random.default_rng(1).standard_normal(logits.shape))
    step = 1e-6
    rise = loss(logits + step * way, labels) - loss(logits - step * way, labels)
    slope = jnp.sum(GRADIENTS[name](logits, labels)[1] * way)
    np.testing.assert_allclose(slope, rise / (2 * step), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", SCALARS)
@settings(max_examples=15)
@given(
    # Few shapes: each is compiled once.
    shape=st.sampled_from([(1,), (3, 1), (2, 3, 2), (1, 2, 1, 3)]),
    seed=st.integers(0, 10**6),
    ignored=st.sampled_from([0.0, 0.5, 0.9, 2.0]),
)
def test_any_shape_and_any_labels(name, shape, seed, ignored):
    logits, labels = draw(shape, seed, 1.0, ignored)
    value, gradient = GRADIENTS[name](logits, labels)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert not np.any(np.asarray(gradient)[np.asarray(labels) == 255])
    # Adding an image of ignored pixels, in front, changes nothing.
    more = jnp.concatenate([jnp.full_like(logits[:1], jnp.nan), logits])
    void = jnp.concatenate([jnp.full_like(labels[:1], 255), labels])
    np.testing.assert_allclose(SCALARS[name](more, void), value, rtol=1e-5, atol=1e-7)


@every_loss
def test_refusals(loss):
    logits, labels = draw()
    with pytest.raises(ValueError, match=r"logits \(3, 5, 4, 4\) need labels of shape \(3, 5, 4\)"):
        loss(logits, labels[0])
    with pytest.raises(ValueError, match="labels are float32: give integers"):
        loss(logits, labels.astype(jnp.float32))
    with pytest.raises(ValueError, match="logits are int32: give floats"):
        loss(logits.astype(jnp.int32), labels)
