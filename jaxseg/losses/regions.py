"""Losses of regions: how far the predicted and the labeled area of a class differ."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxseg.losses.contract import IGNORE_INDEX, Labels, Mask, Pixels, one_hot, prepare

# A smaller denominator is rounding error, and its inverse square would overflow float32.
_SMALLEST_DENOMINATOR = 1e-15


def tversky_loss(
    logits: Float[Array, "batch *space classes"],
    labels: Labels,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    smoothing: float = 1.0,
    mask: Mask = None,
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
    of a class that is neither labeled nor predicted is 0, and that of a class without labels is
    below 1 as long as few pixels are predicted as it. Without it, the latter is 1 and has no
    gradient, and 0/0 counts as a loss of 0.

    With soft labels :math:`g` the products would favor predictions of 0 and 1 over :math:`p = g`.
    They are replaced by

    .. math::

        TP_c = \sum_i \min(p_{ic}, g_{ic}), \quad
        FP_c = \sum_i \max(p_{ic} - g_{ic}, 0), \quad
        FN_c = \sum_i \max(g_{ic} - p_{ic}, 0)

    which are the same numbers where :math:`g` is 0 or 1. The loss is then 0 where :math:`p = g`.

    Pass `logits[None]` and `labels[None]` to treat the whole batch as one image.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: Label of every pixel: integers; or the probability of every class: floats of the
            logits' shape.
        alpha: Cost of a false positive pixel.
        beta: Cost of a false negative pixel.
        smoothing: :math:`s`, in pixels.
        mask: True where the pixel counts, of shape `(batch, *space)`; None for all.
        ignore_index: Integer label of the pixels that do not count.

    Returns:
        Loss of every image and class, float32, or float64 for such logits.

    Raises:
        ValueError: The shapes do not fit each other, a dtype is wrong, or a number is negative;
            outside `jit` also if soft labels are no probabilities.

    Source: Salehi et al., "Tversky loss function for image segmentation using 3D fully
    convolutional deep networks" (arXiv:1706.05721), and for soft labels Wang et al., "Dice
    Semimetric Losses: Optimizing the Dice Score with Soft Labels" (arXiv:2303.16296). The smoothing
    is our addition.
    """
    regions = flatten_regions("tversky_loss", logits, labels, ignore_index, mask=mask, soft=True)
    return tversky("tversky_loss", regions, alpha, beta, smoothing)


def dice_loss(
    logits: Float[Array, "batch *space classes"],
    labels: Labels,
    *,
    smoothing: float = 1.0,
    mask: Mask = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "batch classes"]:
    r"""Compute one minus the soft Dice coefficient of every image and class.

    .. math::

        \ell_c = 1 - \frac{2 \sum_i p_{ic} g_{ic} + s}{\sum_i p_{ic} + \sum_i g_{ic} + s}

    with the softmax :math:`p` of the logits and the one-hot labels :math:`g`, summed over the
    pixels of an image that are not ignored. It is the `tversky_loss` of
    :math:`\alpha = \beta = 1/2` with half the smoothing, which has the same effect on classes
    without pixels. With soft labels :math:`g` the intersection is
    :math:`\sum_i \min(p_{ic}, g_{ic})`, so that the loss is 0 where :math:`p = g`.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: Label of every pixel: integers; or the probability of every class: floats of the
            logits' shape.
        smoothing: :math:`s`, in pixels.
        mask: True where the pixel counts, of shape `(batch, *space)`; None for all.
        ignore_index: Integer label of the pixels that do not count.

    Returns:
        Loss of every image and class, float32, or float64 for such logits.

    Raises:
        ValueError: The shapes do not fit each other, a dtype is wrong, or the smoothing is
            negative; outside `jit` also if soft labels are no probabilities.

    Source: Sudre et al., "Generalised Dice overlap as a deep learning loss function for highly
    unbalanced segmentations" (arXiv:1707.03237), for each class by itself. The sums are those of
    the probabilities, not of their squares. For soft labels: Wang et al., "Dice Semimetric Losses:
    Optimizing the Dice Score with Soft Labels" (arXiv:2303.16296).

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> labels = jnp.array([[0, 0, 1, 1]])
        >>> predictions = jnp.array([[0, 1, 1, 1]])  # the second one is wrong
        >>> logits = 99.0 * jax.nn.one_hot(predictions, 2)
        >>> print(losses.dice_loss(logits, labels, smoothing=0.0))  # 1 - 2/3, 1 - 4/5
        [[0.33333334 0.2       ]]
        >>> soft = jnp.full((1, 4, 2), 0.5)
        >>> print(losses.dice_loss(jnp.zeros((1, 4, 2)), soft))
        [[0. 0.]]
    """
    regions = flatten_regions("dice_loss", logits, labels, ignore_index, mask=mask, soft=True)
    return tversky("dice_loss", regions, 0.5, 0.5, smoothing, per_pixel=2)


def jaccard_loss(
    logits: Float[Array, "batch *space classes"],
    labels: Labels,
    *,
    smoothing: float = 1.0,
    mask: Mask = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "batch classes"]:
    r"""Compute one minus the soft intersection over union of every image and class.

    .. math::

        \ell_c = 1 - \frac{\sum_i p_{ic} g_{ic} + s}
                          {\sum_i p_{ic} + \sum_i g_{ic} - \sum_i p_{ic} g_{ic} + s}

    with the softmax :math:`p` of the logits and the one-hot labels :math:`g`, summed over the
    pixels of an image that are not ignored. It is the `tversky_loss` of
    :math:`\alpha = \beta = 1`, with the same effect of the smoothing on classes without pixels.
    With soft labels :math:`g` the intersection is :math:`\sum_i \min(p_{ic}, g_{ic})`, so that the
    loss is 0 where :math:`p = g`.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: Label of every pixel: integers; or the probability of every class: floats of the
            logits' shape.
        smoothing: :math:`s`, in pixels.
        mask: True where the pixel counts, of shape `(batch, *space)`; None for all.
        ignore_index: Integer label of the pixels that do not count.

    Returns:
        Loss of every image and class, float32, or float64 for such logits.

    Raises:
        ValueError: The shapes do not fit each other, a dtype is wrong, or the smoothing is
            negative; outside `jit` also if soft labels are no probabilities.

    Source: Rahman & Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image
    Segmentation" (ISVC 2016), and for soft labels Wang et al., "Jaccard Metric Losses: Optimizing
    the Jaccard Index with Soft Labels" (arXiv:2302.05666).
    """
    regions = flatten_regions("jaccard_loss", logits, labels, ignore_index, mask=mask, soft=True)
    return tversky("jaccard_loss", regions, 1.0, 1.0, smoothing)


class Regions(NamedTuple):
    """Predictions and labels with the pixels of every image flattened.

    Attributes:
        predicted: Probabilities; 0 where the pixel does not count.
        labeled: One-hot or soft labels as floats; 0 where the pixel does not count.
        valid: True where the pixel counts.
        zero_or_nan: 0, or NaN for an image one of whose labels is unknown. It is added to the
            image's losses.
        is_soft: The labels are probabilities.
    """

    predicted: Float[Array, "batch pixels classes"]
    labeled: Float[Array, "batch pixels classes"]
    valid: Bool[Array, "batch pixels classes"]
    zero_or_nan: Float[Array, "batch classes"]
    is_soft: bool


def flatten_regions(
    name: str,
    logits: Array,
    labels: Array,
    ignore_index: int,
    *,
    mask: Mask = None,
    soft: bool = False,
) -> Regions:
    """Check logits and labels, and flatten the pixels of every image.

    Args:
        name: Name of the calling function, for messages.
        logits: Logits (batch, *space, classes).
        labels: Labels (batch, *space), or soft labels of the logits' shape.
        ignore_index: Label of the pixels that do not count.
        mask: True where the pixel counts, (batch, *space); None for all.
        soft: The caller takes soft labels too.

    Raises:
        ValueError: The shapes do not fit each other, or a dtype is wrong.
    """
    pixels = prepare(name, logits, labels, ignore_index, mask=mask, soft=soft, min_axes=2)
    labeled = pixels.labels
    if not pixels.is_soft:
        labeled = one_hot(pixels.labels, pixels.valid, logits.shape[-1])
    valid, known = (
        jnp.broadcast_to(a[..., None], logits.shape) for a in (pixels.valid, pixels.known)
    )
    entries = Pixels(jax.nn.softmax(pixels.logits), labeled, valid, known)
    return flatten_entries(entries, is_soft=pixels.is_soft)


def flatten_entries(entries: Pixels, *, is_soft: bool) -> Regions:
    """Flatten the pixels of every image.

    Args:
        entries: Probabilities in place of logits, labels from 0 to 1, and what counts, all of
            shape (batch, *space, classes).
        is_soft: The labels are probabilities.
    """
    batch, *space, classes = entries.logits.shape
    p, labeled, valid, known = (a.reshape(batch, math.prod(space), classes) for a in entries)
    unknown = jnp.any(~known, 1)
    return Regions(
        jnp.where(valid, p, jnp.zeros_like(p)),
        labeled.astype(p.dtype),
        valid,
        jnp.where(unknown, jnp.asarray(jnp.nan, p.dtype), jnp.zeros((), p.dtype)),
        is_soft,
    )


def tversky(
    name: str, regions: Regions, alpha: float, beta: float, smoothing: float, *, per_pixel: int = 1
) -> Float[Array, "batch classes"]:
    """Compute a Tversky loss in which the smoothing is divided by `per_pixel`.

    Args:
        name: Name of the calling function, for messages.
        regions: Predictions and labels.
        alpha: Cost of a false positive pixel.
        beta: Cost of a false negative pixel.
        smoothing: Number of pixels that are added to numerator and denominator.
        per_pixel: Number of times that the published formula counts a pixel.

    Raises:
        ValueError: A number is negative.
    """
    for option, value in (("alpha", alpha), ("beta", beta), ("smoothing", smoothing)):
        if value < 0:
            raise ValueError(f"{name}: {option}={value!r} is negative: give 0 or more.")
    p, g = regions.predicted, regions.labeled
    if regions.is_soft:
        true_positive, false_positive = jnp.minimum(p, g), jax.nn.relu(p - g)
        false_negative = jax.nn.relu(g - p)
    else:
        true_positive, false_positive, false_negative = p * g, p * (1 - g), (1 - p) * g
    errors = alpha * jnp.sum(false_positive, 1) + beta * jnp.sum(false_negative, 1)
    numerator = jnp.sum(true_positive, 1) + smoothing / per_pixel
    usable = numerator + errors > _SMALLEST_DENOMINATOR
    denominator = jnp.where(usable, numerator + errors, jnp.ones_like(errors))
    # 1 - numerator / denominator would round a small loss away.
    return regions.zero_or_nan + jnp.where(usable, errors / denominator, jnp.zeros_like(errors))
