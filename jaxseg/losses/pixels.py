"""Losses of single pixels: cross-entropy and focal loss."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxseg.losses.contract import (
    IGNORE_INDEX,
    Labels,
    Mask,
    Pixels,
    Weights,
    check_class_weights,
    check_label_smoothing,
    one_hot,
    prepare,
)


def cross_entropy(
    logits: Float[Array, "*pixels classes"],
    labels: Labels,
    *,
    class_weights: Weights = None,
    label_smoothing: float = 0.0,
    mask: Mask = None,
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

    With soft labels :math:`y_{ik}` the loss is the mean over the classes that a pixel may have,

    .. math:: \ell_i = -\sum_k \left((1 - \epsilon) y_{ik} + \frac{\epsilon}{K}\right)
              w_k \log p_{ik}

    A label that is neither a class nor `ignore_index` gives NaN rather than a wrong number.
    `data.check_labels` finds such labels on the host.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: Label of every pixel: integers; or the probability of every class: floats of the
            logits' shape.
        class_weights: Weight of each class; None for 1.
        label_smoothing: Share of a pixel's label that is spread over all classes, from 0 to 1.
        mask: True where the pixel counts, of shape `(batch, *space)`; None for all.
        ignore_index: Integer label of the pixels that do not count.

    Returns:
        Loss of every pixel, float32, or float64 for such logits.

    Raises:
        ValueError: The shapes do not fit each other, a dtype is wrong, or the smoothing is outside
            [0, 1]; outside `jit` also if soft labels are no probabilities.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision"
    (arXiv:1512.00567), section 7, for the label smoothing.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> print(losses.cross_entropy(jnp.zeros((2, 4)), jnp.array([3, 255])))  # log(4), ignored
        [1.3862944 0.       ]
        >>> soft = jnp.array([[0.5, 0.5, 0.0, 0.0]])
        >>> print(losses.cross_entropy(jnp.zeros((1, 4)), soft))  # log(4) for either class
        [1.3862944]
    """
    check_label_smoothing("cross_entropy", label_smoothing)
    pixels = prepare("cross_entropy", logits, labels, ignore_index, mask=mask, soft=True)
    weights = check_class_weights("cross_entropy", class_weights, logits.shape[-1])
    if pixels.is_soft:
        losses = _average(_negative_log_p(pixels, weights), pixels.labels)
    else:
        losses = optax.losses.softmax_cross_entropy_with_integer_labels(
            pixels.logits, pixels.labels
        )
        if weights is not None:
            losses = losses * weights.astype(losses.dtype)[pixels.labels]
    if label_smoothing:
        spread = jnp.mean(_negative_log_p(pixels, weights), -1)
        losses = (1 - label_smoothing) * losses + label_smoothing * spread
    return apply_contract(losses, pixels)


def focal_loss(
    logits: Float[Array, "*pixels classes"],
    labels: Labels,
    *,
    gamma: float = 2.0,
    class_weights: Weights = None,
    mask: Mask = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "*pixels"]:
    r"""Compute a cross-entropy that fades where the label is predicted well; 0 where it is ignored.

    .. math:: \ell_i = -\alpha_{y_i} (1 - p_{i y_i})^\gamma \log p_{i y_i}

    with the softmax :math:`p` of the logits. Both :math:`p` and :math:`1 - p` are computed from the
    log odds of all other classes together. Where the prediction is certain, they then keep their
    digits, and the power keeps its derivative. With soft labels :math:`y_{ik}` the loss is the mean
    over the classes that a pixel may have,
    :math:`-\sum_k y_{ik} \alpha_k (1 - p_{ik})^\gamma \log p_{ik}`.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: Label of every pixel: integers; or the probability of every class: floats of the
            logits' shape.
        gamma: Focusing parameter: the larger, the faster well predicted pixels fade; 0 is
            `cross_entropy`.
        class_weights: :math:`\alpha`, the weight of each class; None for 1.
        mask: True where the pixel counts, of shape `(batch, *space)`; None for all.
        ignore_index: Integer label of the pixels that do not count.

    Returns:
        Loss of every pixel, float32, or float64 for such logits.

    Raises:
        ValueError: The shapes do not fit each other, a dtype is wrong, or gamma is negative;
            outside `jit` also if soft labels are no probabilities.

    Source: Lin et al., "Focal Loss for Dense Object Detection" (arXiv:1708.02002), in its
    alpha-balanced form, with a softmax in place of the sigmoid.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> logits, labels = jnp.zeros((1, 2)), jnp.array([0])
        >>> print(losses.focal_loss(logits, labels, gamma=2.0))  # log(2) / 4
        [0.1732868]
    """
    check_gamma("focal_loss", gamma)
    pixels = prepare("focal_loss", logits, labels, ignore_index, mask=mask, soft=True)
    weights = check_class_weights("focal_loss", class_weights, logits.shape[-1])
    z = pixels.logits
    if pixels.is_soft:
        # Classes of probability 0 are removed first: their odds may be infinite.
        log_odds = _log_odds_of_others(z)
        log_odds = jnp.where(pixels.labels > 0, log_odds, jnp.zeros_like(log_odds))
        terms = weigh_classes(focal_term(log_odds, gamma), weights)
        return apply_contract(_average(terms, pixels.labels), pixels)
    is_label = one_hot(pixels.labels, pixels.valid, z.shape[-1])
    label_logits = jnp.take_along_axis(z, pixels.labels[..., None], -1)[..., 0]
    losses = focal_term(_logsumexp_except(z, is_label) - label_logits, gamma)
    if weights is not None:
        losses = losses * weights.astype(losses.dtype)[pixels.labels]
    return apply_contract(losses, pixels)


def check_gamma(name: str, gamma: float) -> None:
    """Refuse a negative focusing parameter.

    Args:
        name: Name of the calling function, for messages.
        gamma: Focusing parameter.

    Raises:
        ValueError: Gamma is negative.
    """
    if gamma < 0:
        raise ValueError(
            f"{name}: gamma={gamma!r} is negative: give 0 for plain cross-entropy, or more."
        )


def focal_term(log_odds: Float[Array, "..."], gamma: float) -> Float[Array, "..."]:
    r"""Compute :math:`-(1 - p)^\gamma \log p` from :math:`\log((1 - p) / p)`."""
    return jnp.exp(gamma * jax.nn.log_sigmoid(log_odds)) * jax.nn.softplus(log_odds)


def apply_contract(losses: Float[Array, "..."], pixels: Pixels) -> Float[Array, "..."]:
    """Put 0 where a label does not count, and NaN where it is unknown.

    Args:
        losses: Loss of every pixel, or of every entry.
        pixels: Labels of these losses.
    """
    losses = jnp.where(pixels.known, losses, jnp.full_like(losses, jnp.nan))
    return jnp.where(pixels.valid, losses, jnp.zeros_like(losses))


def weigh_classes(
    terms: Float[Array, "*pixels classes"], weights: Float[Array, "classes"] | None
) -> Float[Array, "*pixels classes"]:
    """Multiply the terms of every class with its weight.

    Args:
        terms: One number for each pixel and class.
        weights: Weight of each class; None for 1.
    """
    if weights is None:
        return terms
    return terms * jnp.broadcast_to(weights.astype(terms.dtype), terms.shape)


def _negative_log_p(pixels: Pixels, weights: Array | None) -> Float[Array, "*pixels classes"]:
    return weigh_classes(-jax.nn.log_softmax(pixels.logits), weights)


def _average(
    terms: Float[Array, "*pixels classes"], labels: Float[Array, "*pixels classes"]
) -> Float[Array, "*pixels"]:
    """Average the terms of the classes with soft labels; a term of a class without one may be inf.

    Args:
        terms: Loss of every pixel if it were of this class.
        labels: Probability of every class.
    """
    terms = jnp.where(labels > 0, terms, jnp.zeros_like(terms))
    return jnp.sum(labels * terms, -1)


def _logsumexp_except(
    logits: Float[Array, "*pixels classes"], left_out: Array
) -> Float[Array, "*pixels"]:
    # Minus infinity that can still be subtracted from: with a single class there are no others.
    least = jnp.full_like(logits, jnp.finfo(logits.dtype).min / 4)
    return jax.nn.logsumexp(jnp.where(left_out, least, logits), -1)


def _log_odds_of_others(logits: Float[Array, "*pixels classes"]) -> Float[Array, "..."]:
    r"""Compute :math:`\log((1 - p_k) / p_k)` of every class.

    Only the probability of the most probable class may round to 1. Its odds are computed from the
    other classes; the remaining :math:`1 - p_k` keep their digits.
    """
    is_top = jax.nn.one_hot(jnp.argmax(logits, -1), logits.shape[-1], dtype=jnp.bool_)
    odds_of_top = _logsumexp_except(logits, is_top)[..., None] - logits
    log_p = jax.nn.log_softmax(logits)
    p = jnp.where(is_top, jnp.zeros_like(log_p), jnp.exp(log_p))
    return jnp.where(is_top, odds_of_top, jnp.log1p(-p) - log_p)
