"""The trainability study's nets descend the gradient, each run by itself."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.trainability import nets


def test_training_is_gradient_descent():
    shape = nets.Shape(2, 2, 4, 5, 3)
    member = nets.Member(1, 1.5, 0.1, 0.8, skip=1.0, scale=0.5, learn_scale=0.0, learning_rate=0.1)
    x = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    labels, picks = np.array([0, 1, 2, 0, 1, 2]), np.array([[0, 1, 2], [3, 4, 5]])
    value = functools.partial(nets.loss, skip=1.0, activation=jnp.tanh)
    descent = nets.Descent(jnp.tanh, 2, 3, momentum=0.9, clip=math.inf)

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def run(x, labels, picks):
        params = nets.draw(member, shape)
        outcome = nets.train(params, member, picks, x, labels, descent)
        first, gradient = jax.value_and_grad(value)(params, x[:3], labels[:3])
        gradient["scales"] = jnp.zeros(2)
        after_one = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)
        second = value(after_one, x[3:], labels[3:])
        stack = nets.features(params, x, 1.0, jnp.tanh)
        return params, outcome, (first, second), stack

    params, outcome, expected, (before, after) = jax.device_get(run(x, labels, picks))
    np.testing.assert_allclose(outcome.losses, expected, rtol=1e-5)
    # The forward pass, layer by layer.
    h = x @ params["first"]
    np.testing.assert_allclose(before, h, rtol=1e-5, atol=1e-6)
    for kernels, biases in zip(params["kernels"], params["biases"], strict=True):
        inner = np.tanh(h) @ kernels[0] + biases[:1]
        h = h + 0.5 * (np.tanh(inner) @ kernels[1] + biases[1:])
    np.testing.assert_allclose(after, h, rtol=1e-5, atol=1e-6)
    moved = np.abs(after - before)[:3].max()
    np.testing.assert_allclose(outcome.moved, moved, rtol=1e-5)


@pytest.mark.parametrize("learn_scale", [0.0, 1.0])
def test_momentum_sums_gradients_that_are_clipped_and_scales_are_learned_where_asked(learn_scale):
    shape = nets.Shape(1, 1, 3, 4, 2)
    x = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)
    labels, picks = np.array([0, 1, 0, 1]), np.tile(np.arange(4), (3, 1))
    member = nets.Member(
        0, 2.0, 0.0, 1.0, skip=1.0, scale=0.5, learn_scale=learn_scale, learning_rate=0.5
    )
    descent = nets.Descent(jax.nn.relu, 3, 4, momentum=0.5, clip=0.01)
    value = functools.partial(nets.loss, skip=1.0, activation=jax.nn.relu)

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def run(x, labels, picks):
        params = nets.draw(member, shape)
        losses = nets.train(params, member, picks, x, labels, descent).losses
        expected, velocity = [], jax.tree.map(jnp.zeros_like, params)
        for _ in range(3):
            loss, gradient = jax.value_and_grad(value)(params, x, labels)
            # The norm is that of what is learned.
            gradient["scales"] *= learn_scale
            norm = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(gradient)))
            shrink = jnp.minimum(1.0, 0.01 / norm)
            velocity = jax.tree.map(lambda v, g, s=shrink: 0.5 * v + s * g, velocity, gradient)
            params = jax.tree.map(lambda p, v: p - 0.5 * v, params, velocity)
            expected.append(loss)
        return losses, jnp.stack(expected)

    losses, expected = jax.device_get(run(x, labels, picks))
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    assert losses[2] < losses[1] < losses[0]


def test_parameters_have_the_variances_of_the_run():
    shape = nets.Shape(3, 2, 40, 50, 5)
    member = nets.Member(0, 1.5, 0.3, 0.8, skip=0.0, scale=0.7, learn_scale=0.0, learning_rate=0.1)
    quickly = {"xla_backend_optimization_level": 0}
    params = jax.jit(functools.partial(nets.draw, member, shape), compiler_options=quickly)()
    variances = {name: float(np.var(array)) for name, array in params.items()}
    assert abs(variances["first"] * 50 / 0.8 - 1) < 0.1
    assert abs(variances["kernels"] * 40 / 1.5 - 1) < 0.1
    assert abs(variances["biases"] / 0.3 - 1) < 0.3
    assert abs(variances["last"] * 40 - 1) < 0.3
    assert params["scales"].tolist() == np.full(3, np.float32(0.7)).tolist()


def test_the_last_tenth_of_the_steps_counts_and_a_run_that_was_not_finite_is_lost():
    losses = np.tile(np.arange(20.0), (3, 1))
    losses[1, 3], losses[2, 19] = np.nan, np.inf
    assert nets.final_losses(losses).tolist() == [18.5, np.inf, np.inf]
    assert nets.final_losses(np.array([[4.0, 2.0]])).tolist() == [2.0]
