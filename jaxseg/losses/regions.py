"""Losses of regions: how far the predicted and the labelled area of a class overlap."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxseg.losses.contract import IGNORE_INDEX, is_label, prepare

# Below this a denominator is rounding: its inverse square would overflow float32.
NOTHING = 1e-15


def tversky_loss(
    logits: Float[Array, "batch *space classes"],
    labels: Int[Array, "batch *space"],
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    smoothing: float = 1.0,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "batch classes"]:
    r"""One minus the Tversky index of every image and class.

    .. math::

        \ell_c = 1 - \frac{TP_c + s}{TP_c + \alpha FP_c + \beta FN_c + s}, \qquad
        TP_c = \sum_i p_{ic} g_{ic}, \quad
        FP_c = \sum_i p_{ic} (1 - g_{ic}), \quad
        FN_c = \sum_i (1 - p_{ic}) g_{ic}

    with the softmax :math:`p` of the logits and the one-hot labels :math:`g`, summed over the
    pixels of an image that are not ignored. :math:`s` is in pixels: a class that is neither
    labelled nor predicted loses 0, and one that is not labelled loses less than 1 as long as few
    pixels are given to it. Without smoothing it loses 1 and has no gradient, unless it is
    predicted nowhere at all (0/0), which loses 0.

    `logits[None]` and `labels[None]` make the whole batch one image.

    Args:
        logits: of the classes, last.
        labels: one a pixel.
        alpha: what a pixel wrongly given to the class costs.
        beta: what a pixel wrongly kept from it costs.
        smoothing: :math:`s`.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: the shapes do not fit, the labels are no integers, or a number is negative.

    Source: Salehi et al., "Tversky loss function for image segmentation using 3D fully
    convolutional deep networks" (arXiv:1706.05721). Ours: the smoothing.
    """
    return _tversky("tversky_loss", logits, labels, alpha, beta, smoothing, ignore_index)


def dice_loss(
    logits: Float[Array, "batch *space classes"],
    labels: Int[Array, "batch *space"],
    *,
    smoothing: float = 1.0,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "batch classes"]:
    r"""One minus the soft Dice coefficient of every image and class.

    .. math::

        \ell_c = 1 - \frac{2 \sum_i p_{ic} g_{ic} + s}{\sum_i p_{ic} + \sum_i g_{ic} + s}

    Symbols, ignored pixels and classes without pixels are those of `tversky_loss`, of which this
    is the case :math:`\alpha = \beta = 1/2` with half the smoothing.

    Args:
        logits: of the classes, last.
        labels: one a pixel.
        smoothing: :math:`s`, in pixels.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: the shapes do not fit, the labels are no integers, or `smoothing` is negative.

    Source: Sudre et al., "Generalised Dice overlap as a deep learning loss function for highly
    unbalanced segmentations" (arXiv:1707.03237), for each class; sums without squares.
    """
    return _tversky("dice_loss", logits, labels, 0.5, 0.5, smoothing, ignore_index, per_pixel=2)


def jaccard_loss(
    logits: Float[Array, "batch *space classes"],
    labels: Int[Array, "batch *space"],
    *,
    smoothing: float = 1.0,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "batch classes"]:
    r"""One minus the soft intersection over union of every image and class.

    .. math::

        \ell_c = 1 - \frac{\sum_i p_{ic} g_{ic} + s}
                          {\sum_i p_{ic} + \sum_i g_{ic} - \sum_i p_{ic} g_{ic} + s}

    Symbols, ignored pixels and classes without pixels are those of `tversky_loss`, of which this
    is the case :math:`\alpha = \beta = 1`.

    Args:
        logits: of the classes, last.
        labels: one a pixel.
        smoothing: :math:`s`, in pixels.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: the shapes do not fit, the labels are no integers, or `smoothing` is negative.

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
    r"""Lovász extension of the Jaccard loss, in every image and class.

    .. math::

        \ell_c = \sum_i m_{\pi_i} \left(\Delta_c(\pi_1 \dots \pi_i)
                 - \Delta_c(\pi_1 \dots \pi_{i-1})\right), \qquad
        m_i = |g_{ic} - p_{ic}|

    where :math:`\pi` sorts the errors :math:`m` from the largest down, and :math:`\Delta_c(S)` is
    one minus the intersection over union of class c when the pixels in S are wrong. With errors
    of 0 and 1 alone this is the Jaccard loss itself. A class without labels loses its largest
    probability; `mean_over_classes` leaves it out, as the paper's "present" does.

    `logits[None]` and `labels[None]` make the whole batch one image.

    Args:
        logits: of the classes, last.
        labels: one a pixel.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: the shapes do not fit, or the labels are no integers.

    Source: Berman et al., "The Lovász-Softmax loss: A tractable surrogate for the optimization of
    the intersection-over-union measure in neural networks" (arXiv:1705.08790).
    """
    areas = areas_of("lovasz_softmax", logits, labels, ignore_index)
    if not areas.predicted.shape[1]:
        return jnp.zeros((logits.shape[0], logits.shape[-1]), areas.predicted.dtype)
    labelled = areas.labelled > 0.5
    errors = jnp.abs(areas.labelled - areas.predicted)
    # Ignored pixels come last, behind the valid ones with an error of 0.
    ranked = jax.lax.stop_gradient(jnp.where(areas.valid, errors, jnp.full_like(errors, -1)))
    order = jnp.argsort(-ranked, axis=1)
    errors, labelled = (jnp.take_along_axis(a, order, 1) for a in (errors, labelled))
    steps = _jaccard_steps(labelled, errors.dtype)
    return areas.poison + jnp.sum(errors * steps, 1)


def _jaccard_steps(labelled: Array, dtype: jnp.dtype) -> Float[Array, "batch pixels classes"]:
    """What each wrong pixel adds to one minus the intersection over union, in the order given.

    From exact counts and without a difference of two nearly equal losses: a labelled pixel takes
    one from the intersection I and leaves the union U, which adds 1/U; any other adds one to the
    union, which adds I/(U-1) - I/U.
    """
    total = jnp.sum(labelled, 1, dtype=jnp.int32, keepdims=True)
    lost = jnp.cumsum(labelled, 1, dtype=jnp.int32)
    added = jnp.cumsum(~labelled, 1, dtype=jnp.int32)
    left, union = (total - lost).astype(dtype), jnp.maximum(total + added, 1).astype(dtype)
    before = jnp.maximum(union - 1, 1)
    # Where there is no label, the first pixel adds all.
    first = (total == 0) & (added == 1)
    return jnp.where(labelled | first, 1 / union, left / union / before)


class Areas(NamedTuple):
    """What an image's pixels, flattened, say of every class: (batch, pixels, classes).

    `predicted` and `labelled` are 0 where the pixel does not count. `poison`, of an image, is 0,
    or NaN where one of its labels is unknown.
    """

    predicted: Float[Array, "batch pixels classes"]
    labelled: Float[Array, "batch pixels classes"]
    valid: Array
    poison: Float[Array, "batch classes"]


def areas_of(name: str, logits: Array, labels: Array, ignore_index: int) -> Areas:
    """The `Areas` of logits and labels that the caller, `name`, was given."""
    pixels = prepare(name, logits, labels, ignore_index, least=2)
    batch, classes = logits.shape[0], logits.shape[-1]
    flat = (batch, labels.size // max(batch, 1), classes)
    valid = jnp.broadcast_to(pixels.valid[..., None], logits.shape).reshape(flat)
    p = jax.nn.softmax(pixels.logits).reshape(flat)
    labelled = is_label(pixels.labels, pixels.valid, classes).reshape(flat)
    unknown = jnp.any(~pixels.known.reshape(flat[:2]), 1, keepdims=True)
    poison = jnp.where(unknown, jnp.asarray(jnp.nan, p.dtype), jnp.zeros((), p.dtype))
    return Areas(
        jnp.where(valid, p, jnp.zeros_like(p)),
        labelled.astype(p.dtype),
        valid,
        jnp.broadcast_to(poison, (batch, classes)),
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
    """The Tversky loss; `per_pixel` is what a pixel counts where the smoothing counts 1."""
    for option, value in (("alpha", alpha), ("beta", beta), ("smoothing", smoothing)):
        if value < 0:
            raise ValueError(f"{name}: {option}={value!r} is negative: give 0 or more.")
    areas = areas_of(name, logits, labels, ignore_index)
    p, g = areas.predicted, areas.labelled
    right = jnp.sum(p * g, 1)
    wrong = alpha * jnp.sum(p * (1 - g), 1) + beta * jnp.sum((1 - p) * g, 1)
    part = right + smoothing / per_pixel
    usable = part + wrong > NOTHING
    whole = jnp.where(usable, part + wrong, jnp.ones_like(wrong))
    # Not 1 - part / whole, which would round a small loss away.
    return areas.poison + jnp.where(usable, wrong / whole, jnp.zeros_like(wrong))
