"""Probabilities over scales, mirror images and windows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxseg.training.inference import InferenceConfig, entropy, probabilities, window_starts


def pointwise(images):
    """Logits that see one pixel: windows and mirrors then change nothing."""
    return jnp.concatenate([images, -images, 0 * images], axis=-1)


def draw(size=(7, 10)):
    return jax.random.normal(jax.random.key(0), (2, *size, 1))


@pytest.mark.parametrize(
    "config",
    [
        InferenceConfig(),
        InferenceConfig(flip=True),
        InferenceConfig(window=(3, 4)),
        InferenceConfig(window=(3, 4), overlap=0.0, flip=True),
        InferenceConfig(window=(50, 4)),
    ],
)
def test_what_sees_one_pixel_is_seen_alike(config):
    images = draw()
    found = jax.jit(lambda x: probabilities(pointwise, x, config))(images)
    np.testing.assert_allclose(found, jax.nn.softmax(pointwise(images)), atol=1e-6)


def test_scales_are_averaged_and_sum_to_one():
    images = draw()
    config = InferenceConfig(scales=(0.5, 1.0, 1.7))
    found = probabilities(pointwise, images, config)
    assert found.shape == (2, 7, 10, 3)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    assert np.max(np.abs(found - probabilities(pointwise, images, InferenceConfig()))) > 1e-2


def test_scales_are_rounded_to_whole_pixels_of_at_least_one():
    sizes = []

    def logits(images):
        sizes.append(images.shape[1:3])
        return pointwise(images)

    probabilities(logits, draw(), InferenceConfig(scales=(0.5, 1.0, 1.75, 0.01)))
    assert sizes == [(4, 5), (7, 10), (12, 18), (1, 1)]


def test_a_net_that_tells_left_from_right_is_evened_out():
    def sided(images):
        ramp = jnp.broadcast_to(jnp.linspace(-1, 1, images.shape[2])[:, None], images.shape)
        return jnp.concatenate([ramp, -ramp], axis=-1)

    found = probabilities(sided, draw(), InferenceConfig(flip=True))
    np.testing.assert_allclose(found, 0.5, atol=1e-6)


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from([0.0, 0.25, 0.5, 0.9]))
def test_windows_cover_everything_with_their_overlap(length, window, overlap):
    window = min(window, length)
    starts = window_starts(length, window, overlap)
    assert starts[0] == 0
    assert starts[-1] == length - window
    steps = np.diff(starts)
    assert np.all(steps <= max(1, window * (1 - overlap)))
    assert np.all(steps > 0)


@pytest.mark.parametrize(
    ("length", "window", "overlap", "starts"),
    [
        (11, 4, 0.5, [0, 2, 4, 5, 7]),
        (10, 4, 0.0, [0, 3, 6]),
        (4, 4, 0.5, [0]),
        (5, 4, 0.75, [0, 1]),
        (9, 1, 0.0, list(range(9))),
    ],
)
def test_windows_are_spaced_evenly(length, window, overlap, starts):
    assert window_starts(length, window, overlap) == starts


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from([0.0, 0.25, 0.5, 0.9]))
def test_no_two_gaps_between_windows_differ_by_more_than_a_pixel(length, window, overlap):
    gaps = np.diff(window_starts(length, min(window, length), overlap))
    assert np.ptp(gaps, axis=0) <= 1 if len(gaps) else True


def test_entropy_runs_from_sure_to_no_idea():
    p = jnp.array([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(entropy(p), [0, 1, 0.5], atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scales": ()}, "must be one or more numbers above 0"),
        ({"window": (0, 4)}, r"window=\(0, 4\) must be"),
        ({"overlap": 1.0}, "overlap=1.0 must be at least 0 and below 1"),
    ],
)
def test_what_looks_at_nothing_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        InferenceConfig(**fields)
