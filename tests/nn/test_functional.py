"""`functional` gives the module as two pure functions."""

import functools

import jax
import numpy as np
import pytest
from flax import nnx

from jaxseg import nn
from jaxseg.nn import BatchNorm, PreActivation, Residual, Stack, functional

FEATURES = 3
SHAPE = (2, 4, 3, FEATURES)
close = functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-6)


def block(rngs):
    return Residual(PreActivation(FEATURES, norm=BatchNorm, rngs=rngs), scale=0.5)


def trees_close(a, b):
    assert len(jax.tree.leaves(a)) == len(jax.tree.leaves(b)) > 0
    jax.tree.map(close, jax.tree.leaves(a), jax.tree.leaves(b))


def make(rngs):
    return Stack(block, 2, rngs=rngs)


def test_functional_equals_the_module_and_mutates_nothing():
    init, apply = functional(make)
    params, stats = init(jax.random.key(5))
    x = jax.random.normal(jax.random.key(1), SHAPE)
    before = jax.tree.map(np.array, (params, stats))
    y, moved = jax.jit(functools.partial(apply, train=True))(params, stats, x)
    eager, _ = apply(params, stats, x, train=True)
    module = make(nnx.Rngs(jax.random.key(5)))
    close(y, module(x, train=True))
    close(eager, y)
    trees_close(moved, nnx.state(module, nnx.BatchStat))
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves((params, stats)), strict=True):
        assert np.array_equal(a, b)
    assert not np.allclose(jax.tree.leaves(moved)[0], jax.tree.leaves(stats)[0])


def test_functional_init_under_vmap_equals_each_alone():
    init, apply = functional(make)
    keys = jax.random.split(jax.random.key(0), 3)
    params, stats = jax.vmap(init)(keys)
    trees_close(jax.tree.map(lambda a: a[1], params), init(keys[1])[0])
    x = jax.random.normal(jax.random.key(1), SHAPE)
    together = jax.jit(jax.vmap(lambda p, s: apply(p, s, x)[0]))(params, stats)
    close(together[2], apply(*init(keys[2]), x)[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nn.Bias(3), r"make is a Bias, but a factory is needed.*lambda rngs: Bias\(\.\.\., rngs=r"),
        (None, r"make is a NoneType, but a factory is needed"),
        (lambda rngs: 3, r"make does not return an nnx\.Module: it must build"),
    ],
)
def test_what_is_no_factory_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        functional(make)


def test_apply_calls_the_method_named():
    init, apply = functional(lambda rngs: nn.SqueezeExcitation(4, 2, rngs=rngs))
    params, stats = init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (2, 3, 3, 4))
    means, _ = apply(params, stats, x, method="squeeze")
    np.testing.assert_allclose(means, x.mean((1, 2), keepdims=True), rtol=1e-6)
