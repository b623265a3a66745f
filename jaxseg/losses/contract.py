"""The contract of all losses: which pixels count, and what an unknown label does."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

IGNORE_INDEX = 255
"""Label of pixels that count in no loss and no metric, unless another is asked for."""

Weights = Float[Array, "classes"] | np.ndarray | None
Labels = Int[Array, "*pixels"] | Float[Array, "*pixels classes"]
"""Class of every pixel (integers), or the probability of every class (floats: soft labels)."""
Mask = Bool[Array, "..."] | np.ndarray | None

# Soft labels rounded to bfloat16 may be outside [0, 1], or their sum beside 1, by this much.
_ROUNDING = 2**-8


class Pixels(NamedTuple):
    """Logits and labels from which everything that could spoil a sum has been removed.

    With soft labels, there is one label for each class. With several labels a pixel, all four
    arrays have one entry for each class.

    Attributes:
        logits: Logits, at least float32; 0 where the label is ignored.
        labels: Labels, int32, all of them classes, 0 where they were not; or probabilities in the
            logits' dtype, 0 where they do not count.
        valid: True where the pixel counts.
        known: True where the label was a class, or the pixel does not count.
    """

    logits: Float[Array, "*pixels classes"]
    labels: Labels
    valid: Bool[Array, "..."]
    known: Bool[Array, "..."]

    @property
    def is_soft(self) -> bool:
        """True with one label for each class."""
        return self.labels.ndim == self.logits.ndim


def prepare(
    name: str,
    logits: Float[Array, "*pixels classes"],
    labels: Labels,
    ignore_index: int,
    *,
    mask: Mask = None,
    soft: bool = False,
    min_axes: int = 1,
) -> Pixels:
    """Check shapes and dtypes, and remove the ignored pixels from the logits.

    The logits of an ignored pixel are replaced before anything is computed from them. If only the
    result were replaced, an infinite logit would still give a gradient of NaN.

    Args:
        name: Name of the calling function, for messages.
        logits: Logits, with the classes last.
        labels: Label of every pixel.
        ignore_index: Label of the pixels that do not count.
        mask: True where the pixel counts; None for all.
        soft: The caller takes soft labels too.
        min_axes: Smallest number of axes that the logits may have.

    Raises:
        ValueError: The shapes do not fit each other, or a dtype is wrong; outside `jit` also if
            soft labels are no probabilities.
    """
    is_soft = check_dtype(name, labels, soft=soft)
    if is_soft and (logits.ndim < min_axes or logits.shape != labels.shape):
        raise ValueError(
            f"{name}: labels are {labels.dtype}: give integers of shape {logits.shape[:-1]}, or "
            f"soft labels, the probability of every class, of the logits' shape {logits.shape}, "
            f"not {labels.shape}."
        )
    if not is_soft and (logits.ndim < min_axes or logits.shape[:-1] != labels.shape):
        shape = "(batch, *space, classes)" if min_axes > 1 else "(..., classes)"
        raise ValueError(
            f"{name}: logits {logits.shape} need labels of shape {logits.shape[:-1]}, "
            f"not {labels.shape}: labels are one integer a pixel, logits {shape} have the "
            "classes last."
        )
    valid = valid_pixels(name, labels, ignore_index, mask, soft=soft)
    logits = remove_ignored(name, logits, valid[..., None])
    if is_soft:
        return _prepare_soft(name, logits, jnp.asarray(labels), valid)
    labels = labels.astype(jnp.int32)
    known = (labels >= 0) & (labels < logits.shape[-1])
    classes = jnp.where(valid & known, labels, jnp.zeros_like(labels))
    return Pixels(logits, classes, valid, known | ~valid)


def _prepare_soft(name: str, logits: Array, labels: Array, valid: Array) -> Pixels:
    """Check that the labels of every pixel are probabilities, and remove those that are not."""
    labels = at_least_float32(labels)
    known = jnp.all(is_probability(labels), -1)
    known = (known & (jnp.abs(jnp.sum(labels, -1) - 1) <= _ROUNDING)) | ~valid
    refuse_unknown(
        labels,
        known,
        f"{name}: the soft labels {{value}} at {{index}} are not probabilities that sum to 1: "
        "divide them by their sum, and pass a mask that is False where a pixel has no label. "
        "Several labels a pixel go into the sigmoid losses.",
    )
    usable = (valid & known)[..., None]
    labels = jnp.where(usable, jnp.clip(labels, 0, 1), jnp.zeros_like(labels))
    return Pixels(logits, labels.astype(logits.dtype), valid, known)


def valid_pixels(
    name: str, labels: Labels, ignore_index: int, mask: Mask = None, *, soft: bool = False
) -> Bool[Array, "*pixels"]:
    """Find the pixels that count.

    Args:
        name: Name of the calling function, for messages.
        labels: Label of every pixel.
        ignore_index: Label of the pixels that do not count.
        mask: True where the pixel counts; None for all.
        soft: The caller takes soft labels too.

    Raises:
        ValueError: The labels are not integers, nor soft labels where they are taken; or the mask
            is not one boolean a pixel.
    """
    if check_dtype(name, labels, soft=soft):
        valid = jnp.ones(labels.shape[:-1], jnp.bool_)
    else:
        # In the labels' own dtype, an ignore_index beyond its range would wrap around to a class.
        valid = labels.astype(jnp.int32) != ignore_index
    return valid if mask is None else valid & check_mask(name, mask, valid.shape)


def check_dtype(name: str, labels: Labels, *, soft: bool = False) -> bool:
    """Decide whether labels are soft, and refuse those that are neither soft nor integers.

    Args:
        name: Name of the calling function, for messages.
        labels: Labels of any dtype.
        soft: The caller takes soft labels too.

    Raises:
        ValueError: The labels are not integers, nor soft labels where they are taken.
    """
    if soft and labels.ndim and jnp.issubdtype(labels.dtype, jnp.floating):
        return True
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"{name}: labels are {labels.dtype}: give integers.")
    return False


def check_mask(name: str, mask: Array | np.ndarray, shape: tuple[int, ...]) -> Bool[Array, "..."]:
    """Convert a mask to an array of JAX.

    Args:
        name: Name of the calling function, for messages.
        mask: True where a label counts.
        shape: Shape that the mask has to have.

    Raises:
        ValueError: The mask is not boolean, or has another shape.
    """
    if mask.dtype != jnp.bool_ or mask.shape != shape:
        raise ValueError(
            f"{name}: the mask is {mask.dtype} of shape {mask.shape}: give booleans of shape "
            f"{shape}, True where a label counts."
        )
    return jnp.asarray(mask)


def remove_ignored(name: str, logits: Array, valid: Array) -> Float[Array, "*pixels classes"]:
    """Check the logits' dtype, and put 0 where they do not count."""
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"{name}: logits are {logits.dtype}: give floats, before any softmax.")
    logits = at_least_float32(logits)
    return jnp.where(valid, logits, jnp.zeros_like(logits))


def is_probability(labels: Float[Array, "..."]) -> Bool[Array, "..."]:
    """Find the labels from 0 to 1, but for rounding; NaN is none."""
    return (labels >= -_ROUNDING) & (labels <= 1 + _ROUNDING)


def refuse_unknown(labels: Array, known: Bool[Array, "..."], message: str) -> None:
    """Raise an error that shows the first unknown label; under `jit` and `vmap` do nothing.

    There the values are not known yet, and the loss becomes NaN.

    Args:
        labels: Labels, with as many axes as `known`, or one more.
        known: True where the label is known.
        message: Message with the fields `value` and `index`.
    """
    try:
        if jnp.all(known):
            return
    except jax.errors.ConcretizationTypeError:
        return
    index = tuple(np.argwhere(~np.asarray(known))[0].tolist())
    value = np.asarray(labels)[index].tolist()
    raise ValueError(message.format(value=value, index=index))


def one_hot(
    labels: Int[Array, "*pixels"], valid: Bool[Array, "*pixels"], classes: int
) -> Bool[Array, "*pixels classes"]:
    """Encode labels as one boolean for each class, all false where the pixel does not count."""
    shape = (*labels.shape, classes)
    index = jnp.broadcast_to(jnp.arange(classes, dtype=labels.dtype), shape)
    return (labels[..., None] == index) & valid[..., None]


def check_class_weights(
    name: str, class_weights: Float[Array, "classes"] | np.ndarray | None, classes: int | None
) -> Float[Array, "classes"] | None:
    """Convert class weights to an array of at least float32; None stays None.

    Args:
        name: Name of the calling function, for messages.
        class_weights: Weight of each class, or None.
        classes: Number of classes, or None where it is not known.

    Raises:
        ValueError: The weights are not one number for each class.
    """
    if class_weights is None:
        return None
    weights = jnp.asarray(class_weights)
    if weights.ndim != 1 or classes not in (None, weights.shape[0]):
        raise ValueError(
            f"{name}: class_weights has shape {weights.shape}: give one number for each of the "
            f"{'' if classes is None else f'{classes} '}classes."
        )
    return at_least_float32(weights)


def check_label_smoothing(name: str, label_smoothing: float) -> None:
    """Refuse a smoothing that is no share.

    Args:
        name: Name of the calling function, for messages.
        label_smoothing: Share of a label that is spread.

    Raises:
        ValueError: The smoothing is outside [0, 1].
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(
            f"{name}: label_smoothing={label_smoothing!r} is the share of a label that is spread "
            "over all classes: give a number from 0 to 1."
        )


def at_least_float32(values: Array) -> Float[Array, "..."]:
    """Cast to float32, in which counts and sums over images stay exact enough; keep float64."""
    return values if values.dtype == jnp.float64 else values.astype(jnp.float32)
