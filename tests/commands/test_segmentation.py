"""Labels and entropies of strips, and images of any kind made visible."""

import contextlib

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pixel_net import info, run

from jaxseg.commands import segmentation
from jaxseg.commands.segmentation import Segmenter, to_rgb
from jaxseg.training.inference import InferenceConfig, Strip, entropy


@given(st.integers(1, 6), st.integers(0, 99))
def test_labels_and_entropies_are_those_of_the_definitions(classes, seed):
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(classes, 0.3), (4, 5)).astype(np.float32)
    shares[0] = np.eye(classes)[0]  # certain
    shares[1] = np.float32(1 / classes)  # undecided: the first of equals
    strip = Strip(slice(0, 4), slice(0, 5), shares)
    np.testing.assert_array_equal(strip.labels(), shares.argmax(-1))
    expected = jax.device_get(entropy(jax.numpy.asarray(shares)))
    np.testing.assert_allclose(strip.entropy(), expected, atol=2e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_8_bit_images_are_shown_as_they_are(channels):
    image = np.random.default_rng(0).integers(0, 256, (3, 4, channels), np.uint8)
    np.testing.assert_array_equal(to_rgb(image), np.broadcast_to(image, (3, 4, 3)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [2, 4, 7])
def test_others_are_stretched_channel_by_channel(dtype, channels):
    ramp = np.linspace(0, 1, 101)[:, None, None] * np.arange(1, channels + 1)
    image = (ramp * {"uint8": 30, "uint16": 500, "float32": 0.1}[dtype]).astype(dtype)
    shown = to_rgb(image)
    assert (shown.shape, shown.dtype) == ((101, 1, 3), np.uint8)
    assert (shown[0] == 0).all()
    assert (shown[-1] == 255).all()
    assert (np.diff(shown[..., 0].astype(int), axis=0) >= 0).all()
    np.testing.assert_allclose(shown[50], 127, atol=8)


def test_an_even_image_is_black_without_a_warning():
    assert not to_rgb(np.full((4, 4, 1), 900, np.uint16)).any()


def test_a_net_of_crops_says_that_it_compiles_once_for_each_size_of_windows(monkeypatch):
    messages = []

    def busy(text):
        messages.append(text)
        return contextlib.nullcontext()

    monkeypatch.setattr(segmentation, "busy", busy)
    segmenter = Segmenter(run(info((16, 24), crops=True)), InferenceConfig(window=(16, 24)))
    for shape in ((40, 50), (16, 90), (9, 24), (40, 50)):
        assert segmenter(np.zeros((*shape, 3), np.uint8)).shape == shape
    assert messages == ["compiling for 16x24 pixels", "compiling for 9x24 pixels"]
