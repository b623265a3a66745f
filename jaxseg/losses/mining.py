"""Online hard example mining: the choice of the pixels that are predicted worst."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxseg.losses.contract import IGNORE_INDEX, prepare
from jaxseg.losses.pixels import cross_entropy


def hard_labels(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    *,
    threshold: float = 0.7,
    least_kept: int = 100_000,
    ignore_index: int = IGNORE_INDEX,
) -> Int[Array, "*pixels"]:
    r"""Keep the labels of hard pixels and ignore the others: online hard example mining.

    A pixel is hard where the softmax :math:`p_{i y_i}` of its label is below `threshold`, or among
    the `least_kept` smallest of all given pixels; ties are all kept. Any loss and any mean then
    counts the hard pixels alone::

        loss = losses.mean_cross_entropy(logits, losses.hard_labels(logits, labels))

    All pixels of a call are ranked together: those of a whole batch, even where it is spread over
    devices under `jit`; within `vmap` and `shard_map`, those of each call by themselves. No
    gradient flows through the choice.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: Label of every pixel.
        threshold: Probability from which on a pixel is easy; 0 leaves the choice to `least_kept`.
        least_kept: Number of pixels (not images) that are kept in any case, if so many count.
        ignore_index: Label of the pixels that do not count.

    Returns:
        Labels, int32, `ignore_index` where the pixel is easy.

    Raises:
        ValueError: The shapes do not fit each other, the labels are not integers, `threshold` is
            not a probability, or `least_kept` is negative.

    Source: Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example
    Mining" (arXiv:1604.03540), for pixels in place of regions. The threshold is our addition.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> logits = jnp.array([[5.0, 0.0], [0.0, 5.0], [0.0, 0.0]])
        >>> labels = jnp.array([0, 0, 1])
        >>> print(losses.hard_labels(logits, labels, threshold=0.7, least_kept=0))
        [255   0   1]
    """
    if not 0 <= threshold <= 1:
        raise ValueError(
            f"hard_labels: threshold={threshold!r} is a probability: give a number from 0 to 1."
        )
    if least_kept < 0:
        raise ValueError(
            f"hard_labels: least_kept={least_kept!r} is a number of pixels: give 0 or more."
        )
    pixels = prepare("hard_labels", logits, labels, ignore_index)
    losses = cross_entropy(jax.lax.stop_gradient(logits), labels, ignore_index=ignore_index)
    ranked = jnp.where(pixels.valid, losses, jnp.full_like(losses, -jnp.inf))
    # NaN, from an unknown label, is sorted last and compares false: it is kept and reaches the
    # mean.
    easy = ranked <= (-math.log(threshold) if threshold else math.inf)
    if least_kept and labels.size:
        last_kept = jnp.sort(ranked, axis=None)[-min(least_kept, labels.size)]
        easy &= ranked < last_kept
    labels = labels.astype(jnp.int32)
    return jnp.where(easy, jnp.full_like(labels, ignore_index), labels)
