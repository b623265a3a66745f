"""A DeepNet taken apart: into branches for its paths, into blocks for its lesions."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxseg import analysis, models
from jaxseg.analysis import mean_field
from jaxseg.losses import mean_cross_entropy

Make = Callable[[nnx.Rngs], models.DeepNet]


class Gradient(NamedTuple):
    """The gradient of one net's loss in its stack's input, by path; logs are natural ones.

    Attributes:
        parts: (lengths,) log norm of what comes through all paths of each length.
        singles: (sampled lengths, samples) log norms of what comes through single paths.
        distance: Distance of the sum of all parts from the gradient of the whole net, relative to
            that gradient.
    """

    parts: jax.Array
    singles: jax.Array
    distance: jax.Array


def path_probe(make: Make, *, lengths: np.ndarray, samples: int) -> Callable[..., Gradient]:
    """Build the measurement of a residual net: `(params, stats, key, batch) -> Gradient`.

    Batch norm uses the batch's own statistics, as in training, whose gradient is taken apart.

    Args:
        make: Builds the net from its rngs.
        lengths: Lengths of the single paths.
        samples: Single paths of each length.
    """
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: make(nnx.Rngs(0))))

    def measure(params, stats, key, batch) -> Gradient:
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
            branch, layers, x, loss, jnp.asarray(lengths), key=key, samples=samples
        )
        gradient = jax.grad(whole)(x)
        distance = jnp.linalg.norm((parts.total() - gradient).ravel())
        return Gradient(parts.log_norms(), singles, distance / jnp.linalg.norm(gradient.ravel()))

    return measure


def sampled_lengths(blocks: int, number: int) -> np.ndarray:
    """Choose lengths of single paths from 0 to `blocks`, closer together among the short ones.

    Args:
        blocks: Blocks of the net.
        number: About how many; equal ones are merged.
    """
    return np.unique(np.rint(blocks * np.linspace(0, 1, number) ** 1.5).astype(int))


class Lesion(NamedTuple):
    """Change that is made to a net.

    Attributes:
        kind: "whole"; "block", a block removed; "delete", `number` blocks removed at random;
            "shuffle", `number` blocks that change places among themselves.
        number: How many blocks, or for "block" which one.
        order: (blocks,) the block that stands at each place.
        kept: (blocks,) whether the block at each place is there.
    """

    kind: str
    number: int
    order: np.ndarray
    kept: np.ndarray


def lesions(blocks: int, samples: int) -> Iterator[Lesion]:
    """List the lesions of nets of one depth; they are the same for all of these nets.

    Args:
        blocks: Blocks of a net.
        samples: Lesions of each number of blocks at random.
    """
    rng = np.random.default_rng(0)
    order, kept = np.arange(blocks), np.ones(blocks, bool)
    powers = [2**i for i in range(blocks.bit_length()) if 2**i <= blocks]
    yield Lesion("whole", 0, order, kept)
    for block in range(blocks):
        yield Lesion("block", block, order, order != block)
    for k in powers:
        for _ in range(samples):
            removed = rng.choice(blocks, k, replace=False)
            yield Lesion("delete", k, order, ~np.isin(order, removed))
    for k in powers[1:]:
        for _ in range(samples):
            places, moved = rng.choice(blocks, k, replace=False), order.copy()
            moved[places] = np.roll(places, 1)  # none keeps its place
            yield Lesion("shuffle", k, moved, kept)


def lesion_probe(make: Make) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Build the measurement of nets whose blocks stand in another order or are skipped.

    It is `(params, stats, batch, orders, kept) -> (loss, accuracy)`, each (lesions,); `orders` and
    `kept` are (lesions, blocks), see `Lesion`. A plain net skips a block likewise: the next one is
    given what the skipped one was given.

    Args:
        make: Builds the net from its rngs.
    """
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: make(nnx.Rngs(0))))

    def measure(params, stats, batch, orders, kept):
        net = nnx.merge(graphdef, params, stats, copy=True)
        block_def, *layers = nnx.split(net.stack.blocks, nnx.Param, ...)
        stem = net.stem(batch["image"])

        def step(x, place):
            layer, present = place
            return jnp.where(present, nnx.merge(block_def, *layer, copy=True)(x), x), None

        def one(lesion):
            order, present = lesion
            moved = jax.tree.map(lambda a: a[order], layers)
            x = jax.lax.scan(step, stem, (moved, present))[0]
            head = nnx.merge(graphdef, params, stats, copy=True)
            logits = head.head(head.activation(head.norm(x)))
            labeled = batch["label"] != 255
            correct = labeled & (jnp.argmax(logits, -1) == batch["label"])
            accuracy = jnp.sum(correct, dtype=jnp.float32) / jnp.sum(labeled, dtype=jnp.float32)
            return mean_cross_entropy(logits, batch["label"]), accuracy

        return jax.lax.map(one, (orders, kept), batch_size=4)

    return measure


def theory(arm: dict[str, Any], blocks: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Give a wide net's gradient by path length at initialization, relative to length 0, as logs.

    Without norm each branch multiplies the gradient's norm by its scale, and the border takes its
    share, by `mean_field.tap_average`; with batch norm see `mean_field.batch_norm_residual`.

    Args:
        arm: The net, of `config.ARMS`.
        blocks: Blocks of the net, L.
        side: Height and width of the images in pixels.

    Returns:
        By length from 0 to L, the sum over all paths of their squared norms, which is the expected
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
    # Rows and columns lose the same, so that the norm loses what one of them takes of the square.
    norm = np.arange(blocks + 1) * np.log(scale) + np.array(kept)
    counts = analysis.log_path_counts(blocks)
    return counts + 2 * norm, counts + norm
