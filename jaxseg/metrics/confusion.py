"""Confusion matrices of one batch, and of a stream of batches."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxseg.losses import IGNORE_INDEX

# Counts are kept in two int32: multiples of 2**20, and the rest.
_BITS = 20
_MASK = (1 << _BITS) - 1


def confusion_matrix(
    labels: Int[Array, "*pixels"],
    predictions: Int[Array, "*pixels"],
    classes: int,
    *,
    ignore_index: int = IGNORE_INDEX,
) -> Int[Array, "classes classes"]:
    """Count pixels by label (row) and prediction (column), as exact int32.

    Matrices of several batches can be added. Pixels labeled `ignore_index` are not counted, and
    neither are pixels whose label or prediction is not a class. Counts have no NaN that could
    point to the latter; `data.check_labels` finds such labels.

    Args:
        labels: Label of every pixel.
        predictions: Predicted class of every pixel.
        classes: Number of classes.
        ignore_index: Label of the pixels that do not count.

    Raises:
        ValueError: The shapes differ, or `classes` is below 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import metrics
        >>> labels, predictions = jnp.array([0, 0, 1, 255]), jnp.array([0, 1, 1, 1])
        >>> print(metrics.confusion_matrix(labels, predictions, 2))
        [[1 1]
         [0 1]]
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
    counted = (labels >= 0) & (labels < classes) & (labels != ignore_index)
    counted &= (predictions >= 0) & (predictions < classes)
    cells = classes * classes
    cell_of_pixel = jnp.where(counted, labels * classes + predictions, cells)
    counts = jnp.bincount(cell_of_pixel.ravel(), length=cells + 1)[:cells]
    return counts.reshape(classes, classes).astype(jnp.int32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Confusion:
    """Confusion matrix of a stream of batches, exact up to 2⁵¹ pixels a cell, without int64.

    It is a pytree of sums. Batches are added inside `jit` and `scan`, devices by `lax.psum`, and
    hosts or runs leaf by leaf. Each of these is exact for up to 2,048 parts.

    Attributes:
        high: Number of pixels by label (row) and prediction (column), in units of 2²⁰, int32.
        low: Number of the remaining pixels, int32.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxseg import metrics
        >>> confusion = metrics.Confusion.zeros(2)
        >>> for predictions in (jnp.array([0, 1]), jnp.array([0, 0])):
        ...     confusion = jax.jit(confusion.add)(jnp.array([0, 1]), predictions)
        >>> confusion.counts()
        array([[2, 0],
               [1, 1]])
        >>> print(metrics.mean_iou(confusion.counts()))  # mean of 2/3 and 1/2
        0.5833333333333333
    """

    high: Int[Array, "*n classes classes"]
    low: Int[Array, "*n classes classes"]

    @classmethod
    def zeros(cls, classes: int, *, leading: tuple[int, ...] = ()) -> "Confusion":
        """Make a matrix of zeros, to which batches are added.

        Args:
            classes: Number of classes; 2 for counts of `multilabel_confusion_matrix`.
            leading: Shape of a stack of matrices, such as (classes,) for those counts.

        Raises:
            ValueError: `classes` is below 1.
        """
        if classes < 1:
            raise ValueError(f"Confusion.zeros: classes={classes} must be at least 1.")
        return cls(*(jnp.zeros((*leading, classes, classes), jnp.int32) for _ in range(2)))

    def add(
        self,
        labels: Int[Array, "*pixels"],
        predictions: Int[Array, "*pixels"],
        *,
        ignore_index: int = IGNORE_INDEX,
    ) -> "Confusion":
        """Add the pixels of another batch, of less than 2³¹ pixels.

        Args:
            labels: Label of every pixel.
            predictions: Predicted class of every pixel.
            ignore_index: Label of the pixels that do not count.

        Returns:
            The sum; this matrix stays as it is.

        Raises:
            ValueError: The shapes differ.
        """
        classes = self.low.shape[-1]
        return self.add_counts(
            confusion_matrix(labels, predictions, classes, ignore_index=ignore_index)
        )

    def add_counts(self, counts: Int[Array, "*n classes classes"]) -> "Confusion":
        """Add a `confusion_matrix`, or the matrices of a `multilabel_confusion_matrix`.

        Args:
            counts: Number of pixels by label (row) and prediction (column).

        Returns:
            The sum; this matrix stays as it is.

        Raises:
            ValueError: The shapes differ.
        """
        if counts.shape != self.low.shape:
            raise ValueError(
                f"Confusion.add_counts: counts {counts.shape} differ from {self.low.shape}: start "
                f"from Confusion.zeros({counts.shape[-1]}, leading={counts.shape[:-2]})."
            )
        # In this order no sum exceeds int32, even where `low` is itself a sum over devices.
        high = self.high + (self.low >> _BITS) + (counts >> _BITS)
        low = (self.low & _MASK) + (counts & _MASK)
        return Confusion(high + (low >> _BITS), low & _MASK)

    def counts(self) -> np.ndarray:
        """Convert the matrix to int64, on the host."""
        high, low = (np.asarray(part).astype(np.int64) for part in (self.high, self.low))
        return (high << _BITS) + low

    def to_float32(self) -> Float[Array, "*n classes classes"]:
        """Convert the matrix to float32, for ratios inside `jit`; entries keep seven digits."""
        return self.high.astype(jnp.float32) * (1 << _BITS) + self.low.astype(jnp.float32)
