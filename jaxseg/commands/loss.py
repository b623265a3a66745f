"""Losses by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np

from jaxseg import losses

ClassWeights = Literal["none", "median_frequency", "inverse_log"]
LossName = Literal["cross_entropy", "focal", "dice", "lovasz", "ohem"]


@dataclass(frozen=True)
class LossConfig:
    """The loss.

    Attributes:
        name: "cross_entropy", "focal", "ohem" (cross-entropy over the hardest pixels, at least a
            quarter of all), or cross-entropy plus "dice" or "lovasz".
        class_weights: Weights of the cross-entropy, from the training split's class frequencies.
        label_smoothing: Label smoothing of the cross-entropy.
    """

    name: LossName = "cross_entropy"
    class_weights: ClassWeights = "none"
    label_smoothing: float = 0.0

    def __post_init__(self):
        """Refuse a smoothing that is out of range or would have no effect."""
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing={self.label_smoothing} must be at least 0 and below 1: correct "
                "--loss.label-smoothing."
            )
        if self.label_smoothing and self.name in ("focal", "ohem"):
            raise ValueError(
                f"label_smoothing={self.label_smoothing} has no effect on {self.name!r}: leave "
                "--loss.label-smoothing out, or take another --loss.name."
            )


def make_loss(
    config: LossConfig, weights: np.ndarray | None, auxiliary: bool
) -> Callable[[Any, jax.Array], jax.Array]:
    """Build `loss(logits, labels)`.

    Args:
        config: The loss.
        weights: Class weights, (classes,), or None.
        auxiliary: The net has a second head: `logits` is a pair.
    """

    def pixels(logits, labels):
        if config.name == "focal":
            values = losses.focal_loss(logits, labels, class_weights=weights)
            return losses.mean_over_valid(values, labels, class_weights=weights)
        if config.name == "ohem":
            hard = losses.hard_labels(logits, labels, least_kept=labels.size // 4)
            return losses.mean_cross_entropy(logits, hard, class_weights=weights)
        return losses.mean_cross_entropy(
            logits, labels, class_weights=weights, label_smoothing=config.label_smoothing
        )

    def loss(logits, labels):
        total = pixels(logits, labels)
        if config.name == "dice":
            total += losses.mean_over_classes(losses.dice_loss(logits, labels), labels)
        if config.name == "lovasz":
            total += losses.mean_over_classes(losses.lovasz_softmax(logits, labels), labels)
        return total

    return losses.with_auxiliary(loss) if auxiliary else loss
