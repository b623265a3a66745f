"""A DeepNet taken apart: into branches for its paths, into blocks for its lesions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxseg import analysis, models
from jaxseg.analysis import mean_field
from jaxseg.losses import mean_cross_entropy


class Gradient(NamedTuple):
    """Of one net's loss in its stack's input; logs are natural ones.

    Attributes:
        parts: (lengths,) log norm of what comes through all paths of each length.
        singles: (sampled lengths, samples) log norms of what comes through single paths.
        off: distance of the sum of all parts from the gradient of the whole net, relative to it.
    """

    parts: jax.Array
    singles: jax.Array
    off: jax.Array


def measure_paths(
    make: Callable[[nnx.Rngs], models.DeepNet], *, lengths: np.ndarray, samples: int
) -> Callable[..., Gradient]:
    """The measurement of a residual net, `(params, stats, batch, seed) -> Gradient`.

    Batch norm uses the batch's own statistics, as in training: what differs is that gradient.
    """
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: make(nnx.Rngs(0))))

    def measure(params, stats, batch, seed) -> Gradient:
        net = nnx.merge(graphdef, params, stats, copy=True)
        block_def, *layers = nnx.split(net.stack.blocks, nnx.Param, ...)
        x = net.stem(batch["image"])

        def branch(layer, x):
            block = nnx.merge(block_def, *layer, copy=True)
            return block.branch(x, train=True) * block.scale

        def loss(x):
            head = nnx.merge(graphdef, params, stats, copy=True)
            logits = head.head(head.activation(head.norm(x, train=True)))
            return mean_cross_entropy(logits, batch["label"])

        def whole(x):
            body = nnx.merge(graphdef, params, stats, copy=True)
            return loss(body.stack(x, train=True))

        parts = analysis.path_gradients(branch, layers, x, loss)
        singles = analysis.sampled_path_norms(
            branch, layers, x, loss, jnp.asarray(lengths), key=jax.random.key(seed), samples=samples
        )
        wanted = jax.grad(whole)(x)
        off = jnp.linalg.norm((parts.total() - wanted).ravel()) / jnp.linalg.norm(wanted.ravel())
        return Gradient(parts.log_norms(), singles, off)

    return measure


def measure_lesions(make: Callable[[nnx.Rngs], models.DeepNet]) -> Callable[..., Any]:
    """Loss and accuracy of nets whose blocks stand in another order or are skipped.

    `(params, stats, batch, orders, kept) -> (loss, accuracy)`, each (lesions,); `orders` are
    (lesions, blocks) numbers of blocks, `kept` whether the block at each place is there. A plain
    net skips a block likewise: the next one is given what this one was given.
    """
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: make(nnx.Rngs(0))))

    def measure(params, stats, batch, orders, kept):
        net = nnx.merge(graphdef, params, stats, copy=True)
        block_def, *layers = nnx.split(net.stack.blocks, nnx.Param, ...)
        stem = net.stem(batch["image"])

        def step(x, place):
            layer, there = place
            return jnp.where(there, nnx.merge(block_def, *layer, copy=True)(x), x), None

        def one(lesion):
            order, there = lesion
            moved = jax.tree.map(lambda a: a[order], layers)
            x = jax.lax.scan(step, stem, (moved, there))[0]
            head = nnx.merge(graphdef, params, stats, copy=True)
            logits = head.head(head.activation(head.norm(x)))
            known = batch["label"] != 255
            right = known & (jnp.argmax(logits, -1) == batch["label"])
            accuracy = jnp.sum(right, dtype=jnp.float32) / jnp.sum(known, dtype=jnp.float32)
            return mean_cross_entropy(logits, batch["label"]), accuracy

        return jax.lax.map(one, (orders, kept), batch_size=4)

    return measure


def theory(arm: dict[str, Any], blocks: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """What a wide net's gradient is by length at initialisation, relative to length 0, as logs.

    Without norm each branch multiplies the gradient's norm by its scale, and the border takes its
    share, by `mean_field.tap_average`; with batch norm see
    `mean_field.batch_norm_residual_gradient_norms`.

    Args:
        arm: the net, of `paths_config.ARMS`.
        blocks: L.
        side: of square images, in pixels.

    Returns:
        from length 0 to L, the sum over all paths of their squared norms, which is the expected
        square of their sum; and the sum of their norms, which is what Veit et al. 2016 estimate.
    """
    if arm.get("norm") == "batch":
        variance = 1 + np.arange(blocks) / mean_field.BATCH_NORM_GAIN
        gains = mean_field.BATCH_NORM_GAIN / variance
        logs = [np.log(analysis.independent_path_shares(g)) for g in (gains, np.sqrt(gains))]
        return logs[0] - logs[0][0], logs[1] - logs[1][0]
    scale = models.DeepNetConfig(classes=1, blocks=blocks, **arm).scale
    taps, row, kept = mean_field.tap_average(side), np.ones(side), []
    for _ in range(blocks + 1):
        kept.append(np.log(row.mean()))
        row = taps @ (taps @ row)
    # Rows and columns lose alike, so that the norm loses what one of them takes of the square.
    norm = np.arange(blocks + 1) * np.log(scale) + np.array(kept)
    counts = analysis.log_path_counts(blocks)
    return counts + 2 * norm, counts + norm
