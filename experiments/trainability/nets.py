"""Dense nets whose depth is one scan, and their training as one compiled function.

A layer is x -> skip * x + scale * f(x), with f a chain of one or more x -> W phi(x) + b; a plain
net has skip = 0 and scale = 1. Runs of one depth differ by numbers alone (`Member`), so that all of
them are one call, shared out by `training.over_members`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.numerics import safe_norm

Activation = Callable[[jax.Array], jax.Array]
Params = dict[str, jax.Array]


class Member(NamedTuple):
    """One run; every field is a number, or an array with a leading axis of runs.

    Attributes:
        seed: Seed of the parameters and of the order of the examples.
        weight_variance: Variance of the weights times the width.
        bias_variance: Variance of the biases.
        input_variance: Variance of the first layer's input.
        skip: 1 with shortcuts, 0 without.
        scale: Factor of every branch at the start.
        learn_scale: 1 where the factors are learned, 0 where they stay.
        learning_rate: Rate of gradient descent.
    """

    seed: Any
    weight_variance: Any
    bias_variance: Any
    input_variance: Any
    skip: Any
    scale: Any
    learn_scale: Any
    learning_rate: Any


class Shape(NamedTuple):
    """The sizes that the runs of one call have in common.

    Attributes:
        depth: Layers or blocks, L.
        block_layers: Dense layers in each.
        width: Features of every layer.
        inputs: Numbers in an example.
        classes: Number of classes.
    """

    depth: int
    block_layers: int
    width: int
    inputs: int
    classes: int


@dataclass(frozen=True)
class Descent:
    """The way in which the nets of a part are trained.

    Attributes:
        activation: Activation of their layers.
        steps: Number of steps.
        batch_size: Examples a step.
        momentum: Decay of the sum of gradients; 0 for none.
        clip: Largest norm of a gradient; inf for none.
    """

    activation: Activation
    steps: int
    batch_size: int
    momentum: float
    clip: float


class Outcome(NamedTuple):
    """The result of a run.

    Attributes:
        losses: (steps,) training loss before each step, in nats.
        moved: Largest |stack(x) - x| over the first batch and the features, at step 0.
    """

    losses: Any
    moved: Any


def stack_members(members: Sequence[Member]) -> Member:
    """Put a leading axis of runs on every field, as NumPy arrays."""
    columns = zip(*members, strict=True)
    return Member(
        *(np.array(c, np.uint32 if i == 0 else np.float32) for i, c in enumerate(columns))
    )


def draw(member: Member, shape: Shape) -> Params:
    """Draw Gaussian parameters; inputs of unit variance get `member.input_variance`."""
    keys = jax.random.split(jax.random.key(member.seed), 4)
    width, normal = shape.width, jax.random.normal
    layers = (shape.depth, shape.block_layers, width)
    return {
        "first": normal(keys[0], (shape.inputs, width))
        * jnp.sqrt(member.input_variance / shape.inputs),
        "kernels": normal(keys[1], (*layers, width)) * jnp.sqrt(member.weight_variance / width),
        "biases": normal(keys[2], layers) * jnp.sqrt(member.bias_variance),
        "scales": jnp.full(shape.depth, member.scale),
        "last": normal(keys[3], (width, shape.classes)) * width**-0.5,
    }


def features(
    params: Params, x: jax.Array, skip: Any, activation: Activation
) -> tuple[jax.Array, jax.Array]:
    """Return the stack's input and output, (batch, width) each."""

    def layer(x, of_layer):
        kernels, biases, scale = of_layer
        branch = x
        for kernel, bias in zip(kernels, biases, strict=True):
            branch = activation(branch) @ kernel + bias[None]
        return skip * x + scale * branch, None

    start = x @ params["first"]
    stacked = (params["kernels"], params["biases"], params["scales"])
    return start, jax.lax.scan(layer, start, stacked)[0]


def loss(
    params: Params, x: jax.Array, labels: jax.Array, skip: Any, activation: Activation
) -> jax.Array:
    """Return the mean cross-entropy in nats."""
    logits = activation(features(params, x, skip, activation)[1]) @ params["last"]
    logs = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(logs, labels[:, None], axis=1))


def train(
    params: Params,
    member: Member,
    picks: jax.Array,
    x: jax.Array,
    labels: jax.Array,
    descent: Descent,
) -> Outcome:
    """Descend the gradient, all steps in one scan.

    Args:
        params: Parameters from `draw`.
        member: The run.
        picks: (steps, batch) numbers of the examples of each step.
        x: (examples, inputs).
        labels: (examples,) integers.
        descent: The way in which the run is trained.
    """
    activation = descent.activation

    def step(state, pick):
        params, velocity = state
        value, gradient = jax.value_and_grad(loss)(
            params, x[pick], labels[pick], member.skip, activation
        )
        gradient["scales"] *= member.learn_scale
        shrink = jnp.minimum(1.0, descent.clip / safe_norm(gradient))
        velocity = jax.tree.map(lambda v, g: descent.momentum * v + shrink * g, velocity, gradient)
        params = jax.tree.map(lambda p, v: p - member.learning_rate * v, params, velocity)
        return (params, velocity), value

    before, after = features(params, x[picks[0]], member.skip, activation)
    still = jax.tree.map(lambda p: 0 * p, params)
    losses = jax.lax.scan(step, (params, still), picks)[1]
    return Outcome(losses, jnp.max(jnp.abs(after - before)))


def final_losses(losses: np.ndarray) -> np.ndarray:
    """Average the last tenth of (runs, steps) losses; `inf` for a run that was ever not finite."""
    tail = losses[:, -max(1, losses.shape[1] // 10) :].mean(axis=1)
    return np.where(np.isfinite(losses).all(axis=1), tail, np.inf)
