"""Reductions to one number: means over what counts, and sums over several heads."""

from collections.abc import Callable, Sequence
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.losses.contract import (
    IGNORE_INDEX,
    Labels,
    Mask,
    Weights,
    at_least_float32,
    check_class_weights,
    check_dtype,
    one_hot,
    valid_pixels,
)
from jaxseg.losses.entries import Entries, valid_entries
from jaxseg.losses.multilabel import sigmoid_cross_entropy
from jaxseg.losses.pixels import cross_entropy, weigh_classes

Loss = Callable[[Float[Array, "batch *space classes"], Labels | Entries], Array]


def mean_over_valid(
    losses: Float[Array, "*pixels"],
    labels: Labels,
    *,
    class_weights: Weights = None,
    multilabel: bool = False,
    mask: Mask = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, ""]:
    r"""Average losses of pixels over those that are not ignored.

    .. math:: \sum_i \ell_i \Big/ \sum_{i\ \mathrm{valid}} w_{y_i}

    The mean is 0, with a gradient of 0, where all pixels are ignored. Sums and counts are taken in
    float32, or in float64 for such losses. With soft labels the weight of a pixel is
    :math:`\sum_k y_{ik} w_k`. Losses of several labels a pixel are averaged over the pixels and
    classes that count, and the weight of an entry is that of its class.

    Args:
        losses: Loss of every pixel, or of every pixel and class, 0 where it is ignored.
        labels: Labels of these losses.
        class_weights: Weights that the losses were multiplied with, so that the result is a
            weighted mean; None for 1. Where all labels have a weight of 0, the mean is 0.
        multilabel: Losses and labels have one entry for each pixel and class.
        mask: Mask of these losses: True where a label counts; None for all.
        ignore_index: Integer label of the pixels, or entries, that do not count.

    Raises:
        ValueError: The shapes differ, or a dtype is wrong.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> values = jnp.array([1.0, 3.0, 0.0])
        >>> print(losses.mean_over_valid(values, jnp.array([0, 1, 255])))
        2.0
    """
    name = "mean_over_valid"
    soft = not multilabel and check_dtype(name, labels, soft=True)
    if losses.shape != (labels.shape[:-1] if soft else labels.shape):
        raise ValueError(
            f"{name}: losses {losses.shape} and labels {labels.shape} differ: give one of each a "
            "pixel, of soft labels one a class; losses of images and classes go into "
            "mean_over_classes."
        )
    losses = at_least_float32(losses)
    find_valid = valid_entries if multilabel else partial(valid_pixels, soft=True)
    valid = find_valid(name, labels, ignore_index, mask)
    classes = labels.shape[-1] if multilabel or soft else None
    weights = check_class_weights(name, class_weights, classes)
    if weights is None:
        return jnp.sum(losses) / jnp.maximum(jnp.sum(valid), 1).astype(losses.dtype)
    weights = weights.astype(losses.dtype)
    if multilabel:
        weight = weigh_classes(jnp.ones_like(losses), weights)
    elif soft:
        weight = jnp.sum(weigh_classes(labels.astype(losses.dtype), weights), -1)
    else:
        weight = weights[jnp.clip(labels.astype(jnp.int32), 0, len(weights) - 1)]
    total = jnp.sum(jnp.where(valid, weight, jnp.zeros_like(weight)))
    usable = total > 0
    mean = jnp.sum(losses) / jnp.where(usable, total, jnp.ones_like(total))
    # The NaN of an unknown label has to come through although it weighs nothing.
    return jnp.where(usable | jnp.isnan(mean), mean, jnp.zeros_like(mean))


def mean_over_classes(
    losses: Float[Array, "batch classes"],
    labels: Labels,
    *,
    present_only: bool = True,
    multilabel: bool = False,
    mask: Mask = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, ""]:
    """Average losses of regions over images and classes.

    The mean is 0, with a gradient of 0, where no pixel counts. Sums and counts are taken in
    float32, or in float64 for such losses.

    Args:
        losses: Loss of every image and class, 0 in an image of ignored pixels alone.
        labels: Labels of these losses.
        present_only: Leave out, in every image, the classes that none of its pixels is labeled
            with; with soft labels, those of probability 0 everywhere. Otherwise they count. An
            image, or a class, of ignored labels alone never counts.
        multilabel: Labels have one entry for each pixel and class.
        mask: Mask of these losses: True where a label counts; None for all.
        ignore_index: Integer label of the pixels, or entries, that do not count.

    Raises:
        ValueError: The numbers of images or classes differ, or a dtype is wrong.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> values = jnp.array([[0.25, 0.75, 1.0]])
        >>> labels = jnp.array([[0, 0, 1, 255]])
        >>> print(losses.mean_over_classes(values, labels))
        0.5
    """
    name = "mean_over_classes"
    per_class = multilabel or check_dtype(name, labels, soft=True)
    if (
        losses.ndim != 2
        or losses.shape[:1] != labels.shape[:1]
        or (per_class and (labels.ndim < 2 or losses.shape[1:] != labels.shape[-1:]))
    ):
        shape = "(batch, *space, classes)" if per_class else "(batch, *space)"
        raise ValueError(
            f"{name}: losses {losses.shape} do not fit labels {labels.shape}: give losses (batch, "
            f"classes) and labels {shape} of the same batch."
        )
    losses = at_least_float32(losses)
    if multilabel:
        valid = valid_entries(name, labels, ignore_index, mask)
    else:
        valid = valid_pixels(name, labels, ignore_index, mask, soft=True)[..., None]
    if per_class:
        present = labels.astype(jnp.bool_) & valid
    else:
        present = one_hot(labels.astype(jnp.int32), valid[..., 0], losses.shape[1])
    space = tuple(range(1, valid.ndim - 1))
    counted = jnp.broadcast_to(jnp.any(present if present_only else valid, space), losses.shape)
    # The NaN of an unknown label has to come through although no class is present.
    kept = jnp.where(counted | jnp.isnan(losses), losses, jnp.zeros_like(losses))
    return jnp.sum(kept) / jnp.maximum(jnp.sum(counted), 1).astype(losses.dtype)


def mean_cross_entropy(
    logits: Float[Array, "*pixels classes"],
    labels: Labels,
    *,
    class_weights: Weights = None,
    label_smoothing: float = 0.0,
    mask: Mask = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, ""]:
    """Average the `cross_entropy` of pixels by `mean_over_valid`, with the same class weights.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: Label of every pixel: integers; or the probability of every class: floats of the
            logits' shape.
        class_weights: Weight of each class; None for 1.
        label_smoothing: Share of a pixel's label that is spread over all classes, from 0 to 1.
        mask: True where the pixel counts, of shape `(batch, *space)`; None for all.
        ignore_index: Integer label of the pixels that do not count.

    Raises:
        ValueError: The shapes do not fit each other, a dtype is wrong, or the smoothing is outside
            [0, 1]; outside `jit` also if soft labels are no probabilities.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> labels = jnp.array([[0, 3], [255, 1]])
        >>> print(f"{losses.mean_cross_entropy(jnp.zeros((2, 2, 4)), labels):.4f}")  # log(4)
        1.3863
    """
    losses = cross_entropy(
        logits,
        labels,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        mask=mask,
        ignore_index=ignore_index,
    )
    return mean_over_valid(
        losses, labels, class_weights=class_weights, mask=mask, ignore_index=ignore_index
    )


def mean_sigmoid_cross_entropy(
    logits: Float[Array, "*pixels classes"],
    labels: Entries,
    *,
    class_weights: Weights = None,
    label_smoothing: float = 0.0,
    mask: Mask = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, ""]:
    """Average the `sigmoid_cross_entropy` of pixels and classes, with the same class weights.

    Args:
        logits: Logits of any floating dtype, with the classes last.
        labels: One label for each pixel and class, of the logits' shape: 0, 1 or `ignore_index`;
            booleans; or probabilities.
        class_weights: Weight of each class; None for 1.
        label_smoothing: Share of a label that is spread over 0 and 1, from 0 to 1.
        mask: True where the pixel counts, of shape `(batch, *space)`, or where the entry counts, of
            the logits' shape; None for all.
        ignore_index: Integer label of the entries that do not count.

    Raises:
        ValueError: The shapes do not fit each other, a dtype is wrong, or the smoothing is outside
            [0, 1]; outside `jit` also if a label is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> labels = jnp.array([[0, 1, 1], [255, 0, 1]])
        >>> print(f"{losses.mean_sigmoid_cross_entropy(jnp.zeros((2, 3)), labels):.4f}")  # log(2)
        0.6931
    """
    losses = sigmoid_cross_entropy(
        logits,
        labels,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        mask=mask,
        ignore_index=ignore_index,
    )
    return mean_over_valid(
        losses,
        labels,
        class_weights=class_weights,
        multilabel=True,
        mask=mask,
        ignore_index=ignore_index,
    )


def with_auxiliary(
    loss: Loss, *, weight: float | Sequence[float] = 0.5
) -> Callable[[Sequence[Array], Labels | Entries], Float[Array, ""]]:
    r"""Extend a loss of one head's logits to a main head and auxiliary heads.

    .. math:: L = \ell(z_0, y) + \sum_{h \ge 1} \lambda_h \, \ell(z_h, y)

    All heads have the same labels, so `loss` decides for all of them which pixels count.

    Args:
        loss: Function of logits and labels that returns a scalar.
        weight: :math:`\lambda`, one number for all auxiliary heads, or one for each. The default
            is torchvision's; the paper has 0.4.

    Returns:
        Function `total(heads, labels)` of a tuple or list of the heads' logits, the main head's
        first, all of the labels' size. With the main head alone it is `loss` itself. It raises a
        `ValueError` where `heads` is a single array or empty, or where there is not one weight for
        each auxiliary head.

    Source: Zhao et al., "Pyramid Scene Parsing Network" (arXiv:1612.01105), section 3.3.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import losses
        >>> total = losses.with_auxiliary(losses.mean_cross_entropy, weight=0.4)
        >>> logits, labels = jnp.zeros((1, 2, 2, 4)), jnp.zeros((1, 2, 2), jnp.int32)
        >>> print(f"{total((logits, logits), labels):.4f}")  # 1.4 log(4)
        1.9408
    """

    def total(heads: Sequence[Array], labels: Labels | Entries) -> Float[Array, ""]:
        if not isinstance(heads, (tuple, list)) or not heads:
            raise ValueError(
                f"with_auxiliary: heads is {type(heads).__name__}: give a tuple of the logits of "
                "each head, the main one's first."
            )
        weights = weight if isinstance(weight, Sequence) else [weight] * (len(heads) - 1)
        if len(weights) != len(heads) - 1:
            raise ValueError(
                f"with_auxiliary: {len(weights)} weights for {len(heads) - 1} auxiliary heads: "
                "give one number for all of them, or one for each."
            )
        value = loss(heads[0], labels)
        for head_weight, logits in zip(weights, heads[1:], strict=True):
            value = value + head_weight * loss(logits, labels)
        return value

    return total
