"""Measurements around a trained net: its loss surface and its curvatures."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from experiments.landscape.config import Config
from jaxseg import analysis
from jaxseg.losses import mean_cross_entropy
from jaxseg.training import member_mesh
from jaxseg.training.state import Apply

FLAT = 0.01
"""A curvature counts as negative only where it is below minus this share of the larger of both:
flatter than that, its sign is float32's rounding."""


class SurfaceProbe:
    """Measures the surroundings of nets of one shape; it is compiled once for all of them.

    Args:
        config: The study's configuration.
        apply: The net's `apply`, from `nn.functional`.
        stats: The net's statistics; empty, since it has no norm.
        batch: Images and labels over which the loss is taken.
    """

    def __init__(self, config: Config, apply: Apply, stats: Any, batch: Any):
        self.config = config
        mesh = member_mesh(config.points**2)

        def loss(params):
            return mean_cross_entropy(apply(params, stats, batch["image"])[0], batch["label"])

        def surface(params, u, v):
            offsets = jnp.asarray(config.offsets)
            return analysis.loss_surface(loss, params, (u, v), offsets, batch_size=8, mesh=mesh)

        self.surface = jax.jit(surface)
        self.product = jax.jit(lambda p, v: analysis.hessian_vector_product(loss, p, v))

    def __call__(self, params: Any, key: jax.Array) -> tuple[np.ndarray, dict[str, float]]:
        """Measure the surface around a net, and numbers that the surface does not tell.

        Args:
            params: The net's parameters.
            key: Draws the directions and the start of Lanczos's iteration.

        Returns:
            (points, points) losses, and the curvature along filter-normalized directions, the
            Hessian's outermost eigenvalues, and the largest `norm_difference`.
        """
        keys = jax.random.split(key, self.config.directions + 2)
        directions = [
            analysis.filter_normalized_direction(params, k, stacked=in_stack) for k in keys[1:]
        ]
        surface = np.asarray(self.surface(params, *directions[:2]))
        flat, unravel = ravel_pytree(params)
        eigenvalues = analysis.ritz_values(
            lambda v: ravel_pytree(self.product(params, unravel(v)))[0],
            jax.random.normal(keys[0], flat.shape),
            steps=min(self.config.lanczos, flat.size),
        )
        curvatures = [
            _dot(u, self.product(params, u)) for u in directions[: self.config.directions]
        ]
        return surface, {
            "filter_curvature": float(np.mean(curvatures)),
            "largest_eigenvalue": float(eigenvalues[-1]),
            "smallest_eigenvalue": float(eigenvalues[0]),
            "norm_difference": max(norm_difference(params, u) for u in directions),
        }


def in_stack(path: str) -> bool:
    """Tell whether the leaf with this path has a leading axis of layers."""
    return "blocks" in path


def _dot(a: Any, b: Any) -> float:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return sum(float(np.vdot(np.asarray(x, np.float64), np.asarray(y))) for x, y in pairs)


def norm_difference(params: Any, direction: Any) -> float:
    """Compare each filter's norm with its direction's: the largest relative difference.

    The filters of a stack, (layers, *window, in, out), are compared layer by layer. Leaves where
    the direction is 0 throughout are left out.

    Args:
        params: The net's parameters.
        direction: A direction of the same structure.
    """
    largest = 0.0
    leaves = zip(
        jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(direction), strict=True
    )
    for (path, filters), steps in leaves:
        if np.any(steps):
            first = 1 if in_stack(jax.tree_util.keystr(path)) else 0
            axes = tuple(range(first, filters.ndim - 1))
            a, b = (np.sqrt((np.asarray(x, np.float64) ** 2).sum(axes)) for x in (filters, steps))
            largest = max(largest, float(np.max(np.abs(b / a - 1))))
    return largest


def surface_shape(surface: np.ndarray, offsets: np.ndarray, chance: float) -> dict[str, float]:
    """Measure the shape of one surface.

    Args:
        surface: (points, points) losses in nats.
        offsets: (points,) of both directions.
        chance: The loss of knowing nothing, in nats.

    Returns:
        "center": the loss of the net itself; "border": the median loss over the grid's border;
        "basin": the share of the points whose loss is below chance; "negative": of the inner
        points that are below chance, the share with a negative curvature, NaN where there are
        none; "negative_all": that share of all inner points.
    """
    middle = len(surface) // 2
    border = np.concatenate([surface[[0, -1]].ravel(), surface[1:-1, [0, -1]].ravel()])
    border = np.where(np.isfinite(border), border, np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        curvatures = analysis.surface_curvatures(surface, float(offsets[1] - offsets[0]))
        below = surface < chance
        inner = below[1:-1, 1:-1]
        negative = curvatures[..., 0] < -FLAT * np.abs(curvatures).max(axis=-1)
    return {
        "center": float(surface[middle, middle]),
        "border": float(np.median(border)),
        "basin": float(below.mean()),
        "negative": float(negative[inner].mean()) if inner.any() else float("nan"),
        "negative_all": float(negative.mean()),
    }
