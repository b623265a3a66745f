"""The Lovász extension of the Jaccard loss."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxseg.losses.contract import IGNORE_INDEX
from jaxseg.losses.regions import flatten_regions


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
    labeled = regions.labeled > 0.5
    errors = jnp.abs(regions.labeled - regions.predicted)
    # Ignored pixels come last, behind the valid ones with an error of 0.
    ranked = jax.lax.stop_gradient(jnp.where(regions.valid, errors, jnp.full_like(errors, -1)))
    order = jnp.argsort(-ranked, axis=1)
    errors, labeled = (jnp.take_along_axis(a, order, 1) for a in (errors, labeled))
    steps = _jaccard_steps(labeled, errors.dtype)
    return regions.zero_or_nan + jnp.sum(errors * steps, 1)


def _jaccard_steps(labeled: Array, dtype: jnp.dtype) -> Float[Array, "batch pixels classes"]:
    """Compute what each wrong pixel adds to one minus the intersection over union, in this order.

    The steps come from exact counts, not from differences of nearly equal losses. A labeled pixel
    takes one from the intersection I and leaves the union U, which adds 1/U. Any other pixel adds
    one to the union, which adds I/(U-1) - I/U.
    """
    total = jnp.sum(labeled, 1, dtype=jnp.int32, keepdims=True)
    lost = jnp.cumsum(labeled, 1, dtype=jnp.int32)
    added = jnp.cumsum(~labeled, 1, dtype=jnp.int32)
    intersection = (total - lost).astype(dtype)
    union = jnp.maximum(total + added, 1).astype(dtype)
    union_before = jnp.maximum(union - 1, 1)
    # Where there is no label, the first pixel adds the whole loss.
    first = (total == 0) & (added == 1)
    return jnp.where(labeled | first, 1 / union, intersection / union / union_before)
