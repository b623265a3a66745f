"""Dense nets whose depth is one scan, and their training as one compiled function.

A layer is x -> skip * x + scale * f(x), f a chain of one or more x -> W phi(x) + b: a plain net at
skip = 0, scale = 1. All that tells runs of one depth apart is a number (`Member`), so that a whole
study of one depth is one call, shared out by `training.over_members`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.numerics import safe_norm

Phi = Callable[[jax.Array], jax.Array]


class Member(NamedTuple):
    """One run; every field is a number, or an array with a leading axis of runs.

    Attributes:
        seed: of the parameters and of the order of the examples.
        weight_variance: sigma_w**2.
        bias_variance: sigma_b**2.
        input_variance: of the first layer's input.
        skip: 1 with shortcuts, 0 without.
        scale: of every branch at the start.
        learn_scale: 1 where the scales are learned, 0 where they stay.
        rate: of gradient descent.
    """

    seed: Any
    weight_variance: Any
    bias_variance: Any
    input_variance: Any
    skip: Any
    scale: Any
    learn_scale: Any
    rate: Any


class Shape(NamedTuple):
    """What is alike for the runs of one call.

    Attributes:
        depth: layers or blocks, L.
        chain: dense layers in each.
        width: features.
        inputs: numbers in an example.
        classes: of the labels.
    """

    depth: int
    chain: int
    width: int
    inputs: int
    classes: int


class Found(NamedTuple):
    """What became of a run.

    Attributes:
        losses: (steps,) training loss before each step.
        moved: largest |stack(x) - x| over the first batch and the features, at step 0.
    """

    losses: Any
    moved: Any


def stack_members(members: list[Member]) -> Member:
    """A leading axis of runs on every field; NumPy arrays."""
    columns = zip(*members, strict=True)
    return Member(
        *(np.array(c, np.uint32 if i == 0 else np.float32) for i, c in enumerate(columns))
    )


def draw(member: Member, shape: Shape) -> dict[str, jax.Array]:
    """Parameters at the start, Gaussian; inputs of unit variance get `member.input_variance`."""
    keys = jax.random.split(jax.random.key(member.seed), 4)
    width, normal = shape.width, jax.random.normal
    layers = (shape.depth, shape.chain, width)
    return {
        "first": normal(keys[0], (shape.inputs, width))
        * jnp.sqrt(member.input_variance / shape.inputs),
        "kernels": normal(keys[1], (*layers, width)) * jnp.sqrt(member.weight_variance / width),
        "biases": normal(keys[2], layers) * jnp.sqrt(member.bias_variance),
        "scales": jnp.full(shape.depth, member.scale),
        "last": normal(keys[3], (width, shape.classes)) * width**-0.5,
    }


def features(params, x, skip, phi: Phi) -> tuple[jax.Array, jax.Array]:
    """The stack's input and output, (batch, width) each."""

    def layer(x, of_layer):
        kernels, biases, scale = of_layer
        branch = x
        for kernel, bias in zip(kernels, biases, strict=True):
            branch = phi(branch) @ kernel + bias[None]
        return skip * x + scale * branch, None

    start = x @ params["first"]
    stacked = (params["kernels"], params["biases"], params["scales"])
    return start, jax.lax.scan(layer, start, stacked)[0]


def loss(params, x, labels, skip, phi: Phi) -> jax.Array:
    """Mean cross-entropy, in nats."""
    logits = phi(features(params, x, skip, phi)[1]) @ params["last"]
    logs = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(logs, labels[:, None], axis=1))


def train(
    params, member: Member, picks, x, labels, *, phi: Phi, momentum: float, clip: float
) -> Found:
    """Gradient descent, all of its steps in one scan.

    Args:
        params: from `draw`.
        member: the run.
        picks: (steps, batch) which examples each step sees.
        x: (examples, inputs).
        labels: (examples,) integers.
        phi: the activation.
        momentum: decay of the sum of gradients; 0 for none.
        clip: largest norm of a gradient; inf for none.
    """

    def step(state, pick):
        params, speed = state
        value, gradient = jax.value_and_grad(loss)(params, x[pick], labels[pick], member.skip, phi)
        gradient["scales"] *= member.learn_scale
        shrink = jnp.minimum(1.0, clip / safe_norm(gradient))
        speed = jax.tree.map(lambda v, g: momentum * v + shrink * g, speed, gradient)
        params = jax.tree.map(lambda p, v: p - member.rate * v, params, speed)
        return (params, speed), value

    before, after = features(params, x[picks[0]], member.skip, phi)
    still = jax.tree.map(lambda p: 0 * p, params)
    losses = jax.lax.scan(step, (params, still), picks)[1]
    return Found(losses, jnp.max(jnp.abs(after - before)))


def final_losses(losses: np.ndarray) -> np.ndarray:
    """Mean over the last tenth of the steps; `inf` for a run that was not finite throughout."""
    tail = losses[:, -max(1, losses.shape[1] // 10) :].mean(axis=1)
    return np.where(np.isfinite(losses).all(axis=1), tail, np.inf)
