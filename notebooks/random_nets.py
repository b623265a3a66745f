"""Random nets in NumPy for figures with sliders, drawn once, so that only settings change them."""

import functools
from collections.abc import Callable, Sequence

import numpy as np


@functools.cache
def he_weights(seed: int, layers: int, width: int) -> np.ndarray:
    """Weights (layers, width, width) of variance 2 / width, the same for each call."""
    weights = np.random.default_rng(seed).standard_normal((layers, width, width), np.float32)
    return weights * np.float32((2 / width) ** 0.5)


def variances(
    depth: int, branch_scale: float, seed: int = 0, *, deepest: int = 128, width: int = 128
) -> np.ndarray:
    """Variances of x_0 ... x_L over the first one's, of a residual and of a plain net."""
    rng = np.random.default_rng(1)
    residual = plain = rng.standard_normal((8, width), np.float32)  # a pixel of eight images
    squares = [(_mean_square(residual), _mean_square(plain))]
    for weights in he_weights(seed, deepest, width)[:depth]:
        residual = residual + branch_scale * (np.maximum(residual, 0) @ weights)
        plain = np.maximum(plain, 0) @ weights
        squares.append((_mean_square(residual), _mean_square(plain)))
    return np.array(squares).T / squares[0][0]


def _mean_square(x: np.ndarray) -> float:
    return float(np.mean(np.square(x, dtype=np.float64)))  # beyond the range of float32


def outputs(
    depth: int, branch_scale: float, *, plain: bool, without: int | None = None, width: int = 256
) -> np.ndarray:
    """The outputs for 64 inputs, about their mean; block `without` is left out."""
    x = np.random.default_rng(0).normal(size=(64, width))
    for block, weights in enumerate(he_weights(1, depth, width)):
        if block == without:
            continue
        branch = np.maximum(x, 0) @ weights
        x = branch if plain else x + branch_scale * branch
    return x - x.mean(axis=0)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two arrays."""
    return float(np.sum(a * b) / np.sqrt(np.sum(a**2) * np.sum(b**2)))


def signals(
    phi: Callable[[np.ndarray], np.ndarray],
    weight_variance: float,
    bias_variance: float,
    depth: int,
    branch_scale: float | None = None,
    *,
    start: float,
    width: int = 400,
    deepest: int = 61,
) -> tuple[np.ndarray, np.ndarray]:
    """Variance and correlation of two inputs, layer by layer, in one random net.

    Args:
        phi: Activation function.
        weight_variance: Variance of the weights, times the width.
        bias_variance: Variance of the biases.
        depth: Number of layers.
        branch_scale: Scale of the layers as branches of residual blocks; None is a plain net.
        start: Correlation of the two inputs.
        width: Features of each layer.
        deepest: Layers whose weights are drawn.
    """
    kernels = he_weights(1, deepest, width) * np.float32((weight_variance / 2) ** 0.5)
    rng = np.random.default_rng(2)
    biases = rng.standard_normal((deepest, width), np.float32) * np.float32(bias_variance) ** 0.5
    first, orthogonal = np.linalg.qr(rng.normal(size=(width, 2)))[0].T * np.sqrt(width)
    h = np.stack([first, start * first + np.sqrt(1 - start**2) * orthogonal])
    variances, correlations = [], []
    for kernel, bias in zip(kernels[: depth + 1], biases, strict=False):
        variances.append(np.mean(h**2))
        correlations.append(h[0] @ h[1] / np.sqrt((h[0] @ h[0]) * (h[1] @ h[1])))
        branch = phi(h) @ kernel + bias
        h = branch if branch_scale is None else h + branch_scale * branch
    return np.array(variances), np.array(correlations)


def log_gradients(
    depth: int, branch: float, shortcut: float, seed: int, *, deepest: int = 128, width: int = 128
) -> np.ndarray:
    """log10 of ‖∂E/∂x_l‖ / ‖∂E/∂x_L‖ for l = 0 ... L, in one random residual net."""
    x, g = np.random.default_rng(seed).normal(size=(2, width))
    weights, slopes, logs = he_weights(seed, deepest, width)[:depth], [], [0.0]
    for w in weights:
        slopes.append(x > 0)
        x = shortcut * x + branch * (np.maximum(x, 0) @ w)
        x = x / np.linalg.norm(x)  # the slopes of ReLU do not depend on the size of x
    for w, slope in zip(weights[::-1], slopes[::-1], strict=True):
        norm = np.linalg.norm(g)
        g = shortcut * g + branch * slope * (w @ g)
        logs.append(logs[-1] + np.log10(np.linalg.norm(g) / norm))
        g = g / np.linalg.norm(g)
    return np.array(logs[::-1])


def gradients_on_circle(
    depth: int,
    *,
    residual: bool,
    batch_norm: bool,
    points: int = 192,
    width: int = 160,
    deepest: int = 60,
) -> np.ndarray:
    """∂E/∂x at the points of a circle of inputs, (points, width), each of mean square 1.

    Args:
        depth: Number of layers.
        residual: Whether the layers are branches of residual blocks; without batch norm they are
            scaled by 1 / √depth.
        batch_norm: Whether each branch begins with batch norm over the circle.
        points: Number of points.
        width: Features of each layer.
        deepest: Layers whose weights are drawn.
    """
    weights = he_weights(0, deepest, width)[:depth]
    scale = np.float32(1.0 if batch_norm else depth**-0.5)
    start = np.random.default_rng(1).standard_normal((3, width), np.float32)
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False, dtype=np.float32)[:, None]
    x = np.cos(angle) * start[0] + np.sin(angle) * start[1]  # all of nearly the same size
    slopes = []
    for w in weights:
        # The statistics count as constants, so that each point has a gradient of its own.
        mean, deviation = (x.mean(0), x.std(0)) if batch_norm else (0.0, np.float32(1))
        z = (x - mean) / deviation
        slopes.append((z > 0) / deviation)
        branch = np.maximum(z, 0) @ w
        x = x + scale * branch if residual else branch
    g = np.tile(start[2], (points, 1))
    for w, slope in zip(weights[::-1], slopes[::-1], strict=True):
        branch = slope * (g @ w.T)
        g = g + scale * branch if residual else branch
        g = g / np.sqrt(np.mean(g**2))
    return g


def mean_cosines(gradients: np.ndarray) -> np.ndarray:
    """Mean cosine of the gradients at two points, by the number of points between them."""
    directions = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    cosines, point = directions @ directions.T, np.arange(len(gradients))
    lags: Sequence[int] = range(len(gradients) // 2)
    return np.array([cosines[point, (point + lag) % len(point)].mean() for lag in lags])


def log_gains(width: int, depth: int, nets: int = 2000) -> np.ndarray:
    """Ln q, the logarithm of the gain of the squared gradient, of random ReLU nets.

    Given the gradient g, the product of g and a layer's weights is normal with independent entries;
    these are drawn, and not the weights.
    """
    rng = np.random.default_rng(0)
    entries = rng.standard_normal((depth, nets, width), np.float32)
    slopes = rng.random((depth, nets, width), np.float32) < 0.5  # of ReLU: 0 or 1
    gains = 2 / width * np.sum(np.square(entries, out=entries), axis=-1, where=slopes)
    return np.sum(np.log(np.maximum(gains, 1e-30)), axis=0)
