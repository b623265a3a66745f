"""Counts of several labels a pixel, for one threshold or for many."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxseg.losses import IGNORE_INDEX
from jaxseg.losses.contract import Mask, at_least_float32, is_probability, refuse_unknown
from jaxseg.losses.entries import known_entries, valid_entries


def multilabel_confusion_matrix(
    labels: Int[Array, "*pixels classes"] | Bool[Array, "*pixels classes"],
    probabilities: Float[Array, "*pixels classes"] | Bool[Array, "*pixels classes"],
    *,
    thresholds: float | Sequence[float] | np.ndarray = 0.5,
    mask: Mask = None,
    ignore_index: int = IGNORE_INDEX,
) -> Int[Array, "*thresholds classes 2 2"]:
    """Count the pixels of every class by label (row) and prediction (column), as exact int32.

    A class is predicted where its probability is at least the threshold. The matrix of a class is
    `[[true negatives, false positives], [false negatives, true positives]]`. Ratios take it like
    any confusion matrix, and their entry 1 is that of the class itself:
    `intersection_over_union(counts)[..., 1]`, `dice(counts)[..., 1]`, `precision(counts)[..., 1]`,
    and `class_accuracy(counts)[..., 1]` for the recall. Matrices of several batches can be added,
    or streamed through `Confusion.zeros(2, leading=counts.shape[:-2]).add_counts(counts)`.

    All thresholds together take one pass over the pixels.

    Args:
        labels: One label for each pixel and class: 0, 1 or `ignore_index`; or booleans.
        probabilities: Probability of every class, the sigmoid of the logits; or booleans, for
            predictions that were made before.
        thresholds: One number from 0 to 1, or several increasing ones.
        mask: True where the pixel counts, of shape `(batch, *space)`, or where the entry counts, of
            the labels' shape; None for all.
        ignore_index: Integer label of the entries that do not count.

    Returns:
        One matrix for each class, of shape (classes, 2, 2); with several thresholds one for each
        threshold and class. Under `jit`, entries whose label or probability is out of range are
        not counted.

    Raises:
        ValueError: The shapes differ, a dtype is wrong, or the thresholds are not increasing
            numbers from 0 to 1; outside `jit` also if a label or a probability is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import metrics
        >>> labels = jnp.array([[1, 0], [1, 1], [0, 255]])  # three pixels, two classes
        >>> probabilities = jnp.array([[0.9, 0.2], [0.4, 0.7], [0.6, 0.9]])
        >>> counts = metrics.multilabel_confusion_matrix(labels, probabilities)
        >>> print(counts[0])
        [[0 1]
         [1 1]]
        >>> print(metrics.intersection_over_union(counts)[..., 1])
        [0.33333334 1.        ]
    """
    name = "multilabel_confusion_matrix"
    if labels.shape != probabilities.shape:
        raise ValueError(
            f"{name}: labels {labels.shape} and probabilities {probabilities.shape} differ: both "
            "have one entry for each pixel and class."
        )
    if jnp.issubdtype(labels.dtype, jnp.floating):
        raise ValueError(f"{name}: labels are {labels.dtype}: give integers or booleans.")
    edges = _check_thresholds(name, thresholds)
    valid = valid_entries(name, labels, ignore_index, mask)
    labels, known = known_entries(name, labels, valid, ignore_index)
    p = _check_probabilities(name, probabilities, valid)
    bins, classes = len(edges) + 1, labels.shape[-1]
    # The number of thresholds that the probability reaches.
    reached = jnp.searchsorted(jnp.asarray(edges, p.dtype), p, side="right").astype(jnp.int32)
    index = jnp.broadcast_to(jnp.arange(classes, dtype=jnp.int32), labels.shape)
    cells = classes * 2 * bins
    counted = valid & known & is_probability(p)
    cell = jnp.where(counted, (index * 2 + labels) * bins + reached, cells)
    counts = jnp.bincount(cell.ravel(), length=cells + 1)[:cells].astype(jnp.int32)
    below = jnp.cumsum(counts.reshape(classes, 2, bins), -1)
    matrices = jnp.stack([below[..., :-1], below[..., -1:] - below[..., :-1]], -1)
    matrices = jnp.moveaxis(matrices, 2, 0)
    return matrices if np.ndim(thresholds) else matrices[0]


def _check_thresholds(name: str, thresholds: float | Sequence[float] | np.ndarray) -> np.ndarray:
    """Convert the thresholds to an array of one axis."""
    edges = np.atleast_1d(np.asarray(thresholds, np.float64))
    in_range = np.all((edges >= 0) & (edges <= 1))
    if edges.ndim != 1 or not edges.size or not in_range or np.any(np.diff(edges) <= 0):
        raise ValueError(
            f"{name}: thresholds={thresholds!r}: give one number from 0 to 1, or several "
            "increasing ones."
        )
    return edges


def _check_probabilities(name: str, probabilities: Array, valid: Array) -> Float[Array, "..."]:
    """Convert the probabilities to floats, and refuse those that are none."""
    floating = jnp.issubdtype(probabilities.dtype, jnp.floating)
    if not floating and probabilities.dtype != jnp.bool_:
        raise ValueError(
            f"{name}: probabilities are {probabilities.dtype}: give floats, the sigmoid of the "
            "logits, or booleans."
        )
    p = at_least_float32(jnp.asarray(probabilities))
    refuse_unknown(
        p,
        is_probability(p) | ~valid,
        f"{name}: the probability {{value}} at {{index}} is not from 0 to 1: take the sigmoid of "
        "the logits.",
    )
    return p
