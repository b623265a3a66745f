"""The upconvolution study's arms have equal parameters; what cannot be run is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments.upconvolution.config import ARMS, PRESETS, RANDOM, Config, EncoderDecoder
from jaxseg import ops


def test_every_layer_doubles_and_equal_arms_have_equal_parameters():
    counts = {}
    for arm, make in ARMS.items():
        layer = nnx.eval_shape(lambda make=make: make(3, nnx.Rngs(0)))
        y = jax.eval_shape(lambda x, make=make: make(3, nnx.Rngs(0))(x), jnp.zeros((1, 5, 4, 3)))
        assert y.shape == (1, 10, 8, 3)
        counts[arm] = layer.conv.kernel.size if hasattr(layer, "conv") else layer.kernel.size
    assert {arm: n // 9 for arm, n in counts.items() if n != 16 * 9} == {
        "upconv k2s2": 4,
        "upconv k3s2": 9,
    }


@pytest.mark.parametrize("arm", RANDOM)
def test_random_layers_keep_the_variance_of_he_initialization(arm):
    """Behind a ReLU, which halves the mean square, twice the mean square comes out."""
    x = jax.random.normal(jax.random.key(0), (2, 16, 16, 48))
    y = ARMS[arm](48, nnx.Rngs(0))(jax.nn.relu(x))
    inner = y[:, 4:-4, 4:-4]
    np.testing.assert_allclose(float(jnp.mean(jnp.square(inner))), 1, rtol=0.15)


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_interpolating_layers_begin_by_interpolating(method):
    """Each phase of ICNR is the same convolution; a bilinear kernel keeps channels apart."""
    x = jax.random.normal(jax.random.key(0), (1, 6, 5, 4))
    y = ARMS["sub-pixel ICNR" if method == "nearest" else "upconv bilinear"](4, nnx.Rngs(0))(x)
    if method == "nearest":
        expected = ops.resize(y[:, ::2, ::2], (12, 10), method="nearest")
    else:
        y, expected = (a[:, 2:-2, 2:-2] for a in (y, ops.resize(x, (12, 10), method="bilinear")))
    np.testing.assert_allclose(y, expected, atol=1e-6)


def test_the_net_encodes_to_a_quarter_and_decodes_to_the_whole():
    def features_and_logits(x):
        net = EncoderDecoder(
            ARMS["resize nearest"], classes=3, inputs=1, features=2, window=5, rngs=nnx.Rngs(0)
        )
        return net.encode(x), net(x), net.down[1].kernel[...]

    low, logits, kernel = jax.eval_shape(features_and_logits, jnp.ones((2, 8, 12, 1)))
    assert low.shape == (2, 2, 3, 2)
    assert logits.shape == (2, 8, 12, 3)
    assert kernel.shape[:2] == (5, 5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"arms": ("unpooling",)}, "must be some of"),
        ({"size": 18}, "multiple of 4"),
        ({"size": 8}, "at least 12"),
        ({"steps": 7, "measurements": 2}, "measurements=2 .* divide steps=7"),
        ({"measurements": 0}, "measurements=0 must be at least 1"),
        ({"draws": 1}, "draws=1 must be at least 2"),
        ({"windows": (3, 1)}, "must be at least 2"),
        ({"cells": 0}, "cells=0"),
        ({"learning_rates": ()}, "give positive numbers"),
    ],
)
def test_what_cannot_be_run_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Config(**fields)


def test_more_arms_seeds_and_rates_may_be_added():
    assert {"arms", "seeds", "learning_rates"} <= {*Config.may_differ}
    assert not {"draws", "size", "steps", "measurements"} & {*Config.may_differ}
    assert {*PRESETS} == {"tiny", "quick", "full"}
