"""What `gradient_norms` measures: its layers, and one function a question, each of one PRNG key.

A layer has one matrix W of He's variance; x holds its examples, the pixels of a 1x1 convolution:

    plain            W relu(x)
    plain_norm       W relu(norm(x)), batch norm over the examples
    residual         x + W relu(x)
    residual_scaled  x + W relu(x) / sqrt(L)
    residual_norm    x + W relu(norm(x))
    residual_zero    x + 0 W relu(x): how Fixup and SkipInit begin

All arms of one key see the same weights, inputs and cotangents. A gradient's correlation is that
of one function of the output at two inputs, so its cotangent is shared by all examples and batch
norm's statistics are constants; the norm is that of the gradient of all examples together.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxseg import nn
from jaxseg.analysis import backward_signal, forward_signal

ARMS = ("plain", "plain_norm", "residual", "residual_scaled", "residual_norm", "residual_zero")
SHATTERED = ARMS[:-1]
"""The arms whose gradients change their direction."""
Measured = dict[str, dict[str, jax.Array]]
"""arm -> quantity -> an entry a layer, depth or angle."""


def layer(arm: str, layers: int, *, constant: bool = False):
    """`layer(w, x) -> x` of one arm in a net of `layers` of them.

    Args:
        arm: one of `ARMS`.
        layers: L.
        constant: batch norm's statistics are constants to autodiff.
    """
    scales = {"residual_scaled": 1 / math.sqrt(layers), "residual_zero": 0.0}
    scale, normed = scales.get(arm, 1.0), arm.endswith("norm")

    def run(w, x):
        branch = scale * jax.nn.relu(batch_norm(x, constant=constant) if normed else x) @ w
        return branch if arm.startswith("plain") else x + branch

    return run


def batch_norm(x: jax.Array, *, constant: bool = False) -> jax.Array:
    """Each feature less its mean over the examples, by its standard deviation."""
    statistics = jnp.mean(x, 0, keepdims=True), jnp.var(x, 0, keepdims=True)
    mean, variance = jax.lax.stop_gradient(statistics) if constant else statistics
    return (x - mean) * jax.lax.rsqrt(variance)


def homogeneous(arm: str) -> bool:
    """Whether twice the input is twice the output, so that activations may be rescaled."""
    return not arm.endswith("norm")


def draw(key: jax.Array, layers: int, width: int, examples: int, *, gain: float = 2.0):
    """(layers, width, width) weights, (examples, width) inputs and cotangents."""
    keys = jax.random.split(key, 3)
    weights = jax.random.normal(keys[0], (layers, width, width)) * math.sqrt(gain / width)
    return weights, *(jax.random.normal(k, (examples, width)) for k in keys[1:])


def profiles(key: jax.Array, *, layers: int, width: int, examples: int) -> Measured:
    """Logs of moments and of gradient norms, and correlations, at every layer of every arm."""
    weights, x, cotangent = draw(key, layers, width, examples)
    found = {}
    for arm in ARMS:
        run, own = layer(arm, layers), layer(arm, layers, constant=True)
        forward = forward_signal(run, weights, x, homogeneous=homogeneous(arm))
        back = backward_signal(run, weights, forward.inputs, cotangent, compare=None)
        logs = 0.5 * jax.nn.logsumexp(2 * back.log_norms, axis=1)
        alike = backward_signal(own, weights, forward.inputs, shared(cotangent)).similarity
        found[arm] = {
            "log_moment": jax.nn.logsumexp(forward.log_variances, axis=1) - math.log(examples),
            "correlation": forward.similarity,
            "log_gradient": logs - logs[-1:],
            "gradient_correlation": alike,
            "branch_fraction": forward.branch_fractions,
        }
    return found


def shared(cotangent: jax.Array) -> jax.Array:
    """The first example's, for all."""
    return jnp.broadcast_to(cotangent[:1], cotangent.shape)


def depths(key: jax.Array, *, depths: tuple[int, ...], width: int, examples: int) -> Measured:
    """The gradient at the input of nets, shallow to deep: how alike over examples, and its log."""
    weights, x, cotangent = draw(key, max(depths), width, examples)
    found = {}
    for arm in SHATTERED:
        rows, inputs = [], None
        for depth in depths[::-1]:
            own = layer(arm, depth, constant=True)
            if inputs is None or arm == "residual_scaled":  # the only arm that L is a part of
                inputs = forward_signal(
                    layer(arm, depth),
                    weights[:depth],
                    x,
                    homogeneous=homogeneous(arm),
                    compare=None,
                ).inputs
            back = backward_signal(own, weights[:depth], inputs[:depth], shared(cotangent))
            logs = 0.5 * jax.nn.logsumexp(2 * back.log_norms, axis=1)
            rows.append((back.similarity[0], logs[0] - logs[-1]))
        alike, growth = (jnp.stack(column) for column in zip(*rows[::-1], strict=True))
        found[arm] = {"gradient_correlation": alike, "log_gradient": growth}
    return found


def pairs(angles: np.ndarray) -> Any:
    """`compare` for inputs 2k and 2k + 1 that stand at the k-th angle."""

    def cosines(units):
        return jnp.sum(units[: 2 * len(angles) : 2] * units[1 : 2 * len(angles) : 2], axis=1)

    return cosines


def neighbours(
    key: jax.Array, *, layers: int, width: int, examples: int, angles: np.ndarray
) -> Measured:
    """How alike the gradients of a deep net are at two inputs, by the angle between these.

    What `examples` there are beside the pairs fill the batch, for batch norm's statistics.
    """
    pair_rows = 2 * len(angles)
    weights, x, cotangent = draw(key, layers, width, max(examples, pair_rows))
    # Orthogonal and of one length, so that the angle is exact.
    first, other = x[:pair_rows:2], x[1:pair_rows:2]
    first = first / jnp.linalg.norm(first, axis=1, keepdims=True)
    other = other - first * jnp.sum(first * other, axis=1, keepdims=True)
    other = other / jnp.linalg.norm(other, axis=1, keepdims=True)
    cosine, sine = (jnp.asarray(f(angles), jnp.float32)[:, None] for f in (np.cos, np.sin))
    turned = cosine * first + sine * other
    near = math.sqrt(width) * jnp.stack([first, turned], axis=1).reshape(pair_rows, width)
    x = jnp.concatenate([near, x[pair_rows:]])
    found = {}
    for arm in SHATTERED:
        run, own = layer(arm, layers), layer(arm, layers, constant=True)
        forward = forward_signal(run, weights, x, homogeneous=homogeneous(arm), compare=None)
        back = backward_signal(
            own, weights, forward.inputs, shared(cotangent), compare=pairs(angles)
        )
        found[arm] = {"gradient_correlation": back.similarity[0]}
    return found


def growth(key: jax.Array, *, layers: int, width: int, examples: int, relu: bool) -> jax.Array:
    """Log of the squared gradient's growth a layer with batch norm, where it has settled."""
    weights, x, cotangent = draw(key, layers, width, examples, gain=2.0 if relu else 1.0)
    activation = jax.nn.relu if relu else lambda x: x
    run = lambda w, x: activation(batch_norm(x)) @ w  # noqa: E731
    forward = forward_signal(run, weights, x, compare=None)
    back = backward_signal(run, weights, forward.inputs, cotangent, compare=None)
    logs = jax.nn.logsumexp(2 * back.log_norms, axis=1)
    # Layer 0 is given inputs of another variance, and the last two gradients are still white.
    return (logs[1] - logs[-3]) / (layers - 3)


def log_growth(key: jax.Array, *, layers: int, width: int) -> jax.Array:
    """Log of q of a plain net's features, and log of the squared gradient's growth; one example."""
    weights, x, cotangent = draw(key, layers, width, 1)
    run = layer("plain", layers)
    forward = forward_signal(run, weights, x, homogeneous=True, compare=None)
    back = backward_signal(run, weights, forward.inputs, cotangent, compare=None).log_norms
    logs = forward.log_variances
    return jnp.stack([logs[-1, 0] - logs[0, 0], 2 * (back[0, 0] - back[-1, 0])])


def identity_path(key: jax.Array, *, blocks: int, features: int, size: int) -> Measured:
    """|x_L - x_0 - sum of F(x_l)| / |x_L| of convolutional nets, and one with zero branches.

    Pre-activation blocks against those with a ReLU behind the sum (He et al. 2015), two
    convolutions each.
    """
    drawn, inputs = jax.random.split(key, 2)
    x = jax.random.normal(inputs, (2, size, size, features))
    posts = {"pre-activation": None, "post-activation": jax.nn.relu}
    return {name: {"left_over": _left_over(x, drawn, blocks, post)} for name, post in posts.items()}


def _left_over(x, key, blocks, activation, scale=0.2):
    def make(rngs):
        branch = nn.PreActivation(x.shape[-1], rngs=rngs)
        return nn.Residual(branch, scale=scale, activation=activation)

    stack = nn.Stack(make, blocks, rngs=nnx.Rngs(key))
    graphdef, params = nnx.split(stack.blocks)
    y, inputs = stack.trace(x)
    added = jax.vmap(lambda p, x: nnx.merge(graphdef, p, copy=True).branch(x))(params, inputs)
    left = y - x - scale * jnp.sum(added, axis=0)
    return jnp.linalg.norm(left.ravel()) / jnp.linalg.norm(y.ravel())
