"""Losses of single pixels: cross-entropy, focal loss, and the choice of the hardest pixels."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from jaxseg.losses.contract import IGNORE_INDEX, Pixels, is_label, prepare, weigh_classes

Weights = Float[Array, "classes"] | np.ndarray | None


def cross_entropy(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    *,
    class_weights: Weights = None,
    label_smoothing: float = 0.0,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "*pixels"]:
    r"""Softmax cross-entropy of every pixel, in nats and float32; 0 where the label is ignored.

    .. math::

        \ell_i = -(1 - \epsilon) w_{y_i} \log p_{i y_i}
                 - \frac{\epsilon}{K} \sum_k w_k \log p_{ik},
        \qquad \log p_{ik} = z_{ik} - \log \sum_j e^{z_{ij}}

    with logits :math:`z`, labels :math:`y`, classes :math:`K`, class weights :math:`w` and
    smoothing :math:`\epsilon`. `mean_over_valid` with the same weights divides by the sum of
    :math:`w_{y_i}`, as PyTorch's mean does.

    A label that is neither a class nor `ignore_index` gives NaN rather than a wrong number:
    `data.check_labels` finds such labels on the host.

    Args:
        logits: of the classes, last; any float type, float64 stays float64.
        labels: one a pixel.
        class_weights: one a class; 1 where left out.
        label_smoothing: the share of a pixel's label that is spread over all classes, 0 to 1.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: the shapes do not fit, the labels are no integers, or the smoothing is no share.

    Source: label smoothing is Szegedy et al., "Rethinking the Inception Architecture for Computer
    Vision" (arXiv:1512.00567), section 7.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(
            f"cross_entropy: label_smoothing={label_smoothing!r} is the share of a label that is "
            "spread over all classes: give a number from 0 to 1."
        )
    pixels = prepare("cross_entropy", logits, labels, ignore_index)
    weights = weigh_classes("cross_entropy", class_weights, logits.shape[-1])
    losses = optax.losses.softmax_cross_entropy_with_integer_labels(pixels.logits, pixels.labels)
    if weights is not None:
        losses = losses * weights.astype(losses.dtype)[pixels.labels]
    if label_smoothing:
        terms = -jax.nn.log_softmax(pixels.logits)
        if weights is not None:
            terms = terms * jnp.broadcast_to(weights.astype(terms.dtype), terms.shape)
        losses = (1 - label_smoothing) * losses + label_smoothing * jnp.mean(terms, -1)
    return _finish(losses, pixels)


def focal_loss(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    *,
    gamma: float = 2.0,
    class_weights: Weights = None,
    ignore_index: int = IGNORE_INDEX,
) -> Float[Array, "*pixels"]:
    r"""Cross-entropy that fades where the label is predicted well; 0 where it is ignored.

    .. math:: \ell_i = -\alpha_{y_i} (1 - p_{i y_i})^\gamma \log p_{i y_i}

    with the softmax :math:`p` of the logits. Both :math:`p` and :math:`1 - p` are taken from the
    log odds of the other classes together, so that they keep their digits, and the power its
    derivative, where the prediction is sure.

    Args:
        logits: of the classes, last.
        labels: one a pixel.
        gamma: how fast a well predicted pixel fades; 0 is `cross_entropy`.
        class_weights: :math:`\alpha`, one a class; 1 where left out.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: the shapes do not fit, the labels are no integers, or gamma is negative.

    Source: Lin et al., "Focal Loss for Dense Object Detection" (arXiv:1708.02002), its
    alpha-balanced form, with a softmax in place of the sigmoid.
    """
    if gamma < 0:
        raise ValueError(
            f"focal_loss: gamma={gamma!r} is negative: give 0 for plain cross-entropy, or more."
        )
    pixels = prepare("focal_loss", logits, labels, ignore_index)
    weights = weigh_classes("focal_loss", class_weights, logits.shape[-1])
    z = pixels.logits
    is_own = is_label(pixels.labels, pixels.valid, z.shape[-1])
    # The least number that can be subtracted from: a net of one class has no others.
    least = jnp.full_like(z, jnp.finfo(z.dtype).min / 4)
    own = jnp.take_along_axis(z, pixels.labels[..., None], -1)[..., 0]
    odds = jax.nn.logsumexp(jnp.where(is_own, least, z), -1) - own
    losses = jnp.exp(gamma * jax.nn.log_sigmoid(odds)) * jax.nn.softplus(odds)
    if weights is not None:
        losses = losses * weights.astype(losses.dtype)[pixels.labels]
    return _finish(losses, pixels)


def hard_labels(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    *,
    threshold: float = 0.7,
    least_kept: int = 100_000,
    ignore_index: int = IGNORE_INDEX,
) -> Int[Array, "*pixels"]:
    r"""Labels, int32, of the hard pixels alone: online hard example mining. The others are ignored.

    A pixel is hard where its label's softmax :math:`p_{i y_i}` is below `threshold`, or is among
    the `least_kept` smallest of all pixels given; ties are all kept. Any loss and any mean then
    counts the hard pixels alone::

        loss = losses.mean_cross_entropy(logits, losses.hard_labels(logits, labels))

    All pixels of the call are ranked together: a whole batch, also one spread over devices under
    `jit`; within `vmap` and `shard_map`, each call's own. No gradient flows through the choice.

    Args:
        logits: of the classes, last.
        labels: one a pixel.
        threshold: probability from which a pixel is easy; 0 leaves the choice to `least_kept`.
        least_kept: pixels, not images, that are kept in any case, if so many count.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: the shapes do not fit, the labels are no integers, `threshold` is no
            probability, or `least_kept` is negative.

    Source: Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example
    Mining" (arXiv:1604.03540), with pixels in place of regions. Ours: the threshold.
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
    # NaN, an unknown label, is sorted last and compares false: it is kept, and spoils the mean.
    easy = ranked <= (-math.log(threshold) if threshold else math.inf)
    if least_kept and labels.size:
        last = jnp.sort(ranked, axis=None)[-min(least_kept, labels.size)]
        easy &= ranked < last
    labels = labels.astype(jnp.int32)
    return jnp.where(easy, jnp.full_like(labels, ignore_index), labels)


def _finish(losses: Float[Array, "*pixels"], pixels: Pixels) -> Float[Array, "*pixels"]:
    """0 where the pixel does not count, NaN where its label is no class."""
    losses = jnp.where(pixels.known, losses, jnp.full_like(losses, jnp.nan))
    return jnp.where(pixels.valid, losses, jnp.zeros_like(losses))
