"""Losses of regions: how far the predicted and the labelled area of a class differ."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxseg.losses.contract import IGNORE_INDEX, one_hot, prepare

# A smaller denominator is rounding error, and its inverse square would overflow float32.
_SMALLEST_DENOMINATOR = 1e-15


def tversky_loss(
    logits: Float[Array, "batch *space classes"],
    labels: Int[Array, "batch *space"],
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    smoothing: float = 1.0,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "batch classes"]:
    r"""Compute one minus the Tversky index of every image and class.

    .. math::

        \ell_c = 1 - \frac{TP_c + s}{TP_c + \alpha FP_c + \beta FN_c + s}, \qquad
        TP_c = \sum_i p_{ic} g_{ic}, \quad
        FP_c = \sum_i p_{ic} (1 - g_{ic}), \quad
        FN_c = \sum_i (1 - p_{ic}) g_{ic}

    with the softmax :math:`p` of the logits and the one-hot labels :math:`g`, summed over the
    pixels of an image that are not ignored. The smoothing :math:`s` is in pixels. With it, the loss
    of a class that is neither labelled nor predicted is 0, and that of a class without labels is
    below 1 as long as few pixels are predicted as it. Without it, the latter is 1 and has no
    gradient, and 0/0 counts as a loss of 0.

    Pass `logits[None]` and `labels[None]` to treat the whole batch as one image.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: Label of every pixel.
        alpha: Cost of a false positive pixel.
        beta: Cost of a false negative pixel.
        smoothing: :math:`s`, in pixels.
        ignore_index: Label of the pixels that do not count.

    Returns:
        Loss of every image and class, float32, or float64 for such logits.

    Raises:
        ValueError: The shapes do not fit each other, the labels are not integers, or a number is
            negative.

    Source: Salehi et al., "Tversky loss function for image segmentation using 3D fully
    convolutional deep networks" (arXiv:1706.05721). The smoothing is our addition.
    """
    return _tversky("tversky_loss", logits, labels, alpha, beta, smoothing, ignore_index)


def dice_loss(
    logits: Float[Array, "batch *space classes"],
    labels: Int[Array, "batch *space"],
    *,
    smoothing: float = 1.0,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "batch classes"]:
    r"""Compute one minus the soft Dice coefficient of every image and class.

    .. math::

        \ell_c = 1 - \frac{2 \sum_i p_{ic} g_{ic} + s}{\sum_i p_{ic} + \sum_i g_{ic} + s}

    with the softmax :math:`p` of the logits and the one-hot labels :math:`g`, summed over the
    pixels of an image that are not ignored. It is the `tversky_loss` of
    :math:`\alpha = \beta = 1/2` with half the smoothing, which has the same effect on classes
    without pixels.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: Label of every pixel.
        smoothing: :math:`s`, in pixels.
        ignore_index: Label of the pixels that do not count.

    Returns:
        Loss of every image and class, float32, or float64 for such logits.

    Raises:
        ValueError: The shapes do not fit each other, the labels are not integers, or the smoothing
            is negative.

    Source: Sudre et al., "Generalised Dice overlap as a deep learning loss function for highly
    unbalanced segmentations" (arXiv:1707.03237), for each class by itself. The sums are those of
    the probabilities, not of their squares.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> labels = jnp.array([[0, 0, 1, 1]])
        >>> predictions = jnp.array([[0, 1, 1, 1]])  # the second one is wrong
        >>> logits = 99.0 * jax.nn.one_hot(predictions, 2)
        >>> print(losses.dice_loss(logits, labels, smoothing=0.0))  # 1 - 2/3, 1 - 4/5
        [[0.33333334 0.2       ]]
    """
    return _tversky("dice_loss", logits, labels, 0.5, 0.5, smoothing, ignore_index, per_pixel=2)


def jaccard_loss(
    logits: Float[Array, "batch *space classes"],
    labels: Int[Array, "batch *space"],
    *,
    smoothing: float = 1.0,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "batch classes"]:
    r"""Compute one minus the soft intersection over union of every image and class.

    .. math::

        \ell_c = 1 - \frac{\sum_i p_{ic} g_{ic} + s}
                          {\sum_i p_{ic} + \sum_i g_{ic} - \sum_i p_{ic} g_{ic} + s}

    with the softmax :math:`p` of the logits and the one-hot labels :math:`g`, summed over the
    pixels of an image that are not ignored. It is the `tversky_loss` of
    :math:`\alpha = \beta = 1`, with the same effect of the smoothing on classes without pixels.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: Label of every pixel.
        smoothing: :math:`s`, in pixels.
        ignore_index: Label of the pixels that do not count.

    Returns:
        Loss of every image and class, float32, or float64 for such logits.

    Raises:
        ValueError: The shapes do not fit each other, the labels are not integers, or the smoothing
            is negative.

    Source: Rahman & Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image
    Segmentation" (ISVC 2016).
    """
    return _tversky("jaccard_loss", logits, labels, 1.0, 1.0, smoothing, ignore_index)


def lovasz_softmax(
    logits: Float[Array, "batch *space classes"],
    labels: Int[Array, "batch *space"],
    *,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "batch classes"]:
    r"""Compute the Lovász extension of the Jaccard loss of every image and class.

    .. math::

        \ell_c = \sum_i m_{\pi_i} \left(\Delta_c(\pi_1 \dots \pi_i)
                 - \Delta_c(\pi_1 \dots \pi_{i-1})\right), \qquad
        m_i = |g_{ic} - p_{ic}|

    with the softmax :math:`p` of the logits and the one-hot labels :math:`g`, where :math:`\pi`
    sorts the errors :math:`m` from the largest down, and :math:`\Delta_c(S)` is one minus the
    intersection over union of class c when the pixels in S are wrong. With errors of only 0 and 1
    this is the Jaccard loss itself. The loss of a class without labels is its largest probability;
    `mean_over_classes` leaves it out, as the paper's "present" does.

    Pass `logits[None]` and `labels[None]` to treat the whole batch as one image.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: Label of every pixel.
        ignore_index: Label of the pixels that do not count.

    Returns:
        Loss of every image and class, float32, or float64 for such logits.

    Raises:
        ValueError: The shapes do not fit each other, or the labels are not integers.

    Source: Berman et al., "The Lovász-Softmax loss: A tractable surrogate for the optimization of
    the intersection-over-union measure in neural networks" (arXiv:1705.08790).

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> labels = jnp.array([[0, 0, 1, 1]])
        >>> predictions = jnp.array([[0, 1, 1, 1]])  # the second one is wrong
        >>> logits = 99.0 * jax.nn.one_hot(predictions, 2)
        >>> print(losses.lovasz_softmax(logits, labels))  # 1 - 1/2, 1 - 2/3
        [[0.5        0.33333334]]
    """
    regions = flatten_regions("lovasz_softmax", logits, labels, ignore_index)
    if not regions.predicted.shape[1]:
        return jnp.zeros((logits.shape[0], logits.shape[-1]), regions.predicted.dtype)
    labelled = regions.labelled > 0.5
    errors = jnp.abs(regions.labelled - regions.predicted)
    # Ignored pixels come last, behind the valid ones with an error of 0.
    ranked = jax.lax.stop_gradient(jnp.where(regions.valid, errors, jnp.full_like(errors, -1)))
    order = jnp.argsort(-ranked, axis=1)
    errors, labelled = (jnp.take_along_axis(a, order, 1) for a in (errors, labelled))
    steps = _jaccard_steps(labelled, errors.dtype)
    return regions.zero_or_nan + jnp.sum(errors * steps, 1)


def _jaccard_steps(labelled: Array, dtype: jnp.dtype) -> Float[Array, "batch pixels classes"]:
    """Compute what each wrong pixel adds to one minus the intersection over union, in this order.

    The steps come from exact counts, not from differences of nearly equal losses. A labelled pixel
    takes one from the intersection I and leaves the union U, which adds 1/U. Any other pixel adds
    one to the union, which adds I/(U-1) - I/U.
    """
    total = jnp.sum(labelled, 1, dtype=jnp.int32, keepdims=True)
    lost = jnp.cumsum(labelled, 1, dtype=jnp.int32)
    added = jnp.cumsum(~labelled, 1, dtype=jnp.int32)
    intersection = (total - lost).astype(dtype)
    union = jnp.maximum(total + added, 1).astype(dtype)
    union_before = jnp.maximum(union - 1, 1)
    # Where there is no label, the first pixel adds the whole loss.
    first = (total == 0) & (added == 1)
    return jnp.where(labelled | first, 1 / union, intersection / union / union_before)


class Regions(NamedTuple):
    """Predictions and labels with the pixels of every image flattened.

    Attributes:
        predicted: Probabilities; 0 where the pixel does not count.
        labelled: One-hot labels as floats; 0 where the pixel does not count.
        valid: True where the pixel counts.
        zero_or_nan: 0, or NaN for an image one of whose labels is unknown. It is added to the
            image's losses.
    """

    predicted: Float[Array, "batch pixels classes"]
    labelled: Float[Array, "batch pixels classes"]
    valid: Bool[Array, "batch pixels classes"]
    zero_or_nan: Float[Array, "batch classes"]


def flatten_regions(name: str, logits: Array, labels: Array, ignore_index: int) -> Regions:
    """Check logits and labels, and flatten the pixels of every image.

    Args:
        name: Name of the calling function, for messages.
        logits: Logits (batch, *space, classes).
        labels: Labels (batch, *space).
        ignore_index: Label of the pixels that do not count.

    Raises:
        ValueError: The shapes do not fit each other, or the labels are not integers.
    """
    pixels = prepare(name, logits, labels, ignore_index, min_axes=2)
    batch, classes = logits.shape[0], logits.shape[-1]
    flat = (batch, labels.size // max(batch, 1), classes)
    valid = jnp.broadcast_to(pixels.valid[..., None], logits.shape).reshape(flat)
    p = jax.nn.softmax(pixels.logits).reshape(flat)
    labelled = one_hot(pixels.labels, pixels.valid, classes).reshape(flat)
    unknown = jnp.any(~pixels.known.reshape(flat[:2]), 1, keepdims=True)
    zero_or_nan = jnp.where(unknown, jnp.asarray(jnp.nan, p.dtype), jnp.zeros((), p.dtype))
    return Regions(
        jnp.where(valid, p, jnp.zeros_like(p)),
        labelled.astype(p.dtype),
        valid,
        jnp.broadcast_to(zero_or_nan, (batch, classes)),
    )


def _tversky(
    name: str,
    logits: Array,
    labels: Array,
    alpha: float,
    beta: float,
    smoothing: float,
    ignore_index: int,
    per_pixel: int = 1,
) -> Float[Array, "batch classes"]:
    """Compute a Tversky loss in which the smoothing is divided by `per_pixel`."""
    for option, value in (("alpha", alpha), ("beta", beta), ("smoothing", smoothing)):
        if value < 0:
            raise ValueError(f"{name}: {option}={value!r} is negative: give 0 or more.")
    regions = flatten_regions(name, logits, labels, ignore_index)
    p, g = regions.predicted, regions.labelled
    true_positive = jnp.sum(p * g, 1)
    errors = alpha * jnp.sum(p * (1 - g), 1) + beta * jnp.sum((1 - p) * g, 1)
    numerator = true_positive + smoothing / per_pixel
    usable = numerator + errors > _SMALLEST_DENOMINATOR
    denominator = jnp.where(usable, numerator + errors, jnp.ones_like(errors))
    # 1 - numerator / denominator would round a small loss away.
    return regions.zero_or_nan + jnp.where(usable, errors / denominator, jnp.zeros_like(errors))
