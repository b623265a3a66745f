"""Helpers of the tests of exports: a small net of every family, with drawn norms."""

import functools

import jax
import numpy as np
import pytest
from flax import nnx
from small_nets import QUICKLY, TINIEST, TINY_DRN_D, TINY_MOBILE, draw_norms, images, quick

from jaxseg import models

ENCODED = {"classes": 4, "backbone": TINIEST}
DEEPLAB = {**ENCODED, "rates": (1, 2), "features": 8}
NETS = {
    "fcn": (models.FCN, ENCODED),
    "fcn_8s": (models.SkipFCN, {**ENCODED, "finest": 8}),
    "deeplab_v3": (models.DeepLabV3, {**DEEPLAB, "norm": "group"}),
    "deeplab_v3_plus": (models.DeepLabV3Plus, {**DEEPLAB, "output_stride": 16}),
    "unet": (models.UNet, {"classes": 4, "widths": (4, 6, 8)}),
    "unet_resize": (
        models.UNet,
        {"classes": 4, "widths": (4, 6), "up": "resize", "skips": "sum", "residual": True},
    ),
    "unet_valid": (models.UNet, {"classes": 4, "widths": (4, 6), "padding": "valid"}),
    "lraspp": (models.LRASPP, {**ENCODED, "backbone": TINY_MOBILE, "features": 8}),
    "drn_d": (models.DRN, {**ENCODED, "backbone": TINY_DRN_D}),
    "encoder_unet": (models.EncoderUNet, {**ENCODED, "decoder": (4,) * 5}),
    "deep_net": (models.DeepNet, {"classes": 4, "blocks": 2, "features": 4, "norm": "batch"}),
}
SHAPES = ((1, 33, 18), (3, 1, 7))  # batch, height, width
# Every net at one size, the quick ones at a second one; the others there in the slow tests.
QUICK = ("fcn", "unet", "unet_resize", "unet_valid", "deep_net")
every_net_and_shape = pytest.mark.parametrize(
    ("name", "shape"),
    [(name, SHAPES[0]) for name in NETS]
    + [
        pytest.param(name, SHAPES[1], marks=() if name in QUICK else pytest.mark.slow)
        for name in NETS
    ],
)


@functools.cache
def make(name):
    net, options = NETS[name]
    return draw_norms(quick(lambda: net(**options, rngs=nnx.Rngs(0))))


@functools.cache
def jitted(name):
    """The net of that name in evaluation mode, images -> logits."""
    net, run = make(name), jax.jit(lambda net, x: net(x), compiler_options=QUICKLY)
    return lambda x: run(net, x)


def closure(name):
    """The net of that name as a function that calls a jitted one, as exports are given."""
    net, run = make(name), jax.jit(lambda net, x: net(x))
    return lambda x: run(net, x)


def assert_same(run, name, shape, tolerance):
    """An export's logits are the net's, to within a share of the largest, or of 1."""
    x = images(shape[1:], batch=shape[0])
    logits, exported = jitted(name)(x), run(x)
    assert exported.shape == (*shape, 4)
    largest = max(1, np.max(np.abs(logits)))
    np.testing.assert_allclose(exported, logits, rtol=0, atol=tolerance * largest)
