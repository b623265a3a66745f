"""An animation of a gradient that runs back through deep nets, from the loss to the image."""

import itertools
from functools import partial

import jax
import numpy as np

from experiments.animations.canvas import INK, LINE, SOFT, Animation, Canvas
from experiments.residual_gradient import probes
from experiments.residual_gradient.config import LABELS
from experiments.residual_gradient.figures import STYLES

NETS = ("plain_norm", "residual", "residual_norm", "residual_scaled", "plain")
"""Arms of the residual_gradient study, in the order of the legend."""
LAYERS, SEEDS = 32, 16
LOW, HIGH = -1.0, 5.0
"""Ends of the axis, in powers of ten."""
LEFT, RIGHT, TOP, BOTTOM = 56, 288, 48, 268
"""Edges of the axes in pixels."""


def measured_gradients(
    *, layers: int = LAYERS, width: int = 128, examples: int = 128, seeds: int = SEEDS
) -> dict[str, np.ndarray]:
    """Measure the gradient's norm at every layer of random nets, relative to the last layer's.

    Args:
        layers: Depth of the nets.
        width: Their width.
        examples: Inputs of each net.
        seeds: Random nets, whose logarithms are averaged.

    Returns:
        Arm -> (layers + 1,) log10 of the norm, the image's end first.
    """
    measure = jax.jit(partial(probes.profiles, layers=layers, width=width, examples=examples))
    keys = jax.random.split(jax.random.key(0), seeds)
    nets = [jax.device_get(measure(key)) for key in keys]
    return {
        arm: np.mean([net[arm]["log_gradient"] for net in nets], axis=0) / np.log(10)
        for arm in NETS
    }


def expected_gradients(layers: int = LAYERS) -> dict[str, np.ndarray]:
    """Give the same by the theory of wide nets, nothing fitted."""
    return {arm: probes.theory(arm, "log_gradient", layers) / np.log(10) for arm in NETS}


def place(layer: float, value: float, layers: int) -> tuple[float, float]:
    """Find the place of a point: the image is to the left, the loss to the right."""
    x = LEFT + (RIGHT - LEFT) * layer / layers
    share = (np.clip(value, LOW, HIGH) - LOW) / (HIGH - LOW)
    return x, BOTTOM - (BOTTOM - TOP) * float(share)


def gradient_through_depth(
    measured: dict[str, np.ndarray], expected: dict[str, np.ndarray], *, title: str
) -> Animation:
    """Animate gradients that run from the last layer to the first.

    Args:
        measured: Arm -> (layers + 1,) log10 of the norm, relative to the last layer's.
        expected: Likewise, by theory; drawn on the last frame.
        title: Title.
    """
    layers, animation = len(next(iter(measured.values()))) - 1, Animation()
    for layer in [*range(layers, -1, -1), None]:
        canvas = Canvas(328, title)
        _axes(canvas, layers)
        last = layer is None
        reached = 0 if last else layer
        heights = _apart([float(measured[arm][reached]) for arm in NETS])
        for arm, height in zip(NETS, heights, strict=True):
            color, values = STYLES[arm][0], measured[arm]
            path = [place(n, values[n], layers) for n in range(reached, layers + 1)]
            if len(path) > 1:
                canvas.line(path, color, 2.5)
            if last:
                _dashed(canvas, expected[arm], layers)
            canvas.dot(*path[0], 4.5, color)
            canvas.dot(RIGHT + 18, height, 4.5, color)
            name = LABELS[arm].replace("branches ", "")
            text = f"{name}: {_factor(10 ** values[reached])}"
            canvas.text(RIGHT + 27, height, text, size=9, anchor="lm")
        where = "at the image; dashed: theory, nothing fitted" if last else f"at layer {layer}"
        text = f"the gradient {where}" if last else f"the gradient {where} of {layers}"
        canvas.text((LEFT + RIGHT) / 2, 312, text, size=11, color=SOFT)
        animation.add(canvas, 3200 if last else 700 if layer == layers else 130)
    return animation


def _axes(canvas: Canvas, layers: int) -> None:
    for power in range(int(LOW), int(HIGH) + 1):
        (x, y), (end, _) = place(0, power, layers), place(layers, power, layers)
        canvas.line([(x, y), (end, y)], LINE, 1)
        canvas.text(x - 8, y, f"{10.0**power:,g}", size=10, color=SOFT, anchor="rm")
    canvas.text(LEFT, BOTTOM + 16, "image", size=11, color=INK, anchor="lm")
    canvas.text(RIGHT, BOTTOM + 16, "loss", size=11, color=INK, anchor="rm")
    canvas.text(LEFT, TOP - 14, "norm of the gradient (at the loss: 1)", size=10, anchor="lm")


def _dashed(canvas: Canvas, values: np.ndarray, layers: int) -> None:
    for n in range(0, layers, 2):
        canvas.line([place(n, values[n], layers), place(n + 1, values[n + 1], layers)], INK, 1.25)


def _factor(value: float) -> str:
    """Write a factor as people do."""
    return f"× {value:,.0f}" if value >= 10 else f"× {value:.1f}"


def _apart(values: list[float], gap: float = 16.0) -> list[float]:
    """Place lines of the legend beside their values, at least `gap` pixels from each other."""
    wanted = np.array([place(0, value, 1)[1] for value in values])
    order, placed = np.argsort(wanted, kind="stable"), wanted.copy()
    for above, below in itertools.pairwise(order):
        placed[below] = max(placed[below], placed[above] + gap)
    return (placed - max(0.0, placed[order[-1]] - BOTTOM)).tolist()
