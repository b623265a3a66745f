"""What is measured on random nets: effective fields, and gradients through depth."""

import json
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.explorer.nets import EXPLORED, Net, RandomLayers, UpLayers, end_points
from experiments.explorer.tables import MEASURED
from experiments.residual_gradient.config import ARMS, Arm, make_layer
from experiments.residual_gradient.probes import draw, total_log_norms
from jaxseg.analysis import (
    backward_signal,
    effective_receptive_field,
    forward_signal,
    receptive_field,
)
from jaxseg.analysis.receptive.explorer.tables import SHADES

FEATURES, FIELD_SEEDS, GRID = 8, 24, 40
"""Channels and draws of the nets of effective fields; largest side of their maps."""
DEPTHS = (2, 4, 8, 16, 32, 64, 128)
"""Depths of the nets whose gradients are measured."""
EXPONENTS = (-7, -6, -5, -4, -3, -2, -1, 0, 1)
"""log2 of the squared branch scales alpha**2 that are measured, besides alpha = 0."""
WIDTH, DEPTH_SEEDS = 256, 16
EXAMPLES, EXAMPLES_NORM = 32, 128
"""Examples of these nets, and of those with batch norm, whose theory is for large batches."""


def main() -> None:
    """Measure everything and write it down."""
    found = {"effective": {name: effective_fields(net) for name, net in EXPLORED.items()}}
    found["about"] = {
        "effective": {"features": FEATURES, "seeds": FIELD_SEEDS},
        "depth": {
            "width": WIDTH,
            "seeds": DEPTH_SEEDS,
            "examples": EXAMPLES,
            "examples_norm": EXAMPLES_NORM,
        },
    }
    found["depth"] = {str(depth): gradients(depth) for depth in DEPTHS}
    MEASURED.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")


def effective_fields(net: Net) -> dict[str, Any]:
    """Measure the middle pixel's effective field at every end point, over random nets.

    Returns:
        End point -> "pixel" (row, column), "window" [top, bottom, left, right] that the map
        covers, "shades" (a hexadecimal digit for each block, the root of its share), "block" and
        "width" (standard deviation along each axis in pixels).
    """
    image = jnp.zeros((1, net.size, net.size, FEATURES))
    ends = end_points(net)
    # What a pixel of DeepLab's first stages sees is the same, or nearly, as in a ResNet.
    ends = ends[4:] if "ASPP" in ends else ends
    return {end: _effective_field(net, end, image) for end in ends}


def _effective_field(net: Net, end: str, image: jax.Array) -> dict[str, Any]:
    def apply(key, x):
        net_key, noise_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, image.shape)
        return net.build(RandomLayers(net_key, FEATURES), x + noise)[end]

    measure = partial(
        effective_receptive_field,
        apply,
        image,
        init=lambda key: key,
        seeds=FIELD_SEEDS,
        batch_size=1,
    )
    measured = jax.device_get(jax.jit(lambda key: measure(key=key))(jax.random.key(0)))
    pixel = tuple(int(n) for n in measured.positions[0])
    shape = jax.ShapeDtypeStruct((1, net.size, net.size, 1), jnp.float32)
    window = receptive_field(lambda x: net.build(UpLayers(), x)[end], shape).window(pixel)
    assert window is not None  # the middle pixel sees the image
    (top, bottom), (left, right) = window
    energy = measured.energy[0][top : bottom + 1, left : right + 1]
    block = -(-max(energy.shape) // GRID)
    rows, columns = (-(-n // block) for n in energy.shape)
    padded = np.zeros((rows * block, columns * block))
    padded[: energy.shape[0], : energy.shape[1]] = energy
    means = np.sqrt(padded.reshape(rows, block, columns, block).mean(axis=(1, 3)))
    shades = np.rint(SHADES * means / means.max()).astype(int)
    return {
        "pixel": pixel,
        "window": [top, bottom, left, right],
        "block": block,
        "width": [round(float(w), 2) for w in measured.width[0]],
        "shades": ["".join(f"{shade:x}" for shade in row) for row in shades],
    }


def gradients(depth: int) -> dict[str, Any]:
    """Measure the gradient's norm at every block of random nets, relative to the output's.

    Returns:
        "blocks", numbers of the blocks; and for each arm [least, median, most] of log10 of the norm
        over the seeds, by block. Arms are "plain", "plain_norm", "residual_norm", and "residual"
        with an entry for alpha = 0 and for each of `EXPONENTS`.
    """
    blocks = sorted({round(n) for n in np.linspace(0, depth, min(depth, 16) + 1)})
    scales = jnp.array([0.0, *(2 ** (e / 2) for e in EXPONENTS)])

    def log_norms(key, arm):
        examples = EXAMPLES_NORM if arm.norm else EXAMPLES
        weights, x, cotangents = draw(key, depth, WIDTH, examples)
        layer = make_layer(arm, depth)
        forward = forward_signal(layer, weights, x, homogeneous=arm.homogeneous, compare=None)
        backward = backward_signal(layer, weights, forward.inputs, cotangents, compare=None)
        logs = total_log_norms(backward.log_norms)
        return (logs - logs[-1])[jnp.array(blocks)] / math.log(10)

    keys = jax.random.split(jax.random.key(depth), DEPTH_SEEDS)
    measured: dict[str, Any] = {"blocks": blocks}
    for name in ("plain", "plain_norm", "residual_norm"):
        measured[name] = _range(
            jax.jit(lambda n=ARMS[name]: jax.lax.map(lambda k: log_norms(k, n), keys))()
        )

    def residual(scale):
        return jax.lax.map(lambda key: log_norms(key, Arm(scale=scale)), keys)

    measured["residual"] = [
        _range(logs) for logs in jax.jit(lambda: jax.lax.map(residual, scales))()
    ]
    return measured


def _range(logs: jax.Array) -> list[list[float]]:
    """Least, median and most over the first axis."""
    values = np.asarray(logs)
    ranges = (values.min(0), np.median(values, 0), values.max(0))
    return [[round(float(n), 3) for n in row] for row in ranges]
