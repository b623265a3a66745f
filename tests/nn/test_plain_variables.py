"""Flax's coming kind of variables does not reach what `vmap`, `scan` and `jit` work on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxseg import models, nn
from jaxseg.training import init_state, make_train_step

NETS = {
    "UNet": lambda rngs: models.UNet(classes=3, widths=(4, 8), rngs=rngs),
    "DeepNet": lambda rngs: models.DeepNet(
        classes=3, features=4, blocks=2, norm="batch", rngs=rngs
    ),
}
BATCH = {"image": jnp.ones((2, 8, 8, 3)), "label": jnp.zeros((2, 8, 8), jnp.int32)}


def train_twice(make):
    """Return the losses of two steps."""
    init, apply = nn.functional(make)
    optimizer = optax.sgd(0.1)
    state = init_state(*init(jax.random.key(0)), optimizer)
    step = jax.jit(make_train_step(apply, optimizer))
    losses = []
    for _ in range(2):
        state, metrics = step(state, BATCH)
        losses.append(float(metrics["loss"]))
    return losses


@pytest.mark.parametrize("name", NETS)
def test_training_is_the_same_under_the_hijax_default(name):
    expected = train_twice(NETS[name])
    with nnx.var_defaults(hijax=True):
        np.testing.assert_array_equal(train_twice(NETS[name]), expected)


def test_a_net_of_the_hijax_default_is_called_as_it_is():
    images = jnp.ones((1, 8, 8, 3))
    expected = NETS["UNet"](nnx.Rngs(0))(images)
    with nnx.var_defaults(hijax=True):
        np.testing.assert_array_equal(NETS["UNet"](nnx.Rngs(0))(images), expected)
