"""A stack equals the Python loop over its blocks: outputs, gradients, statistics and traces."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from flax import nnx

from jaxseg.nn import BatchNorm, PreActivation, Residual, Stack, functional

DEPTH, FEATURES = 7, 3
SHAPE = (2, 4, 3, FEATURES)
close = functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-6)


def block(rngs):
    return Residual(PreActivation(FEATURES, norm=BatchNorm, rngs=rngs), scale=0.5)


def run_stack(every):
    """Value, outputs and gradients of a stack in training."""
    init, apply = functional(lambda rngs: Stack(block, DEPTH, checkpoint_every=every, rngs=rngs))
    params, stats = quick_jit(init)(jax.random.key(0))

    def loss(params, perturbations, x, cotangent):
        (y, inputs), moved = apply(
            params, stats, x, train=True, perturbations=perturbations, method="trace"
        )
        return jnp.sum(y * cotangent), (y, inputs, moved)

    return loss, params, stats


def run_loop(stats):
    """The same by a Python loop over slices of the stacked state."""
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: block(nnx.Rngs(0))))

    def loss(params, perturbations, x, cotangent):
        inputs, moved = [], []
        for i in range(DEPTH):
            own = [jax.tree.map(lambda a, i=i: a[i], t["blocks"]) for t in (params, stats)]
            module = nnx.merge(graphdef, *own, copy=True)
            x = x + perturbations[i]
            inputs.append(x)
            x = module(x, train=True)
            moved.append(nnx.state(module, nnx.Not(nnx.Param)))
        moved = jax.tree.map(lambda *leaves: jnp.stack(leaves), *moved)
        return jnp.sum(x * cotangent), (x, jnp.stack(inputs), moved)

    return loss


@pytest.fixture(scope="module")
def data():
    keys = jax.random.split(jax.random.key(1), 3)
    perturbations = 0.1 * jax.random.normal(keys[2], (DEPTH, *SHAPE))
    return perturbations, jax.random.normal(keys[0], SHAPE), jax.random.normal(keys[1], SHAPE)


def evaluate(loss, params, data):
    gradient = quick_jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))
    return gradient(params, *data)


@pytest.fixture(scope="module")
def expected(data):
    _, params, stats = run_stack(0)
    return evaluate(run_loop(stats), params, data)


def trees_close(a, b):
    assert len(jax.tree.leaves(a)) == len(jax.tree.leaves(b)) > 0
    jax.tree.map(close, jax.tree.leaves(a), jax.tree.leaves(b))


@pytest.mark.parametrize("every", [0, 1, 2, 3, 7, 9])
def test_equals_the_loop(every, data, expected):
    loss, params, _ = run_stack(every)
    (_, (y, inputs, moved)), gradients = evaluate(loss, params, data)
    (_, (y0, inputs0, moved0)), gradients0 = expected
    close(y, y0)
    close(inputs, inputs0)
    trees_close(moved, moved0)
    trees_close(gradients, gradients0)


def test_gradient_of_a_nudge_is_that_of_the_blocks_input(data):
    loss, params, stats = run_stack(0)
    _, x, cotangent = data
    perturbations = jnp.zeros((DEPTH, *SHAPE))
    (_, (_, inputs, _)), (_, by_nudge, _) = evaluate(loss, params, (perturbations, x, cotangent))
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: block(nnx.Rngs(0))))

    def rest(x, start):
        for i in range(start, DEPTH):
            own = [jax.tree.map(lambda a, i=i: a[i], t["blocks"]) for t in (params, stats)]
            x = nnx.merge(graphdef, *own, copy=True)(x, train=True)
        return jnp.sum(x * cotangent)

    for start in (0, 3, DEPTH - 1):
        split = quick_jit(jax.grad(functools.partial(rest, start=start)))
        close(by_nudge[start], split(inputs[start]))


def test_call_updates_statistics_in_place_only_in_training():
    stack = Stack(block, 2, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), SHAPE) + 3
    before = jax.tree.map(np.array, nnx.state(stack, nnx.BatchStat))
    stack(x)
    trees_equal = jax.tree.map(
        lambda a, b: bool((a == b).all()), before, nnx.state(stack, nnx.BatchStat)
    )
    assert all(jax.tree.leaves(trees_equal))
    stack(x, train=True)
    moved = np.asarray(stack.blocks.branch.norm1.mean[...])
    close(moved[0], 0.1 * np.mean(np.asarray(x), (0, 1, 2)))
    assert moved.shape == (2, FEATURES)
    assert np.abs(moved[1]).min() > 0


def test_blocks_start_different_and_stacks_reproduce():
    kernels = [Stack(block, 3, rngs=nnx.Rngs(s)).blocks.branch.conv1.kernel[...] for s in (0, 0, 1)]
    assert np.array_equal(kernels[0], kernels[1])
    assert not np.allclose(kernels[0], kernels[2])
    assert not np.allclose(kernels[0][0], kernels[0][1])


@pytest.mark.parametrize("every", [0, 1, 4])
def test_program_does_not_grow_with_depth(every):
    def equations(depth):
        make = lambda rngs: Stack(block, depth, checkpoint_every=every, rngs=rngs)  # noqa: E731
        init, apply = functional(make)
        params, stats = jax.eval_shape(init, jax.random.key(0))
        x = jax.ShapeDtypeStruct(SHAPE, jnp.float32)
        loss = lambda p, s, x: jnp.sum(apply(p, s, x, train=True)[0])  # noqa: E731
        return str(jax.make_jaxpr(jax.grad(loss))(params, stats, x)).count(" = ")

    assert equations(8) == equations(64)


def test_refusals():
    with pytest.raises(ValueError, match=r"Stack: depth=0 must be at least 1"):
        Stack(block, 0, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"checkpoint_every=-1 must not be negative"):
        Stack(block, 1, checkpoint_every=-1, rngs=nnx.Rngs(0))
