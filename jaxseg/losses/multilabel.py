r"""Losses of several labels a pixel: a sigmoid for each class in place of one softmax.

The labels have the logits' shape, one entry for each pixel and class: 0, 1 or `ignore_index` as
integers; booleans; or probabilities as floats. A mask is True where a pixel, or an entry, counts.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.losses.contract import (
    IGNORE_INDEX,
    Mask,
    Pixels,
    Weights,
    check_class_weights,
    check_label_smoothing,
)
from jaxseg.losses.entries import Entries, prepare_multilabel
from jaxseg.losses.pixels import apply_contract, check_gamma, focal_term, weigh_classes
from jaxseg.losses.regions import Regions, flatten_entries, tversky


def sigmoid_cross_entropy(
    logits: Float[Array, "*pixels classes"],
    labels: Entries,
    *,
    class_weights: Weights = None,
    label_smoothing: float = 0.0,
    mask: Mask = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "*pixels classes"]:
    r"""Compute the binary cross-entropy of every pixel and class, in nats; 0 where it is ignored.

    .. math::

        \ell_{ic} = -w_c \left(\tilde y_{ic} \log p_{ic}
                    + (1 - \tilde y_{ic}) \log(1 - p_{ic})\right),
        \qquad \tilde y_{ic} = (1 - \epsilon) y_{ic} + \epsilon / 2

    with the sigmoid :math:`p` of the logits, labels :math:`y`, class weights :math:`w` and
    smoothing :math:`\epsilon`. It is the `cross_entropy` of the two logits :math:`(0, z_{ic})`.
    `mean_over_valid` with `multilabel=True` averages it over pixels and classes.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: One label for each pixel and class, of the logits' shape: 0, 1 or `ignore_index`;
            booleans; or probabilities.
        class_weights: Weight of each class; None for 1.
        label_smoothing: Share of a label that is spread over 0 and 1, from 0 to 1.
        mask: True where the pixel counts, of shape `(batch, *space)`, or where the entry counts, of
            the logits' shape; None for all.
        ignore_index: Integer label of the entries that do not count.

    Returns:
        Loss of every pixel and class, float32, or float64 for such logits; NaN for a label out of
        range under `jit`.

    Raises:
        ValueError: The shapes do not fit each other, a dtype is wrong, or the smoothing is outside
            [0, 1]; outside `jit` also if a label is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> labels = jnp.array([[1, 1, 255]])  # two classes at once; the third is not known
        >>> print(losses.sigmoid_cross_entropy(jnp.zeros((1, 3)), labels))  # log(2)
        [[0.6931472 0.6931472 0.       ]]
    """
    name = "sigmoid_cross_entropy"
    check_label_smoothing(name, label_smoothing)
    entries = prepare_multilabel(name, logits, labels, ignore_index, mask=mask)
    weights = check_class_weights(name, class_weights, logits.shape[-1])
    smooth = (1 - label_smoothing) * entries.labels + label_smoothing / 2
    positive, negative = _binary_terms(jax.nn.softplus, entries._replace(labels=smooth))
    return apply_contract(weigh_classes(positive + negative, weights), entries)


def sigmoid_focal_loss(
    logits: Float[Array, "*pixels classes"],
    labels: Entries,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    class_weights: Weights = None,
    mask: Mask = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "*pixels classes"]:
    r"""Compute a binary cross-entropy that fades where the label is predicted well.

    .. math::

        \ell_{ic} = -w_c \left(\alpha\, y_{ic} (1 - p_{ic})^\gamma \log p_{ic}
                    + (1 - \alpha) (1 - y_{ic})\, p_{ic}^\gamma \log(1 - p_{ic})\right)

    with the sigmoid :math:`p` of the logits, labels :math:`y` and class weights :math:`w`. It is 0
    where the label is ignored. Without :math:`\alpha`, both factors are 1.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: One label for each pixel and class, of the logits' shape: 0, 1 or `ignore_index`;
            booleans; or probabilities.
        gamma: Focusing parameter: the larger, the faster well predicted entries fade; 0 is
            `sigmoid_cross_entropy`.
        alpha: Weight of label 1 against label 0, from 0 to 1; None for 1 each. The paper has 0.25.
        class_weights: Weight of each class; None for 1.
        mask: True where the pixel counts, of shape `(batch, *space)`, or where the entry counts, of
            the logits' shape; None for all.
        ignore_index: Integer label of the entries that do not count.

    Returns:
        Loss of every pixel and class, float32, or float64 for such logits; NaN for a label out of
        range under `jit`.

    Raises:
        ValueError: The shapes do not fit each other, a dtype is wrong, gamma is negative, or alpha
            is outside [0, 1]; outside `jit` also if a label is out of range.

    Source: Lin et al., "Focal Loss for Dense Object Detection" (arXiv:1708.02002), equation 5. For
    probabilities in place of labels it is the mean over both labels.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> print(losses.sigmoid_focal_loss(jnp.zeros((1, 2)), jnp.array([[1, 0]])))  # log(2) / 4
        [[0.1732868 0.1732868]]
    """
    name = "sigmoid_focal_loss"
    check_gamma(name, gamma)
    if alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"{name}: alpha={alpha!r} is a share: give a number from 0 to 1, or None.")
    entries = prepare_multilabel(name, logits, labels, ignore_index, mask=mask)
    weights = check_class_weights(name, class_weights, logits.shape[-1])
    positive, negative = _binary_terms(partial(focal_term, gamma=gamma), entries)
    if alpha is not None:
        positive, negative = alpha * positive, (1 - alpha) * negative
    return apply_contract(weigh_classes(positive + negative, weights), entries)


def sigmoid_tversky_loss(
    logits: Float[Array, "batch *space classes"],
    labels: Entries,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    smoothing: float = 1.0,
    mask: Mask = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "batch classes"]:
    r"""Compute the `tversky_loss` of every image and class with a sigmoid for each class.

    The formula is that of `tversky_loss`, also for probabilities in place of labels, with the
    sigmoid :math:`p` of the logits and the labels :math:`g`, summed over the pixels of an image at
    which the class is not ignored.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: One label for each pixel and class, of the logits' shape: 0, 1 or `ignore_index`;
            booleans; or probabilities.
        alpha: Cost of a false positive pixel.
        beta: Cost of a false negative pixel.
        smoothing: Number of pixels that are added to numerator and denominator.
        mask: True where the pixel counts, of shape `(batch, *space)`, or where the entry counts, of
            the logits' shape; None for all.
        ignore_index: Integer label of the entries that do not count.

    Returns:
        Loss of every image and class, float32, or float64 for such logits; NaN under `jit` where a
        label of the class is out of range.

    Raises:
        ValueError: The shapes do not fit each other, a dtype is wrong, or a number is negative;
            outside `jit` also if a label is out of range.
    """
    name = "sigmoid_tversky_loss"
    regions = _flatten(name, logits, labels, mask, ignore_index)
    return tversky(name, regions, alpha, beta, smoothing)


def sigmoid_dice_loss(
    logits: Float[Array, "batch *space classes"],
    labels: Entries,
    *,
    smoothing: float = 1.0,
    mask: Mask = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "batch classes"]:
    r"""Compute the `dice_loss` of every image and class with a sigmoid for each class.

    The formula is that of `dice_loss`, also for probabilities in place of labels, with the sigmoid
    :math:`p` of the logits and the labels :math:`g`, summed over the pixels of an image at which
    the class is not ignored.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: One label for each pixel and class, of the logits' shape: 0, 1 or `ignore_index`;
            booleans; or probabilities.
        smoothing: Number of pixels that are added to numerator and denominator.
        mask: True where the pixel counts, of shape `(batch, *space)`, or where the entry counts, of
            the logits' shape; None for all.
        ignore_index: Integer label of the entries that do not count.

    Returns:
        Loss of every image and class, float32, or float64 for such logits; NaN under `jit` where a
        label of the class is out of range.

    Raises:
        ValueError: The shapes do not fit each other, a dtype is wrong, or the smoothing is
            negative; outside `jit` also if a label is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> labels = jnp.array([[[1, 1], [1, 0], [0, 0], [0, 255]]])  # four pixels, two classes
        >>> predictions = jnp.array([[[1, 1], [1, 1], [1, 0], [0, 1]]])
        >>> logits = 99.0 * (2 * predictions - 1)
        >>> print(losses.sigmoid_dice_loss(logits, labels, smoothing=0.0))  # 1 - 4/5, 1 - 2/3
        [[0.2        0.33333334]]
    """
    name = "sigmoid_dice_loss"
    regions = _flatten(name, logits, labels, mask, ignore_index)
    return tversky(name, regions, 0.5, 0.5, smoothing, per_pixel=2)


def sigmoid_jaccard_loss(
    logits: Float[Array, "batch *space classes"],
    labels: Entries,
    *,
    smoothing: float = 1.0,
    mask: Mask = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "batch classes"]:
    r"""Compute the `jaccard_loss` of every image and class with a sigmoid for each class.

    The formula is that of `jaccard_loss`, also for probabilities in place of labels, with the
    sigmoid :math:`p` of the logits and the labels :math:`g`, summed over the pixels of an image at
    which the class is not ignored.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: One label for each pixel and class, of the logits' shape: 0, 1 or `ignore_index`;
            booleans; or probabilities.
        smoothing: Number of pixels that are added to numerator and denominator.
        mask: True where the pixel counts, of shape `(batch, *space)`, or where the entry counts, of
            the logits' shape; None for all.
        ignore_index: Integer label of the entries that do not count.

    Returns:
        Loss of every image and class, float32, or float64 for such logits; NaN under `jit` where a
        label of the class is out of range.

    Raises:
        ValueError: The shapes do not fit each other, a dtype is wrong, or the smoothing is
            negative; outside `jit` also if a label is out of range.
    """
    name = "sigmoid_jaccard_loss"
    regions = _flatten(name, logits, labels, mask, ignore_index)
    return tversky(name, regions, 1.0, 1.0, smoothing)


def _binary_terms(
    loss: Callable[[Array], Array], entries: Pixels
) -> tuple[Float[Array, "*pixels classes"], Float[Array, "*pixels classes"]]:
    """Compute the losses of label 1 and of label 0, multiplied with their probabilities.

    Args:
        loss: Loss of a label as a function of the log odds against it.
        entries: Logits and labels from 0 to 1.
    """
    z, y = entries.logits, entries.labels
    # A label of probability 0 is removed first: its loss may be infinite.
    against_positive = jnp.where(y > 0, -z, jnp.zeros_like(z))
    against_negative = jnp.where(y < 1, z, jnp.zeros_like(z))
    return y * loss(against_positive), (1 - y) * loss(against_negative)


def _flatten(name: str, logits: Array, labels: Array, mask: Mask, ignore_index: int) -> Regions:
    """Check logits and labels, and flatten the pixels of every image."""
    entries = prepare_multilabel(name, logits, labels, ignore_index, mask=mask, min_axes=2)
    is_soft = jnp.issubdtype(labels.dtype, jnp.floating)
    return flatten_entries(entries._replace(logits=jax.nn.sigmoid(entries.logits)), is_soft=is_soft)
