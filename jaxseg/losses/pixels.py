"""Losses of single pixels: cross-entropy, focal loss, and the choice of the hardest pixels."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from jaxseg.losses.contract import IGNORE_INDEX, Pixels, check_class_weights, one_hot, prepare

Weights = Float[Array, "classes"] | np.ndarray | None


def cross_entropy(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    *,
    class_weights: Weights = None,
    label_smoothing: float = 0.0,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "*pixels"]:
    r"""Compute the softmax cross-entropy of every pixel, in nats; 0 where the label is ignored.

    .. math::

        \ell_i = -(1 - \epsilon) w_{y_i} \log p_{i y_i}
                 - \frac{\epsilon}{K} \sum_k w_k \log p_{ik},
        \qquad \log p_{ik} = z_{ik} - \log \sum_j e^{z_{ij}}

    with logits :math:`z`, labels :math:`y`, number of classes :math:`K`, class weights :math:`w`
    and smoothing :math:`\epsilon`. `mean_over_valid` with the same weights divides by the sum of
    :math:`w_{y_i}`, as PyTorch's mean does.

    A label that is neither a class nor `ignore_index` gives NaN rather than a wrong number.
    `data.check_labels` finds such labels on the host.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: Label of every pixel.
        class_weights: Weight of each class; None for 1.
        label_smoothing: Share of a pixel's label that is spread over all classes, from 0 to 1.
        ignore_index: Label of the pixels that do not count.

    Returns:
        Loss of every pixel, float32, or float64 for such logits.

    Raises:
        ValueError: The shapes do not fit each other, the labels are not integers, or the smoothing
            is outside [0, 1].

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision"
    (arXiv:1512.00567), section 7, for the label smoothing.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> print(losses.cross_entropy(jnp.zeros((2, 4)), jnp.array([3, 255])))  # log(4), ignored
        [1.3862944 0.       ]
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(
            f"cross_entropy: label_smoothing={label_smoothing!r} is the share of a label that is "
            "spread over all classes: give a number from 0 to 1."
        )
    pixels = prepare("cross_entropy", logits, labels, ignore_index)
    weights = check_class_weights("cross_entropy", class_weights, logits.shape[-1])
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(pixels.logits, pixels.labels)
    if weights is not None:
        losses = losses * weights.astype(losses.dtype)[pixels.labels]
    if label_smoothing:
        terms = -jax.nn.log_softmax(pixels.logits)
        if weights is not None:
            terms = terms * jnp.broadcast_to(weights.astype(terms.dtype), terms.shape)
        losses = (1 - label_smoothing) * losses + label_smoothing * jnp.mean(terms, -1)
    return _apply_contract(losses, pixels)


def focal_loss(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    *,
    gamma: float = 2.0,
    class_weights: Weights = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "*pixels"]:
    r"""Compute a cross-entropy that fades where the label is predicted well; 0 where it is ignored.

    .. math:: \ell_i = -\alpha_{y_i} (1 - p_{i y_i})^\gamma \log p_{i y_i}

    with the softmax :math:`p` of the logits. Both :math:`p` and :math:`1 - p` are computed from the
    log odds of all other classes together. Where the prediction is certain, they then keep their
    digits, and the power keeps its derivative.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: Label of every pixel.
        gamma: Focusing parameter: the larger, the faster well predicted pixels fade; 0 is
            `cross_entropy`.
        class_weights: :math:`\alpha`, the weight of each class; None for 1.
        ignore_index: Label of the pixels that do not count.

    Returns:
        Loss of every pixel, float32, or float64 for such logits.

    Raises:
        ValueError: The shapes do not fit each other, the labels are not integers, or gamma is
            negative.

    Source: Lin et al., "Focal Loss for Dense Object Detection" (arXiv:1708.02002), in its
    alpha-balanced form, with a softmax in place of the sigmoid.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> logits, labels = jnp.zeros((1, 2)), jnp.array([0])
        >>> print(losses.focal_loss(logits, labels, gamma=2.0))  # log(2) / 4
        [0.1732868]
    """
    if gamma < 0:
        raise ValueError(
            f"focal_loss: gamma={gamma!r} is negative: give 0 for plain cross-entropy, or more."
        )
    pixels = prepare("focal_loss", logits, labels, ignore_index)
    weights = check_class_weights("focal_loss", class_weights, logits.shape[-1])
    z = pixels.logits
    is_label = one_hot(pixels.labels, pixels.valid, z.shape[-1])
    # Minus infinity that can still be subtracted from: with a single class there are no others.
    least = jnp.full_like(z, jnp.finfo(z.dtype).min / 4)
    label_logits = jnp.take_along_axis(z, pixels.labels[..., None], -1)[..., 0]
    log_odds = jax.nn.logsumexp(jnp.where(is_label, least, z), -1) - label_logits
    losses = jnp.exp(gamma * jax.nn.log_sigmoid(log_odds)) * jax.nn.softplus(log_odds)
    if weights is not None:
        losses = losses * weights.astype(losses.dtype)[pixels.labels]
    return _apply_contract(losses, pixels)


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


def _apply_contract(losses: Float[Array, "*pixels"], pixels: Pixels) -> Float[Array, "*pixels"]:
    """Put 0 where the pixel does not count, and NaN where its label is unknown."""
    losses = jnp.where(pixels.known, losses, jnp.full_like(losses, jnp.nan))
    return jnp.where(pixels.valid, losses, jnp.zeros_like(losses))
