"""DeepNet: any size, equal parameters in all arms of the depth study, gradients everywhere."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_nets import QUICKLY

from experiments.depth_scaling.config import ARMS
from jaxseg.losses import mean_cross_entropy
from jaxseg.models import DeepNet, DeepNetConfig
from jaxseg.nn import functional

SIZES = [(1, 1), (1, 7), (5, 3)]


quickly = functools.partial(jax.jit, compiler_options=QUICKLY)


def make(**options):
    options = {"classes": 3, "features": 8, "blocks": 3, **options}
    return functional(lambda rngs: DeepNet(rngs=rngs, **options))


def start(init):
    return quickly(init)(jax.random.key(0))


def images(size=(5, 3), batch=2):
    return jax.random.normal(jax.random.key(1), (batch, *size, 3))


def test_all_arms_have_the_same_parameters():
    counts = set()
    for options in (*ARMS.values(), {"norm": "group"}):
        params, _ = jax.eval_shape(make(blocks=6, **options)[0], jax.random.key(0))
        counts.add(sum(a.size for a in jax.tree.leaves(params)))
    stem, block, head = 9 * 3 * 8, 2 * (9 * 8 * 8 + 8), 8 + 8 * 3 + 3
    assert counts == {stem + 6 * block + head}


@pytest.mark.parametrize("arm", ARMS)
def test_every_parameter_gets_a_gradient(arm):
    init, apply = make(**ARMS[arm])
    labels = jax.random.randint(jax.random.key(2), (2, 5, 3), 0, 3)

    def loss(params, stats):
        logits, _ = apply(params, stats, images(), train=True)
        return mean_cross_entropy(logits, labels)

    value, gradient = quickly(lambda key: jax.value_and_grad(loss)(*init(key)))(jax.random.key(0))
    assert np.isfinite(value)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all(), path
        # Each layer of a stack has its own; a bias before batch norm would have none.
        layers = leaf if "stack" in str(path) else leaf[None]
        assert all(np.any(layer) for layer in layers), path


@pytest.mark.parametrize("options", [ARMS["residual"], ARMS["plain_norm"], {"norm": "group"}])
def test_logits_have_the_size_of_the_images(options):
    init, apply = make(**options)
    params, stats = start(init)
    step = functools.partial(apply, train=True)
    for size in SIZES:
        logits, _ = jax.eval_shape(step, params, stats, images(size))
        assert logits.shape == (2, *size, 3)
    logits, moved = quickly(step)(params, stats, images((1, 1)))
    assert np.isfinite(logits).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(moved))


def test_checkpointing_jit_and_trace_change_nothing():
    x = images()
    results = []
    for every in (0, 2):
        init, apply = make(norm="batch", checkpoint_every=every)
        params, stats = start(init)

        def loss(params, apply=apply, stats=stats):
            logits, moved = apply(params, stats, x, train=True)
            return jnp.sum(jnp.sin(logits)), (logits, moved)

        gradient = jax.value_and_grad(loss, has_aux=True)
        results.append(jax.tree.leaves(quickly(gradient)(params)))
        eager = apply(params, stats, x, train=True)
        jitted = quickly(functools.partial(apply, train=True))(params, stats, x)
        for a, b in zip(jax.tree.leaves(eager), jax.tree.leaves(jitted), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        trace = quickly(functools.partial(apply, train=True, method="trace"))
        (logits, inputs), _ = trace(params, stats, x)
        np.testing.assert_allclose(logits, eager[0], rtol=1e-5, atol=1e-5)
        assert inputs.shape == (3, *x.shape[:-1], 8)
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


def test_group_norm_keeps_examples_apart():
    init, apply = make(norm="group", features=16)
    params, stats = start(init)
    x = images(batch=3)
    together, _ = quickly(functools.partial(apply, train=True))(params, stats, x)
    alone, _ = quickly(apply)(params, stats, x[1:2])
    np.testing.assert_allclose(together[1:2], alone, rtol=1e-4, atol=1e-5)


def test_zero_branches_make_a_net_of_stem_and_head():
    x = images()
    for options in ({"zero_last": True}, {"branch_scale": 0.0, "learn_scale": True}):
        init, apply = make(**options)
        params, stats = start(init)
        (_, inputs), _ = quickly(functools.partial(apply, method="trace"))(params, stats, x)
        np.testing.assert_array_equal(inputs[-1], inputs[0])


def test_depth_and_scale():
    config = DeepNetConfig(classes=3, blocks=16)
    assert (config.convolutions, config.scale) == (34, 0.25)
    assert DeepNetConfig(classes=3, blocks=16, branch_scale=1.0).scale == 1
    net = functional(lambda rngs: DeepNet(classes=3, blocks=16, rngs=rngs))[0]
    params, _ = jax.eval_shape(net, jax.random.key(0))
    kernels = [a for a in jax.tree.leaves(params) if a.ndim >= 4]
    assert sum(a.shape[0] if a.ndim == 5 else 1 for a in kernels) == config.convolutions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "layer"}, "norm='layer' is unknown: give one of ['batch', 'group', 'none']"),
        ({"activation": "gelu"}, "activation='gelu' is unknown: give one of ['relu', 'tanh']"),
        (
            {"kernel_init": "x"},
            "kernel_init='x' is unknown: give one of ['delta_orthogonal', 'he']",
        ),
        ({"blocks": 0}, "blocks=0 must be at least 1"),
        ({"classes": 0}, "classes=0 must be at least 1"),
        ({"features": -1}, "features=-1 must be at least 1"),
        ({"dilation": 0}, "dilation=0 must be at least 1"),
    ],
)
def test_configurations_that_make_no_net_are_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        DeepNetConfig(**{"classes": 3, **options})


def test_channels_that_group_norm_cannot_share_out_are_refused():
    with pytest.raises(ValueError, match="features=12 do not divide into groups=8: choose a div"):
        make(norm="group", features=12)
