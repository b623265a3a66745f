"""Measurements of one random net by its key, and what the theory of wide nets expects of them.

All arms of one key see the same weights, inputs and cotangents. A correlation of gradients is the
cosine between the gradients of one function of the output at two inputs: all examples share the
cotangent, and batch norm's statistics are constants. A gradient's norm is that of all examples
together.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.residual_gradient.config import ARMS, SHATTERED, batch_norm, make_layer
from jaxseg import nn
from jaxseg.analysis import backward_signal, forward_signal, shattering
from jaxseg.analysis.mean_field import (
    BATCH_NORM_GAIN,
    RELU,
    Layer,
    batch_norm_branch_fraction,
    batch_norm_moment,
    iterate,
)

Measured = dict[str, dict[str, Any]]
"""Arm -> quantity -> an entry a layer, depth or angle."""
BRANCH_SCALE = 0.2
"""Factor of the convolutional branches of `identity_path`."""


def draw(
    key: jax.Array, layers: int, width: int, examples: int, *, gain: float = 2.0
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Draw (layers, width, width) weights of variance gain / width, inputs and cotangents.

    Inputs and cotangents are (examples, width), of variance 1.
    """
    keys = jax.random.split(key, 3)
    weights = jax.random.normal(keys[0], (layers, width, width)) * math.sqrt(gain / width)
    inputs, cotangents = (jax.random.normal(k, (examples, width)) for k in keys[1:])
    return weights, inputs, cotangents


def share_first(cotangents: jax.Array) -> jax.Array:
    """Give the first example's cotangent to all."""
    return jnp.broadcast_to(cotangents[:1], cotangents.shape)


def total_log_norms(log_norms: jax.Array) -> jax.Array:
    """Join (layers, examples) logarithms of norms into those of all examples together."""
    return 0.5 * jax.nn.logsumexp(2 * log_norms, axis=1)


def profiles(key: jax.Array, *, layers: int, width: int, examples: int) -> Measured:
    """Measure every arm at every layer.

    Returns:
        Arm -> "log_moment" (mean square of the activations), "correlation", "log_gradient" (norm,
        relative to the last layer's), "gradient_correlation", each (layers + 1,), and
        "branch_fraction" (layers,). Logarithms are natural.
    """
    weights, x, cotangents = draw(key, layers, width, examples)
    measured = {}
    for name, arm in ARMS.items():
        layer, constant = make_layer(arm, layers), make_layer(arm, layers, constant=True)
        forward = forward_signal(layer, weights, x, homogeneous=arm.homogeneous)
        backward = backward_signal(layer, weights, forward.inputs, cotangents, compare=None)
        logs = total_log_norms(backward.log_norms)
        single = backward_signal(constant, weights, forward.inputs, share_first(cotangents))
        measured[name] = {
            "log_moment": jax.nn.logsumexp(forward.log_variances, axis=1) - math.log(examples),
            "correlation": forward.similarity,
            "log_gradient": logs - logs[-1:],
            "gradient_correlation": single.similarity,
            "branch_fraction": forward.branch_fractions,
        }
    return measured


def depths(key: jax.Array, *, depths: tuple[int, ...], width: int, examples: int) -> Measured:
    """Measure the gradient at the input of nets of several depths, which rise.

    Returns:
        Arm -> "gradient_correlation" and "log_gradient" (norm, relative to the output's), each
        (depths,).
    """
    weights, x, cotangents = draw(key, max(depths), width, examples)
    measured = {}
    for name in SHATTERED:
        arm, points, inputs = ARMS[name], [], None
        for depth in depths[::-1]:
            # The layers of a deep net are those of shallower ones, unless its depth scales them.
            if inputs is None or arm.over_root_depth:
                layer = make_layer(arm, depth)
                inputs = forward_signal(
                    layer, weights[:depth], x, homogeneous=arm.homogeneous, compare=None
                ).inputs
            constant = make_layer(arm, depth, constant=True)
            backward = backward_signal(
                constant, weights[:depth], inputs[:depth], share_first(cotangents)
            )
            logs = total_log_norms(backward.log_norms)
            points.append((backward.similarity[0], logs[0] - logs[-1]))
        correlations, growths = (jnp.stack(column) for column in zip(*points[::-1], strict=True))
        measured[name] = {"gradient_correlation": correlations, "log_gradient": growths}
    return measured


def neighbors(
    key: jax.Array, *, layers: int, width: int, examples: int, angles: np.ndarray
) -> Measured:
    """Measure the correlation of a deep net's gradients at two inputs, by the angle between these.

    Further examples fill the batch for the sake of batch norm's statistics.

    Args:
        key: Draws the net and the inputs.
        layers: Depth of the net.
        width: Width of the net.
        examples: Inputs in all, unless the pairs are more.
        angles: Angles between the inputs of each pair in radians.

    Returns:
        Arm -> "gradient_correlation" (angles,).
    """
    paired = 2 * len(angles)
    weights, x, cotangents = draw(key, layers, width, max(examples, paired))
    x = jnp.concatenate([pairs_at(angles, x[:paired]), x[paired:]])
    measured = {}
    for name in SHATTERED:
        arm = ARMS[name]
        layer, constant = make_layer(arm, layers), make_layer(arm, layers, constant=True)
        forward = forward_signal(layer, weights, x, homogeneous=arm.homogeneous, compare=None)
        backward = backward_signal(
            constant,
            weights,
            forward.inputs,
            share_first(cotangents),
            compare=lambda units: pair_cosines(units[:paired]),
        )
        measured[name] = {"gradient_correlation": backward.similarity[0]}
    return measured


def pairs_at(angles: np.ndarray, x: jax.Array) -> jax.Array:
    """Turn (2 angles, width) inputs into pairs 2k, 2k + 1 of norm sqrt(width) at the k-th angle."""
    # Orthogonal and of one length, so that the angle is exact.
    first, other = x[::2], x[1::2]
    first = first / jnp.linalg.norm(first, axis=1, keepdims=True)
    other = other - first * jnp.sum(first * other, axis=1, keepdims=True)
    other = other / jnp.linalg.norm(other, axis=1, keepdims=True)
    cosine, sine = (jnp.asarray(f(angles), jnp.float32)[:, None] for f in (np.cos, np.sin))
    turned = cosine * first + sine * other
    return math.sqrt(x.shape[1]) * jnp.stack([first, turned], axis=1).reshape(x.shape)


def pair_cosines(units: jax.Array) -> jax.Array:
    """Return the cosine of each pair of rows 2k, 2k + 1; the rows have norm 1."""
    return jnp.sum(units[::2] * units[1::2], axis=1)


def batch_norm_growth(
    key: jax.Array, *, layers: int, width: int, examples: int, relu: bool
) -> jax.Array:
    """Measure the logarithm of the squared gradient's growth a layer with batch norm.

    Args:
        key: Draws the net.
        layers: Depth of the net, at least 4.
        width: Width of the net.
        examples: Batch size.
        relu: With a ReLU; otherwise without an activation.
    """
    weights, x, cotangents = draw(key, layers, width, examples, gain=2.0 if relu else 1.0)

    def layer(weights, x):
        normed = batch_norm(x)
        return (jax.nn.relu(normed) if relu else normed) @ weights

    forward = forward_signal(layer, weights, x, compare=None)
    backward = backward_signal(layer, weights, forward.inputs, cotangents, compare=None)
    logs = jax.nn.logsumexp(2 * backward.log_norms, axis=1)
    # Layer 0 has inputs of another variance, and the last two gradients are still white.
    return (logs[1] - logs[-3]) / (layers - 3)


def log_growth(key: jax.Array, *, layers: int, width: int) -> jax.Array:
    """Measure ln of the growth of a plain net's squared features, and of its squared gradient.

    Returns:
        (2,) numbers, of one example.
    """
    weights, x, cotangents = draw(key, layers, width, 1)
    layer = make_layer(ARMS["plain"], layers)
    forward = forward_signal(layer, weights, x, homogeneous=True, compare=None)
    backward = backward_signal(layer, weights, forward.inputs, cotangents, compare=None)
    features, gradients = forward.log_variances[:, 0], 2 * backward.log_norms[:, 0]
    return jnp.stack([features[-1] - features[0], gradients[0] - gradients[-1]])


def identity_path(key: jax.Array, *, blocks: int, features: int, size: int) -> Measured:
    """Measure |x_L - x_0 - sum of all branches| / |x_L| of convolutional residual nets.

    Pre-activation blocks of two convolutions are compared with those that have a ReLU behind the
    sum (He et al. 2015).

    Returns:
        Kind of net -> "left_over" -> a number.
    """
    net_key, input_key = jax.random.split(key)
    x = jax.random.normal(input_key, (2, size, size, features))
    activations = {"pre-activation": None, "post-activation": jax.nn.relu}
    return {
        name: {"left_over": _left_over(x, net_key, blocks, activation)}
        for name, activation in activations.items()
    }


def _left_over(x: jax.Array, key: jax.Array, blocks: int, activation) -> jax.Array:
    def make(rngs):
        branch = nn.PreActivation(x.shape[-1], rngs=rngs)
        return nn.Residual(branch, scale=BRANCH_SCALE, activation=activation)

    stack = nn.Stack(make, blocks, rngs=nnx.Rngs(key))
    graphdef, params = nnx.split(stack.blocks)
    y, inputs = stack.trace(x)
    branches = jax.vmap(lambda p, x: nnx.merge(graphdef, p, copy=True).branch(x))(params, inputs)
    left_over = y - x - BRANCH_SCALE * jnp.sum(branches, axis=0)
    return jnp.linalg.norm(left_over.ravel()) / jnp.linalg.norm(y.ravel())


def theory(arm: str, quantity: str, layers: int) -> np.ndarray:
    """Give what the theory of wide nets expects of `profiles`.

    Args:
        arm: A name of `ARMS`.
        quantity: A quantity of `profiles`.
        layers: Depth of the net.

    Returns:
        (layers + 1,) numbers, or (layers,) for the branch fraction; NaN where theory says nothing.
    """
    if quantity == "gradient_correlation":
        return gradient_correlation(arm, layers)
    if ARMS[arm].norm:
        return _theory_with_norm(ARMS[arm].shortcut, layers)[quantity]
    scale = ARMS[arm].branch_scale(layers) if ARMS[arm].shortcut else None
    path = iterate(Layer(RELU, 2.0, branch_scale=scale), layers)
    moments = np.log(path.variances)
    fraction = math.nan if scale is None else scale**2 / (1 + scale**2)
    return {
        "log_moment": moments,
        "correlation": path.correlations,
        # The squared gradient grows by the factors by which the variance does.
        "log_gradient": 0.5 * (moments[-1] - moments),
        "branch_fraction": np.full(layers, fraction),
    }[quantity]


def _theory_with_norm(shortcut: bool, layers: int) -> dict[str, np.ndarray]:
    """Give the theory for inputs that are uncorrelated and of variance 1."""
    at = np.arange(layers + 1)
    # Over the batch a branch varies by 1 / gain only: the rest is the same for all examples.
    variances = (
        1 + at / BATCH_NORM_GAIN
        if shortcut
        else np.append(1.0, np.full(layers, 1 / BATCH_NORM_GAIN))
    )
    factors = np.log(float(shortcut) + 1 / variances[:-1])
    moments = batch_norm_moment(layers)
    return {
        "log_moment": np.log(moments) if shortcut else np.zeros(layers + 1),
        "correlation": at / np.pi / moments if shortcut else np.where(at > 0, 1 / np.pi, 0.0),
        "log_gradient": 0.5 * np.append(np.cumsum(factors[::-1])[::-1], 0.0),
        "branch_fraction": batch_norm_branch_fraction(layers)
        if shortcut
        else np.full(layers, math.nan),
    }


def gradient_correlation(arm: str, layers: int, correlation: float = 0.0) -> np.ndarray:
    """Give the expected cosine of dE/dx_l at two inputs, (layers + 1,).

    Args:
        arm: A name of `ARMS`.
        layers: Depth of the net.
        correlation: Cosine of the two inputs.
    """
    if ARMS[arm].norm:
        profile = (
            shattering.batch_norm_residual_correlations
            if ARMS[arm].shortcut
            else shattering.batch_norm_plain_correlations
        )
        return profile(layers, correlation=correlation)
    scale = ARMS[arm].branch_scale(layers) if ARMS[arm].shortcut else None
    return shattering.he_relu_correlations(layers, branch_scale=scale, correlation=correlation)
