"""Losses for dense prediction, unreduced, with one `ignore_index` for all.

A loss of pixels returns a map, `(batch, *space)`; a loss of regions returns one number for each
image and class, `(batch, classes)`. `mean_over_valid` and `mean_over_classes` reduce them to
scalars:

    def objective(logits, labels):
        regions = losses.dice_loss(logits, labels)
        return losses.mean_cross_entropy(logits, labels) + losses.mean_over_classes(regions, labels)

All of them keep one contract. A pixel labelled `ignore_index` changes no value and no gradient,
whatever its logits. A batch of only such pixels has a loss of 0 and a gradient of 0. A label that
is neither a class nor ignored gives NaN. Everything is computed in float32, or in float64 for such
logits.
"""

from jaxseg.losses.contract import IGNORE_INDEX
from jaxseg.losses.distances import boundary_loss, signed_distance, squared_distance
from jaxseg.losses.means import (
    mean_cross_entropy,
    mean_over_classes,
    mean_over_valid,
    with_auxiliary,
)
from jaxseg.losses.pixels import cross_entropy, focal_loss, hard_labels
from jaxseg.losses.regions import dice_loss, jaccard_loss, lovasz_softmax, tversky_loss

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
    "signed_distance",
    "squared_distance",
    "tversky_loss",
    "with_auxiliary",
]
