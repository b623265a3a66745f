"""Losses for dense prediction, unreduced, with one `ignore_index` for all.

A loss of pixels returns a map, `(batch, *space)`; a loss of regions returns one number for each
image and class, `(batch, classes)`. `mean_over_valid` and `mean_over_classes` reduce them to
scalars:

    def objective(logits, labels):
        regions = losses.dice_loss(logits, labels)
        return losses.mean_cross_entropy(logits, labels) + losses.mean_over_classes(regions, labels)

Labels are of three kinds:

- One class a pixel: integers `(batch, *space)`. The prediction is a softmax.
- Soft labels: the probability of every class, floats `(batch, *space, classes)`. Cross-entropy,
  focal loss, Dice, Jaccard and Tversky take them in place of integers.
- Several labels a pixel: 0 or 1 for every class, integers or booleans `(batch, *space, classes)`,
  or their probabilities as floats. The losses named `sigmoid_` take them, and return maps
  `(batch, *space, classes)`.

With several labels a pixel, the means need `multilabel=True`:

    def objective(logits, labels):
        regions = losses.sigmoid_dice_loss(logits, labels)
        return losses.mean_sigmoid_cross_entropy(logits, labels) + losses.mean_over_classes(
            regions, labels, multilabel=True
        )

A net of several labels a pixel is trained on arrays of one's own, since the commands read one label
a pixel, and evaluated with `metrics.multilabel_confusion_matrix`:

    >>> import jax, jax.numpy as jnp
    >>> from jaxseg import losses, metrics
    >>> labels = jnp.stack([jnp.eye(8), jnp.tri(8)], -1)[None].astype(jnp.int32)  # two overlap
    >>> images = labels.sum(-1, keepdims=True).astype(jnp.float32)
    >>> def net(params, images):  # or `nn.functional` of a model
    ...     return images * params["weights"] + params["biases"]
    >>> def objective(params):
    ...     return losses.mean_sigmoid_cross_entropy(net(params, images), labels)
    >>> params = {"weights": jnp.zeros(2), "biases": jnp.zeros(2)}
    >>> gradient = jax.jit(jax.grad(objective))
    >>> for _ in range(200):
    ...     grads = gradient(params)
    ...     params = jax.tree.map(lambda p, g: p - 4 * g, params, grads)
    >>> counts = metrics.multilabel_confusion_matrix(labels, jax.nn.sigmoid(net(params, images)))
    >>> metrics.intersection_over_union(counts)[..., 1].tolist()  # of each class
    [1.0, 1.0]

All of them keep one contract. A pixel labeled `ignore_index` changes no value and no gradient,
whatever its logits; of several labels a pixel, each is ignored by itself. Floats have no such
label. For them there is a `mask`, True where a label counts; what it leaves out may be anything,
also NaN. Losses that take floats also take a mask with integers, in addition to `ignore_index`. A
batch of only ignored pixels has a loss of 0 and a gradient of 0. A label that is neither a class
nor ignored gives NaN; with soft labels and several labels a pixel it raises a `ValueError` outside
`jit`. Everything is computed in float32, or in float64 for such logits.
"""

from jaxseg.losses.contract import IGNORE_INDEX
from jaxseg.losses.distances import boundary_loss, signed_distance, squared_distance
from jaxseg.losses.lovasz import lovasz_softmax
from jaxseg.losses.means import (
    mean_cross_entropy,
    mean_over_classes,
    mean_over_valid,
    mean_sigmoid_cross_entropy,
    with_auxiliary,
)
from jaxseg.losses.mining import hard_labels
from jaxseg.losses.multilabel import (
    sigmoid_cross_entropy,
    sigmoid_dice_loss,
    sigmoid_focal_loss,
    sigmoid_jaccard_loss,
    sigmoid_tversky_loss,
)
from jaxseg.losses.pixels import cross_entropy, focal_loss
from jaxseg.losses.regions import dice_loss, jaccard_loss, tversky_loss

__all__ = [
    "IGNORE_INDEX",
    "boundary_loss",
    "cross_entropy",
    "dice_loss",
    "focal_loss",
    "hard_labels",
    "jaccard_loss",
    "lovasz_softmax",
    "mean_cross_entropy",
    "mean_over_classes",
    "mean_over_valid",
    "mean_sigmoid_cross_entropy",
    "sigmoid_cross_entropy",
    "sigmoid_dice_loss",
    "sigmoid_focal_loss",
    "sigmoid_jaccard_loss",
    "sigmoid_tversky_loss",
    "signed_distance",
    "squared_distance",
    "tversky_loss",
    "with_auxiliary",
]
