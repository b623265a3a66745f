"""Confusion matrices: of one batch, and of a stream of them."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxseg.losses import IGNORE_INDEX

BITS = 20
MASK = (1 << BITS) - 1


def confusion_matrix(
    labels: Int[Array, "*pixels"],
    predictions: Int[Array, "*pixels"],
    classes: int,
    *,
    ignore_index: int = IGNORE_INDEX,
) -> Int[Array, "classes classes"]:
    """Count pixels by label (row) and prediction (column), as exact int32.

    Matrices of several batches add up. Pixels labelled `ignore_index` are counted nowhere.
    Neither is one whose label or prediction is no class: no integer can say so, and
    `data.check_labels` finds such labels.

    Raises:
        ValueError: the shapes differ, or there is no class.
    """
    if labels.shape != predictions.shape:
        raise ValueError(
            f"confusion_matrix: labels {labels.shape} and predictions {predictions.shape} differ: "
            "take the argmax of the logits over the classes."
        )
    if classes < 1:
        raise ValueError(f"confusion_matrix: classes={classes} must be at least 1.")
    # uint8 labels times the number of classes would wrap around.
    labels, predictions = labels.astype(jnp.int32), predictions.astype(jnp.int32)
    inside = (labels >= 0) & (labels < classes) & (labels != ignore_index)
    inside &= (predictions >= 0) & (predictions < classes)
    outside = classes * classes
    cells = jnp.where(inside, labels * classes + predictions, outside)
    counts = jnp.bincount(cells.ravel(), length=outside + 1)[:outside]
    return counts.reshape(classes, classes).astype(jnp.int32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Confusion:
    """Confusion matrix of a stream of batches, exact up to 2**51 pixels a cell, without int64.

    A pytree of sums: inside `jit` and `scan`, add batches; over devices, `lax.psum` it; over hosts
    or runs, add it leaf by leaf. Each of these is exact for up to 2,048 parts::

        @jax.jit
        def count(confusion, logits, labels):
            return confusion.add(labels, jnp.argmax(logits, -1).astype(jnp.int32))

        confusion = metrics.Confusion.zeros(21)
        for batch in batches:
            confusion = count(confusion, apply(batch["image"]), batch["label"])
        metrics.mean_iou(confusion.counts())

    Attributes:
        high: int32, pixels by label (row) and prediction (column), in units of 2**20.
        low: int32, the pixels besides those.
    """

    high: Int[Array, "*n classes classes"]
    low: Int[Array, "*n classes classes"]

    @classmethod
    def zeros(cls, classes: int) -> "Confusion":
        """No pixel yet.

        Raises:
            ValueError: there is no class.
        """
        if classes < 1:
            raise ValueError(f"Confusion.zeros: classes={classes} must be at least 1.")
        return cls(*(jnp.zeros((classes, classes), jnp.int32) for _ in range(2)))

    def add(
        self,
        labels: Int[Array, "*pixels"],
        predictions: Int[Array, "*pixels"],
        *,
        ignore_index: int = IGNORE_INDEX,
    ) -> "Confusion":
        """These counts and those of another batch, of less than 2**31 pixels.

        Raises:
            ValueError: the shapes differ.
        """
        more = confusion_matrix(labels, predictions, self.low.shape[-1], ignore_index=ignore_index)
        return self.add_counts(more)

    def add_counts(self, counts: Int[Array, "*n classes classes"]) -> "Confusion":
        """These counts and a `confusion_matrix`."""
        # In this order no sum leaves int32, also where `low` is itself a sum over devices.
        high = self.high + (self.low >> BITS) + (counts >> BITS)
        low = (self.low & MASK) + (counts & MASK)
        return Confusion(high + (low >> BITS), low & MASK)

    def counts(self) -> np.ndarray:
        """The matrix as int64, on the host."""
        high, low = (np.asarray(part).astype(np.int64) for part in (self.high, self.low))
        return (high << BITS) + low

    def rounded(self) -> Float[Array, "*n classes classes"]:
        """The matrix as float32, for ratios inside `jit`: each entry right to seven digits."""
        return self.high.astype(jnp.float32) * (1 << BITS) + self.low.astype(jnp.float32)
