"""The dilation study's nets: equal costs, fields in closed form, dilation in place of striding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments.dilation import nets
from experiments.dilation.nets import ARMS
from jaxseg import analysis

SHAPE = {"inputs": 1, "classes": 3}


def net(arm, features=4):
    return nets.DilationNet(ARMS[arm], features=features, rngs=nnx.Rngs(0), **SHAPE)


def cost(arm, features, size=(29, 33)):
    return nets.multiply_adds(ARMS[arm], features, size, **SHAPE)


def test_widths_make_arms_equal():
    widths = {arm: nets.width(ARMS[arm], 4, (29, 33), **SHAPE) for arm in ARMS}
    wide = widths.pop("strided_wide")
    assert {*widths.values()} == {4}
    assert cost("strided_wide", wide - 1) < cost("plain", 4) < cost("strided_wide", wide + 1)
    assert wide > 4
    # It is the width whose cost is nearest.
    differences = [abs(cost("strided_wide", n) - cost("plain", 4)) for n in range(1, 20)]
    assert wide == 1 + int(np.argmin(differences))


@pytest.mark.parametrize("arm", ["strided", "degridded"])
def test_multiply_adds_are_those_of_the_traced_net(arm):
    image = jax.ShapeDtypeStruct((1, 29, 33, 1), jnp.float32)
    whole = analysis.summary(net(arm).scores, image, depth=0)["all"]
    assert whole.multiply_adds == cost(arm, 4)


def test_a_cost_that_no_width_has_is_refused():
    strides = (256, 1, 1, 1, 1, 1)
    arm = nets.Arm(strides=strides, equal="multiply-adds")
    with pytest.raises(ValueError, match="no width costs"):
        nets.width(arm, 1, (257, 257), **SHAPE)


def test_fields_are_the_closed_forms():
    fields = {arm: nets.bare_field(ARMS[arm], 121) for arm in ARMS}
    assert fields == {
        "plain": (13, 13),
        "strided": (29, 29),
        "strided_wide": (29, 29),
        "dilated": (29, 29),
        "cascade": (25, 13),
        "hybrid_123": (25, 25),
        "hybrid_125": (33, 33),
        "degridded": (21, 21),
    }
    for arm, (size, seen) in fields.items():
        assert (ARMS[arm].coverage.size, ARMS[arm].coverage.seen) == (size, seen)


def test_the_walk_is_as_wide_as_its_steps():
    assert ARMS["plain"].walk == pytest.approx(2)  # sqrt(2/3 * 6)
    assert ARMS["cascade"].walk == pytest.approx(4)
    assert ARMS["strided"].walk == ARMS["dilated"].walk == pytest.approx(28**0.5)


def test_dilation_keeps_what_striding_drops():
    assert ARMS["strided"].unstrided == ARMS["dilated"].rates
    assert ARMS["strided"].output_stride == 4
    assert nets.same_scores(0, (29, 33)) < 1e-5


def test_logits_have_the_size_of_the_image():
    x = jax.ShapeDtypeStruct((2, 29, 33, 1), jnp.float32)
    for arm in ("plain", "strided"):
        logits, scores = jax.eval_shape(lambda x, arm=arm: (net(arm)(x), net(arm).scores(x)), x)
        assert logits.shape == (2, 29, 33, 3)
        assert scores.shape == ((2, 29, 33, 3) if arm == "plain" else (2, 8, 9, 3))
