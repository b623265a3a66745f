"""From maps to one number: means over what counts, and sums over several heads."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxseg.losses.contract import IGNORE_INDEX, is_label, valid_pixels, weigh_classes
from jaxseg.losses.pixels import Weights, cross_entropy

Loss = Callable[[Float[Array, "batch *space classes"], Int[Array, "batch *space"]], Array]


def mean_over_valid(
    losses: Float[Array, "*pixels"],
    labels: Int[Array, "*pixels"],
    *,
    class_weights: Weights = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, ""]:
    r"""Mean over the pixels that are not ignored; 0, with zero gradient, where all are.

    .. math:: \sum_i \ell_i \Big/ \sum_{i\ \mathrm{valid}} w_{y_i}

    Args:
        losses: one a pixel, 0 where it is ignored.
        labels: one a pixel.
        class_weights: those that the losses were weighted with, so that the result is a weighted
            mean; 1 where left out. Where the labels weigh nothing together, the mean is 0.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: the shapes differ, or the labels are no integers.
    """
    if losses.shape != labels.shape:
        raise ValueError(
            f"mean_over_valid: losses {losses.shape} and labels {labels.shape} differ: give one of "
            "each a pixel; losses of images and classes go into mean_over_classes."
        )
    valid = valid_pixels("mean_over_valid", labels, ignore_index)
    weights = weigh_classes("mean_over_valid", class_weights, None)
    if weights is None:
        return jnp.sum(losses) / jnp.maximum(jnp.sum(valid), 1).astype(losses.dtype)
    own = weights.astype(losses.dtype)[jnp.clip(labels.astype(jnp.int32), 0, len(weights) - 1)]
    total = jnp.sum(jnp.where(valid, own, jnp.zeros_like(own)))
    usable = total > 0
    # A product, not a choice: the NaN of an unknown label has to come through.
    return jnp.sum(losses) * usable.astype(losses.dtype) / jnp.where(usable, total, 1)


def mean_over_classes(
    losses: Float[Array, "batch classes"],
    labels: Int[Array, "batch *space"],
    *,
    present_only: bool = True,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, ""]:
    """Mean over images and classes; 0, with zero gradient, where no pixel counts.

    Args:
        losses: one an image and class, 0 in an image of nothing but ignored pixels.
        labels: one a pixel.
        present_only: leave out the classes that an image has no label of. Without it, they count;
            an image of nothing but ignored pixels does not count either way.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: the numbers of images differ, or the labels are no integers.
    """
    if losses.ndim != 2 or losses.shape[:1] != labels.shape[:1]:
        raise ValueError(
            f"mean_over_classes: losses {losses.shape} do not fit labels {labels.shape}: give "
            "losses (batch, classes) and labels (batch, *space) of the same batch."
        )
    valid = valid_pixels("mean_over_classes", labels, ignore_index)
    space = tuple(range(1, labels.ndim))
    if present_only:
        counted = jnp.any(is_label(labels.astype(jnp.int32), valid, losses.shape[1]), space)
    else:
        counted = jnp.broadcast_to(jnp.any(valid, space)[:, None], losses.shape)
    # The NaN of an unknown label has to come through although no class is present.
    kept = jnp.where(counted | jnp.isnan(losses), losses, jnp.zeros_like(losses))
    return jnp.sum(kept) / jnp.maximum(jnp.sum(counted), 1).astype(losses.dtype)


def mean_cross_entropy(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    *,
    class_weights: Weights = None,
    label_smoothing: float = 0.0,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, ""]:
    """`cross_entropy` averaged by `mean_over_valid`, both with the same weights."""
    losses = cross_entropy(
        logits,
        labels,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        ignore_index=ignore_index,
    )
    return mean_over_valid(losses, labels, class_weights=class_weights, ignore_index=ignore_index)


def with_auxiliary(
    loss: Loss, *, weight: float | Sequence[float] = 0.5
) -> Callable[[Sequence[Array], Int[Array, "batch *space"]], Float[Array, ""]]:
    r"""Make a loss of one head's logits into the loss of a main head and auxiliary ones.

    .. math:: L = \ell(z_0, y) + \sum_{h \ge 1} \lambda_h \, \ell(z_h, y)

    Every head sees the same labels, so that `loss` decides once for all which pixels count.

    Args:
        loss: `loss(logits, labels)`, a scalar.
        weight: :math:`\lambda`, one for all auxiliary heads or one for each.

    Returns:
        `total(heads, labels)`, where `heads` is the sequence of the heads' logits, the main one's
        first, all at the labels' size. The main one alone, in a sequence of one, is `loss` itself.

    Raises:
        ValueError: from `total`, where `heads` is a single array or empty, or where the weights
            are not one for each auxiliary head.

    Source: Zhao et al., "Pyramid Scene Parsing Network" (CVPR 2017), the auxiliary loss.
    """

    def total(heads: Sequence[Array], labels: Int[Array, "batch *space"]) -> Float[Array, ""]:
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
        for share, logits in zip(weights, heads[1:], strict=True):
            value = value + share * loss(logits, labels)
        return value

    return total
